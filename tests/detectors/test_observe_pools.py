"""Points of connection pools reach the journal with their quantity, unit and times; what says nothing does not."""

from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from detectors import observe
from detectors.rows import Reduced, Source
from schemas.journal import Quantity
from schemas.otlp import metrics as otlp_metrics
from schemas.otlp.columns import Metrics, Temporality
from tests.detectors import observe_loop, otlp_made

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
PLAN = observe.plan(otlp_made.SPECS, 5)
SECOND = 10**9


def point(
    value: int | float, state: str = "", pool: str = "", key: str = "db.client.connection.state"
) -> NumberDataPoint:
    attributes = [otlp_made.attribute(key, state)] if state else []
    attributes += [otlp_made.attribute("db.client.connection.pool.name", pool)] if pool else []
    number: dict[str, Any] = {"as_int": value} if isinstance(value, int) else {"as_double": value}
    return NumberDataPoint(start_time_unix_nano=5 * SECOND, time_unix_nano=9 * SECOND, attributes=attributes, **number)


def total(name: str, *points: NumberDataPoint) -> Metric:
    return Metric(name=name, sum={"aggregation_temporality": CUMULATIVE, "data_points": points})


def times(name: str, unit: str, total_time: float) -> Metric:
    sample = {"count": 4, "sum": total_time, "time_unix_nano": 9 * SECOND, "bucket_counts": [4]}
    return Metric(name=name, unit=unit, histogram={"aggregation_temporality": CUMULATIVE, "data_points": [sample]})


def reduced(*metrics: Metric, tenant: str = "acme") -> Reduced:
    named = {"service.name": "shop", "service.instance.id": "shop-1"} | ({"tenant.id": tenant} if tenant else {})
    owner = Resource(attributes=[otlp_made.attribute(key, value) for key, value in named.items()])
    record = MetricsData(
        resource_metrics=[ResourceMetrics(resource=owner, scope_metrics=[ScopeMetrics(metrics=metrics)])]
    )
    columns = otlp_metrics.decode(record.SerializeToString())
    assert isinstance(columns, Metrics)
    return observe.metrics(columns, PLAN, Source(0, 3, 4))


def rows(part: Reduced, *columns: str) -> list[tuple[Any, ...]]:
    return observe_loop.listed(part.tables.get("pools"), *columns)


@pytest.mark.parametrize(
    ("name", "key"),
    [("db.client.connection.count", "db.client.connection.state"), ("db.client.connections.usage", "state")],
)
def test_the_state_says_used_or_idle(name: str, key: str) -> None:
    part = reduced(total(name, point(3, "idle", key=key), point(29, "used", key=key), point(1, "leased", key=key)))
    assert rows(part, "quantity", "value") == [(Quantity.USED, 29.0), (Quantity.IDLE, 3.0)]


@pytest.mark.parametrize("family", ["db.client.connection", "db.client.connections"])
def test_numbers_pass_as_they_are(family: str) -> None:
    part = reduced(
        total(f"{family}.max", point(32, pool="main")),
        total(f"{family}.pending_requests", point(7, pool="main")),
        total(f"{family}.timeouts", point(11.0, pool="main")),
    )
    got = rows(part, "instance", "pool", "quantity", "temporality", "start_ms", "time_ms", "value", "count")
    head, times_ms = ("shop-1", "main"), (Temporality.CUMULATIVE, 5000, 9000)
    assert got == [
        (*head, Quantity.MAX, *times_ms, 32.0, 0),
        (*head, Quantity.PENDING, *times_ms, 7.0, 0),
        (*head, Quantity.TIMEOUTS, *times_ms, 11.0, 0),
    ]


@pytest.mark.parametrize(
    ("name", "unit", "total_time", "seconds"),
    [
        ("db.client.connection.wait_time", "s", 2.5, 2.5),
        ("db.client.connection.wait_time", "", 2.5, 2.5),
        ("db.client.connections.wait_time", "ms", 2500.0, 2.5),
        ("db.client.connections.wait_time", "", 2500.0, 2.5),
        ("db.client.connections.wait_time", "s", 2.5, 2.5),
    ],
)
def test_times_become_seconds(name: str, unit: str, total_time: float, seconds: float) -> None:
    assert rows(reduced(times(name, unit, total_time)), "quantity", "count", "sum") == [(Quantity.WAIT, 4, seconds)]


def test_a_stale_point_is_not_a_zero() -> None:
    stale = point(0)
    stale.flags = 1
    assert rows(reduced(total("db.client.connection.max", stale)), "value") == []


def test_what_is_no_number_or_of_another_shape_says_nothing() -> None:
    part = reduced(
        total("db.client.connection.max", point(float("nan"))),
        times("db.client.connection.pending_requests", "", 1.0),
        total("db.client.connection.wait_time", point(3)),
        total("process.thread.count", point(3)),
    )
    assert part.tables == {}
    assert part.newest_ms == 9000


def test_points_without_a_tenant_are_counted_in_shard_0() -> None:
    part = reduced(total("process.memory.usage", point(3), point(4)), tenant="")
    assert observe_loop.listed(part.tables["unattributed"], "tenant", "reason", "spans", "points") == [("", 1, 0, 2)]
    assert part.shards["unattributed"].tolist() == [0]


def test_rows_do_not_depend_on_the_order_of_points() -> None:
    points = [total("db.client.connection.count", point(3, "used", "b"), point(4, "used", "a"), point(5, "idle", "a"))]
    other = [total("db.client.connection.count", point(5, "idle", "a"), point(3, "used", "b"), point(4, "used", "a"))]
    columns = ("pool", "quantity", "value")
    assert (
        rows(reduced(*points), *columns)
        == rows(reduced(*other), *columns)
        == [("a", 1, 4.0), ("a", 2, 5.0), ("b", 1, 3.0)]
    )
