"""What the example says about itself: spans and metrics as the semantic conventions name them."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from detectors import templates
from examples.acme import backend, config, export, leak, logbook, partner, planted, pool, service, telemetry, trace
from examples.acme import world as acme
from tests.examples.one_loop import IDENTITY, WORLD, new_backend, now_ns, run


def test_spans_follow_the_conventions_and_a_query_is_there_only_with_a_connection() -> None:
    async def main() -> None:
        source = new_backend(replace(WORLD, pool_size=1), now=now_ns)
        shop = service.Shop(source)
        assert await asyncio.gather(*(shop.handle("/orders") for _ in range(4))) == [200, 200, 200, 503]
        shop.failing_route = "/search"
        assert await shop.handle("/search") == 500
        source.running.endpoints["recommendations"] = False
        assert await shop.handle("/recommendations") == 204
        payload = source.telemetry.spans()
        assert source.telemetry.spans() == b""
        (block,) = ExportTraceServiceRequest.FromString(payload).resource_spans
        assert attributes(block.resource) == {
            "service.name": "shop-api",
            "service.namespace": "acme",
            "service.instance.id": "instance-1",
            "deployment.environment.name": "demo",
            "tenant.id": "acme-corp",
        }
        spans = block.scope_spans[0].spans
        kinds = Counter((span.kind, span.status.code) for span in spans)
        unset, error = Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR
        assert kinds == {
            (Span.SPAN_KIND_SERVER, unset): 4,
            (Span.SPAN_KIND_SERVER, error): 2,
            (Span.SPAN_KIND_INTERNAL, unset): 3,
            (Span.SPAN_KIND_INTERNAL, error): 1,
            (Span.SPAN_KIND_CLIENT, unset): 3,
        }
        assert len({span.span_id for span in spans}) == len(spans)
        servers = {span.span_id: span for span in spans if span.kind == Span.SPAN_KIND_SERVER}
        assert len({span.trace_id for span in spans}) == len(servers)
        for span in spans:
            parent = servers.get(span.parent_span_id, span)
            assert parent.trace_id == span.trace_id
            assert parent.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano
        told = {
            (a["http.route"], a["http.response.status_code"], a.get("error.type"))
            for a in map(attributes, servers.values())
        }
        assert told == {
            ("/orders", 200, None),
            ("/orders", 503, "TimeoutError"),
            ("/search", 500, "500"),
            ("/recommendations", 204, None),
        }

    run(main())


def test_pool_metrics_are_cumulative_and_say_what_the_pool_is_doing() -> None:
    async def main() -> None:
        source = new_backend(replace(WORLD, pool_size=1), now=now_ns)
        shop = service.Shop(source)
        requests = [asyncio.create_task(shop.handle("/orders")) for _ in range(4)]
        await asyncio.sleep(0.3)
        busy = metrics(source)
        assert values(busy["db.client.connection.count"]) == {"used": 1, "idle": 0}
        assert values(busy["db.client.connection.max"]) == {"": 1}
        assert values(busy["db.client.connection.pending_requests"]) == {"": 2}
        await asyncio.gather(*requests)
        idle = metrics(source)
        assert values(idle["db.client.connection.count"]) == {"used": 0, "idle": 1}
        assert values(idle["db.client.connection.timeouts"]) == {"": 1}
        assert idle["db.client.connection.timeouts"].sum.is_monotonic
        (waits,) = idle["db.client.connection.wait_time"].histogram.data_points
        (uses,) = idle["db.client.connection.use_time"].histogram.data_points
        assert (waits.count, uses.count) == (3, 3)
        assert waits.sum == pytest.approx(0.18 + 0.36)
        assert uses.sum == pytest.approx(3 * 0.18)
        assert sum(uses.bucket_counts) == 3
        assert len(uses.bucket_counts) == len(uses.explicit_bounds) + 1
        assert values(idle["process.memory.usage"])[""] > 1_000_000

    run(main())


def test_a_histogram_bound_belongs_to_the_bucket_below_it() -> None:
    histogram = telemetry.Histogram()
    for seconds in (0.005, 0.0051, 10.0, 11.0):
        histogram.add(seconds)
    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-2], histogram.counts[-1]) == (1, 1, 1, 1)


def test_the_backlog_keeps_the_newest_records_while_kafka_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BACKLOG_RECORDS_MAX", 3)
    source = new_backend(WORLD, now=lambda: 0).telemetry
    exporter = export.Exporter([source], "nowhere:1", "p.", print)
    for number in range(5):
        exporter.keep("p.otlp_metrics", bytes([number]))
    assert list(exporter.backlog) == [("p.otlp_metrics", bytes([number])) for number in (2, 3, 4)]
    assert exporter.dropped == 2


def test_a_server_span_belongs_to_the_trace_of_its_operation_and_counts_resends() -> None:
    async def main() -> None:
        shop = service.Shop(new_backend(WORLD, now=now_ns))
        attempts = [trace.Attempt(bytes([7] * 16), bytes([number] * 8), number) for number in (1, 2, 8)]
        for attempt in attempts:
            await shop.handle("/orders", attempt)
        (block,) = ExportTraceServiceRequest.FromString(shop.backend.telemetry.spans()).resource_spans
        spans = block.scope_spans[0].spans
        assert {span.trace_id for span in spans} == {attempts[0].trace_id}
        servers = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
        assert [span.parent_span_id for span in servers] == [attempt.span_id for attempt in attempts]
        resent = [attributes(span).get("http.request.resend_count") for span in servers]
        assert resent == [None, 1, 7]
        inner = [span for span in spans if span.kind != Span.SPAN_KIND_SERVER]
        assert {span.parent_span_id for span in inner} == {span.span_id for span in servers}

    run(main())


def test_logs_say_what_failed_and_what_is_secret_in_them_is_masked() -> None:
    async def main() -> None:
        shop = service.Shop(new_backend(replace(WORLD, pool_size=1), now=now_ns))
        for _ in range(400):
            await asyncio.gather(*(shop.handle("/orders") for _ in range(8)))
        records = logged(shop.backend.telemetry.logbook)
        assert shop.backend.telemetry.logbook.export() == b""
        bodies = Counter(record.body.string_value for record in records)
        timeouts = bodies["pool timeout after 500 ms waiting for read-replica"]
        assert timeouts == 5 * 400
        texts = [record.body.string_value for record in records]
        texts += [str(attributes(record).get("exception.message", "")) for record in records]
        secrets = set(planted.secrets("acme-corp")[planted.LOGGED_FROM :])
        assert {secret for secret in secrets for text in texts if secret in text} == secrets
        masked = {templates.mask(text) for text in texts}
        assert len(masked) < 40
        assert not {secret for secret in secrets for text in masked if secret in text}
        severities = {record.severity_text for record in records}
        assert severities == {"INFO", "WARN", "ERROR"}

    run(main())


def test_of_two_interfaces_behind_one_host_only_log_lines_tell_which_is_slow() -> None:
    async def main() -> None:
        partners = partner.between("egress.internal", "pay.example,map.example", service.ROUTES)
        shop = service.Shop(new_backend(WORLD, now=now_ns), partners)
        partners.answers_ms["pay.example"] = 2_000.0
        assert await shop.handle("/orders") == 504
        assert await shop.handle("/search") == 200
        assert await shop.handle("/recommendations") == 200
        (block,) = ExportTraceServiceRequest.FromString(shop.backend.telemetry.spans()).resource_spans
        spans = block.scope_spans[0].spans
        calls = [span for span in spans if attributes(span).get("server.address") == "egress.internal"]
        assert [(span.name, span.status.code) for span in calls] == [
            ("GET", Status.STATUS_CODE_ERROR),
            ("GET", Status.STATUS_CODE_UNSET),
        ]
        assert not any("example" in str(attributes(span)) for span in spans)
        bodies = [record.body.string_value for record in logged(shop.backend.telemetry.logbook)]
        assert "pay.example did not answer within 300 ms" in bodies
        assert not any("map.example" in body for body in bodies)

    run(main())


def test_each_tenant_of_a_shared_service_speaks_for_itself_and_all_have_one_pool() -> None:
    async def main() -> None:
        running = config.parse(acme.service_text(replace(WORLD, pool_size=1), WORLD.tenants[0]))
        source = backend.Backend(running, pool.Replica(180, 80), IDENTITY, now_ns, ["globex"])
        shop = service.Shop(source)
        asked = [shop.handle("/orders", None, tenant) for tenant in ("globex", "acme-corp", "", "globex", "nobody")]
        assert sorted(await asyncio.gather(*asked)) == [200, 200, 200, 503, 503]
        counts = {}
        for tenant, told in source.of_tenant.items():
            (block,) = ExportTraceServiceRequest.FromString(told.spans()).resource_spans
            assert attributes(block.resource)["tenant.id"] == tenant
            kinds = [span.kind for span in block.scope_spans[0].spans]
            counts[tenant] = kinds.count(Span.SPAN_KIND_SERVER)
            assert b"db.client.connection.max" in told.metrics(now_ns())
        assert counts == {"acme-corp": 3, "globex": 2}

    run(main())


def test_full_memory_fails_some_requests_until_the_workers_are_recycled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        memory = leak.Leak(limit_bytes=100 << 20, kb_per_s=40 << 10)
        monkeypatch.setattr(telemetry, "memory_bytes", lambda: sum(map(len, memory.held)))
        running = config.parse(acme.service_text(WORLD, WORLD.tenants[0]))
        source = backend.Backend(running, pool.Replica(180, 80), IDENTITY, now_ns, memory=memory)
        shop = service.Shop(source)
        leaking = asyncio.create_task(memory.run())
        assert await shop.handle("/orders") == 200
        await asyncio.sleep(4)
        assert 0.9 * memory.limit_bytes < sum(map(len, memory.held)) <= memory.limit_bytes
        assert [await shop.handle("/orders") for _ in range(6)].count(500) == 2
        names = ExportMetricsServiceRequest.FromString(source.telemetry.metrics(now_ns()))
        limits = [one for one in names.resource_metrics[0].scope_metrics[0].metrics if "limit" in one.name]
        assert [one.sum.data_points[0].as_int for one in limits] == [memory.limit_bytes]
        memory.kb_per_s = 0
        memory.recycle()
        await asyncio.sleep(1)
        assert [await shop.handle("/orders") for _ in range(6)].count(500) == 0
        leaking.cancel()

    run(main())


def logged(book: logbook.Logbook) -> list[LogRecord]:
    (block,) = ExportLogsServiceRequest.FromString(book.export()).resource_logs
    return list(block.scope_logs[0].log_records)


def test_many_requests_leave_in_records_that_a_broker_takes_and_none_is_told_twice() -> None:
    kept: list[bytes] = []

    class Kept(export.Exporter):
        def keep(self, topic: str, payload: bytes) -> None:
            kept.extend([payload] if topic == "otlp_spans" else [])

    async def main() -> None:
        source = new_backend(WORLD, now=now_ns)
        moment = telemetry.Interval(0, 1)
        for _ in range(2200):
            source.telemetry.record(telemetry.Request("/orders", 200, "", moment, moment, moment))
        exporting = asyncio.create_task(Kept([source.telemetry], "", "", print, export.PACES["default"]).run())
        await asyncio.sleep(5.1)
        exporting.cancel()
        await asyncio.gather(exporting, return_exceptions=True)

    run(main())
    blocks = [ExportTraceServiceRequest.FromString(payload).resource_spans[0] for payload in kept]
    spans = [span.span_id for block in blocks for span in block.scope_spans[0].spans]
    assert len(spans) == len(set(spans)) == 3 * 2200
    assert len(kept) == 5
    assert max(map(len, kept)) < 1_000_000


@pytest.mark.parametrize(("name", "records"), [("fast", (120, 120, 120)), ("default", (12, 1, 60))])
def test_each_signal_leaves_at_its_own_pace(name: str, records: tuple[int, int, int]) -> None:
    class Kept(export.Exporter):
        def keep(self, topic: str, payload: bytes) -> None:
            sent[topic] += bool(payload)

    sent: Counter[str] = Counter()

    async def main() -> None:
        source = new_backend(WORLD, now=now_ns)
        shop = service.Shop(source)
        exporter = Kept([source.telemetry], "", "", print, export.PACES[name])
        monitored = [asyncio.create_task(work) for work in (exporter.run(), ask(shop))]
        await asyncio.sleep(60.1)
        assert tuple(sent[topic] for topic in ("otlp_spans", "otlp_metrics", "otlp_logs")) == records
        for task in monitored:
            task.cancel()
        await asyncio.gather(*monitored, return_exceptions=True)

    async def ask(shop: service.Shop) -> None:
        while True:
            await asyncio.gather(*(shop.handle("/orders") for _ in range(15)))

    run(main())


def metrics(source: backend.Backend) -> dict[str, Metric]:
    payload = ExportMetricsServiceRequest.FromString(source.telemetry.metrics(now_ns()))
    return {metric.name: metric for metric in payload.resource_metrics[0].scope_metrics[0].metrics}


def values(metric: Metric) -> dict[str, int]:
    """Values of a sum by connection state."""
    return {
        str(attributes(point).get("db.client.connection.state", "")): point.as_int for point in metric.sum.data_points
    }


def attributes(holder: Any) -> dict[str, str | int]:
    return {
        item.key: item.value.int_value if item.value.HasField("int_value") else item.value.string_value
        for item in holder.attributes
    }
