"""How much was asked for, and how much of it was asked again: first attempts and resends, now and before the onset.

First attempts are requests less resends. Users who wait for their retries ask for nothing new, so a surge of people
shows in the seconds around the onset and hides in the storm that follows: besides the mean of now, the best two
seconds from shortly before the onset until just after it count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from detectors.evidence.skeletons import Attempts

LEAD_S = 10  # before the onset: a surge fills queues for some seconds before the first request fails
FOLLOW_S = 2  # after the onset: later, people who come back from a failure look like more people
PEAK_S = 2  # a single second is at the mercy of where it begins
QUIET_SECONDS_MIN = 10  # a baseline out of fewer is none
SIGMA_OF_MAD = 1.4826  # of a normal distribution
SIGMA_SHARE_MIN = 0.1  # a baseline calmer than a tenth of itself is luck
SIGMA_PER_S_MIN = 1.0


@dataclass(frozen=True, slots=True)
class Demand:
    """Rates per second; NaN where they are not known. `before` is the median second of the baseline."""

    offered: float
    offered_before: float
    good: float
    good_before: float
    first: float
    first_before: float
    deviation: float
    """Robust: how many of the baseline's own spreads `first` lies above its median."""
    told: bool
    """False: nobody says which requests are resends, so `first` counts only those that did not fail."""


@dataclass(frozen=True, slots=True)
class Resent:
    """Operations that were sent more than once; NaN where nobody says."""

    share: float
    """Resends of all requests, now."""
    share_before: float
    attempts: float
    """Mean attempts of an operation that was sent more than once, now."""
    attempts_before: float


UNTOLD = Resent(nan, nan, nan, nan)
NOTHING = Demand(nan, nan, nan, nan, nan, nan, nan, False)


def demand(
    requests: NDArray[np.int64],
    errors: NDArray[np.int64],
    resends: NDArray[np.int64] | None,
    first_s: int,
    onset_s: int,
    now_s: int,
    base_last_s: int,
) -> Demand:
    """Seconds first_s, first_s + 1 ... of one service; `resends` is None where nobody tells them.

    Now is now_s until the end, the baseline the first second with traffic until base_last_s.
    """
    good = requests - errors
    first = good if resends is None else np.maximum(requests - resends, 0)
    heard = np.flatnonzero(requests)
    begin, quiet_end, now = (int(heard[0]) if len(heard) else 0), base_last_s - first_s + 1, now_s - first_s
    if quiet_end - begin < QUIET_SECONDS_MIN or now >= len(requests):
        return NOTHING
    quiet = slice(begin, quiet_end)
    usual = float(np.median(first[quiet]))
    spread = SIGMA_OF_MAD * float(np.median(np.abs(first[quiet] - usual)))
    sigma = max(spread, SIGMA_SHARE_MIN * usual, SIGMA_PER_S_MIN)
    around = first[max(onset_s - LEAD_S - first_s, begin) : onset_s + FOLLOW_S - first_s]
    peak = float(np.convolve(around, np.full(PEAK_S, 1 / PEAK_S), "valid").max()) if len(around) >= PEAK_S else 0.0
    most = max(float(first[now:].mean()), peak)
    return Demand(
        offered=float(requests[now:].mean()),
        offered_before=float(np.median(requests[quiet])),
        good=float(good[now:].mean()),
        good_before=float(np.median(good[quiet])),
        first=most,
        first_before=usual,
        deviation=(most - usual) / sigma,
        told=resends is not None,
    )


def counted(now: NDArray[np.int64], before: NDArray[np.int64], requests: int, requests_before: int) -> Resent:
    """From resend counts: (2,) attempts and resends, and all requests, now and before."""
    return Resent(_part(now[1], requests), _part(before[1], requests_before), _tries(*now), _tries(*before))


def repeated(now: Sequence[Attempts], before: Sequence[Attempts]) -> Resent:
    """From traces, where an operation of one client is one trace. The mean is over all operations of the name with
    the most resends, sent again or not, so it is a lower bound."""
    (share, tries), (share_before, tries_before) = _of_traces(now), _of_traces(before)
    return Resent(share, share_before, tries, tries_before)


def _of_traces(served: Sequence[Attempts]) -> tuple[float, float]:
    most = max(served, key=lambda one: (one.spans - one.traces, one.spans), default=None)
    if most is None or most.spans == most.traces:
        return (0.0 if served else nan), nan
    resends = sum(one.spans - one.traces for one in served)
    return _part(resends, sum(one.spans for one in served)), most.spans / most.traces


def _part(count: int, total: int) -> float:
    return float(count / total) if total else nan


def _tries(attempts: int, resends: int) -> float:
    """Attempts of an operation that was sent more than once; where only later attempts fell into the window, all of
    them belong to one operation at least."""
    return float(attempts / max(attempts - resends, 1)) if attempts else nan
