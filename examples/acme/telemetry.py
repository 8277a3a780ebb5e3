"""What a process of the example says about itself: OTLP spans, metrics and logs, named by the semantic conventions."""

import random
import resource
import sys
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from examples.acme import logbook, pool, trace

REQUESTS_HELD_MAX = 20_000  # between two exports; more than a minute of 300 a second
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)  # the SDKs' usual bounds
SCOPE = InstrumentationScope(name="acme.shop", version="1.4.2")
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
PAGE_BYTES = resource.getpagesize()


class Interval(NamedTuple):
    """From when to when, in nanoseconds of Unix time."""

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Request:
    """One piece of work: its answer, its wait for a connection and its query, as far as it came.

    Status 0 is work that no HTTP request asked for: it has no SERVER span.
    """

    route: str
    status: int
    error_type: str
    whole: Interval
    wait: Interval | None
    query: Interval | None
    parent: trace.Attempt | None = None
    """Who asked, as far as the request told."""
    call: Interval | None = None
    """To an external interface, by way of the egress host."""
    call_error: str = ""


@dataclass(slots=True)
class Histogram:
    """A cumulative histogram with explicit bounds, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks: becomes the resource of every record."""

    tenant: str
    service: str
    namespace: str
    instance: str
    environment: str


@dataclass(frozen=True, slots=True)
class Database:
    """What the spans and metrics call the replica and the pool before it."""

    pool_name: str
    database: str
    address: str


class Telemetry:
    """Gathers requests and times; `spans` and `metrics` give the next export as protobuf bytes, as does its logbook.

    `memory_limit` is the container's in bytes, 0 where it has none.
    """

    def __init__(
        self, identity: Identity, database: Database, connections: pool.Pool, start_ns: int, memory_limit: int = 0
    ) -> None:
        self.wait_time = Histogram()
        self.use_time = Histogram()
        self.pool_size = connections.size  # as the process reports it
        self.dropped = 0
        self._resource = Resource(
            attributes=_attributes(
                {
                    "service.name": identity.service,
                    "service.namespace": identity.namespace,
                    "service.instance.id": identity.instance,
                    "deployment.environment.name": identity.environment,
                    "tenant.id": identity.tenant,
                }
            )
        )
        self.logbook = logbook.Logbook(self._resource, identity.tenant, identity.instance)
        self.egress = ""  # what spans call the way out of the house
        self._memory_limit = memory_limit
        self._database = database
        self._pool = connections
        self._start_ns = start_ns
        self._requests: list[Request] = []
        self._templates: dict[tuple[str, str, int, str, int], Span] = {}
        self._rng = random.Random(identity.instance)

    def record(self, request: Request) -> None:
        if len(self._requests) >= REQUESTS_HELD_MAX:
            self.dropped += 1
            return
        self._requests.append(request)

    def spans(self, requests_max: int = REQUESTS_HELD_MAX) -> bytes:
        """The oldest requests not told yet as an ExportTraceServiceRequest; empty bytes if there is none.

        Attributes are copied from one prepared span for each route and answer: building every attribute anew would
        cost several times as much.
        """
        requests, self._requests = self._requests[:requests_max], self._requests[requests_max:]
        if not requests:
            return b""
        message = ExportTraceServiceRequest()
        block = message.resource_spans.add(resource=self._resource)
        spans = block.scope_spans.add(scope=SCOPE).spans
        for request in requests:
            ids = self._rng.randbytes(48)
            asked = request.parent or trace.Attempt(ids[:16], b"", 1)
            trace_id, own_id = asked.trace_id, ids[16:24]
            if request.query is not None:
                template = self._template("query", request.route)
                _add(spans.add(), template, trace_id, ids[24:32], own_id, request.query)
            if request.wait is not None:
                template = self._template("wait", error_type=request.error_type if request.query is None else "")
                _add(spans.add(), template, trace_id, ids[32:40], own_id, request.wait)
            if request.call is not None:
                template = self._template("call", error_type=request.call_error)
                _add(spans.add(), template, trace_id, ids[40:48], own_id, request.call)
            if request.status:
                resends = asked.number - 1
                template = self._template("server", request.route, request.status, request.error_type, resends)
                _add(spans.add(), template, trace_id, own_id, asked.span_id, request.whole)
        return message.SerializeToString()

    def metrics(self, now_ns: int) -> bytes:
        """The state of the pool at `now_ns` as an ExportMetricsServiceRequest."""
        connections = self._pool
        message = ExportMetricsServiceRequest()
        block = message.resource_metrics.add(resource=self._resource)
        metrics = block.scope_metrics.add(scope=SCOPE).metrics
        states = {"used": connections.used, "idle": connections.idle}
        self._add_sum(metrics.add(), "count", "{connection}", states, now_ns)
        self._add_sum(metrics.add(), "max", "{connection}", {"": self.pool_size}, now_ns)
        self._add_sum(metrics.add(), "pending_requests", "{request}", {"": connections.pending}, now_ns)
        timeouts = metrics.add()
        self._add_sum(timeouts, "timeouts", "{timeout}", {"": connections.timeouts}, now_ns)
        timeouts.sum.is_monotonic = True
        self._add_histogram(metrics.add(), "wait_time", self.wait_time, now_ns)
        self._add_histogram(metrics.add(), "use_time", self.use_time, now_ns)
        memory = metrics.add(name="process.memory.usage", unit="By").sum
        memory.aggregation_temporality = CUMULATIVE
        memory.data_points.add(start_time_unix_nano=self._start_ns, time_unix_nano=now_ns, as_int=memory_bytes())
        if self._memory_limit:
            limit = metrics.add(name="k8s.container.memory.limit", unit="By").sum
            limit.aggregation_temporality = CUMULATIVE
            limit.data_points.add(start_time_unix_nano=self._start_ns, time_unix_nano=now_ns, as_int=self._memory_limit)
        return message.SerializeToString()

    def _add_sum(self, metric: Metric, name: str, unit: str, values: Mapping[str, int], now_ns: int) -> None:
        """`values` by connection state; the state "" means a metric that has none."""
        metric.name, metric.unit = f"db.client.connection.{name}", unit
        metric.sum.aggregation_temporality = CUMULATIVE
        for state, value in values.items():
            attributes: dict[str, str | int] = {"db.client.connection.pool.name": self._database.pool_name}
            if state:
                attributes["db.client.connection.state"] = state
            metric.sum.data_points.add(
                attributes=_attributes(attributes),
                start_time_unix_nano=self._start_ns,
                time_unix_nano=now_ns,
                as_int=value,
            )

    def _add_histogram(self, metric: Metric, name: str, histogram: Histogram, now_ns: int) -> None:
        metric.name, metric.unit = f"db.client.connection.{name}", "s"
        metric.histogram.aggregation_temporality = CUMULATIVE
        metric.histogram.data_points.add(
            attributes=_attributes({"db.client.connection.pool.name": self._database.pool_name}),
            start_time_unix_nano=self._start_ns,
            time_unix_nano=now_ns,
            count=sum(histogram.counts),
            sum=histogram.sum_s,
            bucket_counts=histogram.counts,
            explicit_bounds=BOUNDS_S,
        )

    def _template(self, kind: str, route: str = "", status: int = 0, error_type: str = "", resends: int = 0) -> Span:
        key = (kind, route, status, error_type, resends)
        if key not in self._templates:
            self._templates[key] = self._new_template(*key)
        return self._templates[key]

    def _new_template(self, kind: str, route: str, status: int, error_type: str, resends: int) -> Span:
        attributes: dict[str, str | int]
        match kind:
            case "server":
                name, span_kind = f"GET {route}", Span.SPAN_KIND_SERVER
                attributes = {
                    "http.request.method": "GET",
                    "http.route": route,
                    "url.path": route,
                    "url.scheme": "http",
                    "http.response.status_code": status,
                }
                if resends:  # the convention leaves it out at zero
                    attributes["http.request.resend_count"] = resends
            case "query":
                table = route.strip("/")
                name, span_kind = f"SELECT {table}", Span.SPAN_KIND_CLIENT
                attributes = {
                    "db.system.name": "postgresql",
                    "db.namespace": self._database.database,
                    "db.operation.name": "SELECT",
                    "db.collection.name": table,
                    "server.address": self._database.address,
                    "server.port": 5432,
                }
            case "wait":
                name, span_kind = "pool.acquire", Span.SPAN_KIND_INTERNAL
                attributes = {"db.client.connection.pool.name": self._database.pool_name}
            case "call":
                name, span_kind = "GET", Span.SPAN_KIND_CLIENT
                attributes = {"http.request.method": "GET", "server.address": self.egress, "server.port": 3128}
            case _:
                raise AssertionError(f"no such kind of span: {kind}")
        span = Span(name=name, kind=span_kind)
        if error_type:
            span.status.code = Status.STATUS_CODE_ERROR
            attributes["error.type"] = error_type
        span.attributes.extend(_attributes(attributes))
        return span


def memory_bytes() -> int:
    """Resident memory of this process; its peak where the system has no /proc."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * PAGE_BYTES
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others KiB


def _add(span: Span, template: Span, trace_id: bytes, span_id: bytes, parent_id: bytes, when: Interval) -> None:
    span.CopyFrom(template)
    span.trace_id, span.span_id = trace_id, span_id
    if parent_id:
        span.parent_span_id = parent_id
    span.start_time_unix_nano, span.end_time_unix_nano = when


def _attributes(values: Mapping[str, str | int]) -> list[KeyValue]:
    attributes = []
    for key, value in values.items():
        attribute = KeyValue(key=key)
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value
        attributes.append(attribute)
    return attributes
