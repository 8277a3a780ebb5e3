"""What one OTLP record holds, as columns: numpy arrays and codes into one table of strings.

`n` is the number of spans (or data points) of the record, `m` the number of attributes that they carry together.
Every string of a record is kept once in `strings`; a code is its place there, and code 0 is the empty string.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Scalar = str | int | float | bool


class ValueKind(IntEnum):
    """Which member of OTLP's AnyValue an attribute carries."""

    NONE = 0
    STRING = 1
    BOOL = 2
    INT = 3
    DOUBLE = 4
    ARRAY = 5
    KVLIST = 6
    BYTES = 7


class SpanKind(IntEnum):
    """Which side of a call a span is."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Status(IntEnum):
    """What the instrumentation says of the outcome; a server leaves 4xx UNSET."""

    UNSET = 0
    OK = 1
    ERROR = 2


class Severity(IntEnum):
    """How bad a log record says that its event is: OTLP's 24 numbers in their six classes."""

    UNSPECIFIED = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARN = 4
    ERROR = 5
    FATAL = 6


class PointKind(IntEnum):
    """What a data point measures."""

    GAUGE = 1
    SUM = 2
    HISTOGRAM = 3
    EXPONENTIAL = 4
    SUMMARY = 5


class Temporality(IntEnum):
    """Whether a point counts since the last point or since the start of the series."""

    UNSPECIFIED = 0
    DELTA = 1
    CUMULATIVE = 2


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is not what its topic promises: `reason` is for people and names what would be right.

    `offset` is the byte where reading stopped, -1 if unknown.
    """

    reason: str
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Resource:
    """The entity that one ResourceSpans, ResourceLogs or ResourceMetrics block speaks for.

    Blocks that are equal are not merged.
    """

    attributes: Mapping[str, Scalar]
    """Scalars only. A key given two different values names nothing and is left out: a tenant must be certain."""
    left_out: int = 0
    """How many attributes of the block are not in `attributes`: arrays, maps, bytes, empty values, keys given twice."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """All attributes of a record's spans (points, log records) in one flat table of m rows, in their owners' order."""

    owner: NDArray[np.int32]
    """(m,) row of the span or point that carries it."""
    key: NDArray[np.int32]
    """(m,) code of the key."""
    kind: NDArray[np.uint8]
    """(m,) ValueKind."""
    text: NDArray[np.int32]
    """(m,) code of the string value; 0 where kind is not STRING."""
    number: NDArray[np.float64]
    """(m,) value of BOOL (0, 1), INT and DOUBLE; NaN elsewhere."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of one OTLP record."""

    strings: tuple[str, ...]
    resources: tuple[Resource, ...]
    resource: NDArray[np.int32]
    """(n,) place in `resources`."""
    scope: NDArray[np.int32]
    """(n,) code of the instrumentation scope's name."""
    trace_id: NDArray[np.uint8]
    """(n, 16)"""
    span_id: NDArray[np.uint64]
    """(n,) big-endian reading of the 8 bytes; 0 is invalid."""
    parent_id: NDArray[np.uint64]
    """(n,) 0 for a root."""
    name: NDArray[np.int32]
    """(n,) code of the span's name."""
    kind: NDArray[np.uint8]
    """(n,) SpanKind; UNSPECIFIED for numbers that OTLP does not have."""
    start_ns: NDArray[np.int64]
    """(n,) Unix nanoseconds, 0 where the exporter gave none."""
    end_ns: NDArray[np.int64]
    """(n,) Unix nanoseconds, 0 where the exporter gave none; can lie before `start_ns`."""
    status: NDArray[np.uint8]
    """(n,) Status; UNSET for numbers that OTLP does not have."""
    sampled: NDArray[np.bool_]
    """(n,) True where tracestate says that this span stands for more than one: `ot=th:` other than 0, or `ot=p:` other
    than 0 or `ot=r:` alone of the older draft."""
    attributes: Attributes
    event_owner: NDArray[np.int32]
    """(e,) row of the span that carries the event."""
    event_name: NDArray[np.int32]
    """(e,) code of the event's name."""
    link_owner: NDArray[np.int32]
    """(l,) row of the span that carries the link."""

    def __len__(self) -> int:
        return len(self.span_id)


@dataclass(frozen=True, slots=True)
class Logs:
    """The log records of one OTLP record."""

    strings: tuple[str, ...]
    resources: tuple[Resource, ...]
    resource: NDArray[np.int32]
    """(n,) place in `resources`."""
    scope: NDArray[np.int32]
    """(n,) code of the instrumentation scope's name."""
    time_ns: NDArray[np.int64]
    """(n,) Unix nanoseconds of the event, else of its observation, 0 where the exporter gave neither."""
    severity: NDArray[np.uint8]
    """(n,) OTLP's number, 1 (TRACE) to 24 (FATAL4); 0 where it gave none, and for numbers that OTLP does not have."""
    severity_text: NDArray[np.int32]
    """(n,) code of the severity as the source wrote it."""
    body_kind: NDArray[np.uint8]
    """(n,) ValueKind."""
    body: NDArray[np.int32]
    """(n,) code of the text: the body itself, or of a map what stands under `message` or `msg`; 0 for no text."""
    event_name: NDArray[np.int32]
    """(n,) code of the event's name."""
    trace_id: NDArray[np.uint8]
    """(n, 16) all 0 where the record belongs to no trace."""
    span_id: NDArray[np.uint64]
    """(n,) big-endian reading of the 8 bytes; 0 where the record belongs to no span."""
    attributes: Attributes

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The data points of one OTLP record, all kinds in one table."""

    strings: tuple[str, ...]
    resources: tuple[Resource, ...]
    resource: NDArray[np.int32]
    """(n,) place in `resources`."""
    scope: NDArray[np.int32]
    """(n,) code of the instrumentation scope's name."""
    name: NDArray[np.int32]
    """(n,) code of the metric's name."""
    unit: NDArray[np.int32]
    """(n,) code of the metric's unit."""
    kind: NDArray[np.uint8]
    """(n,) PointKind."""
    temporality: NDArray[np.uint8]
    """(n,) Temporality; UNSPECIFIED for gauges and summaries."""
    monotonic: NDArray[np.bool_]
    """(n,) True for sums that only rise."""
    start_ns: NDArray[np.int64]
    """(n,) Unix nanoseconds, 0 where the exporter gave none."""
    time_ns: NDArray[np.int64]
    """(n,) Unix nanoseconds."""
    no_value: NDArray[np.bool_]
    """(n,) flag NO_RECORDED_VALUE: the series went stale; the value is not a zero."""
    value: NDArray[np.float64]
    """(n,) gauges and sums; NaN for other kinds and where the point has no value. Integers beyond 2^53 are rounded."""
    count: NDArray[np.uint64]
    """(n,) histograms and summaries; 0 elsewhere."""
    sum: NDArray[np.float64]
    """(n,) histograms and summaries; NaN where absent."""
    attributes: Attributes
    bucket_owner: NDArray[np.int32]
    """(b,) row of the HISTOGRAM or EXPONENTIAL point that owns the bucket, rising."""
    bucket_index: NDArray[np.int32]
    """(b,) place in the explicit bounds, or the exponential index (positive range; its empty buckets are left out)."""
    bucket_bound: NDArray[np.float64]
    """(b,) upper bound of the bucket (inclusive), inf for the last explicit one."""
    bucket_count: NDArray[np.uint64]
    """(b,) events in the bucket."""
    scale: NDArray[np.int32]
    """(n,) scale of an EXPONENTIAL point; 0 elsewhere."""
    zero_count: NDArray[np.uint64]
    """(n,) events at zero of an EXPONENTIAL point; 0 elsewhere. Negative values are in `count` alone."""

    def __len__(self) -> int:
        return len(self.time_ns)
