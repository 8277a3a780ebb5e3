"""Figures of a tick in the forms that events carry them: burn of each tier, budget, latency."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from actuators.policy.incident import Incident
from detectors import burn, latency, traffic, windows
from detectors.causes.finding import Finding, milli
from detectors.diagnosis import Diagnosis
from schemas.events import AmplifierRow, Budget, CauseRow, FindingRow, Latency, TierBurn
from schemas.slo import HOUR_S, MILLION
from stream.core.sight import Sight
from stream.shard import ShardState

P99_PPM = 990_000
P99_WINDOW_S = 5
SHARE_S = 10  # the share of failures "now": long enough for a mean, short enough to follow a recovery


def tiers(sight: Sight, lane: int) -> tuple[TierBurn, ...]:
    """Every tier of the row's SLO with both of its burn rates."""
    plan, rates = sight.plan, sight.burn
    return tuple(
        TierBurn(
            name=tier.name,
            severity=tier.severity.value,
            factor_milli=tier.factor_milli,
            long_s=tier.long_s,
            short_s=tier.short_s,
            long_milli=burn.milli(float(rates.rate[plan.long[level, lane], lane])),
            short_milli=burn.milli(float(rates.rate[plan.short[level, lane], lane])),
            fires=bool(rates.fires[level, lane]),
        )
        for level, tier in enumerate(sight.slo(lane).tiers)
    )


def budget(shard: ShardState, sight: Sight, lane: int, share_ppm: int) -> Budget:
    """The period's budget at this tick, were the burn to go on with `share_ppm` bad requests per million."""
    slo = sight.slo(lane)
    rows, end_s = sight.plan.rows[lane : lane + 1], sight.burn.end_s[lane : lane + 1]
    good, total = (int(count[0]) for count in windows.counts(shard.rows, rows, end_s, slo.period_s))
    first_s = int(shard.rows.columns["first_s"][rows[0]])
    history_s = min(max(int(end_s[0]) - first_s, 1), slo.period_s)
    events = total * slo.period_s // history_s
    allowed = events * (MILLION - slo.target_ppm) // MILLION
    bad = total - good
    left_ppm = MILLION - bad * MILLION // allowed if allowed else MILLION
    spent_per_hour_ppm = share_ppm * HOUR_S * MILLION // ((MILLION - slo.target_ppm) * slo.period_s)
    hours = left_ppm * 1000 // spent_per_hour_ppm if spent_per_hour_ppm > 0 and left_ppm > 0 else None
    return Budget(
        target_ppm=slo.target_ppm,
        period_s=slo.period_s,
        history_s=history_s,
        events=events,
        bad=bad,
        allowed=allowed,
        left_ppm=left_ppm,
        spent_per_hour_ppm=spent_per_hour_ppm,
        hours_left_milli=hours,
    )


def figures(shard: ShardState, sight: Sight, incident: Incident) -> dict[str, Any]:
    """Burn, budget and latency at this tick; nothing where the row is no longer looked at or the incident is over."""
    lane = sight.lane(shard, incident)
    if lane is None or incident.id not in shard.incidents:
        return {}
    now_ppm = share_ppm(incident, max(incident.onset_s, incident.end_s - SHARE_S), incident.end_s)
    return {
        "burn": tiers(sight, lane),
        "budget": budget(shard, sight, lane, now_ppm),
        "latency": p99(shard, sight, lane, int(sight.burn.end_s[lane])),
    }


def share_ppm(incident: Incident, first_s: int, last_s: int) -> int:
    """Bad requests per million in the seconds first_s..last_s that the incident counted."""
    part = slice(max(first_s - incident.start_s, 0), max(last_s + 1 - incident.start_s, 0))
    total = sum(incident.total[part])
    return (total - sum(incident.good[part])) * MILLION // total if total else 0


def p99(shard: ShardState, sight: Sight, lane: int, end_s: int, window_s: int = P99_WINDOW_S) -> Latency:
    """p99 over the `window_s` seconds before `end_s`, beside the objective of the same service's latency SLO, if it
    has one."""
    service = sight.slo(lane).sli.service
    objectives = [
        slo.sli.latency_ms_max
        for slo in sight.slos
        if slo.sli.service == service and slo.sli.latency_ms_max is not None
    ]
    row = shard.entities.index.get(shard.rows.keys[int(sight.plan.rows[lane])][:3])
    value = latency.quantile_us(shard.entities, row, end_s - window_s, end_s - 1, P99_PPM) if row is not None else None
    return Latency(p99_us=value, objective_us=min(objectives) * 1000 if objectives else None)


def newest_ms(shard: ShardState, incident: Incident, now_ms: int) -> int:
    """Begin of the newest second in which this very service was heard of; 0 where that is longer ago than is kept."""
    row = shard.entities.index.get(incident.entity)
    if row is None:
        return 0
    ring = shard.entities.rings["traffic"]
    heard = np.flatnonzero(traffic.seconds(shard.entities, row, ring.oldest, ring.head)[traffic.REQUESTS])
    return min((ring.oldest + int(heard[-1])) * 1000, now_ms) if len(heard) else 0


def causes(diagnosis: Diagnosis) -> tuple[CauseRow, ...]:
    return tuple(
        CauseRow(
            cause=ranked.suspicion.cause.value,
            suspect=ranked.suspicion.suspect,
            probability_ppm=ranked.probability_ppm,
            log_odds_milli=round(ranked.suspicion.log_odds * 1000),
            findings=_findings(ranked.suspicion.findings),
        )
        for ranked in diagnosis.ranked
    )


def amplifiers(diagnosis: Diagnosis, present: Sequence[str]) -> tuple[AmplifierRow, ...]:
    """Every amplifier that is known; `present` are those that the incident goes by."""
    return tuple(
        AmplifierRow(
            amplifier=one.amplifier.value,
            present=one.amplifier.value in present,
            log_odds_milli=round(one.log_odds * 1000),
            findings=_findings(one.findings),
        )
        for one in diagnosis.amplifiers
    )


def _findings(found: tuple[Finding, ...]) -> tuple[FindingRow, ...]:
    return tuple(
        FindingRow(
            name=f.name, value_milli=milli(f.value), before_milli=milli(f.before), weight_milli=round(f.weight * 1000)
        )
        for f in found
    )


def rows_hot(sight: Sight) -> np.ndarray:
    """(k,) rows of which any act or page tier fires."""
    urgent = np.array(
        [
            [level < len(slo.tiers) and slo.tiers[level].severity != "ticket" for slo in sight.slos]
            for level in range(len(sight.burn.fires))
        ],
        np.bool_,
    ).reshape(len(sight.burn.fires), len(sight.slos))
    return np.asarray((sight.burn.fires & urgent[:, sight.plan.slos]).any(axis=0))
