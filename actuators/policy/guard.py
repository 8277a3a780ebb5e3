"""May this change happen now? Every rule that can refuse it, in the order in which people would want to hear of them.

The guard sees facts, never the world; it returns its reason with the numbers that led to it. What concerns a target
is checked once more at the actuator, which alone sees all commands for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actuators.policy import freeze
from detectors.state import DataState
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy, Limits, Mitigation, Target
from schemas.slo import MILLION

HOUR_MS = 3_600_000
USE_RATIO_MILLI_MAX = 1_200  # a fifth above its usual time: what lies behind the pool is slow, more load makes it worse
LEAVE = tuple(Autonomy)  # from the least to the most
WILDCARDS = frozenset("*?[]{}%")


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What the shard remembers of a target: when it was last changed, whether it knows what stands there, and whether
    that still waits for its word."""

    applied_ms: tuple[int, ...] = ()
    unknown: bool = False
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What all shards together know. `known` is False while one of them was not heard of; `target_*` is what the other
    shards have done to this very target, `applies_*` counts the last hour of all."""

    known: bool = True
    shards_unknown: int = 0
    tenants: int = 0
    """Tenants with traffic."""
    alarming: int = 0
    applies_service: int = 0
    applies_fleet: int = 0
    target_applies: int = 0
    target_last_ms: int | None = None
    target_standing: int = 0
    """Their changes of it that still wait for their word."""


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether this kind of change fits what is the matter, from diagnosis and target."""

    owner: str = ""
    """Who else sets this field, such as an autoscaler; empty: nobody."""
    pools_sum_after: int = 0
    """Connections of all replicas together once the change is live."""
    connections_max: int = 0
    """What the server behind them takes; 0: not known."""
    use_ratio_milli: int = 1_000
    """Time that a connection is in use, over its usual one."""
    retry_storm: bool = False
    retries_cut: bool = False
    """A step of the same plan makes clients retry less."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the guard may know. Times are journal time in ms; `act_from_ms` is when automatic action is possible at
    the earliest. The defaults are those of one tenant alone, on its own target."""

    now_ms: int
    environment: str
    tenant: str
    data_state: DataState
    act_from_ms: int
    lag_ms: int
    target: TargetFacts
    tenant_applied_ms: tuple[int, ...]
    switches: Mapping[str, bool]
    automatic: bool = True
    """False where an operator has approved this very change."""
    approved_until_ms: int | None = None
    leaves: Mapping[str, Autonomy] = field(default_factory=dict)
    """Leave of each tenant on the target for this mitigation; who is not named gives none."""
    steps_ahead: int = 0
    """Changes of the same plan that come before this one."""
    fleet: FleetFacts = FleetFacts()
    fitness: Fitness = Fitness()


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: RefusalReason
    permanent: bool
    numbers: Mapping[str, int]
    detail: str


def refuses(mitigation: Mitigation, target: Target, limits: Limits, facts: Facts) -> Refusal | None:
    """The first rule that forbids the change; None where it may happen."""
    return (
        _target_named(target)
        or _fence(target, facts)
        or _shared(target, facts)
        or _bounds(mitigation)
        or _switches(mitigation, target, facts)
        or _hours(limits, facts)
        or _observer(facts, limits)
        or _fleet(target, limits, facts)
        or _standing(target, facts)
        or _cooldown(target, limits, facts)
        or _caps(target, limits, facts)
        or _fits(mitigation, target, facts.fitness)
    )


def switch_scopes(environment: str, tenant: str, mitigation: str) -> tuple[str, str, str]:
    """The kill switches that concern a change."""
    return ("global", f"tenant:{environment}:{tenant}", f"mitigation:{mitigation}")


def _target_named(target: Target) -> Refusal | None:
    names = (target.id, target.actuator, target.environment, target.service, *target.tenants)
    if not target.tenants or not all(name.strip() for name in names):
        return Refusal(
            RefusalReason.EMPTY_TARGET,
            True,
            {},
            f"target {target.id!r} leaves a name empty; an empty name would mean everything",
        )
    if any(WILDCARDS & set(name) for name in names):
        return Refusal(
            RefusalReason.WILDCARD_TARGET,
            True,
            {},
            f"target {target.id!r} holds a wildcard; name each thing that may be changed",
        )
    return None


def _fence(target: Target, facts: Facts) -> Refusal | None:
    if target.environment != facts.environment or facts.tenant not in target.tenants:
        return Refusal(
            RefusalReason.FENCE,
            True,
            {},
            f"target {target.id} is not one of tenant {facts.tenant} in {facts.environment}",
        )
    return None


def _shared(target: Target, facts: Facts) -> Refusal | None:
    """A change reaches every tenant on its target, so each must have given as much leave as this change needs."""
    if len(target.tenants) < 2:
        return None
    needed = Autonomy.AUTO if facts.automatic else Autonomy.APPROVE
    without = [
        tenant
        for tenant in target.tenants
        if LEAVE.index(facts.leaves.get(tenant, Autonomy.OBSERVE)) < LEAVE.index(needed)
    ]
    if not without:
        return None
    numbers = {"tenants": len(target.tenants), "without_leave": len(without)}
    detail = f"target {target.id} serves {len(target.tenants)} tenants; {len(without)} gave no leave to {needed.value}"
    return Refusal(RefusalReason.SHARED_TARGET, True, numbers, detail)


def _bounds(mitigation: Mitigation) -> Refusal | None:
    if mitigation.minimum > mitigation.maximum:
        numbers = {"minimum": mitigation.minimum, "maximum": mitigation.maximum}
        return Refusal(
            RefusalReason.BOUNDS, True, numbers, f"mitigation {mitigation.name} has no value between its bounds"
        )
    return None


def _switches(mitigation: Mitigation, target: Target, facts: Facts) -> Refusal | None:
    """Of every tenant whose traffic depends on the target."""
    for tenant in target.tenants:
        for scope in switch_scopes(facts.environment, tenant, mitigation.name):
            if facts.switches.get(scope):
                detail = f"kill switch {shown(scope, facts.tenant)} is on"
                return Refusal(RefusalReason.KILL_SWITCH, False, {}, detail)
    return None


def shown(scope: str, tenant: str) -> str:
    """A scope as an event of `tenant` may name it: without the name of another."""
    foreign = scope.startswith("tenant:") and not scope.endswith(f":{tenant}")
    return "of another tenant of the target" if foreign else scope


def _hours(limits: Limits, facts: Facts) -> Refusal | None:
    """A freeze stops what is automatic; an approval stops at its own end."""
    frozen = freeze.ends_ms(limits.freeze, facts.now_ms) if facts.automatic else None
    if frozen is not None:
        window, ends_ms = frozen
        numbers = {"wait_ms": ends_ms - facts.now_ms}
        detail = f"nothing is changed automatically now: {window.why or 'a freeze window'}"
        return Refusal(RefusalReason.FREEZE_WINDOW, False, numbers, detail)
    if facts.approved_until_ms is not None and facts.now_ms > facts.approved_until_ms:
        numbers = {"late_ms": facts.now_ms - facts.approved_until_ms}
        return Refusal(RefusalReason.EXPIRED, False, numbers, "the approval has expired; approve it again")
    return None


def _observer(facts: Facts, limits: Limits) -> Refusal | None:
    if facts.data_state is not DataState.OK:
        return Refusal(
            RefusalReason.DATA_STATE, False, {}, f"data state is {facts.data_state.text}, automatic action needs ok"
        )
    if facts.now_ms < facts.act_from_ms:
        numbers = {"wait_ms": facts.act_from_ms - facts.now_ms}
        return Refusal(RefusalReason.WARMING_UP, False, numbers, "telemetry has not been fresh for long enough")
    if facts.lag_ms > limits.lag_ms_max:
        numbers = {"lag_ms": facts.lag_ms, "lag_ms_max": limits.lag_ms_max}
        return Refusal(RefusalReason.LAG, False, numbers, "detect lags behind its journal: it would act on the past")
    return None


def _fleet(target: Target, limits: Limits, facts: Facts) -> Refusal | None:
    """Blast radius and storm stop need every shard's word. An approved change may go against a storm, since a person
    has looked; nobody's approval covers tenants that nobody has heard of."""
    fleet = facts.fleet
    if not fleet.known and len(target.tenants) > 1:
        numbers = {"tenants": len(target.tenants), "shards_unknown": fleet.shards_unknown}
        detail = f"target {target.id} serves {len(target.tenants)} tenants, and not every shard was heard of lately"
        return Refusal(RefusalReason.BLAST_RADIUS, False, numbers, detail)
    if not facts.automatic:
        return None
    if not fleet.known:
        numbers = {"shards_unknown": fleet.shards_unknown}
        detail = "not every shard was heard of lately: nobody knows how many tenants alarm"
        return Refusal(RefusalReason.FLEET_UNKNOWN, False, numbers, detail)
    if stormy(fleet.alarming, fleet.tenants, limits):
        numbers = {"alarming": fleet.alarming, "tenants": fleet.tenants, "share_ppm_max": limits.storm_share_ppm}
        detail = f"{fleet.alarming} of {fleet.tenants} tenants alarm at once: what they share is sick, or the observer"
        return Refusal(RefusalReason.STORM, False, numbers, detail)
    return None


def stormy(alarming: int, tenants: int, limits: Limits) -> bool:
    """True where so many tenants alarm at once that it is not one tenant's fault."""
    return alarming >= limits.storm_tenants_min and alarming * MILLION >= tenants * limits.storm_share_ppm


def _standing(target: Target, facts: Facts) -> Refusal | None:
    if facts.target.unknown:
        detail = f"what stands at target {target.id} is not known; a person must look"
        return Refusal(RefusalReason.UNKNOWN_OUTCOME, True, {}, detail)
    if facts.target.unconfirmed or facts.fleet.target_standing:
        numbers = {"other_shards": facts.fleet.target_standing}
        detail = f"the last change of target {target.id} is neither confirmed nor taken back yet"
        return Refusal(RefusalReason.UNCONFIRMED, False, numbers, detail)
    return None


def _cooldown(target: Target, limits: Limits, facts: Facts) -> Refusal | None:
    others = () if facts.fleet.target_last_ms is None else (facts.fleet.target_last_ms,)
    since_ms = min((facts.now_ms - at for at in (*facts.target.applied_ms, *others)), default=None)
    if since_ms is None or since_ms >= limits.cooldown_s * 1000:
        return None
    numbers = {"since_ms": since_ms, "cooldown_ms": limits.cooldown_s * 1000}
    return Refusal(RefusalReason.COOLDOWN, False, numbers, f"target {target.id} was changed a short while ago")


def _caps(target: Target, limits: Limits, facts: Facts) -> Refusal | None:
    """Changes of the last hour, the narrowest count first."""
    fleet = facts.fleet
    here = sum(facts.now_ms - at < HOUR_MS for at in facts.target.applied_ms) + fleet.target_applies
    by_tenant = sum(facts.now_ms - at < HOUR_MS for at in facts.tenant_applied_ms)
    by_service, by_fleet = fleet.applies_service + facts.steps_ahead, fleet.applies_fleet + facts.steps_ahead
    caps = (
        (RefusalReason.CAP_TARGET, here, limits.applies_per_hour_target, f"target {target.id}"),
        (RefusalReason.CAP_TENANT, by_tenant, limits.applies_per_hour_tenant, f"tenant {facts.tenant}"),
        (RefusalReason.CAP_SERVICE, by_service, limits.applies_per_hour_service, f"service {target.service}"),
        (RefusalReason.CAP_FLEET, by_fleet, limits.applies_per_hour_fleet, "the fleet"),
    )
    for reason, applies, cap, what in caps:
        if applies >= cap:
            numbers = {"applies": applies, "cap": cap}
            return Refusal(reason, False, numbers, f"{what} was changed often enough within an hour")
    return None


def _fits(mitigation: Mitigation, target: Target, fitness: Fitness) -> Refusal | None:
    """Somebody else's field is left to them; more capacity must fit its server, and must not feed what it cannot
    cure."""
    if fitness.owner:
        detail = f"{target.parameter} of target {target.id} is set by {fitness.owner}; two hands would fight over it"
        return Refusal(RefusalReason.OWNER, True, {}, detail)
    if 0 < fitness.connections_max < fitness.pools_sum_after:
        numbers = {"pools_sum_after": fitness.pools_sum_after, "connections_max": fitness.connections_max}
        detail = f"all pools of target {target.id} together would exceed what their server takes"
        return Refusal(RefusalReason.POOLS_SUM, True, numbers, detail)
    if not mitigation.capacity:
        return None
    if fitness.retry_storm and not fitness.retries_cut:
        detail = "clients retry; more capacity alone would feed the storm, a step that cuts retries must go with it"
        return Refusal(RefusalReason.RETRIES_FIRST, True, {}, detail)
    if fitness.use_ratio_milli > USE_RATIO_MILLI_MAX:
        numbers = {"use_ratio_milli": fitness.use_ratio_milli, "use_ratio_milli_max": USE_RATIO_MILLI_MAX}
        detail = "connections are held longer than usual: what lies behind them is slow, more of them would not help"
        return Refusal(RefusalReason.USE_TIME_RISING, False, numbers, detail)
    return None
