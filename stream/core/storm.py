"""Many tenants alarm at once: nobody is touched, and one event tells a person who, what they share, and since when."""

from collections import Counter

from actuators.policy import guard
from actuators.policy.choice import Chosen
from schemas import canonical
from schemas.fleet import STORM_TYPE, Fleet, Storm, StormState
from schemas.runbook import Cause
from schemas.specs import SpecSet
from stream.core import fleet, plan
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.effects import Outlet, Publish
from stream.shard import ShardState, StormTold

CALM_MS = 30_000  # as long as an incident has to be quiet before it is over
KEY = "fleet"  # of the topic: a storm is no tenant's


def tell(shard: ShardState, specs: SpecSet, sight: Sight, out: Desk) -> None:
    """Tells of the beginning of a storm, of the plan that would fit, and of its end; one shard speaks for all."""
    known = fleet.lately(shard.fleet, out.now_ms)
    stormy = known is not None and guard.stormy(known.alarming, known.tenants, specs.limits)
    told = shard.storm
    if known is None:
        return
    if told is None:
        if stormy and known.speaker == shard.number and not known.storm:
            name = canonical.digest("storm", shard.number, out.offset)
            shard.storm = StormTold(name, 0, out.now_ms)
            _publish(shard, specs, sight, known, StormState.BEGAN, out)
        return
    if stormy:
        told.stormy_ms = out.now_ms
        if not told.planned and _plan(shard, specs)[1]:
            told.planned = True
            _publish(shard, specs, sight, known, StormState.PLANNED, out)
    elif out.now_ms - told.stormy_ms > CALM_MS:
        _publish(shard, specs, sight, known, StormState.OVER, out)
        shard.storm = None


def _publish(shard: ShardState, specs: SpecSet, sight: Sight, known: Fleet, state: StormState, out: Desk) -> None:
    told = shard.storm
    assert told is not None
    services = Counter(f"{one.environment}/{one.service}" for one in known.alarms)
    observer = _observer(sight, known, specs)
    cause, steps = _plan(shard, specs)
    event = Storm(
        storm=told.id,
        sequence=told.sequence,
        shard=shard.number,
        journal_offset=out.offset,
        index=len(out.effects),
        at_ms=out.now_ms,
        state=state,
        alarming=known.alarming,
        tenants=known.tenants,
        since_s=min((one.since_s for one in known.alarms), default=out.now_ms // 1000),
        alarms=known.alarms,
        services=tuple(name for name, _ in sorted(services.items(), key=lambda item: (-item[1], item[0]))),
        observer_healthy=not observer,
        observer=observer or "every shard is heard of, and none lags",
        cause=cause,
        steps=steps,
    )
    told.sequence += 1
    name = canonical.digest(told.id, event.sequence)
    out.effects.append(Publish(Outlet.INCIDENTS, KEY, STORM_TYPE, name, out.source, out.now_ms, event.fields()))


def _observer(sight: Sight, known: Fleet, specs: SpecSet) -> str:
    """What is wrong with douse itself; empty where nothing is."""
    if known.unknown:
        return f"shards {', '.join(map(str, known.unknown))} were not heard of lately, or are stale"
    if sight.lag_ms > specs.limits.lag_ms_max:
        return f"detect lags {sight.lag_ms} ms behind its journal"
    return ""


def _plan(shard: ShardState, specs: SpecSet) -> tuple[str, tuple[str, ...]]:
    """Cause and mitigations of the oldest incident here whose cause is known."""
    for incident in shard.incidents.values():
        cause = Cause(incident.cause) if incident.cause else Cause.UNKNOWN
        if incident.acts and cause is not Cause.UNKNOWN:
            chosen = plan.choose(specs, incident, cause)
            if isinstance(chosen, Chosen):
                return cause.value, tuple(step.mitigation.name for step in chosen.steps)
    return "", ()
