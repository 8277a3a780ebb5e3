"""How late telemetry arrives, per (tenant, service): the p99 over the last minute of journal time minus span end.

So one slow SDK delays nobody else. A row's spans all count with the delay of their oldest, which errs to the late side.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series

FLOOR_MS = 1000
WINDOW_S = 60
# Upper bounds of the bins: 125 ms times 2^(i/4), so an error of at most 19 % to the late side; the last holds all
# above 108 s.
BOUNDS_MS: NDArray[np.int64] = np.round(125 * 2.0 ** (np.arange(41) / 4)).astype(np.int64)
SHAPES = {"delay": Shape(1, WINDOW_S + 1, len(BOUNDS_MS), "u4", Fill.ZERO)}


def add(series: Series, rows: NDArray[np.int64], delay_ms: NDArray[np.int64], spans: NDArray[np.int64]) -> None:
    """Counts k entries that arrived in the second of the head: entity row, delay and number of spans. Rows may
    repeat."""
    ring = series.rings["delay"]
    bins = np.minimum(np.searchsorted(BOUNDS_MS, delay_ms), len(BOUNDS_MS) - 1)
    ring.add(ring.head, bins, rows, spans)
    series.touch(rows)


def p99_ms(series: Series) -> NDArray[np.int64]:
    """(rows,) p99 of the last minute as an upper bound, at least FLOOR_MS; FLOOR_MS where nothing arrived."""
    counts = series.rings["delay"].values[:, :, : len(series)].sum(axis=0, dtype=np.int64)
    below = np.cumsum(counts, axis=0)
    first = np.argmax(below * 100 >= below[-1] * 99, axis=0)
    return np.maximum(np.where(below[-1] > 0, BOUNDS_MS[first], FLOOR_MS), FLOOR_MS)
