"""Which course for this cause and its amplifiers? The runbook's order, what was tried already left out."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from schemas.identity import Entity
from schemas.refusal import RefusalReason
from schemas.runbook import Amplifier, Autonomy, Cause, Course, Lift, Mitigation, Target
from schemas.specs import SpecSet

LEAVE = tuple(Autonomy)  # from the least to the most


@dataclass(frozen=True, slots=True)
class Change:
    """One step: what, where, and how far douse may go with it on its own."""

    mitigation: Mitigation
    target: Target
    autonomy: Autonomy

    @property
    def name(self) -> tuple[str, str]:
        return (self.mitigation.name, self.target.id)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The steps in the order in which they are applied; never none."""

    steps: tuple[Change, ...]
    lift: Lift

    @property
    def autonomy(self) -> Autonomy:
        """The least of what its steps have: a plan is one thing, and as careful as its most delicate part."""
        return min((step.autonomy for step in self.steps), key=LEAVE.index)


@dataclass(frozen=True, slots=True)
class Tried:
    """The changes of a plan before. The next plan builds on those that were let stand and do, which are `kept`."""

    changes: frozenset[tuple[str, str]]
    kept: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Nothing:
    """No course fits; a person takes over."""

    reason: RefusalReason
    detail: str


def choose(
    specs: SpecSet, entity: Entity, cause: Cause, amplifiers: Collection[Amplifier], tried: Sequence[Tried]
) -> Chosen | Nothing:
    """The first course of the cause's runbooks whose amplifiers are all at work, each of whose steps has a target of
    this entity, and which holds something that was not tried."""
    if cause is Cause.UNKNOWN:
        return Nothing(RefusalReason.CAUSE_UNKNOWN, "the evidence names no cause; nothing is changed on a guess")
    if len(tried) >= specs.limits.attempts_per_incident:
        return Nothing(
            RefusalReason.ATTEMPTS, f"{len(tried)} attempts were made, {specs.limits.attempts_per_incident} are allowed"
        )
    kept = frozenset(change for one in tried for change in one.kept)
    for course in _courses(specs, entity, cause, amplifiers):
        steps = _steps(specs, entity, course, kept, frozenset(change for one in tried for change in one.changes))
        left = tuple(step for step in steps or () if step.name not in kept)
        names = frozenset(step.name for step in left)
        if left and not any(names <= one.changes for one in tried):
            return Chosen(left, course.lift)
    return Nothing(
        RefusalReason.NO_MITIGATION, f"no runbook holds an untried mitigation for {cause.value} of {entity.service}"
    )


def autonomy(specs: SpecSet, environment: str, tenant: str, mitigation: str) -> Autonomy:
    """The leave that was given for this tenant and mitigation; `suggest` where no rule names them."""
    for rule in specs.autonomy:
        if (rule.environment, rule.tenant, rule.mitigation) == (environment, tenant, mitigation):
            return rule.level
    return Autonomy.SUGGEST


def may_lift(steps: Sequence[Mitigation]) -> tuple[int, ...]:
    """Places of the steps that may be unnecessary by now: what degrades first, then what is temporary, the last
    applied first."""
    places = range(len(steps) - 1, -1, -1)
    degrading = [place for place in places if steps[place].degrades]
    return (*degrading, *(place for place in places if steps[place].temporary and place not in degrading))


def _courses(specs: SpecSet, entity: Entity, cause: Cause, amplifiers: Collection[Amplifier]) -> Iterator[Course]:
    for runbook in specs.runbooks:
        if runbook.cause is cause and runbook.service in (None, entity.service):
            yield from (course for course in runbook.courses if set(course.amplifiers) <= set(amplifiers))


def _steps(
    specs: SpecSet,
    entity: Entity,
    course: Course,
    kept: Collection[tuple[str, str]],
    tried: Collection[tuple[str, str]],
) -> tuple[Change, ...] | None:
    """Every step with its target, a kept one or else one that was not tried; None where a step has none: half a course
    is another course."""
    catalogue = {mitigation.name: mitigation for mitigation in specs.mitigations}
    found = []
    for name in course.steps:
        mitigation = catalogue[name]  # an unsound spec set never comes into force
        fitting = [target for target in specs.targets if _fits(target, entity, mitigation)]
        if not fitting:
            return None
        target = min(fitting, key=lambda one: ((name, one.id) not in kept, (name, one.id) in tried))
        found.append(Change(mitigation, target, autonomy(specs, entity.environment, entity.tenant, name)))
    return tuple(found)


def _fits(target: Target, entity: Entity, mitigation: Mitigation) -> bool:
    same = target.environment == entity.environment and target.service == entity.service
    return same and entity.tenant in target.tenants and target.parameter == mitigation.parameter
