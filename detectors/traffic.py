"""Requests, errors and answers that never came, per (tenant, service) and second."""

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series

REQUESTS, ERRORS, INCOMPLETE = 0, 1, 2
SHAPES = {"traffic": Shape(1, 180, 3, "u4", Fill.ZERO)}


def add(series: Series, rows: NDArray[np.int64], bucket_s: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Counts k entries: entity row, second of event time, (3, k) requests, errors and incomplete ones. Rows may
    repeat."""
    ring = series.rings["traffic"]
    fits = ring.holds(bucket_s)
    for field in (REQUESTS, ERRORS, INCOMPLETE):
        ring.add(bucket_s[fits], field, rows[fits], counts[field][fits])
    series.touch(rows)


def seconds(series: Series, row: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    """(3, n) requests, errors and incomplete ones in each second first_s..last_s that the ring still holds."""
    ring = series.rings["traffic"]
    first, last = max(first_s, ring.oldest), min(last_s, ring.head)
    if last < first:
        return np.zeros((3, 0), np.int64)
    values: NDArray[np.int64] = ring.values[ring.slots(first, last), :, row].astype(np.int64).T
    return values
