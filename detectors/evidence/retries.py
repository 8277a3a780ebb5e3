"""What was sent again, per (tenant, service) and second: resends, and all attempts of operations sent more than once.

Their difference is the number of operations that were sent more than once. A service whose callers never say which
request is a resend has no row here, which is not the same as a row of zeros.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series

ATTEMPTS, RESENDS = 0, 1
RETRIES_PER_SHARD_MAX = 2_500  # one for each service; 4 MB at 1.5 kB each
SHAPES = {"retries": Shape(1, 180, 2, "u4", Fill.ZERO)}


def table(head_s: int = 0) -> Series:
    """Keys are (environment, tenant, service)."""
    return Series(SHAPES, {"last_s": ("i8", -1)}, head_s)


def add(series: Series, rows: NDArray[np.int64], bucket_s: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Counts k entries: row, second of event time, (2, k) attempts and resends. Rows may repeat."""
    ring = series.rings["retries"]
    fits = ring.holds(bucket_s)
    for field in (ATTEMPTS, RESENDS):
        ring.add(bucket_s[fits], field, rows[fits], counts[field][fits])
    np.maximum.at(series.columns["last_s"], rows[fits], bucket_s[fits])
    series.touch(rows)


def totals(series: Series, row: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    """(2,) attempts and resends in the seconds first_s..last_s that the ring still holds."""
    sums: NDArray[np.int64] = seconds(series, row, first_s, last_s).sum(axis=1)
    return sums


def seconds(series: Series, row: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    """(2, last_s - first_s + 1) attempts and resends of each second; zero where the ring holds none."""
    ring = series.rings["retries"]
    found = np.zeros((2, max(last_s - first_s + 1, 0)), np.int64)
    first, last = max(first_s, ring.oldest), min(last_s, ring.head)
    if last >= first:
        found[:, first - first_s : last - first_s + 1] = ring.values[ring.slots(first, last), :, row].T
    return found
