"""The choice of a mitigation: the runbook's order, for this entity, and nothing on a guess."""

from typing import Any

import pytest

from actuators.policy import choice
from actuators.policy.choice import Chosen, Nothing, Tried
from schemas.identity import Entity
from schemas.refusal import RefusalReason
from schemas.runbook import (
    Amplifier,
    Autonomy,
    AutonomyRule,
    Cause,
    Course,
    Lift,
    Limits,
    Mitigation,
    Runbook,
    Scale,
    Set,
    Target,
)
from schemas.specs import SpecSet

ENTITY = Entity("live", "north", "basket")
POOL = Mitigation(name="more", parameter="pool_size", action=Scale(numerator=2), minimum=8, maximum=64)
WAIT = Mitigation(name="backoff", parameter="retry", action=Set(value="exponential"), minimum=0, maximum=0)


def target(identity: str, **changed: Any) -> Target:
    return Target(
        **{
            "id": identity,
            "actuator": "host",
            "environment": "live",
            "tenants": ("north",),
            "service": "basket",
            "parameter": "pool_size",
            **changed,
        }
    )


def specs(**changed: Any) -> SpecSet:
    return SpecSet(
        **{
            "slos": (),
            "mitigations": (WAIT, POOL),
            "runbooks": (
                Runbook(cause=Cause.POOL_EXHAUSTED, courses=(Course(steps=("more",)), Course(steps=("backoff",)))),
            ),
            "targets": (target("pool"), target("retry", parameter="retry")),
            "autonomy": (AutonomyRule(environment="live", tenant="north", mitigation="more", level=Autonomy.AUTO),),
            "limits": Limits(attempts_per_incident=3),
            **changed,
        }
    )


def choose(
    cause: Cause = Cause.POOL_EXHAUSTED,
    tried: tuple[tuple[str, str], ...] = (),
    kept: tuple[tuple[str, str], ...] = (),
    amplifiers: tuple[Amplifier, ...] = (),
    **changed: Any,
) -> tuple[str, ...]:
    """Mitigation and target of each step, then the plan's autonomy; or the reason for none."""
    before = [Tried(frozenset({change})) for change in tried] + [
        Tried(frozenset({change}), frozenset({change})) for change in kept
    ]
    found = choice.choose(specs(**changed), ENTITY, cause, amplifiers, before)
    match found:
        case Chosen():
            return (*(word for step in found.steps for word in step.name), found.autonomy.value)
        case Nothing():
            return (found.reason.value,)


BOTH = Course(steps=("more", "backoff"), amplifiers=(Amplifier.RETRY_STORM,), lift=Lift.AUTO)
ALONE = Course(steps=("more",))
PLANS = (Runbook(cause=Cause.POOL_EXHAUSTED, courses=(BOTH, ALONE)),)


def test_the_runbooks_order_decides_and_not_the_catalogues() -> None:
    assert choose() == ("more", "pool", "auto")


def test_what_was_tried_is_left_out() -> None:
    assert choose(tried=(("more", "pool"),)) == ("backoff", "retry", "suggest")
    assert choose(tried=(("more", "pool"), ("backoff", "retry"))) == ("no_mitigation",)


def test_another_target_of_the_same_mitigation_is_another_try() -> None:
    targets = (target("pool"), target("second"))
    assert choose(tried=(("more", "pool"),), targets=targets) == ("more", "second", "auto")


def test_a_course_is_taken_only_where_its_amplifiers_are_at_work() -> None:
    assert choose(runbooks=PLANS) == ("more", "pool", "auto")
    assert choose(runbooks=PLANS, amplifiers=(Amplifier.TRAFFIC_SPIKE,)) == ("more", "pool", "auto")
    assert choose(runbooks=PLANS, amplifiers=tuple(Amplifier)) == ("more", "pool", "backoff", "retry", "suggest")


def test_a_plan_has_the_least_leave_of_its_steps() -> None:
    rules = [
        AutonomyRule(environment="live", tenant="north", mitigation=name, level=level)
        for name, level in (("more", Autonomy.AUTO), ("backoff", Autonomy.APPROVE))
    ]
    found = choose(runbooks=PLANS, amplifiers=tuple(Amplifier), autonomy=tuple(rules))
    assert found == ("more", "pool", "backoff", "retry", "approve")


def test_a_course_of_which_a_step_has_no_target_is_left_out_whole() -> None:
    storm = tuple(Amplifier)
    assert choose(runbooks=PLANS, amplifiers=storm, targets=(target("pool"),)) == ("more", "pool", "auto")


def test_a_plan_that_holds_nothing_but_what_was_tried_is_left_out() -> None:
    tried = [Tried(frozenset({("more", "pool"), ("backoff", "retry")}))]
    found = choice.choose(specs(runbooks=PLANS), ENTITY, Cause.POOL_EXHAUSTED, tuple(Amplifier), tried)
    assert isinstance(found, Nothing), "the pool alone is half of what did not help"


def test_the_next_plan_builds_on_what_was_kept() -> None:
    kept = (("more", "pool"),)
    assert choose(runbooks=PLANS, amplifiers=tuple(Amplifier), kept=kept) == ("backoff", "retry", "suggest")
    assert choose(runbooks=PLANS, kept=kept) == ("no_mitigation",)


def test_what_degrades_is_lifted_first_then_what_is_temporary_the_last_applied_first() -> None:
    names = {"pool": {}, "off": {"degrades": True}, "backoff": {"temporary": True}, "cache": {"temporary": True}}
    steps = [POOL.model_copy(update={"name": name, **more}) for name, more in names.items()]
    assert [steps[place].name for place in choice.may_lift(steps)] == ["off", "cache", "backoff"]


def test_attempts_are_counted_before_anything_is_looked_for() -> None:
    assert choose(tried=(("more", "pool"),), limits=Limits(attempts_per_incident=1)) == ("attempts",)
    assert choose(limits=Limits(attempts_per_incident=0)) == ("attempts",)


def test_nothing_is_changed_on_a_guess() -> None:
    runbooks = (Runbook(cause=Cause.UNKNOWN, courses=(Course(steps=("more",)),)),)
    assert choose(Cause.UNKNOWN, runbooks=runbooks) == ("cause_unknown",)


def test_another_cause_has_other_runbooks() -> None:
    assert choose(Cause.SLOW_DATABASE) == ("no_mitigation",)


@pytest.mark.parametrize(
    "changed",
    [
        {"environment": "test"},
        {"tenants": ("south",)},
        {"tenants": ()},
        {"service": "checkout"},
        {"service": ""},
        {"parameter": "retry_size"},
    ],
    ids=str,
)
def test_a_target_fits_only_its_own_environment_tenant_service_and_parameter(changed: dict[str, Any]) -> None:
    assert choose(targets=(target("pool", **changed),)) == ("no_mitigation",)


def test_a_runbook_for_a_service_is_for_no_other_and_comes_in_its_place() -> None:
    own = Runbook(cause=Cause.POOL_EXHAUSTED, service="basket", courses=(Course(steps=("backoff",)),))
    others = Runbook(cause=Cause.POOL_EXHAUSTED, service="checkout", courses=(Course(steps=("more",)),))
    assert choose(runbooks=(others, own)) == ("backoff", "retry", "suggest")
    assert choose(runbooks=(others,)) == ("no_mitigation",)


@pytest.mark.parametrize(
    "changed", [{"environment": "test"}, {"tenant": "south"}, {"tenant": "*"}, {"mitigation": "backoff"}], ids=str
)
def test_leave_is_only_for_what_its_rule_names(changed: dict[str, str]) -> None:
    rule = {"environment": "live", "tenant": "north", "mitigation": "more", "level": Autonomy.AUTO, **changed}
    assert choose(autonomy=(AutonomyRule(**rule),)) == ("more", "pool", "suggest")  # type: ignore[arg-type]  # a table


@pytest.mark.parametrize("level", list(Autonomy))
def test_the_level_that_was_given_is_the_level_that_is_told(level: Autonomy) -> None:
    rules = (AutonomyRule(environment="live", tenant="north", mitigation="more", level=level),)
    assert choose(autonomy=rules) == ("more", "pool", level.value)


def test_nothing_says_why_in_words() -> None:
    found = choice.choose(specs(), ENTITY, Cause.SLOW_DATABASE, (), ())
    assert found == Nothing(
        RefusalReason.NO_MITIGATION, "no runbook holds an untried mitigation for slow_database of basket"
    )
