"""An incident's diagnosis over time: asked at each tick until a cause is known, told when it changes."""

from math import isfinite

from actuators.policy.incident import Incident
from detectors.diagnosis import Diagnosis, diagnose
from detectors.evidence import case, pools
from detectors.state import DataState
from schemas.identity import Entity
from schemas.runbook import Cause
from stream.core import words
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState

REFRESH_MS = 1_000  # a retry storm builds up within seconds
REFRESH_LATE_MS = 30_000  # of one that a person looks at meanwhile
YOUNG_MS = 15_000
REFRESHES_MAX = 2  # a tick, of 50 ms each at most
PATIENCE_MS = 5_000  # metrics come every half second to second; five seconds are enough samples to say "not known" on
PACE_S = 10  # what tells more often has told of the incident by now
SLOWEST_S = 60  # an SDK's default
METRICS_MS_MAX = 75_000  # an SDK's metrics come every minute by default; those that are later are not waited for
ASK_AGAIN_MS = 5_000
ANSWER_MS_MAX = 60_000  # nothing is changed for a cause that was last seen longer ago; long enough for one revert
TRACES_MAX = 5


def ask(shard: ShardState, sight: Sight, incident: Incident, lane: int, out: Desk) -> Cause | None:
    """The cause as far as it is known by now; None while the evidence is still coming in."""
    known = Cause(incident.cause) if incident.cause else None
    if sight.data_state(lane) is DataState.STALE:  # what is missing must not look like the absence of evidence
        return known
    named = known not in (None, Cause.UNKNOWN)
    if known is Cause.UNKNOWN and sight.now_ms - incident.cause_at_ms < ASK_AGAIN_MS:
        return known
    if named and not _is_due(sight, incident, out):
        return known
    if incident.entity not in shard.entities.index or not _seconds(sight, incident, lane):
        return known
    found = _diagnose(shard, sight, incident, lane)
    if named:
        incident.refreshed_ms = sight.now_ms
        out.refreshes += 1
        _amplified(shard, sight, incident, found, out)
        return known
    if found.cause is Cause.UNKNOWN and known is None and _may_still_come(shard, sight, incident, lane):
        return None
    return _told(shard, sight, incident, found, out)


def _is_due(sight: Sight, incident: Incident, out: Desk) -> bool:
    """Is a cause that is known looked at anew? Only where a plan depends on it, and of many incidents at once in turn:
    a diagnosis takes up to 50 ms."""
    young = sight.now_ms - incident.opened_ms < YOUNG_MS
    since_ms = sight.now_ms - max(incident.refreshed_ms, incident.cause_at_ms)
    return incident.acts and out.refreshes < REFRESHES_MAX and since_ms >= (REFRESH_MS if young else REFRESH_LATE_MS)


def _may_still_come(shard: ShardState, sight: Sight, incident: Incident, lane: int) -> bool:
    """True while evidence is on its way: metrics that are sent once a minute say nothing of a younger incident."""
    waited_ms = sight.now_ms - incident.opened_ms
    if waited_ms < max(PATIENCE_MS, int(sight.freshness_ms[lane])):
        return True
    of_entity = shard.pools.groups.get(incident.entity, ())
    due_s = max((pools.next_s(shard.pools, place, PACE_S, SLOWEST_S) for place in of_entity), default=-1)
    late_ms = max(PATIENCE_MS, int(sight.freshness_ms[lane]))
    return waited_ms < METRICS_MS_MAX and sight.now_ms < due_s * 1000 + late_ms


def still(shard: ShardState, sight: Sight, incident: Incident, lane: int, cause: Cause, out: Desk) -> bool:
    """Does the cause that a change is about to be made for still hold? Asked anew where the answer is old."""
    if sight.now_ms - incident.cause_at_ms <= ANSWER_MS_MAX:
        return True
    if not _seconds(sight, incident, lane):
        return False
    return _told(shard, sight, incident, _diagnose(shard, sight, incident, lane), out) is cause


def _seconds(sight: Sight, incident: Incident, lane: int) -> int:
    """Complete seconds since the onset; none where telemetry has come later and later since the opening."""
    return max(int(sight.burn.end_s[lane]) - incident.onset_s, 0)


def _diagnose(shard: ShardState, sight: Sight, incident: Incident, lane: int) -> Diagnosis:
    entity, end_s = Entity(*incident.entity), int(sight.burn.end_s[lane])
    collected = case.collect(
        shard.entities,
        shard.pools,
        shard.operations,
        entity,
        incident.onset_s,
        end_s,
        retry_table=shard.retries,
        memory_table=shard.memory,
        log_table=shard.logs,
        traces=shard.skeletons,
    )
    return diagnose(collected)


def _amplified(shard: ShardState, sight: Sight, incident: Incident, found: Diagnosis, out: Desk) -> None:
    """While its cause still holds, what came to amplify it is added; what was seen once is not taken away: the plan
    may be what has ended it."""
    if found.cause.value != incident.cause:
        return
    incident.cause_at_ms, incident.use_ratio_milli = sight.now_ms, _use_ratio_milli(found)
    new = [one for one in _present(found) if one not in incident.amplifiers]
    if new:
        incident.amplifiers += new
        _tell(shard, incident, found, out)


def _use_ratio_milli(found: Diagnosis) -> int:
    """Of the pool whose connections are held longest against before; 1000 where no pool tells."""
    ratios = [case.ratio(pool.now.use_s, pool.before.use_s) for pool in found.case.pools]
    return max((round(ratio * 1000) for ratio in ratios if isfinite(ratio)), default=1_000)


def _present(found: Diagnosis) -> list[str]:
    return [one.amplifier.value for one in found.amplifiers if one.present]


def _told(shard: ShardState, sight: Sight, incident: Incident, found: Diagnosis, out: Desk) -> Cause:
    incident.cause_at_ms, incident.use_ratio_milli = sight.now_ms, _use_ratio_milli(found)
    if incident.cause != found.cause.value:
        incident.cause, incident.amplifiers = found.cause.value, _present(found)
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
        amplifiers=words.amplifiers(found, incident.amplifiers),
        first_s=now.first_s,
        last_s=now.last_s,
        base_first_s=now.base_first_s,
        base_last_s=now.base_last_s,
        requests_per_s_milli=round(now.requests_per_s * 1000),
        errors_per_s_milli=round(now.errors_per_s * 1000),
        trace_ids=tuple(traces[:TRACES_MAX]),
    )
