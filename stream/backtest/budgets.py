"""What the replayed time has cost: the error budget of each tenant and objective at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

from detectors import windows
from schemas.journal import Tick
from schemas.slo import MILLION
from stream.core import sight
from stream.shard import ShardState


@dataclass(frozen=True, slots=True)
class Spent:
    """One row. `period_ppm` is the share of the period's budget that went, were the period's traffic as it was seen."""

    environment: str
    tenant: str
    service: str
    slo: str
    requests: int
    bad: int
    period_ppm: int


def spent(states: Sequence[ShardState], tick_ms: int) -> tuple[Spent, ...]:
    """Every row that the spec set names and that had a request, the most expensive first."""
    found = [one for state in states if state.specs is not None for one in _of_shard(state, tick_ms)]
    return tuple(sorted(found, key=lambda one: (-one.period_ppm, one.environment, one.tenant, one.service, one.slo)))


def _of_shard(state: ShardState, tick_ms: int) -> list[Spent]:
    seen = sight.see(state, Tick(tick_ms, state.mark))
    found = []
    for lane, row in enumerate(seen.plan.rows.tolist()):
        slo = seen.slo(lane)
        rows, end_s = seen.plan.rows[lane : lane + 1], seen.burn.end_s[lane : lane + 1]
        good, total = (int(count[0]) for count in windows.counts(state.rows, rows, end_s, slo.period_s))
        history_s = min(max(int(end_s[0]) - int(state.rows.columns["first_s"][row]), 1), slo.period_s)
        allowed = total * slo.period_s // history_s * (MILLION - slo.target_ppm) // MILLION
        environment, tenant, service, name, _ = state.rows.keys[row]
        if total:
            ppm = (total - good) * MILLION // allowed if allowed else 0
            found.append(Spent(environment, tenant, service, name, total, total - good, ppm))
    return found
