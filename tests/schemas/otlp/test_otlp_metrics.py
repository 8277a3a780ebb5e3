"""What the columns of metrics say, and which records are refused and why."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from schemas.otlp import metrics
from schemas.otlp.columns import Metrics, PointKind, Rejected, Temporality

Make = Callable[..., bytes]


def read(record: bytes) -> Metrics:
    table = metrics.decode(record)
    assert isinstance(table, Metrics), table
    return table


def reason(record: bytes) -> str:
    refused = metrics.decode(record)
    assert isinstance(refused, Rejected), refused
    return refused.reason


def test_an_empty_payload_is_a_request_without_points() -> None:
    table = read(b"")
    assert len(table) == len(table.bucket_owner) == 0
    assert (table.strings, table.resources) == (("",), ())


def test_a_sum_is_read_whole(metric: Make) -> None:
    point = {
        "start_time_unix_nano": 7,
        "time_unix_nano": 9,
        "as_int": 3,
        "attributes": [{"key": "state", "value": {"string_value": "used"}}],
    }
    total = {"aggregation_temporality": 2, "is_monotonic": True, "data_points": [point]}
    table = read(metric(name="requests", unit="{request}", sum=total))
    assert [table.strings[code] for code in (table.name[0], table.unit[0])] == ["requests", "{request}"]
    assert (table.kind.tolist(), table.temporality.tolist()) == ([PointKind.SUM], [Temporality.CUMULATIVE])
    assert (table.monotonic.tolist(), table.start_ns.tolist(), table.time_ns.tolist()) == ([True], [7], [9])
    assert table.value.tolist() == [3.0]
    assert table.strings[table.attributes.text[0]] == "used"
    assert table.resources[0].attributes == {"service.name": "cart"}


def test_a_point_without_value_is_never_a_zero(metric: Make) -> None:
    points = [
        {"flags": 1},
        {"flags": 1, "as_int": 0},
        {},
        {"as_double": math.nan},
        {"as_double": math.inf},
        {"as_int": 0},
    ]
    table = read(metric(name="g", gauge={"data_points": points}))
    assert table.no_value.tolist() == [True, True, False, False, False, False]
    np.testing.assert_array_equal(table.value, [math.nan] * 4 + [math.inf, 0])


def test_buckets_of_a_histogram_end_with_infinity(metric: Make) -> None:
    points: list[dict[str, Any]] = [
        {"count": 6, "sum": 21.5, "bucket_counts": [1, 0, 5], "explicit_bounds": [1, 5]},
        {"count": 4},
        {"count": 3, "sum": 0.0, "bucket_counts": [3]},
    ]
    table = read(metric(name="h", histogram={"aggregation_temporality": 1, "data_points": points}))
    assert table.count.tolist() == [6, 4, 3]
    np.testing.assert_array_equal(table.sum, [21.5, math.nan, 0])
    assert table.bucket_owner.tolist() == [0, 0, 0, 2]
    assert table.bucket_index.tolist() == [0, 1, 2, 0]
    assert table.bucket_bound.tolist() == [1, 5, math.inf, math.inf]
    assert table.bucket_count.tolist() == [1, 0, 5, 3]
    assert np.isnan(table.value).all()


def test_bounds_of_exponential_buckets_follow_the_scale(metric: Make) -> None:
    points = [
        {"count": 9, "scale": 0, "zero_count": 1, "positive": {"offset": -2, "bucket_counts": [3, 0, 5]}},
        {"count": 1, "scale": 3, "positive": {"offset": 8, "bucket_counts": [1]}},
        {"count": 1, "scale": -2, "positive": {"offset": 0, "bucket_counts": [1]}},
    ]
    table = read(metric(name="e", exponential_histogram={"data_points": points}))
    assert table.bucket_owner.tolist() == [0, 0, 1, 2]
    assert table.bucket_index.tolist() == [-2, 0, 8, 0]
    np.testing.assert_allclose(table.bucket_bound, [0.5, 2, 2 ** (9 / 8), 16])
    assert table.bucket_count.tolist() == [3, 5, 1, 1]
    assert (table.scale.tolist(), table.zero_count.tolist()) == ([0, 3, -2], [1, 0, 0])


@pytest.mark.parametrize("scale", [-(2**31), -1000, 1000, 2**31 - 1])
@pytest.mark.parametrize("offset", [-(2**31), 2**31 - 3])
def test_absurd_scales_give_a_bound_and_no_warning(scale: int, offset: int, metric: Make) -> None:
    point = {"count": 1, "scale": scale, "positive": {"offset": offset, "bucket_counts": [1]}}
    with np.errstate(all="raise"):
        table = read(metric(name="e", exponential_histogram={"data_points": [point]}))
    far = math.inf if offset > 0 else 0.0
    assert table.bucket_bound.tolist() == [1.0 if scale > 0 else far]


def test_a_bucket_index_beyond_int32_is_refused(metric: Make) -> None:
    point = {"count": 1, "positive": {"offset": 2**31 - 1, "bucket_counts": [0, 1]}}
    assert "a bucket index beyond" in reason(metric(name="e", exponential_histogram={"data_points": [point]}))


def test_a_summary_has_count_and_sum(metric: Make) -> None:
    table = read(metric(name="s", summary={"data_points": [{"count": 100, "sum": 5.5}]}))
    assert (table.kind.tolist(), table.count.tolist(), table.sum.tolist()) == ([PointKind.SUMMARY], [100], [5.5])


def test_kinds_share_one_table_in_the_order_of_the_record(metric: Make) -> None:
    record = (
        metric(name="a", gauge={"data_points": [{}, {}]})
        + metric(name="none")
        + metric(name="b", sum={"data_points": [{}]})
    )
    table = read(record)
    assert [table.strings[code] for code in table.name] == ["a", "a", "b"]
    assert table.resource.tolist() == [0, 0, 2]
    assert len(table.resources) == 3


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (
            {"bucket_counts": [1, 2], "explicit_bounds": [1, 2]},
            "'h' has a point with 2 buckets for 2 bounds, not one more",
        ),
        ({"bucket_counts": [1, 2, 3], "explicit_bounds": [2, 2]}, "bounds do not rise"),
        ({"bucket_counts": [1, 2], "explicit_bounds": [math.nan]}, "bounds do not rise"),
        ({"bucket_counts": [1, 2, 3], "explicit_bounds": [1, math.nan]}, "bounds do not rise"),
        ({"time_unix_nano": 2**63}, "a time beyond the year 2262"),
        ({"start_time_unix_nano": 2**64 - 1}, "a time beyond the year 2262"),
    ],
)
def test_a_point_that_cannot_be_one_is_refused(point: dict[str, object], said: str, metric: Make) -> None:
    assert said in reason(metric(name="h", histogram={"data_points": [point]}))


@pytest.mark.parametrize("trace_id", [bytes(range(200, 216)), b"\1" * 16, b"0123456789abcdef"])
@pytest.mark.parametrize("name", ["", "GET /cart"])
def test_spans_in_a_topic_of_metrics_are_called_spans(trace_id: bytes, name: str, span: Make) -> None:
    said = reason(span(trace_id=trace_id, span_id=b"abcdefgh", name=name))
    assert "this is an OTLP spans request" in said
    assert "otlp_spans" in said


def test_a_span_with_ids_alone_is_no_metric() -> None:
    request = TracesData()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    assert "this is an OTLP spans request" in reason(request.SerializeToString())


def test_logs_in_a_topic_of_metrics_are_called_logs() -> None:
    request = LogsData()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=2**60, severity_number=9)
    assert "this is an OTLP logs request" in reason(request.SerializeToString())


def test_json_is_recognised_and_the_setting_named() -> None:
    said = reason(b'{"resourceMetrics":[]}')
    assert "otlp_json" in said
    assert "metrics were read as otlp_proto: read them as otlp_json" in said


def test_a_text_that_is_not_utf8_is_refused(metric: Make) -> None:
    assert "not UTF-8" in reason(metric(name="plain", gauge={}).replace(b"plain", b"pl\xffin"))


def test_fields_of_a_newer_otlp_are_passed_over(metric: Make) -> None:
    request = MetricsData.FromString(metric(name="g", gauge={"data_points": [{}]}))
    request.resource_metrics[0].scope_metrics[0].metrics[0].MergeFromString(b"\xf8\x07\x01")  # field 127, a varint
    assert len(read(request.SerializeToString())) == 1
