"""What the columns of spans say, and which records are refused and why."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from schemas.otlp import spans
from schemas.otlp.columns import Rejected, Spans, Status, ValueKind

Make = Callable[..., bytes]


def read(record: bytes) -> Spans:
    table = spans.decode(record)
    assert isinstance(table, Spans), table
    return table


def reason(record: bytes) -> str:
    refused = spans.decode(record)
    assert isinstance(refused, Rejected), refused
    return refused.reason


def resource(attributes: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    request = TracesData()
    request.resource_spans.add(resource={"attributes": [{"key": key, "value": value} for key, value in attributes]})
    return request.SerializeToString()


def test_an_empty_payload_is_a_request_without_spans() -> None:
    table = read(b"")
    assert len(table) == 0
    assert table.strings == ("",)
    assert table.resources == ()
    assert table.trace_id.shape == (0, 16)


def test_one_span_is_read_whole(span: Make) -> None:
    attributes = [
        {"key": "http.route", "value": {"string_value": "/cart"}},
        {"key": "ok", "value": {"bool_value": True}},
        {"key": "code", "value": {"int_value": 200}},
        {"key": "ratio", "value": {"double_value": 0.5}},
        {"key": "tags", "value": {"array_value": {}}},
        {"key": "nothing"},
    ]
    table = read(
        span(
            parent_span_id=b"\xff" * 8,
            status={"code": 2},
            attributes=attributes,
            events=[{"name": "exception"}],
            links=[{"span_id": b"\1" * 8}],
        )
    )
    assert table.span_id.tolist() == [0x0102030405060708]
    assert table.parent_id.tolist() == [2**64 - 1]
    assert table.trace_id.tobytes() == bytes(range(200, 216))
    assert (table.end_ns - table.start_ns).tolist() == [5]
    assert table.status.tolist() == [Status.ERROR]
    assert table.resources[0].attributes == {"service.name": "cart"}
    assert [table.strings[code] for code in (table.name[0], table.event_name[0])] == ["GET /cart", "exception"]
    assert table.event_owner.tolist() == table.link_owner.tolist() == [0]
    carried = table.attributes
    assert [table.strings[code] for code in carried.key] == ["http.route", "ok", "code", "ratio", "tags", "nothing"]
    assert [ValueKind(kind).name for kind in carried.kind] == ["STRING", "BOOL", "INT", "DOUBLE", "ARRAY", "NONE"]
    assert [table.strings[code] for code in carried.text] == ["/cart", "", "", "", "", ""]
    np.testing.assert_array_equal(carried.number, [np.nan, 1, 200, 0.5, np.nan, np.nan])


def test_equal_records_give_equal_columns(span: Make) -> None:
    first, second = read(span()), read(span())
    assert first.strings == second.strings
    assert first.trace_id.tobytes() == second.trace_id.tobytes()


@pytest.mark.parametrize(
    ("state", "sampled"),
    [
        ("", False),
        ("vendor=th:8", False),
        ("ot=th:0", False),
        ("ot=th:000", False),
        ("ot=th:8", True),
        ("a=1, ot=rv:0123456789abcd;th:fd7", True),
        ("ot=rv:0123456789abcd", False),
        ("ot=p:0;r:5", False),
        ("ot=p:3;r:5", True),
        ("ot=r:5", True),
        ("ot=", False),
        (",=;:,ot=th", False),
    ],
)
def test_tracestate_tells_whether_a_span_stands_for_more(state: str, sampled: bool, span: Make) -> None:
    assert read(span(trace_state=state)).sampled.tolist() == [sampled]


def test_numbers_that_otlp_does_not_have_are_unspecified(span: Make) -> None:
    table = read(span(kind=300, status={"code": -1}))
    assert (table.kind.tolist(), table.status.tolist()) == ([0], [0])


def test_a_key_given_two_values_names_no_tenant() -> None:
    given: list[tuple[str, Any]] = [
        ("tenant.id", {"string_value": "a"}),
        ("tenant.id", {"string_value": "b"}),
        ("x", {"int_value": 1}),
    ]
    found = read(resource(given)).resources[0]
    assert found.attributes == {"x": 1}
    assert found.left_out == 2
    same = read(resource([given[0], given[0]])).resources[0]
    assert (same.attributes, same.left_out) == ({"tenant.id": "a"}, 1)
    types = read(resource([("x", {"int_value": 1}), ("x", {"bool_value": True})])).resources[0]
    assert (types.attributes, types.left_out) == ({}, 2)


def test_resources_keep_scalars_and_count_the_rest() -> None:
    given: list[tuple[str, Any]] = [
        ("s", {"string_value": "t"}),
        ("b", {"bool_value": False}),
        ("d", {"double_value": 2.5}),
        ("list", {"array_value": {}}),
        ("none", {}),
    ]
    found = read(resource(given)).resources[0]
    assert (found.attributes, found.left_out) == ({"s": "t", "b": False, "d": 2.5}, 2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trace_id": b"\1" * 15}, "span 0 ('GET /cart') has a trace id of 15 bytes, not 16"),
        ({"trace_id": b""}, "a trace id of 0 bytes, not 16"),
        ({"span_id": b"\1" * 9}, "a span id of 9 bytes, not 8"),
        ({"span_id": b"\1" * 16}, "a span id of 16 bytes, not 8"),
        ({"parent_span_id": b"\1" * 4}, "a parent span id of 4 bytes, not 8 or none"),
        ({"start_time_unix_nano": 2**63}, "a start time of 9223372036854775808 ns"),
        ({"end_time_unix_nano": 2**64 - 1}, "an end time of 18446744073709551615 ns"),
    ],
)
def test_a_span_that_cannot_be_one_is_named(fields: dict[str, object], said: str, span: Make) -> None:
    assert said in reason(span(**fields))


def test_times_up_to_the_last_int64_are_read(span: Make) -> None:
    assert read(span(end_time_unix_nano=2**63 - 1)).end_ns.tolist() == [2**63 - 1]


def test_a_text_that_is_not_utf8_is_refused(span: Make) -> None:
    assert "not UTF-8" in reason(span().replace(b"GET /cart", b"GET /\xff\xfe\xfdt"))


@pytest.mark.parametrize(
    "text", [b'{"resourceSpans":[]}', b'  {\n "resourceSpans": [', b"{}", b'[{"a":1}]', b'\xef\xbb\xbf{"a":1}']
)
def test_json_is_recognised_and_the_setting_named(text: bytes) -> None:
    said = reason(text)
    assert "otlp_json" in said
    assert "encoding" in said


def test_a_request_that_begins_like_json_text_is_read() -> None:
    record = resource([("k" * 53, {"string_value": "v" * 60})])
    assert record.startswith(b"\n{")
    assert read(record).resources[0].attributes == {"k" * 53: "v" * 60}
    assert "cut short" in reason(record[:-1])


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\x1f\x8b\x08\x00rest", "gzip"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"\x00\x00\x00\x05\x0a\x00", "framed"),
        (b"\xff\xff\xff\xff", "cut short or corrupt"),
    ],
)
def test_other_bytes_are_called_by_their_name(payload: bytes, said: str) -> None:
    assert said in reason(payload)


def test_metrics_in_a_topic_of_spans_are_called_metrics(metric: Make) -> None:
    points = [{"time_unix_nano": 2**60, "as_int": 3}]
    kinds: list[dict[str, Any]] = [{"gauge": {"data_points": points}}, {"sum": {"data_points": points}}, {"gauge": {}}]
    for data in kinds:
        said = reason(metric(name="queue.length", description="waiting", **data))
        assert "this is an OTLP metrics request" in said
        assert "otlp_metrics" in said


@pytest.mark.parametrize("time_ns", [2**60, 2**60 + 0x81])  # as a text the first is UTF-8, the second is not
@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponential_histogram", "summary"])
def test_a_metric_whose_texts_have_the_length_of_ids_is_still_no_span(kind: str, time_ns: int, metric: Make) -> None:
    data: dict[str, Any] = {kind: {"data_points": [{"time_unix_nano": time_ns}]}}
    if "histogram" in kind:
        data[kind]["aggregation_temporality"] = 2
    assert "OTLP metrics request" in reason(metric(name="n" * 16, description="d" * 8, **data))


def test_logs_in_a_topic_of_spans_are_called_logs() -> None:
    request = LogsData()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=2**60, severity_number=9)
    assert "this is an OTLP logs request" in reason(request.SerializeToString())


def test_fields_of_a_newer_otlp_are_passed_over(span: Make) -> None:
    request = TracesData.FromString(span())
    one = request.resource_spans[0].scope_spans[0].spans[0]
    one.MergeFromString(b"\xf8\x07\x01")  # field 127, a varint
    assert len(read(request.SerializeToString())) == 1


def test_bytes_after_the_request_are_refused(span: Make) -> None:
    assert "belong to no OTLP field" in reason(span() + b"\x10\x01")
    assert "cut short or corrupt" in reason(span() + b"\x0a")
