"""acme's shop API for one tenant: an HTTP service whose answers need a connection from a bounded pool.

    python -m examples.acme.service --tenant acme-corp --folder world/acme-corp

It reads service.toml from its folder at start and on SIGHUP, and shows its running values at GET /admin/config.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from examples.acme import backend, config, leak, logbook, partner, pool, process, telemetry, trace

ROUTES = ("/orders", "/search", "/recommendations")
CACHED = "/catalog"  # needs no connection, is never switched off
TENANT_HEADER = "x-tenant"  # whose request it is, where several tenants share the process
OK, SWITCHED_OFF, FAILED, BUSY, NO_PARTNER = 200, 204, 500, 503, 504
QUERY_MS_MAX = 60_000  # a slip beyond a minute would leave handlers running after the demo's end
MEGABYTE = 1 << 20


class Shop:
    """The service without its HTTP: what becomes of a request."""

    def __init__(self, source: backend.Backend, partners: partner.Partners | None = None) -> None:
        self.backend = source
        self.partners = partners or partner.Partners()
        self.failing_route = ""
        for told in source.of_tenant.values():
            told.egress = self.partners.egress

    async def handle(self, route: str, parent: trace.Attempt | None = None, tenant: str = "") -> int:
        """Answer one request: its HTTP status. It takes a connection first, if its endpoint is switched on."""
        told = self.backend.of_tenant.get(tenant, self.backend.telemetry)
        start_ns = self.backend.now_ns()
        wait = query = call = None
        error_type = call_error = ""
        interface = self.partners.of_route.get(route, "")
        if route == CACHED:
            status = OK
        elif not self.backend.running.endpoints.get(route.strip("/"), False):
            status = SWITCHED_OFF
        elif route == self.failing_route:
            status, error_type = FAILED, str(FAILED)
        elif self.backend.memory.fails():
            status, error_type = FAILED, MemoryError.__name__
        else:
            if interface:
                call, call_error = await self._call(interface)
            if call_error:
                status, error_type = NO_PARTNER, call_error
            else:
                wait, query = await self.backend.query(told)
                status, error_type = (OK, "") if query else (BUSY, TimeoutError.__name__)
        whole = telemetry.Interval(start_ns, self.backend.now_ns())
        request = telemetry.Request(route, status, error_type, whole, wait, query, parent, call, call_error)
        told.record(request)
        self._log(told.logbook, request, interface)
        return status

    async def _call(self, interface: str) -> tuple[telemetry.Interval, str]:
        """When it was called, and the type of the error if there was one."""
        start_ns, error_type = self.backend.now_ns(), ""
        try:
            await self.partners.call(interface)
        except TimeoutError as error:
            error_type = type(error).__name__
        return telemetry.Interval(start_ns, self.backend.now_ns()), error_type

    def _log(self, book: logbook.Logbook, request: telemetry.Request, interface: str) -> None:
        at_ns = request.whole.end_ns
        trace_id = request.parent.trace_id if request.parent else b""
        text = self._trouble(request, interface)
        if text:
            book.write(logbook.Line(at_ns, logbook.ERROR, text, trace_id, (request.error_type, text)))
        elif request.call is not None:
            book.called(interface, request.call.seconds * 1000, at_ns, trace_id)
        book.answered(request.route, request.status, request.whole.seconds * 1000, at_ns, trace_id)

    def _trouble(self, request: telemetry.Request, interface: str) -> str:
        """What the code that failed says; nothing where an answer was found, or where it fails without a word."""
        running = self.backend.running
        if request.status == BUSY:
            return f"pool timeout after {running.acquire_timeout_ms} ms waiting for {running.pool_name}"
        if request.status == NO_PARTNER:
            return f"{interface} did not answer within {partner.PATIENCE_MS} ms"
        if request.error_type == MemoryError.__name__:
            return f"cannot allocate {MEGABYTE} bytes"
        return ""


def application(shop: Shop) -> web.Application:
    """The shop's routes, and /admin, which emits no telemetry."""

    def handler_of(route: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            parent = trace.read(request.headers.get("traceparent"), request.headers.get(trace.ATTEMPT_HEADER))
            status = await shop.handle(route, parent, request.headers.get(TENANT_HEADER, ""))
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

    async def set_partner(request: web.Request) -> web.Response:
        wanted = await request.json()
        interface, answer_ms = str(wanted["interface"]), float(wanted["answer_ms"])
        if interface not in shop.partners.of_route.values() or not 0 < answer_ms <= QUERY_MS_MAX:
            raise web.HTTPBadRequest(text="interface unknown or answer_ms out of range\n")
        shop.partners.answers_ms[interface] = answer_ms
        return web.json_response({"interface": interface, "answer_ms": answer_ms})

    async def set_leak(request: web.Request) -> web.Response:
        kb_per_s = int((await request.json())["kb_per_s"])
        if not 0 <= kb_per_s <= leak.KB_PER_S_MAX or not shop.backend.memory.limit_bytes:
            raise web.HTTPBadRequest(text=f"expected 0 to {leak.KB_PER_S_MAX}, and a limit of memory\n")
        shop.backend.memory.kb_per_s = kb_per_s
        return web.json_response({"kb_per_s": kb_per_s})

    app = web.Application()
    for route in (*ROUTES, CACHED):
        app.router.add_get(route, handler_of(route))
    app.router.add_get("/admin/config", show_config)
    app.router.add_post("/admin/replica", set_replica)
    app.router.add_post("/admin/failing", set_failing)
    app.router.add_post("/admin/partner", set_partner)
    app.router.add_post("/admin/leak", set_leak)
    return app


async def run(arguments: argparse.Namespace) -> None:
    path = arguments.folder / "service.toml"
    headroom = arguments.memory_headroom_mb * MEGABYTE
    memory = leak.Leak(telemetry.memory_bytes() + headroom if headroom else 0, arguments.leak_kb_per_s)
    source = backend.Backend(
        config.read(path),
        pool.Replica(arguments.query_ms, arguments.knee),
        process.identity(arguments),
        time.time_ns,
        arguments.also_tenant,
        memory,
    )
    partners = partner.between(arguments.egress, arguments.interfaces, ROUTES)

    def on_hangup() -> None:
        if arguments.on_hangup == "reload":
            source.reload(path, resize=arguments.resize == "live")

    leaking = asyncio.create_task(memory.run())
    try:
        async with process.exporting(list(source.of_tenant.values()), arguments):
            app = application(Shop(source, partners))
            await process.serve(app, arguments.folder / "run", "service", arguments.port, on_hangup)
    finally:
        leaking.cancel()


def parser() -> argparse.ArgumentParser:
    options = process.options(__doc__, service="shop-api")
    options.add_argument("--query-ms", type=float, default=180.0, help="time of a query below the knee")
    options.add_argument("--knee", type=int, default=80, help="queries at once beyond which their time grows")
    options.add_argument("--on-hangup", choices=("reload", "ignore"), default="reload", help="what SIGHUP does")
    options.add_argument("--resize", choices=("live", "restart"), default="live", help="when a new pool size counts")
    options.add_argument("--also-tenant", action="append", default=[], help="another tenant on this process")
    options.add_argument("--egress", default="", help="the host by way of which external interfaces are called")
    options.add_argument("--interfaces", default="", help="their names, comma-separated: of orders, of search")
    options.add_argument("--memory-headroom-mb", type=int, default=0, help="limit of memory above the start; 0: none")
    options.add_argument("--leak-kb-per-s", type=int, default=0, help="memory that is never given back")
    return options


if __name__ == "__main__":
    asyncio.run(run(parser().parse_args()))
