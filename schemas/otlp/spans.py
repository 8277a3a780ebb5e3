"""OTLP spans, one record to columns."""

from collections.abc import Sequence

import numpy as np
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from schemas.otlp import tables, wire
from schemas.otlp.columns import Rejected, SpanKind, Spans, Status
from schemas.otlp.encoding import Encoding
from schemas.otlp.request import Fault, parse, rejected

NAME_SHOWN_MAX = 60  # characters of a span's name in a reason: it must fit one line of a terminal

_NO_PARENT = bytes(wire.SPAN_ID_BYTES)


def decode(payload: bytes, written: Encoding = Encoding.PROTO) -> Spans | Rejected:
    """Read one record of a spans topic, an ExportTraceServiceRequest, as columns; never raises.

    One bad span rejects the whole record: half a record would count fewer errors than there were.
    """
    request = parse(payload, TracesData, written)
    if isinstance(request, Rejected):
        return request
    blocks = [(place, scope) for place, block in enumerate(request.resource_spans) for scope in block.scope_spans]
    spans = [span for _, scope in blocks for span in scope.spans]
    fault = _fault(spans)
    if fault is not None:
        return rejected(payload, request, written, fault)

    codes = tables.Codes()
    sizes = [len(scope.spans) for _, scope in blocks]
    scopes = [codes[scope.scope.name] for _, scope in blocks]
    names = [codes[span.name] for span in spans]
    attributes = tables.attributes(codes, [span.attributes for span in spans])
    events = [(row, codes[event.name]) for row, span in enumerate(spans) for event in span.events]
    sampled = {state: _is_sampled(state) for state in {span.trace_state for span in spans}}
    return Spans(
        strings=tuple(codes),
        resources=tuple(tables.resource(block.resource.attributes) for block in request.resource_spans),
        resource=np.repeat(np.array([place for place, _ in blocks], np.int32), sizes),
        scope=np.repeat(np.array(scopes, np.int32), sizes),
        trace_id=np.frombuffer(b"".join([span.trace_id for span in spans]), np.uint8).reshape(-1, wire.TRACE_ID_BYTES),
        span_id=np.frombuffer(b"".join([span.span_id for span in spans]), ">u8").astype(np.uint64),
        parent_id=np.frombuffer(b"".join([s.parent_span_id or _NO_PARENT for s in spans]), ">u8").astype(np.uint64),
        name=np.array(names, np.int32),
        kind=np.array([_known(span.kind, SpanKind.CONSUMER) for span in spans], np.uint8),
        start_ns=np.array([span.start_time_unix_nano for span in spans], np.int64),
        end_ns=np.array([span.end_time_unix_nano for span in spans], np.int64),
        status=np.array([_known(span.status.code, Status.ERROR) for span in spans], np.uint8),
        sampled=np.array([sampled[span.trace_state] for span in spans], np.bool_),
        attributes=attributes,
        event_owner=np.array([row for row, _ in events], np.int32),
        event_name=np.array([name for _, name in events], np.int32),
        link_owner=np.array([row for row, span in enumerate(spans) for _ in span.links], np.int32),
    )


def _fault(spans: Sequence[Span]) -> Fault | None:
    """Say what is wrong with the first span that cannot be one; None if all are sound.

    A metric read as a span has its name for trace id and its description for span id, and never an end time.
    """
    for row, span in enumerate(spans):
        trace_bytes, span_bytes, parent_bytes = len(span.trace_id), len(span.span_id), len(span.parent_span_id)
        if trace_bytes != wire.TRACE_ID_BYTES:
            fault = f"a trace id of {trace_bytes} bytes, not {wire.TRACE_ID_BYTES}"
        elif span_bytes != wire.SPAN_ID_BYTES:
            fault = f"a span id of {span_bytes} bytes, not {wire.SPAN_ID_BYTES}"
        elif parent_bytes not in (0, wire.SPAN_ID_BYTES):
            fault = f"a parent span id of {parent_bytes} bytes, not {wire.SPAN_ID_BYTES} or none"
        elif span.start_time_unix_nano > wire.TIME_NS_MAX:
            fault = f"a start time of {span.start_time_unix_nano} ns, beyond the year 2262"
        elif span.end_time_unix_nano > wire.TIME_NS_MAX:
            fault = f"an end time of {span.end_time_unix_nano} ns, beyond the year 2262"
        elif not span.end_time_unix_nano and _is_foreign(span):
            fault = "no end time, and fields that no span has"
        else:
            continue
        return Fault(row, f"span {row} ({span.name[:NAME_SHOWN_MAX]!r}) has {fault}")
    return None


def _is_foreign(span: Span) -> bool:
    """Whether a span without end is a metric whose texts happen to be as long as ids.

    Its gauge stands for the span's name, its histogram for an attribute, its summary for an event; sums misfit at once.
    """
    parts = (span, *span.attributes, *span.events)
    return not span.name.isprintable() or any(wire.misfits(part) for part in parts)


def _known(number: int, number_max: int) -> int:
    """Protobuf's enumerations are open: a number that this version does not know becomes 0."""
    return number if 0 <= number <= number_max else 0


def _is_sampled(trace_state: str) -> bool:
    """Whether a W3C tracestate says that the span was chosen with a probability below 1, or leaves it open.

    OpenTelemetry's member is `ot=th:HEX;rv:HEX` (threshold 0 keeps all); the older draft's is `ot=p:N;r:N`, where the
    probability is 2^-p and unknown if p is missing.
    """
    for member in trace_state.split(","):
        vendor, _, fields = member.strip().partition("=")
        if vendor != "ot":
            continue
        values = dict(field.partition(":")[::2] for field in fields.split(";"))
        if "th" in values:
            return values["th"].strip("0") != ""
        if "p" in values:
            return values["p"].strip("0") != ""
        return "r" in values
    return False
