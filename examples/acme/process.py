"""What every process of the example does alike: serve HTTP on loopback, write its pid and port, end on SIGTERM."""

import argparse
import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from examples.acme import export, telemetry

HOST = "127.0.0.1"
SHUTDOWN_S = 0.5  # an abandoned request may be cut off at the end: nobody waits for its answer
CONNECTIONS_WAITING_MAX = 1024  # a spike opens hundreds of connections within a second


def say(text: str) -> None:
    """One line for the process's log."""
    print(text, file=sys.stderr, flush=True)


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that a reader sees all of it or the old one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


async def serve(app: web.Application, folder: Path, name: str, port: int, on_hangup: Callable[[], None]) -> None:
    """Run `app` until SIGTERM or SIGINT; `folder` then holds `name.pid` and `name.port` for as long as it answers.

    A handler runs on when its client has left (aiohttp's default, and the point of the example): the work that nobody
    waits for any more still takes a connection.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=CONNECTIONS_WAITING_MAX).start()
    folder.mkdir(parents=True, exist_ok=True)
    pid_file, port_file = folder / f"{name}.pid", folder / f"{name}.port"
    write_whole(pid_file, f"{os.getpid()}\n")
    write_whole(port_file, f"{runner.addresses[0][1]}\n")
    say(f"{name}: pid {os.getpid()} listens on {HOST}:{runner.addresses[0][1]}")
    try:
        await stopped.wait()
    finally:
        for path in (pid_file, port_file):
            with suppress(FileNotFoundError):
                path.unlink()
        await runner.cleanup()
    say(f"{name}: ended")


@asynccontextmanager
async def exporting(sources: Sequence[telemetry.Telemetry], arguments: argparse.Namespace) -> AsyncIterator[None]:
    """Telemetry leaves while the body runs; what is left goes out at its end."""
    pace = export.PACES[arguments.telemetry]
    exporter = export.Exporter(sources, arguments.kafka, arguments.topic_prefix, say, pace)
    task = asyncio.create_task(exporter.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def identity(arguments: argparse.Namespace) -> telemetry.Identity:
    """Every start is an instance of its own, as the conventions ask."""
    return telemetry.Identity(
        tenant=arguments.tenant,
        service=arguments.service,
        namespace=arguments.namespace,
        instance=str(uuid.uuid4()),
        environment=arguments.environment,
    )


def options(description: str | None, service: str) -> argparse.ArgumentParser:
    """The options that service and worker share: who they are, where their files lie, where telemetry goes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="holds service.toml and run/")
    parser.add_argument("--service", default=service, help="service.name")
    parser.add_argument("--namespace", default="acme", help="service.namespace")
    parser.add_argument("--environment", default="demo", help="deployment.environment.name")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; see run/*.port")
    parser.add_argument("--kafka", default="", help="bootstrap servers; empty exports to nowhere")
    parser.add_argument("--topic-prefix", default="", help="put before otlp_spans and the others")
    parser.add_argument("--telemetry", choices=sorted(export.PACES), default="fast", help="how often it is exported")
    return parser
