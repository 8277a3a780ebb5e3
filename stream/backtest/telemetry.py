"""A written timeline as the OTLP records that its service would have exported: a second's are sent when it is over."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from stream.archive.record import Stored
from stream.backtest.sources import Names
from stream.backtest.timeline import Memory, Pool, Requests, Stretch, Timeline

SENT_MS = 500  # after a second's end: an SDK that exports every second
INSTANCE = "instance-1"
NANOS_PER_MS, NANOS_PER_S, MB = 1_000_000, 1_000_000_000, 1_000_000
PPM = 1_000_000
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
Value = str | int | bool


@dataclass(slots=True)
class Flows:
    """What the pool's counters have summed up since the begin."""

    timeouts: int = 0
    uses: int = 0
    waited_s: float = 0.0
    used_s: float = 0.0


@dataclass(slots=True)
class Exporter:
    """Makes the records of one timeline."""

    timeline: Timeline
    names: Names = field(default_factory=Names)
    flows: Flows = field(default_factory=Flows)
    spans_made: int = 0
    offsets: dict[str, int] = field(default_factory=dict)

    def records(self) -> Iterator[Stored]:
        """All records, in the order of their times."""
        second = self.timeline.start_ms // 1000
        for stretch in self.timeline.stretches:
            for passed in range(stretch.for_s):
                yield from self._second(second, stretch, passed / max(stretch.for_s - 1, 1))
                second += 1

    def _second(self, second: int, stretch: Stretch, share: float) -> Iterator[Stored]:
        """`share` is how much of the stretch has passed."""
        resource = Resource(attributes=_attributes(self._named()))
        spans = self._spans(second, stretch)
        if spans:
            blocks = [ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans)])]
            yield self._stored(self.names.spans, second, TracesData(resource_spans=blocks))
        metrics = self._metrics(second, stretch, share)
        if metrics:
            of = [ResourceMetrics(resource=resource, scope_metrics=[ScopeMetrics(metrics=metrics)])]
            yield self._stored(self.names.metrics, second, MetricsData(resource_metrics=of))
        logs = _logs(second, stretch)
        if logs:
            told = [ResourceLogs(resource=resource, scope_logs=[ScopeLogs(log_records=logs)])]
            yield self._stored(self.names.logs, second, LogsData(resource_logs=told))

    def _named(self) -> dict[str, Value]:
        timeline = self.timeline
        return {
            "service.name": timeline.service,
            "service.instance.id": INSTANCE,
            "deployment.environment.name": timeline.environment,
            timeline.specs.tenant_attributes[0]: timeline.tenant,
        }

    def _spans(self, second: int, stretch: Stretch) -> list[Span]:
        """A server span a request, those that fail first, and a client span of what is served."""
        requests = stretch.requests
        resent = requests.per_s * (stretch.retries.share_ppm if stretch.retries else 0) // PPM
        spans = []
        for number in range(requests.per_s):
            end_ns = second * NANOS_PER_S + (number + 1) * NANOS_PER_S // (requests.per_s + 1)
            failed = number < requests.failed_per_s
            attempt = number % stretch.retries.attempts if stretch.retries and number < resent else 0
            server = self._server(requests, failed, attempt, end_ns)
            spans.append(server)
            if stretch.calls is not None and not failed:
                spans.append(self._call(server, stretch.calls.name, stretch.calls.ms))
        return spans

    def _server(self, requests: Requests, failed: bool, attempt: int, end_ns: int) -> Span:
        self.spans_made += 1
        told: dict[str, Value] = {
            "http.request.method": "GET",
            "http.response.status_code": 503 if failed else 200,
            **(requests.attributes or {}),
            **({"http.request.resend_count": attempt} if attempt else {}),
        }
        return Span(
            trace_id=self.spans_made.to_bytes(16, "big"),
            span_id=self.spans_made.to_bytes(8, "big"),
            name="GET",
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=end_ns - requests.ms * NANOS_PER_MS,
            end_time_unix_nano=end_ns,
            status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
            attributes=_attributes(told),
        )

    def _call(self, server: Span, name: str, ms: int) -> Span:
        self.spans_made += 1
        return Span(
            trace_id=server.trace_id,
            span_id=self.spans_made.to_bytes(8, "big"),
            parent_span_id=server.span_id,
            name=name,
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=server.end_time_unix_nano - ms * NANOS_PER_MS,
            end_time_unix_nano=server.end_time_unix_nano,
            attributes=_attributes({"db.system.name": "postgresql"}),
        )

    def _metrics(self, second: int, stretch: Stretch, share: float) -> list[Metric]:
        time_ns = second * NANOS_PER_S + 900 * NANOS_PER_MS
        metrics = []
        if stretch.pool is not None:
            metrics += self._pool(stretch.pool, stretch.requests.per_s, time_ns)
        if stretch.memory is not None:
            metrics += _memory(stretch.memory, share, time_ns)
        return metrics

    def _pool(self, pool: Pool, requests: int, time_ns: int) -> list[Metric]:
        flows = self.flows
        flows.timeouts += pool.timeouts_per_s
        flows.uses += requests
        flows.waited_s += requests * pool.wait_ms / 1000
        flows.used_s += requests * pool.use_ms / 1000
        start_ns = (self.timeline.start_ms - 1000) * NANOS_PER_MS
        named: dict[str, Value] = {"db.client.connection.pool.name": "main"}
        prefix = "db.client.connection"

        def flow(total_s: float) -> Histogram:
            point = HistogramDataPoint(
                start_time_unix_nano=start_ns,
                time_unix_nano=time_ns,
                count=flows.uses,
                sum=total_s,
                attributes=_attributes(named),
            )
            return Histogram(data_points=[point], aggregation_temporality=CUMULATIVE)

        timeouts = NumberDataPoint(
            start_time_unix_nano=start_ns,
            time_unix_nano=time_ns,
            as_int=flows.timeouts,
            attributes=_attributes(named),
        )
        total = Sum(data_points=[timeouts], aggregation_temporality=CUMULATIVE, is_monotonic=True)
        return [
            _gauge(f"{prefix}.count", pool.used, time_ns, {**named, "db.client.connection.state": "used"}),
            _gauge(f"{prefix}.max", pool.maximum, time_ns, named),
            _gauge(f"{prefix}.pending_requests", pool.pending, time_ns, named),
            Metric(name=f"{prefix}.timeouts", sum=total),
            Metric(name=f"{prefix}.wait_time", unit="s", histogram=flow(flows.waited_s)),
            Metric(name=f"{prefix}.use_time", unit="s", histogram=flow(flows.used_s)),
        ]

    def _stored(self, topic: str, second: int, request: Message) -> Stored:
        offset = self.offsets.get(topic, -1) + 1
        self.offsets[topic] = offset
        return Stored(
            topic=topic,
            partition=0,
            offset=offset,
            timestamp_ms=(second + 1) * 1000 + SENT_MS,
            key=None,
            headers=(),
            value=request.SerializeToString(),
        )


def _memory(memory: Memory, share: float, time_ns: int) -> list[Metric]:
    used_mb = memory.begin_mb + (memory.end_mb - memory.begin_mb) * share
    told = [_gauge("process.memory.usage", round(used_mb * MB), time_ns, {})]
    return told + ([_gauge("container.memory.limit", memory.limit_mb * MB, time_ns, {})] if memory.limit_mb else [])


def _gauge(name: str, value: int, time_ns: int, attributes: Mapping[str, Value]) -> Metric:
    point = NumberDataPoint(time_unix_nano=time_ns, as_int=value, attributes=_attributes(attributes))
    return Metric(name=name, gauge=Gauge(data_points=[point]))


def _logs(second: int, stretch: Stretch) -> list[LogRecord]:
    return [
        LogRecord(
            time_unix_nano=second * NANOS_PER_S + (number + 1) * NANOS_PER_S // (line.per_s + 1),
            severity_number=SeverityNumber.Value(f"SEVERITY_NUMBER_{line.severity.upper()}"),
            body=AnyValue(string_value=line.text),
        )
        for line in stretch.logs
        for number in range(line.per_s)
    ]


def _attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
