"""acme's background worker for one tenant: it settles orders with a pool of its own, sized by the same service.toml.

    python -m examples.acme.worker --tenant acme-corp --folder world/acme-corp

It never uses more than two connections, whatever the file allows it.
"""

import argparse
import asyncio
import time

from aiohttp import web

from examples.acme import backend, config, pool, process, telemetry

JOBS = 2  # at once, hence connections in use
PAUSE_S = 1.0
QUERY_MS = 60.0
KNEE = 80


async def settle_forever(source: backend.Backend) -> None:
    """One job after the other; what got no connection is still there for the next round."""
    while True:
        wait, query = await source.query(source.telemetry)
        if query is not None:
            whole = telemetry.Interval(wait.start_ns, query.end_ns)
            source.telemetry.record(telemetry.Request("/orders", 0, "", whole, wait, query))
        await asyncio.sleep(PAUSE_S)


async def run(arguments: argparse.Namespace) -> None:
    path = arguments.folder / "service.toml"
    replica = pool.Replica(QUERY_MS, KNEE)
    source = backend.Backend(config.read(path), replica, process.identity(arguments), time.time_ns)

    async def show_config(_request: web.Request) -> web.Response:
        return web.json_response(source.shown())

    def on_hangup() -> None:
        source.reload(path)

    app = web.Application()
    app.router.add_get("/admin/config", show_config)
    jobs = [asyncio.create_task(settle_forever(source)) for _ in range(JOBS)]
    try:
        async with process.exporting([source.telemetry], arguments):
            await process.serve(app, arguments.folder / "run", "worker", arguments.port, on_hangup)
    finally:
        for job in jobs:
            job.cancel()


if __name__ == "__main__":
    asyncio.run(run(process.options(__doc__, service="shop-worker").parse_args()))
