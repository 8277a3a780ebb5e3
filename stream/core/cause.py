"""An incident's diagnosis over time: asked at each tick until a cause is known, told when it changes."""

from actuators.policy.incident import Incident
from detectors.diagnosis import Diagnosis, diagnose
from detectors.evidence import case
from schemas.identity import Entity
from schemas.runbook import Cause
from stream.core import words
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState

PATIENCE_MS = 5_000  # metrics come every half second to second; five seconds are enough samples to say "not known" on
ASK_AGAIN_MS = 5_000
TRACES_MAX = 5


def ask(shard: ShardState, sight: Sight, incident: Incident, lane: int, out: Desk) -> Cause | None:
    """The cause as far as it is known by now; None while the evidence is still coming in."""
    known = Cause(incident.cause) if incident.cause else None
    if known not in (None, Cause.UNKNOWN) or (
        known is Cause.UNKNOWN and sight.now_ms - incident.cause_at_ms < ASK_AGAIN_MS
    ):
        return known
    entity = Entity(*incident.entity)
    if tuple(entity) not in shard.entities.index:
        return known
    end_s = int(sight.burn.end_s[lane])
    found = diagnose(case.collect(shard.entities, shard.pools, shard.operations, entity, incident.onset_s, end_s))
    patience_ms = max(PATIENCE_MS, int(sight.freshness_ms[lane]))
    if found.cause is Cause.UNKNOWN and known is None and sight.now_ms - incident.opened_ms < patience_ms:
        return None
    incident.cause_at_ms = sight.now_ms
    if found.cause is not known:
        incident.cause = found.cause.value
        _tell(shard, incident, found, out)
    return found.cause


def _tell(shard: ShardState, incident: Incident, found: Diagnosis, out: Desk) -> None:
    traces = [
        trace
        for trace, second, failed in shard.exemplars.get(incident.entity, ())
        if failed and second >= incident.onset_s
    ]
    now = found.case
    out.tell(
        incident,
        "diagnosed",
        cause=found.cause.value,
        ranked=words.causes(found),
        first_s=now.first_s,
        last_s=now.last_s,
        base_first_s=now.base_first_s,
        base_last_s=now.base_last_s,
        requests_per_s_milli=round(now.requests_per_s * 1000),
        errors_per_s_milli=round(now.errors_per_s * 1000),
        trace_ids=tuple(traces[:TRACES_MAX]),
    )
