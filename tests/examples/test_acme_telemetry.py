"""What the example says about itself: spans and metrics as the semantic conventions name them."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from examples.acme import backend, export, service, telemetry
from tests.examples.one_loop import WORLD, new_backend, now_ns, run


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
    exporter = export.Exporter(source, "nowhere:1", "p.", print)
    for number in range(5):
        exporter.keep("p.otlp_metrics", bytes([number]))
    assert list(exporter.backlog) == [("p.otlp_metrics", bytes([number])) for number in (2, 3, 4)]
    assert exporter.dropped == 2


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
