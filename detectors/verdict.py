"""Did the change help? An exact test of fresh 1 s buckets against the burn before.

A look at each complete second over trailing windows, each with a chance of ALPHA_PPM to err. `effective` and `harmful`
fall at the first look that proves them, the others at the deadline. The alert windows are not read: they stay hot for
minutes after a fix. Everything follows from target, tiers and alpha; `benchmarks.verdict` measures how often it errs.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from detectors import binomial
from detectors import verdict_question as ask
from detectors import verdict_windows as windows
from detectors.verdict_deadline import ALPHA_PPM, EVIDENCE_MS_MIN

NO_CONTROL = "no control"  # fewer than two untouched tenants to compare with: the verdict rests on its own test

HARM_PPM = 10_000  # all looks for harm together: what comes of nothing but chance in one plan of a hundred


class Verdict(StrEnum):
    EFFECTIVE = "effective"
    PARTIAL = "partial"
    INEFFECTIVE = "ineffective"
    HARMFUL = "harmful"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"


class Reason(StrEnum):
    NO_WINDOW_YET = "no_window_yet"
    NOT_PROVEN_YET = "not_proven_yet"
    BELOW_FAST_PAGE = "below_fast_page"
    WORSE_THAN_BEFORE = "worse_than_before"
    BETTER_STILL_BURNING = "better_still_burning"
    NOT_BETTER = "not_better"
    TRAFFIC_MISSING = "traffic_missing"
    TOO_FEW_REQUESTS = "too_few_requests"
    CLEAN_RUNS_TOO_LONG = "clean_runs_too_long"
    CONTROL_ALIKE = "control_alike"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, or None while the watch goes on, with the window it rests on and every number of its test.

    `at_s` ends the last second looked at. `p_value` is that of the claim named by the reason, 1 where none was made;
    `p_value_ppm` is rounded up. `traffic_ratio_milli` is the window's rate over the expected one (1000: as expected,
    or nothing to expect).
    """

    verdict: Verdict | None
    reason: Reason
    at_s: int
    window_s: int
    errors: int
    n: int
    residual_ppm: int
    before_ppm: int
    p0_ppm: int
    p_value: float
    p_value_ppm: int
    traffic_ratio_milli: int
    window_s_min: int
    control: str = NO_CONTROL


def look(question: ask.Question, counts: ask.Counts, now_s: int) -> Judgement:
    """The verdict at `now_s`, the end of the last complete second; None in it means: go on watching.

    Every second since the change settled is looked at in its order, so it does not matter how often this is called or
    how many seconds came at once. Counts beyond `now_s` or the deadline are not read.
    """
    deadline_s = question.deadline_ms // 1_000
    fresh = counts.between(question.first_s, min(now_s, deadline_s))
    if len(fresh.total):
        sums = windows.trailing(fresh)
        at_once = _at_once(question, fresh, sums)
        if at_once is not None:
            return at_once
        if sums.fits[-1].any():
            return _at_end(question, fresh, sums, final=now_s >= deadline_s)
    verdict = Verdict.INCONCLUSIVE if now_s >= deadline_s else None
    return _judgement(question, fresh.end_s, verdict, Reason.NO_WINDOW_YET)


def _at_once(question: ask.Question, fresh: ask.Counts, sums: windows.Trailing) -> Judgement | None:
    """The first second whose look proves a success or a harm; harm goes first where one second proves both."""
    harmful = _harmful(question, sums)
    effective = _effective(question, sums)
    decided = (harmful | effective).any(axis=1)
    if not decided.any():
        return None
    row = int(np.argmax(decided))
    at_s = fresh.start_s + row + 1
    if harmful[row].any():
        cell = (row, _longest(harmful[row]))
        before = question.before
        tail = binomial.more_than(sums.errors[cell], sums.n[cell], before.errors, before.total)
        return _judgement(question, at_s, Verdict.HARMFUL, Reason.WORSE_THAN_BEFORE, sums, cell, float(tail))
    cell = (row, _longest(effective[row]))
    tail = binomial.at_most(sums.errors[cell], sums.n[cell], question.p0_ppm / ask.PPM)
    return _judgement(question, at_s, Verdict.EFFECTIVE, Reason.BELOW_FAST_PAGE, sums, cell, float(tail))


def _effective(question: ask.Question, sums: windows.Trailing) -> NDArray[np.bool_]:
    """Where the burn is proven below p0, in a window that counts, with its traffic there."""
    before = question.before
    asked = sums.due & _long_enough(windows.shortest_s(before.longest_clean_run_s))
    asked &= ask.has_traffic(sums.n, windows.LADDER_S, before.rate_mps)
    proven = np.zeros_like(asked)
    tails = binomial.at_most(sums.errors[asked], sums.n[asked], question.p0_ppm / ask.PPM)
    proven[asked] = tails * ask.PPM <= ALPHA_PPM
    return proven


def _harmful(question: ask.Question, sums: windows.Trailing) -> NDArray[np.bool_]:
    """Where the burn is proven above the one before, and has taken at least a third of what was still good.

    Both burns are counted, so both are uncertain: Fisher's exact test, and all looks until the deadline share one per
    cent. A window that counts here is never longer than the shortest deadline: harm must not wait for a long window.
    """
    before = question.before
    shortest_s = min(windows.shortest_s(before.longest_clean_run_s), EVIDENCE_MS_MIN // 1_000)
    much_worse = 3 * ask.PPM * sums.errors >= sums.n * (2 * before.share_ppm + ask.PPM)
    asked = sums.due & _long_enough(shortest_s) & much_worse & (sums.n > 0) & (before.total > 0)
    looks = max(1, windows.looks(question.deadline_ms // 1_000 - question.first_s))
    proven = np.zeros_like(asked)
    if asked.any():
        tails = binomial.more_than(sums.errors[asked], sums.n[asked], before.errors, before.total)
        proven[asked] = tails * looks * ask.PPM <= HARM_PPM
    return proven


def _at_end(question: ask.Question, fresh: ask.Counts, sums: windows.Trailing, *, final: bool) -> Judgement:
    """What the last second's windows say when nothing was proven at once: a verdict if final, else the numbers."""
    before = question.before
    fits = sums.fits[-1]
    present = fits & ask.has_traffic(sums.n[-1], windows.LADDER_S, before.rate_mps)
    asked = present & _long_enough(windows.shortest_s(before.longest_clean_run_s))
    last = (sums.errors[-1], sums.n[-1])
    tails = binomial.at_most(*last, before.share_ppm / ask.PPM) if before.total else np.ones(len(fits))
    better = asked & (tails * ask.PPM <= ALPHA_PPM) & (2 * ask.PPM * last[0] <= last[1] * before.share_ppm)
    cleanest = binomial.at_most(np.zeros_like(last[1]), last[1], before.share_ppm / ask.PPM)
    enough = asked & (cleanest * ask.PPM <= ALPHA_PPM) & (before.total > 0)

    verdict: Verdict | None
    if not final:
        verdict, reason, of = None, Reason.NOT_PROVEN_YET, fits
    elif not present.any():
        verdict, reason, of = Verdict.NO_DATA, Reason.TRAFFIC_MISSING, fits
    elif not asked.any():
        verdict, reason, of = Verdict.INCONCLUSIVE, Reason.CLEAN_RUNS_TOO_LONG, present
    elif not enough.any():
        verdict, reason, of = Verdict.INCONCLUSIVE, Reason.TOO_FEW_REQUESTS, asked
    elif better.any():
        verdict, reason, of = Verdict.PARTIAL, Reason.BETTER_STILL_BURNING, better
    else:
        verdict, reason, of = Verdict.INEFFECTIVE, Reason.NOT_BETTER, enough
    cell = (len(sums.n) - 1, _longest(of))
    tail = float(tails[cell[1]]) if verdict in (Verdict.PARTIAL, Verdict.INEFFECTIVE) else 1.0
    return _judgement(question, fresh.end_s, verdict, reason, sums, cell, tail)


def _long_enough(shortest_s: int) -> NDArray[np.bool_]:
    ladder_s = windows.LADDER_S
    return np.asarray(ladder_s >= shortest_s, dtype=np.bool_)


def _longest(of: NDArray[np.bool_]) -> int:
    """The longest of the marked windows: the one with the most evidence."""
    return int(np.flatnonzero(of)[-1])


def _judgement(
    question: ask.Question,
    at_s: int,
    verdict: Verdict | None,
    reason: Reason,
    sums: windows.Trailing | None = None,
    cell: tuple[int, int] = (0, 0),
    p_value: float = 1.0,
) -> Judgement:
    errors, n, window_s = 0, 0, 0
    if sums is not None:
        errors, n, window_s = int(sums.errors[cell]), int(sums.n[cell]), int(windows.LADDER_S[cell[1]])
    expected_mps = question.before.rate_mps * window_s
    return Judgement(
        verdict=verdict,
        reason=reason,
        at_s=at_s,
        window_s=window_s,
        errors=errors,
        n=n,
        residual_ppm=errors * ask.PPM // n if n else 0,
        before_ppm=question.before.share_ppm,
        p0_ppm=question.p0_ppm,
        p_value=p_value,
        p_value_ppm=math.ceil(p_value * ask.PPM),
        traffic_ratio_milli=n * ask.PPM // expected_mps if expected_mps else 1_000,
        window_s_min=windows.shortest_s(question.before.longest_clean_run_s),
    )
