"""Memory of each instance, one figure every ten seconds for an hour: does it leak?

The rule is Coroot's: take the longest run without a drop by half (a restart, a great collection), and call it a leak
where the run rises, still rises in its last quarter, and has grown by a part of the limit that matters. Instances are
never summed: a rollout would look like a leak, and a leak in one of ten like noise.
"""

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series
from schemas.journal import Memory

CONTAINER, HEAP = "#container", "#heap"
"""Marks at the end of an instance's name, for the series that are not what its process holds."""
MEMORY_PER_SHARD_MAX = 10_000  # 63 MB at 6.3 kB each
STEP_S = 10  # leaks take minutes to years, and SDKs report every minute by default
# 65 minutes: an hour of history beside the incident's own minutes, as long as the hour of the page tier.
SHAPES = {"memory": Shape(STEP_S, 390, 2, "f8", Fill.NAN)}
FIELDS = {Memory.USED: 0, Memory.RESTARTS: 1}
_SCALARS = {"limit": ("f8", np.nan), "limit_ms": ("f8", np.nan), "heard_s": ("i8", -1)}

POINTS_MIN = 6  # a minute at one figure every step; fewer are an anecdote
COVERED_MIN = 0.8  # of the steps between the figures, each as long as the sender's own interval
DROP_MIN = 0.5  # a fall by more than half is another life of the process
LAST_QUARTER_MIN = 0.3  # of the whole slope: what flattens was a cache that filled up
GROWTH_OF_LIMIT_MIN = 0.05
GROWTH_OF_START_MIN = 0.1  # where no limit is told: limits are about twice the usual need, so this is the same amount


@dataclass(frozen=True, slots=True)
class Trend:
    """The longest run of one instance; bytes, NaN where it cannot be told."""

    points: int
    start: float
    end: float
    slope_per_s: float
    last_quarter_ratio: float
    """Slope of the last quarter by the slope of the whole."""
    leaks: bool


NO_TREND = Trend(0, nan, nan, nan, nan, False)


def table(head_s: int = 0) -> Series:
    """Keys are (environment, tenant, service, instance)."""
    return Series(SHAPES, _SCALARS, head_s)


def add(
    series: Series,
    rows: NDArray[np.int64],
    quantity: NDArray[np.uint8],
    time_ms: NDArray[np.int64],
    value: NDArray[np.float64],
) -> None:
    """Counts k points; the latest of a step stays. Rows may repeat. Left out: numbers that are none, and times ahead
    of the head."""
    ring = series.rings["memory"]
    bucket = time_ms // (STEP_S * 1000)
    order = np.lexsort((time_ms, rows))
    order = order[np.isfinite(value[order]) & ring.holds(bucket[order])]
    rows, quantity, time_ms, value = rows[order], quantity[order], time_ms[order], value[order]
    bucket = bucket[order]
    for kind, field in FIELDS.items():
        here = quantity == kind
        ring.values[bucket[here] % ring.shape.slots, field, rows[here]] = value[here]
    limits = np.flatnonzero((quantity == Memory.LIMIT) & (value > 0))
    newer = limits[~(time_ms[limits] < series.columns["limit_ms"][rows[limits]])]
    series.columns["limit"][rows[newer]], series.columns["limit_ms"][rows[newer]] = value[newer], time_ms[newer]
    np.maximum.at(series.columns["heard_s"], rows, time_ms // 1000)
    series.touch(rows)


def limit(series: Series, row: int) -> float:
    """The last limit that was told, NaN for none."""
    return float(series.columns["limit"][row])


def values(series: Series, row: int, kind: Memory, last_s: int) -> NDArray[np.float64]:
    """(n,) figures of the steps that ended before or at `last_s`, oldest first, NaN where nothing was said."""
    ring = series.rings["memory"]
    last = min((last_s + 1) // STEP_S - 1, ring.head)
    if last < ring.oldest:
        return np.zeros(0)
    found: NDArray[np.float64] = ring.values[ring.slots(ring.oldest, last), FIELDS[kind], row]
    return found


def trend(used: NDArray[np.float64], bound: float) -> Trend:
    """The rule on (n,) figures, one a step; `bound` is the limit, NaN for none."""
    at = np.flatnonzero(np.isfinite(used))
    if len(at) < POINTS_MIN:
        return NO_TREND
    interval = float(np.median(np.diff(at)))
    begin, end = _longest_run(used[at])
    run, when = used[at][begin:end], (at[begin:end] * STEP_S).astype(np.float64)
    if len(run) < max(POINTS_MIN, COVERED_MIN * ((when[-1] - when[0]) / (STEP_S * interval) + 1)):
        return NO_TREND
    quarter = max(len(run) // 4, 2)
    slope, last = _slope(when, run), _slope(when[-quarter:], run[-quarter:])
    ratio = last / slope if slope > 0 else nan
    growth = slope * float(when[-1] - when[0])
    enough = GROWTH_OF_LIMIT_MIN * bound if isfinite(bound) else GROWTH_OF_START_MIN * float(run[0])
    leaks = slope > 0 and ratio >= LAST_QUARTER_MIN and growth >= max(enough, 1.0)
    return Trend(len(run), float(run[0]), float(run[-1]), slope, ratio, leaks)


def _longest_run(used: NDArray[np.float64]) -> tuple[int, int]:
    """Bounds of the longest run without a drop; of equally long ones the latest."""
    cuts = np.flatnonzero(used[1:] < (1 - DROP_MIN) * used[:-1]) + 1
    bounds = np.concatenate([[0], cuts, [len(used)]])
    lengths = np.diff(bounds)
    longest = len(lengths) - 1 - int(np.argmax(lengths[::-1]))
    return int(bounds[longest]), int(bounds[longest + 1])


def _slope(when: NDArray[np.float64], used: NDArray[np.float64]) -> float:
    """Least squares, bytes a second."""
    centred = when - when.mean()
    spread = float(centred @ centred)
    return float(centred @ (used - used.mean())) / spread if spread > 0 else 0.0
