"""What a real Collector wrote decodes to the counts that were taken from the same files independently."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from schemas.otlp import logs, metrics, request, spans
from schemas.otlp.columns import Attributes, Logs, Metrics, PointKind, Resource, Spans, ValueKind
from schemas.otlp.encoding import Encoding

Counts = dict[str, Any]
Sample = Callable[[str], list[bytes]]

SPAN_SAMPLES = [
    *[f"kafka/spans.{way}.bin" for way in ("proto", "json", "batched", "keyed", "tenant")],
    *[f"file/spans.{form}" for form in ("proto", "proto.zstd", "native.proto.zst")],
]
METRIC_SAMPLES = [
    *[f"kafka/metrics.{way}.bin" for way in ("proto", "json", "batched", "keyed", "tenant")],
    *[f"file/metrics.{form}" for form in ("proto", "proto.zstd")],
]
LOG_SAMPLES = [
    *[f"kafka/logs.{way}.bin" for way in ("proto", "json", "batched", "keyed", "tenant", "bytrace")],
    *[f"file/logs.{form}" for form in ("proto", "proto.zstd")],
]
KIND_NAMES = {
    PointKind.GAUGE: "gauge",
    PointKind.SUM: "sum",
    PointKind.HISTOGRAM: "histogram",
    PointKind.EXPONENTIAL: "exponential_histogram",
    PointKind.SUMMARY: "summary",
}
# What columns do not hold: parts without spans or points, exemplars, and whether a number came as integer or double
# (the test adds those two sums instead).
NOT_IN_COLUMNS = {"kind", "encoding", "scope_blocks", "exemplars", "metrics", "as_int_sum", "as_double_sum"}


def expected(truth: Counts, name: str, signal: str) -> Counts:
    """The counts of one sample; those of files lie one level deeper."""
    place, file = name.split("/")
    counts = truth[place][file.removesuffix(".bin")]
    return dict(counts[signal] if place == "file" else counts)


def expressible(counts: Counts) -> Counts:
    kept = {key: value for key, value in counts.items() if key.split(".")[-1] not in NOT_IN_COLUMNS}
    return {key: value for key, value in kept.items() if not key.startswith("metrics.")}


def read(signal: str, record: bytes) -> Any:
    decode = {"spans": spans.decode, "metrics": metrics.decode, "logs": logs.decode}[signal]
    return decode(record, request.encoding(record, Encoding.PROTO))


def whole_records(signal: str, records: Sequence[bytes], count: Callable[[Sequence[Any]], Counts]) -> Counts:
    tables = [read(signal, record) for record in records]
    assert all(isinstance(table, Spans | Metrics | Logs) for table in tables), tables
    return count(tables) | {"records": len(records), "value_bytes": sum(map(len, records))}


def resource_counts(resources: Sequence[Resource]) -> Counts:
    def texts(key: str) -> list[Any]:
        return sorted({r.attributes[key] for r in resources if key in r.attributes})

    return {
        "resource_blocks": len(resources),
        "resource_attributes": sum(len(r.attributes) + r.left_out for r in resources),
        "distinct_resources": len({frozenset(r.attributes.items()) for r in resources}),
        "tenant.id": texts("tenant.id"),
        "service.name": texts("service.name"),
    }


def span_counts(tables: Sequence[Spans]) -> Counts:
    n: Counter[str] = Counter()
    texts: dict[str, set[str]] = {"scope.name": set(), "span.name": set()}
    times = [t for s in tables for t in (*s.start_ns[s.start_ns > 0].tolist(), *s.end_ns[s.end_ns > 0].tolist())]
    for s in tables:
        n["spans"] += len(s)
        n.update(f"spans.kind.{kind}" for kind in s.kind)
        n.update(f"spans.status.{status}" for status in s.status)
        n["spans.root"] += int((s.parent_id == 0).sum())
        n["span_attributes"] += len(s.attributes.owner)
        n["events"] += len(s.event_owner)
        n["events.exception"] += sum(s.strings[code] == "exception" for code in s.event_name)
        n["links"] += len(s.link_owner)
        n["duration_nano_sum"] += int(np.maximum(0, s.end_ns - s.start_ns).sum())
        texts["scope.name"] |= {s.strings[code] for code in s.scope}
        texts["span.name"] |= {s.strings[code] for code in s.name}
    return {
        **n,
        **{key: sorted(values) for key, values in texts.items()},
        **resource_counts([resource for s in tables for resource in s.resources]),
        "first_time_unix_nano": min(times),
        "last_time_unix_nano": max(times),
        "distinct_trace_ids": len({row.tobytes() for s in tables for row in s.trace_id}),
    }


def metric_counts(tables: Sequence[Metrics]) -> Counts:
    n: Counter[str] = Counter()
    sums: dict[str, float] = dict.fromkeys(("histogram", "exponential_histogram", "summary"), 0.0)
    for m in tables:
        n["points"] += len(m)
        n["point_attributes"] += len(m.attributes.owner)
        n["points.no_recorded_value"] += int(m.no_value.sum())
        for kind, name in KIND_NAMES.items():
            rows = m.kind == kind
            n.update(f"points.{name}.temporality.{temporality}" for temporality in m.temporality[rows])
            if name in sums:
                n[f"{name}.count_sum"] += int(m.count[rows].sum())
                sums[name] += float(np.nansum(m.sum[rows]))
        exponential = m.kind[m.bucket_owner] == PointKind.EXPONENTIAL
        n["exponential_histogram.positive_bucket_counts_sum"] += int(m.bucket_count[exponential].sum())
    return {
        **n,
        **{f"{name}.sum_sum": total for name, total in sums.items()},
        **resource_counts([resource for m in tables for resource in m.resources]),
        "scope.name": sorted({m.strings[code] for m in tables for code in m.scope}),
        "first_time_unix_nano": min(int(m.time_ns.min()) for m in tables),
        "last_time_unix_nano": max(int(m.time_ns.max()) for m in tables),
    }


BODY_NAMES = {
    ValueKind.NONE: "None",
    ValueKind.STRING: "string_value",
    ValueKind.BOOL: "bool_value",
    ValueKind.INT: "int_value",
    ValueKind.DOUBLE: "double_value",
    ValueKind.ARRAY: "array_value",
    ValueKind.KVLIST: "kvlist_value",
    ValueKind.BYTES: "bytes_value",
}


def log_counts(tables: Sequence[Logs]) -> Counts:
    n: Counter[str] = Counter()
    for table in tables:
        n["log_records"] += len(table)
        n["log_attributes"] += len(table.attributes.owner)
        n.update(f"log_records.severity.{severity}" for severity in table.severity)
        n.update(f"log_records.body.{BODY_NAMES[ValueKind(kind)]}" for kind in table.body_kind)
        n["log_records.with_trace_id"] += int(table.trace_id.any(axis=1).sum())
        texts = table.body[table.body_kind == ValueKind.STRING]
        n["body_string_bytes"] += sum(len(table.strings[code].encode()) for code in texts)
    times = [time for table in tables for time in table.time_ns[table.time_ns > 0].tolist()]
    return {
        **n,
        **resource_counts([resource for table in tables for resource in table.resources]),
        "scope.name": sorted({table.strings[code] for table in tables for code in table.scope}),
        "first_time_unix_nano": min(times),
        "last_time_unix_nano": max(times),
    }


@pytest.mark.parametrize("name", LOG_SAMPLES)
def test_logs_of_a_collector_have_their_true_counts(name: str, truth: Counts, sample: Sample) -> None:
    counts = whole_records("logs", sample(name), log_counts)
    assert counts == expressible(expected(truth, name, "logs"))


@pytest.mark.parametrize("name", SPAN_SAMPLES)
def test_spans_of_a_collector_have_their_true_counts(name: str, truth: Counts, sample: Sample) -> None:
    counts = whole_records("spans", sample(name), span_counts)
    assert counts == expressible(expected(truth, name, "spans"))


@pytest.mark.parametrize("name", METRIC_SAMPLES)
def test_metrics_of_a_collector_have_their_true_counts(name: str, truth: Counts, sample: Sample) -> None:
    counts = whole_records("metrics", sample(name), metric_counts)
    true = expressible(expected(truth, name, "metrics"))
    names = true.pop("metric.name")
    for key, value in true.items():
        assert counts.pop(key) == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), key
    assert not any(counts.values()), "counts that the truth does not have"
    tables = [read("metrics", record) for record in sample(name)]
    seen = {m.strings[code] for m in tables if isinstance(m, Metrics) for code in m.name}
    assert seen == set(names) - {"no data", "empty gauge"}, "metrics without points leave no row"


@pytest.mark.parametrize("name", METRIC_SAMPLES)
@pytest.mark.parametrize("kind", ["gauge", "sum"])
def test_values_of_a_collector_add_up(name: str, kind: str, truth: Counts, sample: Sample) -> None:
    tables = [m for m in (read("metrics", record) for record in sample(name)) if isinstance(m, Metrics)]
    values = [float(v) for m in tables for v in m.value[m.kind == PointKind[kind.upper()]] if math.isfinite(v)]
    small = [value for value in values if value != 2.0**53]  # the sample's 2^53 + 1, rounded to a double
    true = expected(truth, name, "metrics")
    integers = true[f"{kind}.as_int_sum"] - (2**53 + 1) * (len(values) - len(small))
    assert math.fsum(small) == pytest.approx(integers + true[f"{kind}.as_double_sum"], abs=1e-6)


def check_attributes(attributes: Attributes, rows: int, strings: Sequence[str]) -> None:
    assert np.all(np.diff(attributes.owner) >= 0)
    assert np.all((attributes.owner >= 0) & (attributes.owner < rows))
    assert np.all((attributes.key >= 0) & (attributes.key < len(strings)))
    assert np.all(attributes.text[attributes.kind != ValueKind.STRING] == 0)
    numeric = np.isin(attributes.kind, [ValueKind.BOOL, ValueKind.INT])
    assert np.all(np.isfinite(attributes.number[numeric]))


@pytest.mark.parametrize("name", [*SPAN_SAMPLES, *METRIC_SAMPLES, *LOG_SAMPLES])
def test_codes_and_places_stay_inside_their_tables(name: str, sample: Sample) -> None:
    for record in sample(name):
        table = read(name.split("/")[1].split(".")[0], record)
        assert isinstance(table, Spans | Metrics | Logs)
        assert table.strings[0] == ""
        assert len(set(table.strings)) == len(table.strings), "a string is kept once"
        named = table.event_name if isinstance(table, Logs) else table.name
        assert len(named) == len(table.scope) == len(table.resource) == len(table)
        assert all(0 <= code < len(table.strings) for code in (*named, *table.scope))
        assert all(0 <= place < len(table.resources) for place in table.resource)
        check_attributes(table.attributes, len(table), table.strings)


def test_spans_of_a_real_fault_are_all_read(fault_case: Sample) -> None:
    tables = [spans.decode(record) for record in fault_case("spans")]
    whole = [table for table in tables if isinstance(table, Spans)]
    assert len(whole) == len(tables) > 10
    assert sum(map(len, whole)) > 10_000
    assert all(r.attributes["tenant.id"] == "trainticket" for table in whole for r in table.resources)


def test_metrics_of_a_real_fault_are_all_read(fault_case: Sample) -> None:
    tables = [metrics.decode(record) for record in fault_case("metrics")]
    whole = [table for table in tables if isinstance(table, Metrics)]
    assert len(whole) == len(tables) > 10
    assert all(np.all(table.kind == PointKind.GAUGE) for table in whole)
    assert sum(map(len, whole)) > 1_000
