"""Connection pool exhausted: all connections in use, callers wait for one, and each is held no longer than before.

Do not believe it where connections are held longer: then the database behind the pool is slow and a larger pool feeds
it more.
Example: 32 connections of 180 ms serve 178 requests a second; at 273 a second callers wait until they give up.
Signature: OpenTelemetry db.client.connection.{count,max,pending_requests,wait_time,use_time,timeouts}.
"""

from math import isfinite, isnan, log2

from detectors.causes.finding import Finding, Suspicion, ramp
from detectors.evidence.case import Case, PoolCase, ratio
from schemas.runbook import Cause

PRIOR = -3.0
USE_FLAT, USE_UP = 1.2, 1.8  # held 20 % longer is noise (buckets, load); 80 % longer is another database
WAIT_FLOOR_S = 0.001  # waits below a millisecond are no waits


def score(case: Case) -> Suspicion | None:
    """The most exhausted pool of the case; None where no pool speaks."""
    suspicions = [_score(pool, case) for pool in case.pools if pool.now.seconds]
    return max(suspicions, key=lambda suspicion: (suspicion.log_odds, suspicion.suspect), default=None)


def _score(pool: PoolCase, case: Case) -> Suspicion:
    now, before = pool.now, pool.before
    wait_before = max(before.wait_s, WAIT_FLOOR_S) if isfinite(before.wait_s) else WAIT_FLOOR_S
    wait_up = ratio(now.wait_s, wait_before)
    use_up = ratio(now.use_s, before.use_s)
    seconds = case.last_s - case.first_s + 1
    timeouts_per_s = now.timeouts / seconds
    explained = ratio(timeouts_per_s, case.errors_per_s)
    findings = (
        Finding("used_of_max_ratio", now.saturated, before.saturated, 1.5 * ramp(now.saturated, 0.2, 0.8)),
        Finding("pending_requests", now.pending, before.pending, 1.5 * ramp(now.queued, 0.2, 0.8)),
        Finding("wait_time_s", now.wait_s, before.wait_s, 1.5 * ramp(log2(wait_up) if wait_up > 0 else 0.0, 1.0, 4.0)),
        Finding("timeouts_per_error_ratio", explained, 0.0, 1.5 * ramp(explained, 0.1, 0.6)),
        Finding("use_time_ratio", use_up, 1.0, -6.0 * (0.5 if isnan(use_up) else ramp(use_up, USE_FLAT, USE_UP))),
    )
    return Suspicion(
        Cause.POOL_EXHAUSTED, f"{pool.pool}@{pool.instance}", PRIOR + sum(f.weight for f in findings), findings
    )
