"""May this change happen now? Every rule that can refuse it, in the order in which people would want to hear of them.

The guard sees facts, never the world; it returns its reason with the numbers that led to it. What concerns a target
is checked once more at the actuator, which alone sees all commands for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from detectors.state import DataState
from schemas.events import RefusalReason
from schemas.runbook import Limits, Mitigation, Target

HOUR_MS = 3_600_000
WILDCARDS = frozenset("*?[]{}%")


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What the shard remembers of a target: when it was last changed, whether it knows what stands there, and whether
    that still waits for its word."""

    applied_ms: tuple[int, ...] = ()
    unknown: bool = False
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the guard may know. Times are journal time in ms; `act_from_ms` is when automatic action is possible at
    the earliest."""

    now_ms: int
    environment: str
    tenant: str
    data_state: DataState
    act_from_ms: int
    lag_ms: int
    target: TargetFacts
    tenant_applied_ms: tuple[int, ...]
    switches: Mapping[str, bool]


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
        or _bounds(mitigation)
        or _switches(mitigation, facts)
        or _observer(facts, limits)
        or _history(target, limits, facts)
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
    if len(target.tenants) > 1:
        numbers = {"tenants": len(target.tenants)}
        return Refusal(
            RefusalReason.SHARED_TARGET,
            True,
            numbers,
            f"target {target.id} serves {len(target.tenants)} tenants; each must give leave",
        )
    return None


def _bounds(mitigation: Mitigation) -> Refusal | None:
    if mitigation.minimum > mitigation.maximum:
        numbers = {"minimum": mitigation.minimum, "maximum": mitigation.maximum}
        return Refusal(
            RefusalReason.BOUNDS, True, numbers, f"mitigation {mitigation.name} has no value between its bounds"
        )
    return None


def _switches(mitigation: Mitigation, facts: Facts) -> Refusal | None:
    for scope in switch_scopes(facts.environment, facts.tenant, mitigation.name):
        if facts.switches.get(scope):
            return Refusal(RefusalReason.KILL_SWITCH, False, {}, f"kill switch {scope} is on")
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


def _history(target: Target, limits: Limits, facts: Facts) -> Refusal | None:
    if facts.target.unknown:
        return Refusal(
            RefusalReason.UNKNOWN_OUTCOME,
            True,
            {},
            f"what stands at target {target.id} is not known; a person must look",
        )
    if facts.target.unconfirmed:
        return Refusal(
            RefusalReason.UNCONFIRMED,
            False,
            {},
            f"the last change of target {target.id} is neither confirmed nor taken back yet",
        )
    since_ms = min((facts.now_ms - at for at in facts.target.applied_ms), default=None)
    if since_ms is not None and since_ms < limits.cooldown_s * 1000:
        numbers = {"since_ms": since_ms, "cooldown_ms": limits.cooldown_s * 1000}
        return Refusal(RefusalReason.COOLDOWN, False, numbers, f"target {target.id} was changed a short while ago")
    recent = [at for at in facts.target.applied_ms if facts.now_ms - at < HOUR_MS]
    if len(recent) >= limits.applies_per_hour_target:
        numbers = {"applies": len(recent), "cap": limits.applies_per_hour_target}
        return Refusal(
            RefusalReason.CAP_TARGET, False, numbers, f"target {target.id} was changed often enough within an hour"
        )
    by_tenant = sum(facts.now_ms - at < HOUR_MS for at in facts.tenant_applied_ms)
    if by_tenant >= limits.applies_per_hour_tenant:
        numbers = {"applies": by_tenant, "cap": limits.applies_per_hour_tenant}
        return Refusal(
            RefusalReason.CAP_TENANT, False, numbers, f"tenant {facts.tenant} was changed often enough within an hour"
        )
    return None
