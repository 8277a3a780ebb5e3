"""OTLP metrics, one record to columns: the data points of all kinds in one table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    DataPointFlags,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    SummaryDataPoint,
)

from schemas.otlp import tables, wire
from schemas.otlp.columns import Metrics, PointKind, Rejected, Resource, Temporality
from schemas.otlp.encoding import Encoding
from schemas.otlp.request import Fault, parse, rejected

NAME_SHOWN_MAX = 60  # characters of a metric's name in a reason: it must fit one line of a terminal
INDEX_MAX = 2**31 - 1  # of an exponential bucket: int32, as OTLP's own offset

# 2^(index * 2^-scale) is 1 or inf for every index long before a scale of 1100 (a double's exponent has 11 bits).
_SCALE_SPAN = 1100

_Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint


@dataclass(frozen=True, slots=True)
class _Series:
    """One metric of the request with the place of its resource and the code of its scope."""

    resource: int
    scope: int
    name: str
    unit: str
    kind: PointKind
    temporality: int
    monotonic: bool
    points: Sequence[_Point]


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Buckets of all histograms of a record, one list a column; bounds of exponential ones come at the end."""

    owner: list[int] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)
    count: list[int] = field(default_factory=list)


def decode(payload: bytes, written: Encoding = Encoding.PROTO) -> Metrics | Rejected:
    """Read one record of a metrics topic, an ExportMetricsServiceRequest, as columns; never raises.

    Metrics without points leave no row. One bad metric rejects the whole record.
    """
    request = parse(payload, MetricsData, written)
    if isinstance(request, Rejected):
        return request
    codes = tables.Codes()
    all_series: list[_Series] = []
    for place, block in enumerate(request.resource_metrics):
        for scope in block.scope_metrics:
            for metric in scope.metrics:
                series = _series(metric, place, codes[scope.scope.name])
                fault = _metric_fault(metric) or _point_fault(series.points)
                if fault:
                    reason = f"the metric {metric.name[:NAME_SHOWN_MAX]!r} has {fault}"
                    return rejected(payload, request, written, Fault(len(all_series), reason))
                all_series.append(series)
    return _columns(all_series, codes, tuple(tables.resource(b.resource.attributes) for b in request.resource_metrics))


def _series(metric: Metric, resource: int, scope: int) -> _Series:
    def series(kind: PointKind, points: Sequence[_Point], temporality: int = 0, monotonic: bool = False) -> _Series:
        known = temporality if temporality in (Temporality.DELTA, Temporality.CUMULATIVE) else Temporality.UNSPECIFIED
        return _Series(resource, scope, metric.name, metric.unit, kind, known, monotonic, points)

    match metric.WhichOneof("data"):
        case "gauge":
            return series(PointKind.GAUGE, metric.gauge.data_points)
        case "sum":
            total = metric.sum
            return series(PointKind.SUM, total.data_points, total.aggregation_temporality, total.is_monotonic)
        case "histogram":
            explicit = metric.histogram
            return series(PointKind.HISTOGRAM, explicit.data_points, explicit.aggregation_temporality)
        case "exponential_histogram":
            exponential = metric.exponential_histogram
            return series(PointKind.EXPONENTIAL, exponential.data_points, exponential.aggregation_temporality)
        case "summary":
            return series(PointKind.SUMMARY, metric.summary.data_points)
        case _:
            return series(PointKind.GAUGE, ())  # no data, or of a kind that this version does not know: no rows


def _metric_fault(metric: Metric) -> str:
    """Say what shows that this is no metric; "" if it may be one.

    A span or log record read as a metric has its times and kind in places of other wire types; one with neither still
    has random bytes for a name.
    """
    if wire.misfits(metric):
        return "fields that no metric has"
    if metric.WhichOneof("data") is None and not metric.name.isprintable():
        return "no data, and a name that is no text"
    return ""


def _point_fault(points: Sequence[_Point]) -> str:
    """Say what is wrong with the first unsound point; "" if all are sound."""
    for point in points:
        if max(point.time_unix_nano, point.start_time_unix_nano) > wire.TIME_NS_MAX:
            return "a point with a time beyond the year 2262"
        if isinstance(point, HistogramDataPoint) and point.bucket_counts:
            bounds = point.explicit_bounds
            if len(point.bucket_counts) != len(bounds) + 1:
                return f"a point with {len(point.bucket_counts)} buckets for {len(bounds)} bounds, not one more"
            if not all(low < high for low, high in pairwise(bounds)) or (bounds and math.isnan(bounds[0])):
                return "a point whose bounds do not rise"
        if isinstance(point, ExponentialHistogramDataPoint):
            positive = point.positive
            if positive.offset + len(positive.bucket_counts) > INDEX_MAX:
                return f"a point with a bucket index beyond {INDEX_MAX}"
    return ""


def _columns(all_series: Sequence[_Series], codes: tables.Codes, resources: tuple[Resource, ...]) -> Metrics:
    points = [point for series in all_series for point in series.points]
    sizes = [len(series.points) for series in all_series]
    value, total = [math.nan] * len(points), [math.nan] * len(points)
    count, zero_count, scale = [0] * len(points), [0] * len(points), [0] * len(points)
    buckets = _Buckets()
    for row, point in enumerate(points):
        match point:
            case NumberDataPoint():
                value[row] = _value(point)
            case HistogramDataPoint():
                count[row], total[row] = point.count, point.sum if point.HasField("sum") else math.nan
                _add_explicit(buckets, row, point)
            case ExponentialHistogramDataPoint():
                count[row], total[row] = point.count, point.sum if point.HasField("sum") else math.nan
                scale[row], zero_count[row] = point.scale, point.zero_count
                _add_exponential(buckets, row, point)
            case SummaryDataPoint():
                count[row], total[row] = point.count, point.sum
            case _:
                assert_never(point)

    def per_point(values: Sequence[int]) -> NDArray[np.int32]:
        return np.repeat(np.array(values, np.int32), sizes)

    name, unit = [codes[series.name] for series in all_series], [codes[series.unit] for series in all_series]
    attributes = tables.attributes(codes, [point.attributes for point in points])
    scales = np.array(scale, np.int32)
    return Metrics(
        strings=tuple(codes),
        resources=resources,
        resource=per_point([series.resource for series in all_series]),
        scope=per_point([series.scope for series in all_series]),
        name=per_point(name),
        unit=per_point(unit),
        kind=per_point([series.kind for series in all_series]).astype(np.uint8),
        temporality=per_point([series.temporality for series in all_series]).astype(np.uint8),
        monotonic=per_point([series.monotonic for series in all_series]).astype(np.bool_),
        start_ns=np.array([point.start_time_unix_nano for point in points], np.int64),
        time_ns=np.array([point.time_unix_nano for point in points], np.int64),
        no_value=np.array([_is_stale(point) for point in points], np.bool_),
        value=np.array(value, np.float64),
        count=np.array(count, np.uint64),
        sum=np.array(total, np.float64),
        attributes=attributes,
        bucket_owner=np.array(buckets.owner, np.int32),
        bucket_index=np.array(buckets.index, np.int32),
        bucket_bound=_bounds(buckets, scales),
        bucket_count=np.array(buckets.count, np.uint64),
        scale=scales,
        zero_count=np.array(zero_count, np.uint64),
    )


def _is_stale(point: _Point) -> bool:
    return bool(point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)


def _value(point: NumberDataPoint) -> float:
    match point.WhichOneof("value"):
        case "as_double" if not _is_stale(point):
            return point.as_double
        case "as_int" if not _is_stale(point):
            return float(point.as_int)
        case _:
            return math.nan


def _add_explicit(buckets: _Buckets, row: int, point: HistogramDataPoint) -> None:
    size = len(point.bucket_counts)
    if size:
        buckets.owner.extend([row] * size)
        buckets.index.extend(range(size))
        buckets.bound.extend(point.explicit_bounds)
        buckets.bound.append(math.inf)
        buckets.count.extend(point.bucket_counts)


def _add_exponential(buckets: _Buckets, row: int, point: ExponentialHistogramDataPoint) -> None:
    """Keep the buckets that hold something: SDKs send 160 of them a point, most at 0."""
    filled = [
        (index, count) for index, count in enumerate(point.positive.bucket_counts, point.positive.offset) if count
    ]
    buckets.owner.extend([row] * len(filled))
    buckets.index.extend(index for index, _ in filled)
    buckets.bound.extend([math.nan] * len(filled))
    buckets.count.extend(count for _, count in filled)


def _bounds(buckets: _Buckets, scale: NDArray[np.int32]) -> NDArray[np.float64]:
    """Upper bounds (b,), with those of exponential buckets filled in: 2^((index + 1) * 2^-scale), OTLP's metrics.proto.

    An infinite exponential bound is right: no double lies above it.
    """
    bound = np.array(buckets.bound, np.float64)
    exponential = np.isnan(bound)
    index = np.array(buckets.index, np.int64)[exponential]
    scale_of_bucket = scale[np.array(buckets.owner, np.int32)[exponential]].clip(-_SCALE_SPAN, _SCALE_SPAN)
    with np.errstate(over="ignore", under="ignore"):
        bound[exponential] = np.exp2(np.ldexp(index + 1.0, -scale_of_bucket))
    return bound
