"""What must be known of an OTLP payload to archive it: its signal, its encoding, and the time it speaks of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from schemas.otlp.encoding import Encoding

NS_PER_MS = 1_000_000
MS_MAX = 1 << 53  # beyond any clock, below what JSON readers round


class Signal(Enum):
    """What a record speaks of. The value is the top key of its JSON form without `resource`."""

    SPANS = "Spans"
    LOGS = "Logs"
    METRICS = "Metrics"

    @property
    def topic(self) -> str:
        """Where the Collector's Kafka exporter would have sent it."""
        return f"otlp_{self.value.lower()}"


@dataclass(frozen=True, slots=True)
class Known:
    """`time_ms` is the latest span end, log time or metric point of the record, None where it has none."""

    signal: Signal
    encoding: Encoding
    time_ms: int | None


class UnreadableError(Exception):
    """The payload is not what its file promises."""


def read(payload: bytes, named: Signal | None) -> Known:
    """Protobuf does not say its signal, so `named` has to; JSON does. Raises UnreadableError."""
    if payload.startswith((b"{", b"[")):  # protobuf begins with the number of a field, 10
        return _json(payload)
    if named is None:
        raise UnreadableError(
            "protobuf does not say whether it holds spans, logs or metrics; name the file so, or give --signal"
        )
    message: Message = {Signal.SPANS: TracesData, Signal.LOGS: LogsData, Signal.METRICS: MetricsData}[named]()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise UnreadableError(f"no protobuf of {named.value.lower()}: {error}") from error
    return Known(named, Encoding.PROTO, _latest_ms(_proto_times(message, named)))


def _json(payload: bytes) -> Known:
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableError("no JSON object")
    signals = [signal for signal in Signal if f"resource{signal.value}" in found]
    if len(signals) != 1:
        keys = ", ".join(sorted(found)[:3]) or "nothing"
        raise UnreadableError(f"one of resourceSpans, resourceLogs, resourceMetrics is wanted, this line has {keys}")
    try:
        return Known(signals[0], Encoding.JSON, _latest_ms(_json_times(found, signals[0])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"no OTLP JSON of {signals[0].value.lower()}: {error}") from error


def _latest_ms(times_ns: Iterator[int]) -> int | None:
    latest_ms = max(times_ns, default=0) // NS_PER_MS
    return latest_ms if 0 < latest_ms < MS_MAX else None


def _proto_times(message: Any, signal: Signal) -> Iterator[int]:
    name = signal.value.lower()
    for block in getattr(message, f"resource_{name}"):
        for scope in getattr(block, f"scope_{name}"):
            match signal:
                case Signal.SPANS:
                    yield from (span.end_time_unix_nano for span in scope.spans)
                case Signal.LOGS:
                    yield from (log.time_unix_nano or log.observed_time_unix_nano for log in scope.log_records)
                case Signal.METRICS:
                    for metric in scope.metrics:
                        kind = metric.WhichOneof("data")
                        points = getattr(metric, kind).data_points if kind else ()
                        yield from (point.time_unix_nano for point in points)


def _json_times(found: Mapping[str, Any], signal: Signal) -> Iterator[int]:
    for block in found[f"resource{signal.value}"]:
        for scope in block.get(f"scope{signal.value}", ()):
            match signal:
                case Signal.SPANS:
                    yield from (int(span.get("endTimeUnixNano", 0)) for span in scope.get("spans", ()))
                case Signal.LOGS:
                    for log in scope.get("logRecords", ()):
                        yield int(log.get("timeUnixNano", 0)) or int(log.get("observedTimeUnixNano", 0))
                case Signal.METRICS:
                    for metric in scope.get("metrics", ()):
                        kinds = (each for each in metric.values() if isinstance(each, dict))
                        for point in (point for kind in kinds for point in kind.get("dataPoints", ())):
                            yield int(point.get("timeUnixNano", 0))
