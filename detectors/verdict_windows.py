"""The windows a verdict looks through: trailing sums of 3 s to 300 s that lie wholly after the change.

Trailing and not cumulative: work abandoned before the change drains with errors for 2 to 10 s, and a sum from the
start never forgets them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import verdict_question as ask

LADDER_S = np.array([3, 5, 10, 20, 60, 120, 300], dtype=np.int64)
STEP_S = np.array([1, 1, 1, 1, 6, 12, 30], dtype=np.int64)  # long windows: a tenth of their length, or looks add up
SHORTEST_S = 3  # one second may be luck, and a reload is uneven for two


@dataclass(frozen=True, slots=True, eq=False)
class Trailing:
    """Sums over every window at every second: arrays of (seconds, windows); row i ends after second i."""

    errors: NDArray[np.int64]
    n: NDArray[np.int64]
    fits: NDArray[np.bool_]
    due: NDArray[np.bool_]


def trailing(counts: ask.Counts) -> Trailing:
    """Sums of the windows that end at each second; `fits`: lies inside the counts, `due`: is looked at then."""
    end = np.arange(1, len(counts.total) + 1, dtype=np.int64)[:, None]
    start = end - LADDER_S
    fits = start >= 0
    start = np.maximum(start, 0)
    errors = np.concatenate(([0], np.cumsum(counts.errors)))
    n = np.concatenate(([0], np.cumsum(counts.total)))
    return Trailing(errors[end] - errors[start], n[end] - n[start], fits, fits & (end % STEP_S == 0))


def shortest_s(longest_clean_run_s: int) -> int:
    """The shortest window that counts: a fault that comes in bursts must not look cured between two of them."""
    return SHORTEST_S + 2 * longest_clean_run_s


def looks(length_s: int) -> int:
    """How many looks all windows take within so many seconds of buckets."""
    return int(np.maximum((length_s - LADDER_S) // STEP_S + 1, 0).sum())
