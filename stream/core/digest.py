"""Once a second: how the shard's rows are, for people and for other shards. Nothing is decided on it here."""

import numpy as np

from actuators.policy.incident import Incident
from schemas import canonical
from schemas.events import STATUS_TYPE, Status, StatusRow
from stream.core import words
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.effects import Outlet, Publish
from stream.shard import NOT_YET, ShardState

ROWS_MAX = 200  # 60 kB of JSON; the burning ones come first, the rest is counted


def tell(shard: ShardState, sight: Sight, out: Desk) -> None:
    """Publishes the digest of this second, unless it was published."""
    second = sight.now_ms // 1000
    if second == shard.digest_s:
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
    )
    ce_id = canonical.digest("status", shard.number, second, shard.clock.steps)
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
