"""Memory leak: an instance's memory rose steadily before the trouble began, and is now at its limit or was killed.

Do not believe it on growth since the onset: queues and retries hold memory too, so the trend ends before it. Nor on a
leak that has room left: it may be true and still not be what burns.
Example: a worker that keeps 2 MB of each import and reaches its container's 512 MB after three hours.
Signature: process.memory.usage, container.memory.working_set or jvm.memory.used_after_last_gc against their limits,
k8s.container.restart.count; the rule of evidence/memory.
"""

from math import isfinite, nan

from detectors.causes.finding import Finding, Suspicion, ramp
from detectors.causes.pool_exhausted import PRIOR
from detectors.evidence.case import Case, MemoryCase, ratio
from schemas.runbook import Cause

FULL_SOME, FULL_MOST = 0.8, 0.95  # of the limit: collectors and page caches begin to fight for the rest
GROWN_SOME, GROWN_MOST = 1.25, 1.75  # of the run's start, where no limit is told: limits are about twice the usual need


def score(case: Case) -> Suspicion | None:
    """The instance that leaks most; None where no instance has told its memory for long enough."""
    suspicions = [_score(one) for one in case.memory if one.trend.points]
    return max(suspicions, key=lambda suspicion: (suspicion.log_odds, suspicion.suspect), default=None)


def _score(one: MemoryCase) -> Suspicion:
    trend, leaks = one.trend, float(one.trend.leaks)
    highest = max(one.now, trend.end)
    full = ratio(highest, one.limit) if isfinite(one.limit) else nan
    grown = ratio(highest, trend.start)
    tight = ramp(full, FULL_SOME, FULL_MOST) if isfinite(full) else ramp(grown, GROWN_SOME, GROWN_MOST)
    killed = ramp(one.restarts, 0.0, 1.0)
    findings = (
        Finding("slope_bytes_per_s", trend.slope_per_s, 0.0, 3.0 * leaks),
        Finding("last_quarter_slope_ratio", trend.last_quarter_ratio, nan, 0.0),
        Finding("used_bytes", one.now, trend.start, 0.0),
        Finding("used_of_limit_ratio", full, ratio(trend.start, one.limit), 2.0 * leaks * tight),
        Finding("restarts", one.restarts, 0.0, 1.5 * leaks * killed),
    )
    return Suspicion(Cause.MEMORY_LEAK, one.instance, PRIOR + sum(f.weight for f in findings), findings)
