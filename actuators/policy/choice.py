"""Which mitigation for this cause? The runbook's order, what was tried already left out."""

from collections.abc import Collection
from dataclasses import dataclass

from schemas.events import RefusalReason
from schemas.identity import Entity
from schemas.runbook import Autonomy, Cause, Mitigation, Target
from schemas.specs import SpecSet


@dataclass(frozen=True, slots=True)
class Chosen:
    mitigation: Mitigation
    target: Target
    autonomy: Autonomy


@dataclass(frozen=True, slots=True)
class Nothing:
    """No mitigation fits; a person takes over."""

    reason: RefusalReason
    detail: str


def choose(specs: SpecSet, entity: Entity, cause: Cause, tried: Collection[tuple[str, str]]) -> Chosen | Nothing:
    """The first mitigation of the cause's runbooks that has a target of this entity and is not among `tried`
    (mitigation, target)."""
    if cause is Cause.UNKNOWN:
        return Nothing(RefusalReason.CAUSE_UNKNOWN, "the evidence names no cause; nothing is changed on a guess")
    if len(tried) >= specs.limits.attempts_per_incident:
        return Nothing(
            RefusalReason.ATTEMPTS, f"{len(tried)} attempts were made, {specs.limits.attempts_per_incident} are allowed"
        )
    catalogue = {mitigation.name: mitigation for mitigation in specs.mitigations}
    for runbook in specs.runbooks:
        if runbook.cause is not cause or runbook.service not in (None, entity.service):
            continue
        for name in runbook.mitigations:
            mitigation = catalogue[name]  # an unsound spec set never comes into force
            for target in specs.targets:
                if _fits(target, entity, mitigation) and (name, target.id) not in tried:
                    return Chosen(mitigation, target, autonomy(specs, entity, name))
    return Nothing(
        RefusalReason.NO_MITIGATION, f"no runbook holds an untried mitigation for {cause.value} of {entity.service}"
    )


def autonomy(specs: SpecSet, entity: Entity, mitigation: str) -> Autonomy:
    """The leave that was given for this tenant and mitigation; `suggest` where no rule names them."""
    for rule in specs.autonomy:
        if (rule.environment, rule.tenant, rule.mitigation) == (entity.environment, entity.tenant, mitigation):
            return rule.level
    return Autonomy.SUGGEST


def _fits(target: Target, entity: Entity, mitigation: Mitigation) -> bool:
    same = target.environment == entity.environment and target.service == entity.service
    return same and entity.tenant in target.tenants and target.parameter == mitigation.parameter
