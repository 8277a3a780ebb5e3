"""The example as processes: what SIGHUP, SIGTERM and the admin endpoints really do, and what reaches Kafka."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from examples.acme import world
from stream import topics

WORLD = world.World()
ACME = WORLD.tenants[0]
WAIT_S = 20.0


@contextmanager
def stopped_after(handle: world.Handle) -> Iterator[world.Handle]:
    try:
        yield handle
    finally:
        handle.stop()


def eventually(seen: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not seen():
        assert time.monotonic() < deadline_s, "not seen in time"
        time.sleep(0.02)


def set_pool_size(folder: Path, size: int) -> None:
    path = folder / "service.toml"
    path.write_text(path.read_text().replace("pool_size          = 32", f"pool_size          = {size}"))


def test_service_and_worker_reload_on_sighup_and_end_cleanly(tmp_path: Path) -> None:
    folder = world.write_world(tmp_path, WORLD)["acme-corp"]
    with ExitStack() as stack:
        handles = [start(WORLD, ACME, folder) for start in (world.start_service, world.start_worker)]
        for handle in handles:
            stack.enter_context(stopped_after(handle))
            assert int((folder / "run" / f"{handle.name}.pid").read_text()) == handle.pid
            assert handle.get("/admin/config")["pool_size"] == 32
        set_pool_size(folder, 64)
        for handle in handles:
            assert handle.get("/admin/config")["pool_size"] == 32  # the running value, not the file's
            handle.hang_up()
            eventually(lambda handle=handle: handle.get("/admin/config")["pool_size"] == 64)  # type: ignore[misc]
            assert handle.get("/admin/config")["generation"] == 2
            assert handle.stop() == 0
        assert [path.suffix for path in (folder / "run").iterdir()] == [".log", ".log"]


def test_a_service_can_be_deaf_to_sighup(tmp_path: Path) -> None:
    folder = world.write_world(tmp_path, WORLD)["acme-corp"]
    with stopped_after(world.start_service(WORLD, ACME, folder, on_hangup="ignore")) as service:
        set_pool_size(folder, 64)
        service.hang_up()
        for _ in range(20):
            assert service.get("/admin/config")["pool_size"] == 32


def test_tabs_use_the_service_and_see_its_failing_route(tmp_path: Path) -> None:
    """Twenty tabs never fill a pool of 32, so on a busy machine too an error answer is the route's."""
    few = replace(ACME, tabs=20)
    folder = world.write_world(tmp_path, WORLD)["acme-corp"]
    with ExitStack() as stack:
        service = stack.enter_context(stopped_after(world.start_service(WORLD, few, folder)))
        clients = stack.enter_context(stopped_after(world.start_clients(WORLD, few, folder, service.url)))

        def error_answers() -> int:
            seconds = clients.get("/stats")["seconds"]
            return sum(second["attempts_failed"] - second["attempts_timed_out"] for second in seconds)

        eventually(lambda: sum(second["operations"] for second in clients.get("/stats")["seconds"]) > 10)
        assert error_answers() == 0
        service.post("/admin/failing", {"route": "/search"})
        eventually(lambda: error_answers() > 0)
        clients.post("/tabs", {"tabs": 7})
        assert clients.get("/admin/config")["tabs"] == 7
        assert world.stop_all([clients, service]) == [0, 0]


def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    folder = world.write_world(tmp_path, WORLD)["acme-corp"]
    (folder / "service.toml").write_text("[database")
    with pytest.raises(RuntimeError, match="not TOML"):
        world.start_service(WORLD, ACME, folder)


def test_a_pause_of_kafka_does_not_stop_the_service(tmp_path: Path) -> None:
    folder = world.write_world(tmp_path, WORLD)["acme-corp"]
    with stopped_after(world.start_service(WORLD, ACME, folder, kafka="127.0.0.1:1")) as service:
        eventually(lambda: "is away" in (folder / "run" / "service.log").read_text())
        assert service.get("/admin/config")["pool_size"] == 32
        assert service.stop() == 0


@pytest.mark.broker
def test_spans_and_metrics_reach_their_topics_without_key_or_header(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    folder = world.write_world(tmp_path, WORLD)["acme-corp"]
    asyncio.run(topics.create(bootstrap, prefix, sources=True))
    with ExitStack() as stack:
        service = world.start_service(WORLD, ACME, folder, kafka=bootstrap, topic_prefix=prefix)
        stack.enter_context(stopped_after(service))
        stack.enter_context(stopped_after(world.start_clients(WORLD, ACME, folder, service.url)))
        servers, names = asyncio.run(read(bootstrap, prefix, servers_wanted=100))
    assert {span.name for span in servers} <= {"GET /orders", "GET /search", "GET /recommendations"}
    assert "db.client.connection.pending_requests" in names


async def read(bootstrap: str, prefix: str, servers_wanted: int) -> tuple[list[Span], set[str]]:
    """SERVER spans until there are enough, and the names of the metrics beside them."""
    servers: list[Span] = []
    names: set[str] = set()
    spans_topic, metrics_topic = f"{prefix}otlp_spans", f"{prefix}otlp_metrics"
    async with (
        asyncio.timeout(WAIT_S),
        AIOKafkaConsumer(
            spans_topic, metrics_topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        ) as consumer,
    ):
        while len(servers) < servers_wanted or not names:
            record = await consumer.getone()
            assert (record.key, list(record.headers)) == (None, [])
            if record.topic == spans_topic:
                trace_blocks = ExportTraceServiceRequest.FromString(record.value).resource_spans
                spans = [span for block in trace_blocks for scope in block.scope_spans for span in scope.spans]
                servers += [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
            else:
                blocks = ExportMetricsServiceRequest.FromString(record.value).resource_metrics
                names |= {metric.name for block in blocks for scope in block.scope_metrics for metric in scope.metrics}
    return servers, names
