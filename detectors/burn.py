"""How fast each row burns its error budget, in every window of every tier, and which tiers fire.

Burn rate = share of bad events / (1 - target) (SRE workbook, chapter 5). A tier fires where both of its windows burn
strictly faster than its factor and its long window holds enough events that a single failure could not have fired it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import windows
from detectors.series import Series
from schemas.slo import Severity, Slo

TIERS_PER_SLO_MAX = 8  # the defaults are five; one byte of flags a row and tick


@dataclass(frozen=True, slots=True)
class Book:
    """Budgets and tiers of all rows that have an SLO, as columns; made anew when rows or specs change.

    rows (k,) in the windows' table; slos (k,) place of each row's SLO. factor, long, short are (tiers, k); the last
    two are places in `window_s`. Unused tiers have an infinite factor.
    """

    rows: NDArray[np.int64]
    slos: NDArray[np.int64]
    budget: NDArray[np.float64]
    window_s: tuple[int, ...]
    factor: NDArray[np.float64]
    long: NDArray[np.int64]
    short: NDArray[np.int64]
    acting_s: NDArray[np.int64]
    """(k,) longest window, in seconds, of a tier that may lead to a change; the longest of all where none may."""


@dataclass(frozen=True, slots=True)
class Burn:
    """One tick's figures. good, total: (windows, k) counts; rate: (windows, k) burn rates, 0 without traffic; fires,
    thin: (tiers, k)."""

    end_s: NDArray[np.int64]
    good: NDArray[np.int64]
    total: NDArray[np.int64]
    coverage: NDArray[np.float64]
    rate: NDArray[np.float64]
    fires: NDArray[np.bool_]
    thin: NDArray[np.bool_]
    """Too few events in the long window: one failure alone would exceed the factor."""


def book(slos: Sequence[Slo], rows: NDArray[np.int64], slo_of_row: NDArray[np.int64]) -> Book:
    """Columns for `rows` (k,), whose SLOs are slos[slo_of_row[i]]."""
    window_s = tuple(sorted({length for slo in slos for tier in slo.tiers for length in (tier.long_s, tier.short_s)}))
    tiers = max((len(slo.tiers) for slo in slos), default=0)
    factor = np.full((tiers, len(slos)), np.inf)
    long, short = np.zeros((tiers, len(slos)), np.int64), np.zeros((tiers, len(slos)), np.int64)
    for place, slo in enumerate(slos):
        for level, tier in enumerate(slo.tiers):
            factor[level, place] = tier.factor_milli / 1000
            long[level, place], short[level, place] = window_s.index(tier.long_s), window_s.index(tier.short_s)
    budget = np.array([float(slo.budget) for slo in slos])
    acting_s = np.array([_acting_s(slo) for slo in slos], np.int64)
    return Book(
        rows,
        slo_of_row,
        budget[slo_of_row],
        window_s,
        factor[:, slo_of_row],
        long[:, slo_of_row],
        short[:, slo_of_row],
        acting_s[slo_of_row],
    )


def rates(series: Series, plan: Book, end_s: NDArray[np.int64]) -> Burn:
    """Burn of all rows of `plan` over windows that end at `end_s` (k,) seconds.

    Where a window is longer than the row's history, the missing part counts as good at the observed rate.
    """
    k = len(plan.rows)
    good, total = np.zeros((len(plan.window_s), k), np.int64), np.zeros((len(plan.window_s), k), np.int64)
    coverage = np.zeros((len(plan.window_s), k))
    for place, length in enumerate(plan.window_s):
        good[place], total[place] = windows.counts(series, plan.rows, end_s, length)
        coverage[place] = windows.coverage(series, plan.rows, end_s, length)
    share = np.divide((total - good) * coverage, total, out=np.zeros_like(coverage), where=total > 0)
    rate = share / plan.budget
    lane = np.arange(k)
    long_rate, short_rate = rate[plan.long, lane], rate[plan.short, lane]
    with np.errstate(invalid="ignore"):  # an unused tier without events: nothing times infinity, which fires nothing
        thin = total[plan.long, lane] * plan.factor * plan.budget <= 1.0
    fires = (long_rate > plan.factor) & (short_rate > plan.factor) & ~thin
    return Burn(end_s, good, total, coverage, rate, fires, thin)


def firing(burn: Burn, plan: Book, slos: Sequence[Slo], lane: int, severities: frozenset[Severity]) -> tuple[int, ...]:
    """Places of the tiers of one row that fire and have one of `severities`, the first listed first."""
    tiers = slos[int(plan.slos[lane])].tiers
    return tuple(level for level, tier in enumerate(tiers) if tier.severity in severities and burn.fires[level, lane])


def milli(rate: float) -> int:
    """A burn rate as canonical forms carry it."""
    return round(rate * 1000)


def _acting_s(slo: Slo) -> int:
    may = {Severity.ACT, Severity.PAGE} if slo.page_acts else {Severity.ACT}
    return max(
        (tier.long_s for tier in slo.tiers if tier.severity in may),
        default=max((tier.long_s for tier in slo.tiers), default=0),
    )
