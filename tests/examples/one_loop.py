"""Service and clients of the example in one event loop with virtual time: a minute passes in a second or less.

The service's own code runs under the clients' own code; only HTTP is left out.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from examples.acme import backend, clients, config, pool, service, telemetry, trace, world

WORLD = world.World()
RENAMED = world.World(
    tenants=(world.Tenant("zeta", tabs=80, tabs_spike=180, has_worker=True), world.Tenant("eta", 40, 40)),
    service="cart-api",
    pool_name="pg-ro",
    pool_size=20,
)


def storming(numbers: world.World, tabs: int, tabs_spike: int) -> world.World:
    """The same world where the first tenant's tabs try eight times."""
    first = replace(numbers.tenants[0], policy=world.EIGHT_ATTEMPTS, tabs=tabs, tabs_spike=tabs_spike)
    return replace(numbers, tenants=(first, *numbers.tenants[1:]))


STORM = storming(WORLD, 120, 320)
RENAMED_STORM = storming(RENAMED, 75, 200)
IDENTITY = telemetry.Identity("acme-corp", "shop-api", "acme", "instance-1", "demo")


class VirtualSelector(selectors.DefaultSelector):
    """Never waits: it moves the clock to where the loop wanted to wait until."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that will never happen"
        self.now_s += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def now_ns() -> int:
    return round(now_s() * 1e9)


def new_backend(numbers: world.World, now: Callable[[], int]) -> backend.Backend:
    running = config.parse(world.service_text(numbers, numbers.tenants[0]))
    return backend.Backend(running, pool.Replica(numbers.query_ms, numbers.knee), IDENTITY, now)


def new_fleet(send_for_tab: Callable[[int], clients.Send], numbers: world.World, seed: str) -> clients.Fleet:
    stats = clients.Stats(asyncio.get_running_loop().time)
    return clients.Fleet(send_for_tab, numbers.tenants[0].policy, numbers.limit_ms, numbers.think_ms, seed, stats)


def new_world(numbers: world.World) -> tuple[service.Shop, clients.Fleet]:
    """A service and its clients; like HTTP, a request runs on in the service when its client has given up."""
    shop = service.Shop(new_backend(numbers, now_ns))
    running: set[asyncio.Task[int]] = set()

    def send(path: str, attempt: trace.Attempt) -> Awaitable[int]:
        request = asyncio.create_task(shop.handle(path, attempt))
        running.add(request)
        request.add_done_callback(running.discard)
        return asyncio.shield(request)

    async def send_and_wait(path: str, attempt: trace.Attempt) -> int:
        return await send(path, attempt)

    return shop, new_fleet(lambda _number: send_and_wait, numbers, numbers.seed)


def server_error_ratio(shop: service.Shop) -> float:
    """Of the SERVER spans since the last call."""
    payload = ExportTraceServiceRequest.FromString(shop.backend.telemetry.spans())
    spans = [span for span in payload.resource_spans[0].scope_spans[0].spans if span.kind == Span.SPAN_KIND_SERVER]
    return sum(span.status.code == Status.STATUS_CODE_ERROR for span in spans) / len(spans)
