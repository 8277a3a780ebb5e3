"""Does the success last? The closing test of an effective plan, and the time at which the fault was over.

A fault that comes in bursts passes the first test now and then; the second reads every second since, asks for less
burn than the slow page tier allows, and gives nothing back before 15 s.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from detectors import binomial
from detectors import verdict_question as ask
from detectors import verdict_windows as windows
from detectors.verdict_deadline import ALPHA_PPM

CONFIRM_S_MIN = 15  # longer than a retry storm's wave of about 10 s
CONFIRM_S_MAX = 60  # the command's confirm deadline leaves this long and 30 s more
RECOVERED_S = 3  # clean seconds running


class Standing(StrEnum):
    CONFIRMED = "confirmed"
    RELAPSE = "relapse"
    WAIT = "wait"
    KEEP_OPEN = "keep_open"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How an effective plan stands at `at_s`, and the numbers that say so.

    `window_s` is the relapse's window, else all seconds since the verdict; `p_value` tests against `against_ppm`: p0
    for a relapse, the slow page tier's share for everything else.
    """

    standing: Standing
    at_s: int
    window_s: int
    errors: int
    n: int
    residual_ppm: int
    against_ppm: int
    p_value: float
    p_value_ppm: int
    traffic_ok: bool


def confirm(question: ask.Question, counts: ask.Counts, effective_at_s: int, now_s: int) -> Confirmation:
    """How a plan judged effective at `effective_at_s` stands at `now_s`, the end of the last complete second.

    Like `verdict.look` it goes through every second in order. RELAPSE: proven above p0 again in a trailing window.
    CONFIRMED: at least 15 s, with their traffic, that together prove a burn below the slow page tier. KEEP_OPEN:
    neither within 60 s, so the change stays and a person takes over.
    """
    end_s = effective_at_s + CONFIRM_S_MAX
    fresh = counts.between(effective_at_s, min(now_s, end_s))
    undecided = Standing.KEEP_OPEN if now_s >= end_s else Standing.WAIT
    if not len(fresh.total):
        return _confirmation(undecided, fresh.end_s, (0, 0, 0), question.confirm_ppm, 1.0, traffic_ok=False)

    sums = windows.trailing(fresh)
    above = np.ones(sums.due.shape)
    above[sums.due] = binomial.at_least(sums.errors[sums.due], sums.n[sums.due], question.p0_ppm / ask.PPM)
    relapse = above * ask.PPM <= ALPHA_PPM

    seconds = np.arange(1, len(fresh.total) + 1, dtype=np.int64)
    errors, n = np.cumsum(fresh.errors), np.cumsum(fresh.total)
    traffic = ask.has_traffic(n, seconds, question.before.rate_mps)
    below = binomial.at_most(errors, n, question.confirm_ppm / ask.PPM)
    quiet = (seconds >= CONFIRM_S_MIN) & traffic & (below * ask.PPM <= ALPHA_PPM)

    ended = relapse.any(axis=1) | quiet
    row = int(np.argmax(ended)) if ended.any() else len(seconds) - 1
    at_s, traffic_ok = fresh.start_s + row + 1, bool(traffic[row])
    if relapse[row].any():
        column = int(np.flatnonzero(relapse[row])[-1])
        seen = (int(windows.LADDER_S[column]), int(sums.errors[row, column]), int(sums.n[row, column]))
        p_value = float(above[row, column])
        return _confirmation(Standing.RELAPSE, at_s, seen, question.p0_ppm, p_value, traffic_ok=traffic_ok)
    standing = Standing.CONFIRMED if quiet[row] else undecided
    seen = (row + 1, int(errors[row]), int(n[row]))
    return _confirmation(standing, at_s, seen, question.confirm_ppm, float(below[row]), traffic_ok=traffic_ok)


def recovered_s(question: ask.Question, counts: ask.Counts) -> int | None:
    """The end of the first of three clean seconds running since the change was live; None while there are none.

    Mitigated after (MTTM) = this less the onset.
    """
    since = counts.between(-(-question.live_ms // 1_000), counts.end_s)
    clean = ask.clean_seconds(since, question.p0_ppm, question.before.rate_mps)
    if len(clean) < RECOVERED_S:
        return None
    runs = np.lib.stride_tricks.sliding_window_view(clean, RECOVERED_S).all(axis=1)
    return since.start_s + int(np.argmax(runs)) + 1 if runs.any() else None


def _confirmation(
    standing: Standing, at_s: int, seen: tuple[int, int, int], against_ppm: int, p_value: float, *, traffic_ok: bool
) -> Confirmation:
    window_s, errors, n = seen
    return Confirmation(
        standing=standing,
        at_s=at_s,
        window_s=window_s,
        errors=errors,
        n=n,
        residual_ppm=errors * ask.PPM // n if n else 0,
        against_ppm=against_ppm,
        p_value=p_value,
        p_value_ppm=math.ceil(p_value * ask.PPM),
        traffic_ok=traffic_ok,
    )
