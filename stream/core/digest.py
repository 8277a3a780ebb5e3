"""Once a second, and at once when a row begins to alarm: how the shard's rows are, for people and for other shards.

Nothing is decided on it here.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actuators.policy.incident import Incident
from detectors import windows
from detectors.series import Key
from schemas import canonical
from schemas.events import STATUS_TYPE, Status, StatusRow
from schemas.fleet import (
    ALARMS_MAX,
    ASKS_MAX,
    CONTROL_S,
    CONTROLS_MAX,
    CONTROLS_PER_GROUP_MAX,
    USES_MAX,
    Alarm,
    Control,
    Digest,
    Group,
)
from schemas.identity import UNATTRIBUTED
from schemas.specs import SpecSet
from stream.core import alarm, fleet, words
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.effects import Outlet, Publish
from stream.shard import NOT_YET, ShardState

ROWS_MAX = 200  # 60 kB of JSON; the burning ones come first, the rest is counted


def tell(shard: ShardState, sight: Sight, out: Desk) -> None:
    """Publishes the digest of this second unless it was published, and one more when a row begins to alarm."""
    second = sight.now_ms // 1000
    repeated = second == shard.digest_s
    if repeated and not alarm.begins(shard, sight):
        return
    shard.digest_s = second
    hot = words.rows_hot(sight)
    order = np.argsort(~hot, kind="stable")[:ROWS_MAX].tolist()
    incidents = {sight.lane(shard, one): one for one in shard.incidents.values()}
    status = Status(
        shard=shard.number,
        journal_offset=out.offset,
        at_ms=sight.now_ms,
        stale=shard.clock.fresh_since_ms == NOT_YET,
        lag_ms=sight.lag_ms,
        act_from_ms=sight.act_from_ms,
        rows=tuple(_row(shard, sight, lane, incidents) for lane in order),
        rows_left_out=len(hot) - len(order),
        counters=dict(shard.counters),
        fleet=_digest(shard, shard.specs, sight) if shard.specs else Digest(),
    )
    more = (out.offset,) if repeated else ()
    ce_id = canonical.digest("status", shard.number, second, shard.clock.steps, *more)
    key = str(shard.number)
    out.effects.append(Publish(Outlet.STATUS, key, STATUS_TYPE, ce_id, out.source, sight.now_ms, status.fields()))


def _row(shard: ShardState, sight: Sight, lane: int, incidents: dict[int | None, Incident]) -> StatusRow:
    key = shard.rows.keys[int(sight.plan.rows[lane])]
    environment, tenant, service, slo, _ = key
    tiers = words.tiers(sight, lane)
    fastest = tiers[0]
    incident = incidents.get(lane)
    return StatusRow(
        environment=environment,
        tenant=tenant,
        service=service,
        slo=slo,
        data_state=sight.data_state(lane).text,
        tier=fastest.name,
        factor_milli=fastest.factor_milli,
        long_milli=fastest.long_milli,
        short_milli=fastest.short_milli,
        requests=int(sight.burn.total[sight.plan.short[0, lane], lane]),
        fires=fastest.fires,
        hot=tuple(tier.name for tier in tiers if tier.fires),
        p99_us=words.p99(shard, sight, lane, int(sight.burn.end_s[lane])).p99_us,
        incident=incident.id if incident else None,
        phase=incident.phase.value if incident else None,
    )


def _digest(shard: ShardState, specs: SpecSet, sight: Sight) -> Digest:
    """What the other shards need to know of this one."""
    keys = shard.rows.keys
    alarming = alarm.lanes(sight).tolist()
    lanes = np.flatnonzero(sight.recent > 0)
    names = [keys[row] for row in sight.plan.rows[lanes].tolist()]
    busy = [(name, lane) for name, lane in zip(names, lanes.tolist(), strict=True) if name[1] != UNATTRIBUTED]
    alarms = _alarms(shard, sight, alarming)
    asks = dict.fromkeys(_group(_name(keys, sight, lane)) for lane in alarming)
    asks |= dict.fromkeys(
        Group(environment=one.environment, service=one.service, slo=one.slo)
        for one in shard.incidents.values()
        if one.acts
    )
    targets, services = fleet.uses(shard, specs, sight.now_ms)
    left_out = max(0, len(targets) - USES_MAX) + max(0, len(services) - USES_MAX)
    return Digest(
        tenants=len({name[:2] for name, _ in busy}),
        alarming=len({(one.environment, one.tenant) for one in alarms}),
        alarms=tuple(alarms[:ALARMS_MAX]),
        asks=tuple(asks)[:ASKS_MAX],
        controls=_controls(shard, specs, sight, busy),
        targets=targets[:USES_MAX],
        services=services[:USES_MAX],
        left_out=left_out,
        storm=shard.storm.id if shard.storm else "",
    )


def _alarms(shard: ShardState, sight: Sight, alarming: list[int]) -> list[Alarm]:
    """One for each service of a tenant, since its incident's onset or, without one, since its newest seconds."""
    onsets = {incident.entity: incident.onset_s for incident in shard.incidents.values()}
    found: dict[tuple[str, ...], Alarm] = {}
    for lane in alarming:
        environment, tenant, service = entity = _name(shard.rows.keys, sight, lane)[:3]
        window_s = sight.plan.window_s[int(sight.plan.short[0, lane])]
        since_s = onsets.get((environment, tenant, service), int(sight.burn.end_s[lane]) - window_s)
        if tenant != UNATTRIBUTED and entity not in found:
            found[entity] = Alarm(environment=environment, tenant=tenant, service=service, since_s=since_s)
    return list(found.values())


def _controls(shard: ShardState, specs: SpecSet, sight: Sight, busy: Sequence[tuple[Key, int]]) -> tuple[Control, ...]:
    """Untouched tenants with traffic, of each group those with the lowest hashes: a sample blind to their burn."""
    reached = fleet.touched(shard, specs, sight.now_ms)
    groups: dict[Key, list[tuple[str, int]]] = {}
    for (environment, tenant, service, slo, _), lane in busy:
        if (environment, tenant) not in reached:
            groups.setdefault((environment, service, slo), []).append((fleet.who(environment, tenant), lane))
    found: list[Control] = []
    for (environment, service, slo), members in sorted(groups.items()):
        group = Group(environment=environment, service=service, slo=slo)
        for who, lane in heapq.nsmallest(CONTROLS_PER_GROUP_MAX, members):
            if len(found) == CONTROLS_MAX:
                return tuple(found)
            end_s = int(sight.burn.end_s[lane])
            start_s = max(end_s - CONTROL_S, shard.rows.rings["1s"].oldest + 1)
            good, total = windows.seconds(shard.rows, int(sight.plan.rows[lane]), start_s, end_s - 1)
            found.append(Control(group=group, who=who, start_s=start_s, errors=_text(total - good), total=_text(total)))
    return tuple(found)


def _text(counts: NDArray[np.int64]) -> str:
    return " ".join(map(str, counts.tolist()))


def _name(keys: list[Key], sight: Sight, lane: int) -> Key:
    return keys[int(sight.plan.rows[lane])]


def _group(name: Key) -> Group:
    environment, _, service, slo, _ = name
    return Group(environment=environment, service=service, slo=slo)
