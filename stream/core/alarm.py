"""Which rows alarm: their newest seconds alone burn faster than the act tier allows, well before that tier fires."""

import numpy as np
from numpy.typing import NDArray

from detectors import windows
from schemas.slo import Severity
from stream.core.sight import Sight
from stream.shard import ShardState

FAILURES_MIN = 2  # one failure among few requests is no alarm


def lanes(sight: Sight) -> NDArray[np.int64]:
    """Places of the rows that alarm at this tick."""
    plan, burn = sight.plan, sight.burn
    if not len(plan.rows) or not len(plan.factor):
        return np.zeros(0, np.int64)
    place = np.arange(len(plan.rows))
    total, good = burn.total[plan.short[0], place], burn.good[plan.short[0], place]
    acts = np.array([bool(slo.tiers) and slo.tiers[0].severity is Severity.ACT for slo in sight.slos])[plan.slos]
    return np.flatnonzero(acts & (total - good >= FAILURES_MIN) & (burn.rate[plan.short[0], place] > plan.factor[0]))


def begins(shard: ShardState, sight: Sight) -> bool:
    """True at the first tick after a second whose end made a row alarm that had not done so a second before."""
    plan, now = sight.plan, lanes(sight)
    ticks = shard.clock.ticks
    if not len(now) or len(ticks) < 2:
        return False
    end_s = sight.burn.end_s[now]
    fresh = (ticks[-2][1] - sight.freshness_ms[now]) // 1000 < end_s
    now, end_s = now[fresh], end_s[fresh]
    calm = np.zeros(len(now), np.bool_)
    for window in np.unique(plan.short[0, now]).tolist():
        here = np.flatnonzero(plan.short[0, now] == window)
        rows = plan.rows[now[here]]
        good, total = windows.counts(shard.rows, rows, end_s[here] - 1, plan.window_s[window])
        bad = total - good
        burned = bad > total * plan.budget[now[here]] * plan.factor[0, now[here]]
        calm[here] = ~(burned & (bad >= FAILURES_MIN))
    return bool(calm.any())
