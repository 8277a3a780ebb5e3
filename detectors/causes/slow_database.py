"""Slow database: each connection is held longer than before and the calls to it take longer.

Its pool fills up as a consequence, so a full pool says nothing against it. Do not believe it on one signal where the
other contradicts, nor on calls that are none to a database: those are a dependency's.
Example: a replica whose queries take 900 ms instead of 180 ms.
Signature: OpenTelemetry db.client.connection.use_time and the durations of CLIENT spans with db.* attributes.
"""

from math import isfinite

from detectors.calls import Call
from detectors.causes.finding import Finding, Suspicion, ramp
from detectors.causes.pool_exhausted import PRIOR, USE_FLAT, USE_UP
from detectors.evidence.case import CallCase, Case, PoolCase, ratio
from schemas.runbook import Cause

CALLS_PER_S_MIN = 1.0  # a mean over fewer calls is an anecdote


def score(case: Case) -> Suspicion | None:
    """The slowest database of the case; None where neither pools nor database calls speak."""
    pool = max((p for p in case.pools if isfinite(_use(p))), key=_use, default=None)
    call = max((c for c in case.calls if c.kind is Call.DATABASE and isfinite(slower(c))), key=slower, default=None)
    if pool is None and call is None:
        return None
    use_up = _use(pool) if pool else float("nan")
    call_up = slower(call) if call else float("nan")
    use_weight, call_weight = ramp(use_up, USE_FLAT, USE_UP), ramp(call_up, USE_FLAT, USE_UP)
    findings = (
        Finding("use_time_ratio", use_up, 1.0, 5.0 * max(use_weight, call_weight if pool is None else 0.0)),
        Finding(
            "database_call_duration_ratio", call_up, 1.0, 2.0 * call_weight - (2.0 if call and not call_weight else 0.0)
        ),
    )
    suspect = f"{pool.pool}@{pool.instance}" if pool else call.name if call else ""
    return Suspicion(Cause.SLOW_DATABASE, suspect, PRIOR + sum(f.weight for f in findings), findings)


def slower(call: CallCase) -> float:
    """How many times as long the calls take as before; NaN where there are too few of them."""
    return (
        ratio(call.now_us, call.before_us)
        if min(call.now_per_s, call.before_per_s) >= CALLS_PER_S_MIN
        else float("nan")
    )


def _use(pool: PoolCase) -> float:
    return ratio(pool.now.use_s, pool.before.use_s)
