"""Good and total events of every (tenant, SLO) row, for any window up to the SLO's period.

Each level holds one and the same cumulative count, modulo 2^32, at the ends of its buckets. So a window is the count
at its end minus the count at its start, whichever level still remembers that start; a difference is right while a
window holds fewer than 2^32 events. 2,112 slots of two u32 are 16.9 kB a row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Ring, Shape
from detectors.series import Key, Series
from schemas.slo import HOUR_S

AHEAD_S = 5  # buckets kept ahead of the clock, for senders whose clocks run fast; later ones are counted and left out
GOOD, TOTAL = 0, 1
LEVELS = {
    "1s": Shape(1, 120, 2, "u4", Fill.HOLD),
    "10s": Shape(10, 390, 2, "u4", Fill.HOLD),
    "5min": Shape(300, 876, 2, "u4", Fill.HOLD),
    "1h": Shape(3600, 726, 2, "u4", Fill.HOLD),
}
LAG_S_MAX = (
    50  # a row whose complete end lies further back is stale; the 1 s level still holds a 60 s window before that
)
NEVER = -1
WINDOW_S_MAX = 724 * HOUR_S - LAG_S_MAX - AHEAD_S  # less the head's own bucket and the one before the start


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of counts that did not simply enter: events later than every level, events beyond the clock."""

    late: int
    future: int


def table(head_s: int = 0) -> Series:
    """An empty table; keys are (environment, tenant, service, slo, hash of the SLI's text)."""
    return Series(LEVELS, {"first_s": ("i8", NEVER), "last_s": ("i8", NEVER), "sampled_s": ("i8", NEVER)}, head_s)


def advance(series: Series, clock_s: int) -> None:
    series.advance(clock_s + AHEAD_S)


def add(
    series: Series,
    rows: NDArray[np.int64],
    bucket_s: NDArray[np.int64],
    good: NDArray[np.int64],
    total: NDArray[np.int64],
) -> Counted:
    """Counts k entries: row, second of event time, good and total events. Rows may repeat.

    A count enters every level whose bucket still exists; in a level that has forgotten its bucket it is added to all
    slots,
    so that the levels go on agreeing.
    """
    ahead = bucket_s > series.head_s
    oldest = series.rings["1h"].oldest * LEVELS["1h"].width_s
    late = bucket_s < oldest
    fits = ~(ahead | late)
    result = Counted(int(total[late].sum()), int(total[ahead].sum()))
    if not fits.any():
        return result
    rows, bucket_s, good, total = rows[fits], bucket_s[fits], good[fits], total[fits]
    for bucket in np.unique(bucket_s).tolist():
        here = bucket_s == bucket
        unique, inverse = np.unique(rows[here], return_inverse=True)
        sums = np.zeros((2, len(unique)), np.int64)
        np.add.at(sums[GOOD], inverse, good[here])
        np.add.at(sums[TOTAL], inverse, total[here])
        for name in LEVELS:
            _add_from(series.rings[name], bucket, unique, sums)
        first, last = series.columns["first_s"], series.columns["last_s"]
        first[unique] = np.where(first[unique] == NEVER, bucket, np.minimum(first[unique], bucket))
        last[unique] = np.maximum(last[unique], bucket)
    series.touch(rows)
    return result


def complete_end(series: Series, clock_ms: int, freshness_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,) end, in seconds, of the newest complete bucket of each row, given its source's p99 freshness in ms."""
    end = (clock_ms - freshness_ms) // 1000
    return np.maximum(end, series.head_s - AHEAD_S - LAG_S_MAX)


def counts(series: Series, rows: NDArray[np.int64], end_s: NDArray[np.int64], window_s: int) -> NDArray[np.int64]:
    """(2, k) good and total events of `rows` in the `window_s` seconds before `end_s` (k,).

    The start is rounded down to a bucket of the finest level that remembers it: a window is never shorter than asked.
    """
    ring = _level(series, window_s)
    width = ring.shape.width_s
    start = (end_s - window_s) // width - 1
    then = ring.values[np.maximum(start, ring.oldest) % ring.shape.slots, :, rows]
    now = series.rings["1s"].values[(end_s - 1) % LEVELS["1s"].slots, :, rows]
    difference: NDArray[np.int64] = (now - then).astype(np.int64).T
    return difference


def coverage(series: Series, rows: NDArray[np.int64], end_s: NDArray[np.int64], window_s: int) -> NDArray[np.float64]:
    """(k,) share of the window for which the row has a history, 0 to 1."""
    first = series.columns["first_s"][rows]
    known = np.where(first == NEVER, 0, end_s - first)
    return np.clip(known / window_s, 0.0, 1.0)


def seconds(series: Series, row: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    """(2, k) good and total of one row in each second first_s..last_s, both included, as far as the 1 s level
    remembers."""
    ring = series.rings["1s"]
    if last_s < first_s:
        return np.zeros((2, 0), np.int64)
    assert first_s > ring.oldest and last_s <= ring.head, (
        f"{first_s}..{last_s} is outside of {ring.oldest + 1}..{ring.head}"
    )
    values = ring.values[ring.slots(first_s - 1, last_s), :, row]
    steps: NDArray[np.int64] = np.diff(values, axis=0).astype(np.int64).T
    return steps


def key(environment: str, tenant: str, service: str, slo: str, sli: int) -> Key:
    return (environment, tenant, service, slo, f"{sli:016x}")


def _level(series: Series, window_s: int) -> Ring:
    for ring in series.rings.values():
        if (ring.shape.slots - 2) * ring.shape.width_s >= window_s + LAG_S_MAX + AHEAD_S:
            return ring
    raise AssertionError(f"no level holds a window of {window_s} s; the longest is {WINDOW_S_MAX} s")


def _add_from(ring: Ring, bucket_s: int, rows: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
    bucket = bucket_s // ring.shape.width_s
    slots = ring.slots(max(bucket, ring.oldest), ring.head)
    ring.values[slots[:, None, None], np.arange(2)[None, :, None], rows[None, None, :]] += sums.astype(np.uint32)[None]
