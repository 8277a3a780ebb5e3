"""What the guard may know about one step of a course, gathered from the shard, the fleet and the diagnosis."""

from math import isfinite
from typing import assert_never

from actuators.policy import choice
from actuators.policy.choice import Change, Chosen
from actuators.policy.guard import Facts, Fitness, TargetFacts
from actuators.policy.incident import Incident
from detectors.evidence import pools
from schemas.control import PlanDecided
from schemas.runbook import Amplifier, Scale, Set
from schemas.specs import SpecSet
from stream.core import fleet
from stream.core.sight import Sight
from stream.shard import ShardState, TargetState

POOL_S = 60  # a pool tells of its size every minute at the latest, by an SDK's defaults


def of(
    shard: ShardState,
    specs: SpecSet,
    sight: Sight,
    incident: Incident,
    lane: int,
    chosen: Chosen,
    ahead: int,
    word: PlanDecided | None,
) -> Facts:
    """What the guard may know about the step number `ahead` of a course."""
    step = chosen.steps[ahead]
    target, name = shard.targets.get(step.target.id, TargetState()), step.mitigation.name
    return Facts(
        now_ms=sight.now_ms,
        environment=incident.environment,
        tenant=incident.tenant,
        data_state=sight.data_state(lane),
        act_from_ms=sight.act_from_ms,
        lag_ms=sight.lag_ms,
        target=TargetFacts(tuple(target.applied_ms), target.unknown, bool(target.standing)),
        tenant_applied_ms=tuple(shard.tenants.get(tenant(incident), ())),
        switches={scope: on for scope, (on, _) in shard.switches.items()},
        automatic=word is None,
        approved_until_ms=word.expires_ms if word else None,
        leaves={one: choice.autonomy(specs, incident.environment, one, name) for one in step.target.tenants},
        steps_ahead=ahead,
        fleet=fleet.facts(shard, specs, shard.fleet, step.target),
        fitness=Fitness(
            pools_sum_after=_pools_sum(shard, incident, step),
            connections_max=step.target.connections_max,
            use_ratio_milli=incident.use_ratio_milli,
            retry_storm=Amplifier.RETRY_STORM in incident.amplifiers,
            retries_cut=any(one.mitigation.cuts_retries for one in chosen.steps),
        ),
    )


def _pools_sum(shard: ShardState, incident: Incident, step: Change) -> int:
    """Connections of all replicas together once the change is live; 0 where the server's own limit is not known."""
    if not step.target.connections_max:
        return 0
    head_s, places = shard.pools.head_s, shard.pools.groups.get(incident.entity, [])
    sizes = [pools.sample(shard.pools, place, head_s - POOL_S, head_s).maximum for place in places]
    largest = max((int(size) for size in sizes if isfinite(size)), default=0)
    replicas = max(step.target.replicas, len({shard.pools.keys[place][3] for place in places}))
    match step.mitigation.action:
        case Scale(numerator=numerator, denominator=denominator):
            return replicas * (largest * numerator // denominator)
        case Set(value=value):
            return replicas * value if isinstance(value, int) and not isinstance(value, bool) else 0
        case _:
            assert_never(step.mitigation.action)


def tenant(incident: Incident) -> str:
    """Names the tenant whose plans are counted."""
    return f"{incident.environment}/{incident.tenant}"
