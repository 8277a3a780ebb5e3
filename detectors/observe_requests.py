"""Requests, their latency, the work on their way, and a few of them by name: evidence out of one record of spans."""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from detectors import calls, rows
from detectors.rows import Builder
from detectors.spans_seen import Seen
from schemas.otlp.columns import SpanKind

SCALE = 3  # OTel's exponential histogram: bucket i holds (2^(i/8), 2^((i+1)/8)] seconds
ZERO_INDEX = -241  # below the bucket of 1 ns (-240): a duration of nothing
INDEX_MAX = 264  # 2^33.125 s, more than 2^63 ns
OPERATIONS_MAX = 64  # names for an entity in one record; a service whose names hold ids would flood the journal
EXEMPLARS_MAX = 4  # for an entity in one record: enough to show a person, few enough to carry always

_SECOND_NS_8 = 10**72  # the eighth power of the nanoseconds in a second


def _bound_ns(index: int) -> int:
    """Upper bound 2^((index + 1) / 8) seconds of a bucket in whole nanoseconds, rounded down.

    Integers, because a logarithm may differ in its last bit from one machine to another.
    """
    eighth_power = _SECOND_NS_8 << index + 1 if index >= 0 else _SECOND_NS_8 >> -(index + 1)
    return min(isqrt(isqrt(isqrt(eighth_power))), 2**63 - 1)


_BOUNDS_NS: NDArray[np.int64] = np.array([_bound_ns(index) for index in range(ZERO_INDEX, INDEX_MAX + 1)], np.int64)


def requests(builder: Builder, seen: Seen) -> None:
    """Rows by entity and second: requests served, errors among them, requests that nobody answered, the oldest end."""
    spans = np.flatnonzero(seen.counted & seen.serving)
    groups = rows.group(seen.place[spans], seen.bucket_s[spans])
    builder.add(
        "requests",
        groups.keys[0],
        {
            "bucket_s": groups.keys[1],
            "requests": groups.sizes().astype(np.uint32),
            "errors": groups.sum(seen.error[spans], "u4"),
            "incomplete": groups.sum(seen.incomplete[spans], "u4"),
            "oldest_end_ms": groups.least(seen.columns.end_ns[spans]) // 1_000_000,
        },
    )


def latency(builder: Builder, seen: Seen) -> None:
    """Rows by entity, second and exponential index."""
    spans = np.flatnonzero(seen.counted & seen.serving)
    groups = rows.group(seen.place[spans], seen.bucket_s[spans], latency_index(seen.duration_ns[spans]))
    counts = groups.sizes().astype(np.uint32)
    builder.add("latency", groups.keys[0], {"bucket_s": groups.keys[1], "index": groups.keys[2], "count": counts})


def latency_index(duration_ns: NDArray[np.int64]) -> NDArray[np.int32]:
    """ceil(log2(seconds) * 8) - 1, exactly; ZERO_INDEX for no time at all."""
    return (np.searchsorted(_BOUNDS_NS, duration_ns, side="left") + ZERO_INDEX).astype(np.int32)


def operations(builder: Builder, seen: Seen) -> None:
    """Rows by entity, kind, name and second of what is done on the way: spans of kind INTERNAL, CLIENT and PRODUCER.

    An entity keeps its OPERATIONS_MAX names with the most calls (then the alphabetically first); the others share one.
    """
    kind = seen.columns.kind
    on_the_way = (kind == SpanKind.INTERNAL) | (kind == SpanKind.CLIENT) | (kind == SpanKind.PRODUCER)
    spans = np.flatnonzero(seen.counted & on_the_way)
    if not len(spans):
        return
    call, strings, named = calls.named(seen, spans)
    texts, rank = rows.ranked(strings, named)
    place = seen.place[spans]
    name = np.where(rows.most_frequent(place, rank, OPERATIONS_MAX), rank, texts.index(rows.OVERFLOW))
    groups = rows.group(place, call, name, seen.bucket_s[spans])
    builder.add(
        "operations",
        groups.keys[0],
        {
            "kind": groups.keys[1],
            "name": rows.coded(groups.keys[2], texts),
            "bucket_s": groups.keys[3],
            "calls": groups.sizes().astype(np.uint32),
            "errors": groups.sum(seen.error[spans], "u4"),
            "duration_us": groups.sum(seen.duration_ns[spans] // 1000, "u8"),
        },
    )


def exemplars(builder: Builder, seen: Seen) -> None:
    """At most EXEMPLARS_MAX requests of each entity: errors first, then the slowest, then the first in the record."""
    spans = np.flatnonzero(seen.counted & seen.serving)
    place, error, duration = seen.place[spans], seen.error[spans], seen.duration_ns[spans]
    order = np.lexsort((-duration, ~error, place))
    chosen = spans[order[rows.rank_within(place[order]) < EXEMPLARS_MAX]]
    builder.add(
        "exemplars",
        seen.place[chosen],
        {
            "trace_id": rows.strings([trace_id.tobytes().hex() for trace_id in seen.columns.trace_id[chosen]]),
            "span_id": rows.strings([f"{span_id:016x}" for span_id in seen.columns.span_id[chosen].tolist()]),
            "name": rows.coded(seen.columns.name[chosen], seen.columns.strings),
            "bucket_s": seen.bucket_s[chosen],
            "duration_us": (seen.duration_ns[chosen] // 1000).astype(np.uint64),
            "error": seen.error[chosen],
        },
    )
