"""What a verdict is asked about: the burn before, the change, the time, and the fresh counts since.

All shares are parts per million, all rates thousandths of a request per second, all factors thousandths, all times
integers of event time: the numbers decided on are the numbers published.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PPM = 1_000_000
RATE_ONSET_S = 60  # enough seconds to even out a bursty minute, and they fit in the 2 min of 1 s buckets with an onset
RATE_DECISION_S = 20  # long enough to average a retry storm's waves of about 10 s, short enough to be "now"


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Complete 1 s buckets of one (tenant, SLO): consecutive seconds, the first begins at start_s."""

    start_s: int
    good: NDArray[np.int64]
    total: NDArray[np.int64]

    def __post_init__(self) -> None:
        assert self.good.ndim == 1
        assert self.good.shape == self.total.shape
        assert bool(np.all(self.good <= self.total)), "more good requests than requests"

    @property
    def end_s(self) -> int:
        return self.start_s + len(self.total)

    @property
    def errors(self) -> NDArray[np.int64]:
        return np.asarray(self.total - self.good, dtype=np.int64)

    def between(self, from_s: int, to_s: int) -> "Counts":
        """The part of the buckets that lies in [from_s, to_s); empty where there is none."""
        from_s = min(max(from_s, self.start_s), self.end_s)
        low, high = from_s - self.start_s, max(from_s, min(to_s, self.end_s)) - self.start_s
        return Counts(from_s, self.good[low:high], self.total[low:high])


@dataclass(frozen=True, slots=True)
class Before:
    """The burn as it was before the change, frozen in the incident at the decision."""

    onset_s: int
    decided_s: int
    errors: int
    total: int
    rate_before_onset_mps: int
    rate_before_decision_mps: int
    longest_clean_run_s: int

    @property
    def share_ppm(self) -> int:
        return self.errors * PPM // self.total if self.total else 0

    @property
    def rate_mps(self) -> int:
        """The traffic to expect: the smaller of the two rates, since a retry storm inflates one of them."""
        return min(self.rate_before_onset_mps, self.rate_before_decision_mps)


@dataclass(frozen=True, slots=True)
class Question:
    """Did this plan help? `tier_factor_milli` belongs to the tier that fired, `live_ms` is the actuator's own time."""

    target_ppm: int
    tier_factor_milli: int
    live_ms: int
    deadline_ms: int
    before: Before
    settle_ms: int = 1_000
    fast_page_factor_milli: int = 14_400
    slow_page_factor_milli: int = 6_000

    def __post_init__(self) -> None:
        assert 0 < self.confirm_ppm <= self.p0_ppm < PPM, "a tier at or above 1/(1 - target) can never fire"

    @property
    def p0_ppm(self) -> int:
        """The error share at which the fault would still count as burning."""
        return p0_ppm(self.target_ppm, self.tier_factor_milli, self.fast_page_factor_milli)

    @property
    def confirm_ppm(self) -> int:
        """The error share below which the incident may be closed: the slow page tier's."""
        return p0_ppm(self.target_ppm, self.slow_page_factor_milli, self.tier_factor_milli)

    @property
    def first_s(self) -> int:
        """The first second that lies wholly after the change has settled."""
        return -(-(self.live_ms + self.settle_ms) // 1_000)


def p0_ppm(target_ppm: int, factor_milli: int, factor_milli_max: int = 14_400) -> int:
    """The error share of a burn at the given factor, at most that of factor_milli_max."""
    return (PPM - target_ppm) * min(factor_milli, factor_milli_max) // 1_000


def has_traffic(total: NDArray[np.int64], length_s: NDArray[np.int64] | int, rate_mps: int) -> NDArray[np.bool_]:
    """True where at least half of the expected traffic came; silence is never a success."""
    return np.asarray((total > 0) & (2_000 * total >= rate_mps * np.asarray(length_s)), dtype=np.bool_)


def clean_seconds(counts: Counts, share_ppm: int, rate_mps: int) -> NDArray[np.bool_]:
    """True for each second with its traffic and at most the given share of errors."""
    below = counts.errors * PPM <= share_ppm * counts.total
    return np.asarray(below & has_traffic(counts.total, 1, rate_mps), dtype=np.bool_)


def longest_run(clean: NDArray[np.bool_]) -> int:
    """The length of the longest run of true elements."""
    edges = np.flatnonzero(np.concatenate(([True], ~clean, [True])))
    return int(np.max(np.diff(edges))) - 1


def freeze(counts: Counts, onset_s: int, decided_s: int, share_ppm: int) -> Before:
    """The burn before a decision, from the buckets around it; what lies outside the buckets is left out.

    `share_ppm` is p0: seconds at or below it are the clean ones. Where no bucket lies before the onset, the rate at
    the decision stands for both.
    """
    burning = counts.between(onset_s, decided_s)
    decision_mps = _rate_mps(counts.between(max(onset_s, decided_s - RATE_DECISION_S), decided_s))
    calm = counts.between(onset_s - RATE_ONSET_S, onset_s)
    onset_mps = _rate_mps(calm) if len(calm.total) else decision_mps
    clean = clean_seconds(burning, share_ppm, min(onset_mps, decision_mps))
    return Before(
        onset_s=onset_s,
        decided_s=decided_s,
        errors=int(burning.errors.sum()),
        total=int(burning.total.sum()),
        rate_before_onset_mps=onset_mps,
        rate_before_decision_mps=decision_mps,
        longest_clean_run_s=longest_run(clean),
    )


def _rate_mps(counts: Counts) -> int:
    return int(counts.total.sum()) * 1_000 // max(len(counts.total), 1)
