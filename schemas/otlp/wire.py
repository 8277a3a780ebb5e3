"""OTLP's protobuf door: bytes to one message, or a reason in words.

The three signals share their outer field numbers, so a request of one signal often parses as another. Two things tell
them apart: a field that carries another wire type than the signal's own, and what the readers of each signal demand.
"""

import re
from typing import TypeVar, assert_never

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from schemas.otlp.columns import Rejected

TIME_NS_MAX = 2**63 - 1  # int64 columns; the year 2262. OTLP itself allows uint64.
TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
FIRST_TAG = b"\n"  # field 1, a message: with it every request begins, of all signals

Request = TypeVar("Request", bound=Message)

NAMES: dict[type[Message], str] = {TracesData: "spans", MetricsData: "metrics", LogsData: "logs"}
# An object with a plain key. A request, too, may begin with the bytes "\n{" (a block of 123 bytes), so look further.
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:\"\w+\"\s*:|\})|\[\s*\{)")

_MAGIC = {
    b"\x1f\x8b": "gzip data: leave compression to the Kafka producer, whose clients undo it",
    b"\x28\xb5\x2f\xfd": "a zstd frame: leave compression to the Kafka producer, whose clients undo it",
    b"\x00": "framed (a length or a schema id before the message): the record value must be the bare OTLP message",
}


def is_json(payload: bytes) -> bool:
    """Whether these bytes are plainly JSON text, whatever stands in it."""
    return bool(_JSON.match(payload))


def parse(payload: bytes, kind: type[Request]) -> Request | Rejected:
    """Read `payload` as one whole request of this kind; an empty payload is a request without resources."""
    try:
        request = kind.FromString(payload)
    except DecodeError as error:
        if "utf-8" in str(error).lower():
            return rejected(payload, kind, "a text in it is not UTF-8")
        return rejected(payload, kind, "it is cut short or corrupt")
    if len(UnknownFieldSet(request)):
        return rejected(payload, kind, "bytes follow that belong to no OTLP field")
    return request


def rejected(payload: bytes, kind: type[Message], found: str) -> Rejected:
    """The reason for a person: what these bytes plainly are, if that can be seen, else what was found."""
    wanted = NAMES[kind]
    if is_json(payload):
        return Rejected(
            f"this is JSON text (otlp_json), and {wanted} were read as otlp_proto: read them as otlp_json, or "
            "set `encoding: otlp_proto` in the Collector's Kafka exporter",
            0,
        )
    for magic, meaning in _MAGIC.items():
        if payload.startswith(magic):
            return Rejected(f"not an OTLP {wanted} request but {meaning}", 0)
    signal = _other_signal(payload, kind)
    if signal:
        return Rejected(
            f"this is an OTLP {signal} request in a topic of {wanted}: send it to the topic of the {signal} "
            f"(otlp_{signal} by default) ({found})"
        )
    return Rejected(f"not a whole OTLP {wanted} request (protobuf, encoding otlp_proto): {found}")


def misfits(entry: Message) -> bool:
    """Whether a span, metric or log record holds a field of another signal: a low number with a foreign wire type.

    Fields of a newer OTLP have numbers above all that this version knows, and pass.
    """
    strangers = UnknownFieldSet(entry)
    if not len(strangers):
        return False
    known_max = max(field.number for field in entry.DESCRIPTOR.fields)
    return any(strangers[place].field_number <= known_max for place in range(len(strangers)))


def _other_signal(payload: bytes, kind: type[Message]) -> str:
    """Name the other signal whose request these bytes plainly are, judged by all its entries; "" if there is none."""
    for other, name in NAMES.items():
        if other is kind:
            continue
        try:
            entries = _entries(other.FromString(payload))
        except DecodeError:
            continue
        if any(_is_credible(entry) for entry in entries) and not any(misfits(entry) for entry in entries):
            return name
    return ""


def _entries(request: Message) -> list[Span | Metric | LogRecord]:
    match request:
        case TracesData():
            return [entry for block in request.resource_spans for scope in block.scope_spans for entry in scope.spans]
        case MetricsData():
            return [
                entry for block in request.resource_metrics for scope in block.scope_metrics for entry in scope.metrics
            ]
        case LogsData():
            return [
                entry for block in request.resource_logs for scope in block.scope_logs for entry in scope.log_records
            ]
        case _:
            raise AssertionError(f"not a request: {type(request).__name__}")


def _is_credible(entry: Span | Metric | LogRecord) -> bool:
    """Whether the entry has what its signal never lacks."""
    match entry:
        case Span():
            return len(entry.trace_id) == TRACE_ID_BYTES and len(entry.span_id) == SPAN_ID_BYTES
        case Metric():
            return entry.name.isprintable() and entry.WhichOneof("data") is not None
        case LogRecord():
            return bool(entry.time_unix_nano or entry.observed_time_unix_nano)
        case _:
            assert_never(entry)
