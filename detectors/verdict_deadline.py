"""How long a plan is watched before its verdict must fall, and whether its traffic can prove anything at all."""

from dataclasses import dataclass

import numpy as np

from detectors import binomial
from detectors import verdict_question as ask
from detectors import verdict_windows as windows

ALPHA_PPM = 500  # 5e-4 a look: about 20 looks share one per cent
EVIDENCE_MS_MIN = 20_000  # the ladder's fourth window; abandoned work has drained by half of it
EVIDENCE_MS_MAX = 600_000  # a person is better than a change that hangs unjudged for longer
COMPLETE_MS = 1_000  # a bucket is complete no sooner than this after its end


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time from the decision to the verdict, and what it takes to prove a success within it.

    `window_s` is the shortest window that expects enough requests, 0 where there is none: then not `provable`, and
    the plan says so before it is applied.
    """

    watch_ms: int
    provable: bool
    requests_needed: int
    window_s: int


def plan(p0_ppm: int, before: ask.Before, freshness_p99_ms: int, roll_out_ms: int, settle_ms: int = 1_000) -> Deadline:
    """The deadline of a plan, counted from its decision.

    Roll-out, settling and completeness come first, then 20 s of buckets, 3 ms for each ms by which telemetry is later
    than a second. At low traffic the buckets last until twice the needed requests have come, and a third longer than
    the window that holds them, so that what drains at the start falls out of it.
    """
    needed = binomial.clean_needed(p0_ppm / ask.PPM, ALPHA_PPM / ask.PPM)
    ladder = windows.LADDER_S
    enough = (ladder * before.rate_mps >= needed * 1_000) & (ladder >= windows.shortest_s(before.longest_clean_run_s))
    provable = bool(enough.any())
    window_s = int(ladder[np.argmax(enough)]) if provable else 0
    if provable:
        twice_ms = -(-2 * needed * 1_000_000 // before.rate_mps)
        evidence_ms = min(max(EVIDENCE_MS_MIN, twice_ms, window_s * 4_000 // 3), EVIDENCE_MS_MAX)
    else:
        evidence_ms = EVIDENCE_MS_MAX
    late_ms = 3 * max(0, freshness_p99_ms - COMPLETE_MS)
    return Deadline(roll_out_ms + settle_ms + COMPLETE_MS + evidence_ms + late_ms, provable, needed, window_s)
