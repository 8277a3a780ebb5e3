"""Memory reaches the journal by instance and kind, and only what goes on rising is a leak."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from detectors import observe, observe_memory
from detectors.evidence import memory
from detectors.evidence.memory import STEP_S, trend
from detectors.rows import Builder, Source
from schemas.journal import Memory
from schemas.otlp import metrics as otlp_metrics
from schemas.otlp.columns import Metrics
from tests.detectors import observe_loop, otlp_made

PLAN = observe.plan(otlp_made.SPECS, 5)
SECOND = 10**9
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
NAN = float("nan")
MB = 1e6


def point(value: float, at_s: int = 9, flags: int = 0, **named: str) -> NumberDataPoint:
    attributes = [otlp_made.attribute(f"jvm.memory.{key}", text) for key, text in named.items()]
    return NumberDataPoint(time_unix_nano=at_s * SECOND, as_double=value, attributes=attributes, flags=flags)


def gauge(name: str, *points: NumberDataPoint) -> Metric:
    return Metric(name=name, gauge=Gauge(data_points=points))


def level(name: str, *points: NumberDataPoint, temporality: Any = CUMULATIVE) -> Metric:
    return Metric(name=name, sum=Sum(aggregation_temporality=temporality, data_points=points))


def rows(*metrics: Metric, **resource: str) -> list[tuple[Any, ...]]:
    """(instance, quantity, time, value)"""
    named = {"service.name": "shop", "tenant.id": "acme"} | (resource or {"service.instance.id": "i-1"})
    owner = Resource(attributes=[otlp_made.attribute(key, value) for key, value in named.items() if value])
    blocks = [ResourceMetrics(resource=owner, scope_metrics=[ScopeMetrics(metrics=metrics)])]
    columns = otlp_metrics.decode(MetricsData(resource_metrics=blocks).SerializeToString())
    assert isinstance(columns, Metrics)
    owners = observe._owners(columns.resources, columns.resource, PLAN, "")
    builder = Builder(Source(0, 3, 4), owners.entities)
    observe_memory.memory(builder, columns, owners.place, owners.attributed)
    table = builder.reduced(0).tables.get("memory")
    return observe_loop.listed(table, "instance", "quantity", "time_ms", "value")


@pytest.mark.parametrize(
    ("name", "instance", "quantity"),
    [
        ("process.memory.usage", "i-1", Memory.USED),
        ("container.memory.working_set", "i-1#container", Memory.USED),
        ("jvm.memory.used_after_last_gc", "i-1#heap", Memory.USED),
        ("jvm.memory.limit", "i-1#heap", Memory.LIMIT),
        ("k8s.container.memory.limit", "i-1", Memory.LIMIT),
        ("container.memory.limit", "i-1", Memory.LIMIT),
        ("k8s.container.restart.count", "i-1", Memory.RESTARTS),
    ],
)
def test_each_kind_of_figure_is_a_series_of_its_own(name: str, instance: str, quantity: Memory) -> None:
    for metric in (gauge(name, point(7.0)), level(name, point(7.0))):
        assert rows(metric) == [(instance, quantity, 9000, 7.0)]


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (gauge("process.cpu.time", point(7.0)), "another metric"),
        (gauge("process.memory.usage", point(7.0, flags=1)), "stale"),
        (gauge("process.memory.usage", point(NAN)), "no number"),
        (gauge("jvm.memory.limit", point(-1.0)), "an unset limit"),
        (level("process.memory.usage", point(7.0), temporality=DELTA), "a difference is no level"),
        (gauge("jvm.memory.used_after_last_gc", point(7.0, type="non_heap")), "not the heap"),
    ],
)
def test_what_says_nothing_of_memory_leaves_no_row(metric: Metric, why: str) -> None:
    assert rows(metric) == [], why


def test_without_a_tenant_there_is_no_row() -> None:
    assert rows(gauge("process.memory.usage", point(7.0)), **{"tenant.id": ""}) == []


def test_the_parts_of_a_heap_are_added_and_other_points_are_not() -> None:
    parts = [point(30.0, pool="eden", type="heap"), point(70.0, pool="old", type="heap")]
    metrics = (
        gauge("jvm.memory.used_after_last_gc", *parts),
        gauge("process.memory.usage", point(5.0), point(6.0, 19)),
    )
    assert rows(*metrics) == [
        ("i-1", Memory.USED, 9000, 5.0),
        ("i-1", Memory.USED, 19000, 6.0),
        ("i-1#heap", Memory.USED, 9000, 100.0),
    ]


@pytest.mark.parametrize(
    ("resource", "instance"),
    [
        ({"service.instance.id": "i-1", "k8s.pod.uid": "u"}, "i-1"),
        ({"k8s.pod.uid": "u", "container.id": "c"}, "u"),
        ({"container.id": "c"}, "c"),
        ({"host.name": "h"}, ""),
    ],
)
def test_an_instance_is_the_first_that_the_resource_names(resource: dict[str, str], instance: str) -> None:
    assert rows(gauge("process.memory.usage", point(7.0)), **resource)[0][0] == instance


def rising(points: int, start: float = 100 * MB, end: float = 200 * MB) -> NDArray[np.float64]:
    return np.linspace(start, end, points)


SAW = 100 * MB + 20 * MB * (np.arange(120) % 6)
TREES = {
    "rises all the time": (rising(120), 1000 * MB, True),
    "rises for a minute": (rising(6), 1000 * MB, True),
    "rises for less than a minute": (rising(5), 1000 * MB, False),
    "rises under the saw of a collector": (SAW + rising(120, 0, 100 * MB), 1000 * MB, True),
    "the saw of a collector alone": (SAW, 1000 * MB, False),
    "stays": (np.full(120, 100 * MB), 1000 * MB, False),
    "falls": (rising(120)[::-1], 1000 * MB, False),
    "grows by less than a twentieth of the limit": (rising(120, 100 * MB, 140 * MB), 1000 * MB, False),
    "the same without a limit, by more than a tenth of the start": (rising(120, 100 * MB, 140 * MB), NAN, True),
    "without a limit by less": (rising(120, 100 * MB, 108 * MB), NAN, False),
    "a cache that is full by now": (
        np.concatenate([rising(80), np.full(40, 200 * MB)]),
        1000 * MB,
        False,
    ),
    "a restart, then it rises again": (np.concatenate([rising(40, end=500 * MB), rising(60)]), 1000 * MB, True),
    "killed at the limit just now": (np.concatenate([rising(60, end=900 * MB), rising(6, 100 * MB)]), 1000 * MB, True),
    "a restart, and calm since": (np.concatenate([rising(40, end=500 * MB), np.full(60, 100 * MB)]), 1000 * MB, False),
    "told each minute": (np.where(np.arange(120) % 6 == 0, rising(120), NAN), 1000 * MB, True),
    "half of the figures missing at once": (
        np.concatenate([rising(30), np.full(60, NAN), rising(30, 200 * MB, 250 * MB)]),
        1000 * MB,
        False,
    ),
    "one figure in ten missing": (np.where(np.arange(120) % 10 == 3, NAN, rising(120)), 1000 * MB, True),
    "nothing told": (np.full(120, NAN), 1000 * MB, False),
    "no figures": (np.zeros(0), 1000 * MB, False),
}


@pytest.mark.parametrize(("used", "limit", "leaks"), TREES.values(), ids=TREES.keys())
def test_what_is_a_leak(used: NDArray[np.float64], limit: float, leaks: bool) -> None:
    assert trend(used, limit).leaks is leaks


def test_a_trend_tells_its_run_and_slope() -> None:
    found = trend(np.concatenate([np.full(9, 500 * MB), rising(21)]), 1000 * MB)
    assert (found.points, found.start, found.end) == (21, 100 * MB, 200 * MB)
    assert found.slope_per_s == pytest.approx(100 * MB / 200)
    assert found.last_quarter_ratio == pytest.approx(1.0)


@given(st.lists(st.one_of(st.just(NAN), st.floats(0, 1e12)), max_size=60), st.one_of(st.just(NAN), st.floats(1, 1e12)))
@settings(max_examples=200, deadline=None)
def test_no_figures_break_the_rule_and_their_unit_does_not_matter(used: list[float], limit: float) -> None:
    one, other = trend(np.array(used), limit), trend(np.array(used) * 1024, limit * 1024)
    assert one.points == other.points
    if one.slope_per_s * one.points * STEP_S > 10:  # below, a byte decides
        assert one.leaks is other.leaks


def test_the_table_keeps_the_latest_figure_of_each_ten_seconds_and_the_newest_limit() -> None:
    table = memory.table(1005)
    row = table.rows([("live", "north", "basket", "i-1")])
    quantity = np.array([1, 1, 1, 2, 2, 3, 1], np.uint8)
    time_ms = np.array([989_900, 981_000, 991_000, 900_000, 800_000, 990_000, 2_000_000])
    memory.add(table, row.repeat(7), quantity, time_ms, np.array([5.0, 4.0, 6.0, 100.0, 90.0, 2.0, 9.0]))
    assert memory.values(table, 0, Memory.USED, 999)[-3:].tolist() == pytest.approx([NAN, 5.0, 6.0], nan_ok=True)
    assert memory.values(table, 0, Memory.USED, 998)[-1] == 5.0, "a step that has not ended is none"
    assert memory.values(table, 0, Memory.RESTARTS, 999)[-1] == 2.0
    assert memory.limit(table, 0) == 100.0
    memory.add(table, row, np.array([1], np.uint8), np.array([992_000]), np.array([NAN]))
    assert memory.values(table, 0, Memory.USED, 999)[-1] == 6.0


def test_a_snapshot_brings_the_table_back() -> None:
    table, again = memory.table(1005), memory.table(1005)
    row = table.rows([("live", "north", "basket", "i-1")])
    memory.add(table, row.repeat(2), np.array([1, 2], np.uint8), np.array([990_000, 990_000]), np.array([6.0, 9.0]))
    for number, data in table.dirty_segments():
        again.load(number, data)
    assert memory.values(again, 0, Memory.USED, 1005)[-1] == 6.0
    assert memory.limit(again, 0) == 9.0
