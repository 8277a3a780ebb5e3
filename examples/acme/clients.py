"""Browser tabs of one tenant over real HTTP: each thinks, asks, gives up after a while and tries again by its policy.

    python -m examples.acme.clients --folder world/acme-corp --url http://127.0.0.1:8080 --tabs 120

The retry policy is client.json in the folder, read again twice a second and more. GET /stats shows what the tabs
themselves saw, second by second; POST /tabs {"tabs": 280} opens or closes tabs. Beside them may be lookers,
tabs that only look at the catalog, for which the service needs no connection: {"tabs": 280, "lookers": 600}.
"""

import argparse
import asyncio
import math
import os
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from examples.acme import http_client, process, retry, trace

SECONDS_KEPT = 60
POLICY_READ_S = 0.25
TABS_MAX = 2_000  # beyond, this process itself would be the bottleneck
PATHS = ("/orders", "/search", "/recommendations")  # the last is not critical
WEIGHTS = (0.5, 0.25, 0.25)
CATALOG = "/catalog"
FAILED = 0  # instead of a status: no answer in time, or no connection

Send = Callable[[str, trace.Attempt], Awaitable[int]]


@dataclass(slots=True)
class Second:
    """What ended within one second. Latencies are of attempts as the tab felt them: a time limit counts in full."""

    unix_s: int
    operations: int = 0
    operations_failed: int = 0
    attempts: int = 0
    attempts_failed: int = 0
    attempts_timed_out: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def shown(self) -> dict[str, float]:
        ordered = sorted(self.latencies_ms)
        return {
            "unix_s": self.unix_s,
            "operations": self.operations,
            "operations_failed": self.operations_failed,
            "attempts": self.attempts,
            "attempts_failed": self.attempts_failed,
            "attempts_timed_out": self.attempts_timed_out,
            "latency_ms_p99": round(ordered[math.ceil(0.99 * len(ordered)) - 1], 1) if ordered else 0.0,
        }


class Stats:
    """The last minute in buckets of one second."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._seconds: deque[Second] = deque(maxlen=SECONDS_KEPT + 1)

    def current(self) -> Second:
        unix_s = int(self._now_s())
        if not self._seconds:
            self._seconds.append(Second(unix_s))
        while self._seconds[-1].unix_s < unix_s:
            newest = self._seconds[-1].unix_s
            self._seconds.append(Second(max(newest + 1, unix_s - SECONDS_KEPT)))
        return self._seconds[-1]

    def complete(self) -> list[Second]:
        """Oldest first, without the second that still runs."""
        self.current()
        return list(self._seconds)[:-1]


@dataclass(slots=True)
class Fleet:
    """All tabs of one tenant and what they share; `send` may be replaced by something without a network."""

    send_for_tab: Callable[[int], Send]
    policy: retry.Policy
    limit_ms: float
    think_ms: float
    seed: str
    stats: Stats
    tabs: list[asyncio.Task[None]] = field(default_factory=list)
    opened: int = 0
    lookers: list[asyncio.Task[None]] = field(default_factory=list)
    """Tabs that only look at the catalog."""

    def open(self, tabs: int) -> None:
        """Open or close tabs until there are so many."""
        while len(self.tabs) > tabs:
            self.tabs.pop().cancel()
        while len(self.tabs) < tabs:
            self.opened += 1
            self.tabs.append(asyncio.create_task(self._browse(self.opened)))

    def look(self, tabs: int) -> None:
        """Open or close tabs of those who only look until there are so many."""
        while len(self.lookers) > tabs:
            self.lookers.pop().cancel()
        while len(self.lookers) < tabs:
            self.opened += 1
            self.lookers.append(asyncio.create_task(self._browse(self.opened, (CATALOG,), (1.0,))))

    async def _browse(self, number: int, paths: tuple[str, ...] = PATHS, weights: tuple[float, ...] = WEIGHTS) -> None:
        rng = random.Random(f"{self.seed}/{number}")
        ids = random.Random(f"{self.seed}/{number}/ids")
        send = self.send_for_tab(number)
        await asyncio.sleep(rng.uniform(0.0, self.think_ms / 1000))  # tabs do not open on one beat
        while True:
            await asyncio.sleep(rng.expovariate(1000 / self.think_ms))
            await self._operate(rng.choices(paths, weights)[0], send, rng, ids)

    async def _operate(self, path: str, send: Send, rng: random.Random, ids: random.Random) -> None:
        """One thing the user wants: attempts until one succeeds or the policy, as it is by then, allows no more."""
        number, trace_id = 1, ids.randbytes(16)
        while True:
            done = await self._attempt(path, trace.Attempt(trace_id, ids.randbytes(8), number), send)
            if done or number >= self.policy.attempts:
                break
            await asyncio.sleep(self.policy.wait_ms(number, rng) / 1000)
            number += 1
        second = self.stats.current()
        second.operations += 1
        second.operations_failed += not done

    async def _attempt(self, path: str, attempt: trace.Attempt, send: Send) -> bool:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        timed_out = False
        try:
            async with asyncio.timeout(self.limit_ms / 1000):
                status = await send(path, attempt)
        except TimeoutError:
            status, timed_out = FAILED, True
        except OSError:
            status = FAILED
        good = 200 <= status < 400
        second = self.stats.current()
        second.attempts += 1
        second.attempts_failed += not good
        second.attempts_timed_out += timed_out
        second.latencies_ms.append((loop.time() - start_s) * 1000)
        return good


def browser(host: str, port: int, tenant: str = "") -> Callable[[int], Send]:
    """Tabs that use the network: one keep-alive connection each, cut off when the tab's patience ends. They name
    their tenant where several share the service."""
    whose = f"x-tenant: {tenant}\r\n" if tenant else ""

    def for_tab(_number: int) -> Send:
        connection: http_client.Connection | None = None

        async def send(path: str, attempt: trace.Attempt) -> int:
            nonlocal connection
            if connection is None or connection.closed:
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(http_client.Connection, host, port)
            try:
                return await connection.get(http_client.request(host, port, path, whose + trace.headers(attempt)))
            except asyncio.CancelledError:
                connection.abort()
                raise

        return send

    return for_tab


async def follow_policy(path: Path, fleet: Fleet) -> None:
    """Keep the fleet's policy equal to the file's; an unusable file changes nothing and is told once."""
    seen = ""
    while True:
        await asyncio.sleep(POLICY_READ_S)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            text = f"unreadable: {error}"
        if text == seen:
            continue
        seen = text
        try:
            fleet.policy = retry.parse(text)
        except retry.PolicyError as error:
            process.say(f"clients: policy kept, the new one is refused: {error}")


def application(fleet: Fleet) -> web.Application:
    async def stats(_request: web.Request) -> web.Response:
        return web.json_response({"seconds": [second.shown() for second in fleet.stats.complete()]})

    async def show_config(_request: web.Request) -> web.Response:
        shown = {"pid": os.getpid(), "tabs": len(fleet.tabs), **fleet.policy.shown()}
        return web.json_response(shown)

    async def set_tabs(request: web.Request) -> web.Response:
        wanted = await request.json()
        tabs, lookers = int(wanted["tabs"]), int(wanted.get("lookers", len(fleet.lookers)))
        if not (0 <= tabs <= TABS_MAX and 0 <= lookers <= TABS_MAX):
            raise web.HTTPBadRequest(text=f"tabs, lookers: expected 0 to {TABS_MAX}\n")
        fleet.open(tabs)
        fleet.look(lookers)
        return web.json_response({"tabs": tabs, "lookers": lookers})

    app = web.Application()
    app.router.add_get("/stats", stats)
    app.router.add_get("/admin/config", show_config)
    app.router.add_post("/tabs", set_tabs)
    return app


async def run(arguments: argparse.Namespace) -> None:
    path = arguments.folder / "client.json"
    target = urlsplit(arguments.url)
    assert target.hostname is not None, "--url needs a host"
    assert target.port is not None, "--url needs a port"
    fleet = Fleet(
        send_for_tab=browser(target.hostname, target.port, arguments.tenant),
        policy=retry.parse(path.read_text(encoding="utf-8")),
        limit_ms=arguments.limit_ms,
        think_ms=arguments.think_ms,
        seed=arguments.seed,
        stats=Stats(),
    )
    following = asyncio.create_task(follow_policy(path, fleet))
    fleet.open(arguments.tabs)
    fleet.look(arguments.lookers)
    try:
        await process.serve(application(fleet), arguments.folder / "run", "clients", arguments.port, lambda: None)
    finally:
        fleet.open(0)
        fleet.look(0)
        following.cancel()


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--folder", type=Path, required=True, help="holds client.json and run/")
    options.add_argument("--url", required=True, help="of the service")
    options.add_argument("--tabs", type=int, default=120)
    options.add_argument("--lookers", type=int, default=0, help="tabs that only look at the catalog")
    options.add_argument("--tenant", default="", help="told with each request, where several share the service")
    options.add_argument("--limit-ms", type=float, default=400.0, help="a tab's patience with one attempt")
    options.add_argument("--think-ms", type=float, default=1200.0, help="mean pause between operations")
    options.add_argument("--seed", default="acme")
    options.add_argument("--port", type=int, default=0, help="of /stats; 0 takes a free one, see run/clients.port")
    return options


if __name__ == "__main__":
    asyncio.run(run(parser().parse_args()))
