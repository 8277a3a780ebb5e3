"""Verdicts as events: the numbers of a judgement with the figures of its moment."""

from actuators.policy.incident import Attempt, Incident
from detectors import verdict
from detectors.verdict import Judgement, Verdict
from detectors.verdict_confirm import Confirmation
from stream.core import words
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState

LATENCY_BACK_S = 5


def note_latency(shard: ShardState, sight: Sight, incident: Incident, lane: int) -> None:
    """Notes the first time at which p99 was under its objective for five seconds running since the change."""
    attempt = incident.attempt
    if incident.latency_back_s is not None or attempt is None or attempt.live_ms is None:
        return
    first_s = max(attempt.live_ms // 1000 + 1, incident.end_s - LATENCY_BACK_S)
    for end_s in range(incident.end_s - LATENCY_BACK_S + 1, incident.end_s + 1):
        seen = words.p99(shard, sight, lane, end_s)
        if end_s <= first_s or seen.p99_us is None or seen.objective_us is None or seen.p99_us > seen.objective_us:
            return
    incident.latency_back_s = incident.end_s


def tell(
    shard: ShardState,
    sight: Sight,
    incident: Incident,
    attempt: Attempt,
    lane: int,
    judged: Judgement,
    follows: str,
    out: Desk,
) -> None:
    assert judged.verdict is not None and attempt.live_ms is not None
    first_s = attempt.live_ms // 1000 + 1
    out.tell(
        incident,
        "verdict",
        plan=attempt.plan,
        verdict=judged.verdict.value,
        reason=judged.reason.value,
        follows=follows,
        window_s=judged.window_s,
        errors=judged.errors,
        requests=judged.n,
        residual_ppm=judged.residual_ppm,
        before_ppm=judged.before_ppm,
        p0_ppm=judged.p0_ppm,
        p_value_ppm=judged.p_value_ppm,
        traffic_ratio_milli=judged.traffic_ratio_milli,
        control=judged.control,
        live_ms=attempt.live_ms,
        decided_ms=attempt.decided_ms,
        recovered_s=attempt.recovered_s,
        latency=words.p99(shard, sight, lane, incident.end_s),
        latency_back_s=incident.latency_back_s,
        burn=words.tiers(sight, lane),
        budget=words.budget(
            shard, sight, lane, words.share_ppm(incident, max(first_s, incident.end_s - 10), incident.end_s)
        ),
        freshness_p99_ms=int(sight.freshness_ms[lane]),
    )


def relapse(standing: Confirmation, p0_ppm: int, before_ppm: int) -> Judgement:
    """The numbers of a relapse in the form of a verdict."""
    return Judgement(
        verdict=Verdict.INEFFECTIVE,
        reason=verdict.Reason.NOT_BETTER,
        at_s=standing.at_s,
        window_s=standing.window_s,
        errors=standing.errors,
        n=standing.n,
        residual_ppm=standing.residual_ppm,
        before_ppm=before_ppm,
        p0_ppm=p0_ppm,
        p_value=standing.p_value,
        p_value_ppm=standing.p_value_ppm,
        traffic_ratio_milli=1000 if standing.traffic_ok else 0,
        window_s_min=standing.window_s,
    )
