"""A request gives the same columns in JSON as in protobuf, and JSON that is none is refused with its place."""

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from schemas.otlp import logs, metrics, request, spans
from schemas.otlp.columns import Rejected, Spans
from schemas.otlp.encoding import Encoding
from tests.schemas.otlp import otlp_json

SIGNALS = {
    "spans": (TracesData, spans.decode),
    "metrics": (MetricsData, metrics.decode),
    "logs": (LogsData, logs.decode),
}
SPAN: dict[str, Any] = {"traceId": "0A" * 16, "spanId": "0b" * 8, "name": "GET", "startTimeUnixNano": "5", "kind": 2}


def of_span(**fields: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN, SPAN | fields]}]}]}).encode()


def of_value(value: Any) -> bytes:
    return of_span(attributes=[{"key": "k", "value": value}])


def same(one: Any, other: Any) -> bool:
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return repr(one) == repr(other)  # NaN is not itself


@pytest.mark.parametrize("signal", SIGNALS)
@given(seed=st.integers(0, 2**32), own_names=st.booleans(), enum_numbers=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_request_has_the_same_columns_in_both_encodings(
    signal: str, seed: int, own_names: bool, enum_numbers: bool
) -> None:
    kind, decode = SIGNALS[signal]
    made = otlp_json.drawn(kind, random.Random(seed))
    binary, text = made.SerializeToString(), otlp_json.document(made, own_names, enum_numbers)
    from_binary, from_text = decode(binary, Encoding.PROTO), decode(text, Encoding.JSON)
    assert not isinstance(from_binary, Rejected)
    assert not isinstance(from_text, Rejected), from_text
    assert same(from_binary, from_text)
    assert request.encoding(text, Encoding.PROTO) is Encoding.JSON or text == b"{}"
    assert request.encoding(binary, Encoding.JSON) is Encoding.PROTO or not binary


def test_a_metric_with_neither_data_nor_a_readable_name_is_refused_in_both_encodings() -> None:
    made = MetricsData()
    made.resource_metrics.add().scope_metrics.add().metrics.add(name="a\n")
    for payload, written in ((made.SerializeToString(), Encoding.PROTO), (otlp_json.document(made), Encoding.JSON)):
        refused = metrics.decode(payload, written)
        assert isinstance(refused, Rejected)
        assert "no data, and a name that is no text" in refused.reason


@pytest.mark.parametrize(
    ("fields", "start_ns"),
    [
        ({"startTimeUnixNano": 1_795_494_266_584_337_487}, 1_795_494_266_584_337_487),
        ({"startTimeUnixNano": "1795494266584337487"}, 1_795_494_266_584_337_487),
        ({"startTimeUnixNano": 1e3}, 1000),
        ({"startTimeUnixNano": "1e3"}, 1000),
        ({"startTimeUnixNano": None, "status": None, "attributes": None}, 0),
        ({"droppedThings": [[[{"a": 1}]]], "kind": "SPAN_KIND_SERVER"}, 5),
        ({"parent_span_id": "", "end_time_unix_nano": 7, "flags": 257}, 5),
    ],
)
def test_what_protobuf_takes_as_json_is_taken(fields: dict[str, Any], start_ns: int) -> None:
    found = spans.decode(of_span(**fields), Encoding.JSON)
    assert isinstance(found, Spans), found
    assert (found.start_ns[1], found.kind[1], len(found.attributes.owner)) == (start_ns, 2, 0)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (of_span(startTimeUnixNano="soon"), "spans[1].startTimeUnixNano: 'soon' is not a whole number"),
        (of_span(startTimeUnixNano=1.5), "spans[1].startTimeUnixNano: 1.5 is not a whole number"),
        (of_span(startTimeUnixNano=True), "spans[1].startTimeUnixNano: true is not a whole number"),
        (of_span(startTimeUnixNano=2**64), "is not between 0 and 18446744073709551615"),
        (of_span(startTimeUnixNano=2**63), "spans[1]: span 1 ('GET') has a start time of 9223372036854775808 ns"),
        (of_span(startTimeUnixNano="9" * 5000), "is not a whole number"),
        (of_span(startTimeUnixNano=-1), "-1 is not between"),
        (of_span(traceId="abc"), "resourceSpans[0].scopeSpans[0].spans[1].traceId: 'abc' is not an id of 32 hex"),
        (of_span(traceId="AAAAAAAAAAAAAAAAAAAAAA=="), "is not an id of 32 hexadecimal digits"),
        (of_span(traceId=None), "spans[1]: span 1 ('GET') has a trace id of 0 bytes"),
        (of_span(kind="SPAN_KIND_BOSS"), "spans[1].kind: 'SPAN_KIND_BOSS' is not a number or a name of SpanKind"),
        (of_span(name=5), "spans[1].name: 5 is not a text in quotes"),
        (of_span(attributes={}), "spans[1].attributes: an object is not a list"),
        (of_span(attributes=[None]), "spans[1].attributes[0]: null is not an object"),
        (of_span(trace_id="0a" * 16), "spans[1].trace_id: is given twice, by both names of trace_id"),
        (of_value({"stringValue": "a", "intValue": 1}), "attributes[0].value.intValue: an object has only one"),
        (of_value({"doubleValue": "wide"}), "value.doubleValue: 'wide' is not a number"),
        (of_value({"bytesValue": "%%"}), "value.bytesValue: '%%' is not base64"),
        (of_value({"boolValue": "true"}), "value.boolValue: 'true' is neither true nor false"),
        (b'{"resourceSpans": [], "resourceSpans": []}', 'an object has the key "resourceSpans" twice'),
        (b'{"resourceMetrics": []}', "it holds resourceMetrics: send it to the topic of the metrics"),
        (b'{"took": 3, "hits": []}', "it has no resourceSpans, but 'took'"),
        (b"[]", "a list, not an object"),
        (b"\xff{}", "otlp_json"),
        (b'{"resourceSpans": "\xff"}', "UTF-8"),
        (b'{"resourceSpans": "\\ud800"}', "surrogate"),
        (b'{"resourceSpans": NaN}', "otlp_json"),
        (b'{"resourceSpans":' + b"[" * 100_000, "otlp_json"),
        (b'{"resourceSpans":[],"new":' + b"[" * 500 + b"]" * 500 + b"}", "too deep within one another"),
        (b'{"resourceSpans":[]} x', "otlp_json"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_with_its_place(record: bytes, reason: str) -> None:
    found = spans.decode(record, Encoding.JSON)
    assert isinstance(found, Rejected)
    assert reason in found.reason
    assert -1 <= found.offset <= len(record)


def test_values_within_values_are_read_to_a_limit() -> None:
    def deep(levels: int) -> Any:
        value: Any = {"intValue": "1"}
        for _ in range(levels):
            value = {"arrayValue": {"values": [value]}}
        return spans.decode(of_value(value), Encoding.JSON)

    assert isinstance(deep(40), Spans)
    refused = [deep(levels) for levels in (60, 120)]
    assert all(isinstance(found, Rejected) for found in refused)
    assert "more than 100 objects within one another" in refused[0].reason


def test_a_document_cut_anywhere_is_refused() -> None:
    whole = of_value({"stringValue": 'ключ "":'})
    assert isinstance(spans.decode(whole, Encoding.JSON), Spans)
    for length in range(1, len(whole)):
        assert isinstance(spans.decode(whole[:length], Encoding.JSON), Rejected), length


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("signal", SIGNALS)
@given(seed=st.integers(0, 2**32), value=JSON_VALUES)
@settings(max_examples=150, deadline=None)
def test_a_request_with_anything_in_one_place_is_read_or_refused(signal: str, seed: int, value: Any) -> None:
    kind, decode = SIGNALS[signal]
    draw = random.Random(seed)
    tree = json.loads(otlp_json.document(otlp_json.drawn(kind, draw)))
    node = tree
    while isinstance(node, dict | list) and node:
        place = draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[place], dict | list) or draw.random() < 0.2:
            node[place] = value
            break
        node = node[place]
    found = decode(json.dumps(tree).encode(errors="surrogatepass"), Encoding.JSON)
    assert not isinstance(found, Rejected) or len(found.reason) > 10


@pytest.mark.parametrize("decode", [spans.decode, metrics.decode, logs.decode])
@given(record=st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ 0e-resourceSpans', max_size=40).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(decode: Callable[[bytes, Encoding], Any], record: bytes) -> None:
    found = decode(record, Encoding.JSON)
    assert not isinstance(found, Rejected) or (len(found.reason) > 10 and -1 <= found.offset <= len(record))
