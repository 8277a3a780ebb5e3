"""acme's shop API for one tenant: an HTTP service whose every answer needs a connection from a bounded pool.

    python -m examples.acme.service --tenant acme-corp --folder world/acme-corp

It reads service.toml from its folder at start and on SIGHUP, and shows its running values at GET /admin/config.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from examples.acme import backend, config, pool, process, telemetry

ROUTES = ("/orders", "/search", "/recommendations")
OK, SWITCHED_OFF, FAILED, BUSY = 200, 204, 500, 503
QUERY_MS_MAX = 60_000  # a slip beyond a minute would leave handlers running after the demo's end


class Shop:
    """The service without its HTTP: what becomes of a request."""

    def __init__(self, source: backend.Backend) -> None:
        self.backend = source
        self.failing_route = ""

    async def handle(self, route: str) -> int:
        """Answer one request: its HTTP status. It takes a connection first, if its endpoint is switched on."""
        start_ns = self.backend.now_ns()
        wait = query = None
        error_type = ""
        if not self.backend.running.endpoints.get(route.strip("/"), False):
            status = SWITCHED_OFF
        elif route == self.failing_route:
            status, error_type = FAILED, str(FAILED)
        else:
            wait, query = await self.backend.query()
            status, error_type = (OK, "") if query else (BUSY, TimeoutError.__name__)
        whole = telemetry.Interval(start_ns, self.backend.now_ns())
        self.backend.telemetry.record(telemetry.Request(route, status, error_type, whole, wait, query))
        return status


def application(shop: Shop) -> web.Application:
    """The shop's routes, and /admin, which emits no telemetry."""

    def handler_of(route: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(_request: web.Request) -> web.StreamResponse:
            status = await shop.handle(route)
            return web.Response(status=status, body=None if status == SWITCHED_OFF else b'{"items":[]}')

        return answer

    async def show_config(_request: web.Request) -> web.Response:
        return web.json_response(shop.backend.shown())

    async def set_replica(request: web.Request) -> web.Response:
        wanted = await request.json()
        query_ms, knee = float(wanted["query_ms"]), int(wanted["knee"])
        if not (0 < query_ms <= QUERY_MS_MAX and knee >= 1):
            raise web.HTTPBadRequest(text="query_ms or knee out of range\n")
        shop.backend.replica.query_ms, shop.backend.replica.knee = query_ms, knee
        return web.json_response({"query_ms": query_ms, "knee": knee})

    async def set_failing(request: web.Request) -> web.Response:
        route = str((await request.json())["route"])
        if route and route not in ROUTES:
            raise web.HTTPBadRequest(text=f"no such route; there are {', '.join(ROUTES)}\n")
        shop.failing_route = route
        return web.json_response({"route": route})

    app = web.Application()
    for route in ROUTES:
        app.router.add_get(route, handler_of(route))
    app.router.add_get("/admin/config", show_config)
    app.router.add_post("/admin/replica", set_replica)
    app.router.add_post("/admin/failing", set_failing)
    return app


async def run(arguments: argparse.Namespace) -> None:
    path = arguments.folder / "service.toml"
    replica = pool.Replica(arguments.query_ms, arguments.knee)
    source = backend.Backend(config.read(path), replica, process.identity(arguments), time.time_ns)

    def on_hangup() -> None:
        if arguments.on_hangup == "reload":
            source.reload(path, resize=arguments.resize == "live")

    async with process.exporting(source.telemetry, arguments):
        await process.serve(application(Shop(source)), arguments.folder / "run", "service", arguments.port, on_hangup)


def parser() -> argparse.ArgumentParser:
    options = process.options(__doc__, service="shop-api")
    options.add_argument("--query-ms", type=float, default=180.0, help="time of a query below the knee")
    options.add_argument("--knee", type=int, default=80, help="queries at once beyond which their time grows")
    options.add_argument("--on-hangup", choices=("reload", "ignore"), default="reload", help="what SIGHUP does")
    options.add_argument("--resize", choices=("live", "restart"), default="live", help="when a new pool size counts")
    return options


if __name__ == "__main__":
    asyncio.run(run(parser().parse_args()))
