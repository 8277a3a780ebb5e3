"""Latency of each (tenant, service) as counts in base-2 exponential buckets.

Scale 3 of OpenTelemetry's exponential histogram: bucket i holds (2^(i/8), 2^((i+1)/8)] seconds. A quantile is the
upper bound of its bucket, at most ERROR_PPM above the truth.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series

ERROR_PPM = 90_508  # 2^(1/8) - 1
INDEX_MIN = -80  # 2^-10 s: shorter than a millisecond counts as one
INDEX_MAX = 55  # 2^7 s: longer than 128 s counts as that
BUCKETS = INDEX_MAX - INDEX_MIN + 1
SHAPES = {
    "latency_1s": Shape(1, 60, BUCKETS, "u4", Fill.ZERO),
    "latency_10s": Shape(10, 60, BUCKETS, "u4", Fill.ZERO),
}


def add(
    series: Series,
    rows: NDArray[np.int64],
    bucket_s: NDArray[np.int64],
    index: NDArray[np.int64],
    count: NDArray[np.int64],
) -> None:
    """Counts k entries: entity row, second of event time, exponential index, number of spans. Rows may repeat."""
    place = np.clip(index, INDEX_MIN, INDEX_MAX) - INDEX_MIN
    for name in SHAPES:
        ring = series.rings[name]
        bucket = bucket_s // ring.shape.width_s
        fits = ring.holds(bucket)
        ring.add(bucket[fits], place[fits], rows[fits], count[fits])
    series.touch(rows)


def quantile_us(series: Series, row: int, first_s: int, last_s: int, ppm: int) -> int | None:
    """Upper bound of the quantile `ppm` / 10^6 over the seconds first_s..last_s; None without spans.

    The finest ring that remembers first_s is read; with 10 s buckets the range is widened to whole ones.
    """
    for name in SHAPES:
        ring = series.rings[name]
        first, last = first_s // ring.shape.width_s, min(last_s // ring.shape.width_s, ring.head)
        if first >= ring.oldest:
            counts = ring.values[ring.slots(first, last), :, row].sum(axis=0, dtype=np.int64)
            return _bound_us(counts, ppm)
    return None


def upper_us(index: int) -> int:
    """Upper bound of bucket `index` in microseconds."""
    return round(float(2.0 ** ((index + 1) / 8)) * 1e6)


def _bound_us(counts: NDArray[np.int64], ppm: int) -> int | None:
    below = np.cumsum(counts)
    if not below[-1]:
        return None
    return upper_us(int(np.argmax(below * 1_000_000 >= below[-1] * ppm)) + INDEX_MIN)
