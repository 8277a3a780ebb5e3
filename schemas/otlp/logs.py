"""OTLP logs, one record to columns."""

from collections.abc import Sequence

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData

from schemas.otlp import tables, wire
from schemas.otlp.columns import Logs, Rejected
from schemas.otlp.encoding import Encoding
from schemas.otlp.request import Fault, parse, rejected

SEVERITY_MAX = 24  # FATAL4
MESSAGE_KEYS = ("message", "msg")  # where structured loggers put the sentence for people

_NO_TRACE = bytes(wire.TRACE_ID_BYTES)
_NO_SPAN = bytes(wire.SPAN_ID_BYTES)


def decode(payload: bytes, written: Encoding = Encoding.PROTO) -> Logs | Rejected:
    """Read one record of a logs topic, an ExportLogsServiceRequest, as columns; never raises.

    One bad log record rejects the whole record.
    """
    request = parse(payload, LogsData, written)
    if isinstance(request, Rejected):
        return request
    blocks = [(place, scope) for place, block in enumerate(request.resource_logs) for scope in block.scope_logs]
    entries = [entry for _, scope in blocks for entry in scope.log_records]
    fault = _fault(entries)
    if fault is not None:
        return rejected(payload, request, written, fault)

    codes = tables.Codes()
    sizes = [len(scope.log_records) for _, scope in blocks]
    scopes = [codes[scope.scope.name] for _, scope in blocks]
    attributes = tables.attributes(codes, [entry.attributes for entry in entries])
    severity_text = [codes[entry.severity_text] for entry in entries]
    body = [codes[_text(entry.body)] for entry in entries]
    event_name = [codes[entry.event_name] for entry in entries]
    trace_ids = b"".join([entry.trace_id or _NO_TRACE for entry in entries])
    span_ids = b"".join([entry.span_id or _NO_SPAN for entry in entries])
    return Logs(
        strings=tuple(codes),
        resources=tuple(tables.resource(block.resource.attributes) for block in request.resource_logs),
        resource=np.repeat(np.array([place for place, _ in blocks], np.int32), sizes),
        scope=np.repeat(np.array(scopes, np.int32), sizes),
        time_ns=np.array([entry.time_unix_nano or entry.observed_time_unix_nano for entry in entries], np.int64),
        severity=np.array([_known(entry.severity_number) for entry in entries], np.uint8),
        severity_text=np.array(severity_text, np.int32),
        body_kind=np.array([tables.kind(entry.body) for entry in entries], np.uint8),
        body=np.array(body, np.int32),
        event_name=np.array(event_name, np.int32),
        trace_id=np.frombuffer(trace_ids, np.uint8).reshape(-1, wire.TRACE_ID_BYTES),
        span_id=np.frombuffer(span_ids, ">u8").astype(np.uint64),
        attributes=attributes,
    )


def _fault(entries: Sequence[LogRecord]) -> Fault | None:
    """Say what is wrong with the first log record that cannot be one; None if all are sound.

    A span or a metric read as a log record begins with a text where the time stands, a field of another wire type.
    """
    for row, entry in enumerate(entries):
        trace_bytes, span_bytes = len(entry.trace_id), len(entry.span_id)
        if wire.misfits(entry):
            fault = "fields that no log record has"
        elif trace_bytes not in (0, wire.TRACE_ID_BYTES):
            fault = f"a trace id of {trace_bytes} bytes, not {wire.TRACE_ID_BYTES} or none"
        elif span_bytes not in (0, wire.SPAN_ID_BYTES):
            fault = f"a span id of {span_bytes} bytes, not {wire.SPAN_ID_BYTES} or none"
        elif max(entry.time_unix_nano, entry.observed_time_unix_nano) > wire.TIME_NS_MAX:
            fault = "a time beyond the year 2262"
        else:
            continue
        return Fault(row, f"log record {row} has {fault}")
    return None


def _text(body: AnyValue) -> str:
    match body.WhichOneof("value"):
        case "string_value":
            return body.string_value
        case "kvlist_value":
            texts = {pair.key: pair.value.string_value for pair in body.kvlist_value.values}
            return next((texts[key] for key in MESSAGE_KEYS if texts.get(key)), "")
        case _:
            return ""


def _known(severity: int) -> int:
    """Protobuf's enumerations are open: a number that this version does not know becomes 0."""
    return severity if 0 <= severity <= SEVERITY_MAX else 0
