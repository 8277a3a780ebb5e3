"""Calls that a service makes or times itself: count, errors and total duration per (entity, span kind, name) and
second."""

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series

CALLS, ERRORS, DURATION_US = 0, 1, 2
OPERATIONS_PER_SHARD_MAX = 20_000  # 86 MB at 4.3 kB each; ingest folds the names beyond 64 of a record into one
SHAPES = {"operation": Shape(1, 180, 3, "i8", Fill.ZERO)}


def table(head_s: int = 0) -> Series:
    """Keys are (environment, tenant, service, kind as a number, name)."""
    return Series(SHAPES, {"last_s": ("i8", -1)}, head_s)


def add(series: Series, rows: NDArray[np.int64], bucket_s: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Counts k entries: row, second of event time, (3, k) calls, errors, microseconds. Rows may repeat."""
    ring = series.rings["operation"]
    fits = ring.holds(bucket_s)
    for field in (CALLS, ERRORS, DURATION_US):
        ring.add(bucket_s[fits], field, rows[fits], counts[field][fits])
    np.maximum.at(series.columns["last_s"], rows, bucket_s)
    series.touch(rows)


def totals(series: Series, row: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    """(3,) calls, errors and microseconds in the seconds first_s..last_s that the ring still holds."""
    ring = series.rings["operation"]
    first, last = max(first_s, ring.oldest), min(last_s, ring.head)
    if last < first:
        return np.zeros(3, np.int64)
    sums: NDArray[np.int64] = ring.values[ring.slots(first, last), :, row].sum(axis=0)
    return sums
