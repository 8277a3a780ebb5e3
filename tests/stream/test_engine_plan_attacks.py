"""What an attacker, a bad day or a change of the specs does to plans: each of these once led to a wrong act."""

from typing import Any

import pytest

from schemas.runbook import Autonomy, Set
from schemas.specs import SpecSet
from tests.beginnings import BURN, put_in_force
from tests.stream.test_engine_people import APPROVE, say, suggested
from tests.stream.test_engine_plans import (
    LIFT,
    NAMES,
    answer,
    applied,
    confirmed,
    lifted,
    plan_specs,
    planned,
    steps,
    taken_back,
)
from tests.timeline import Timeline, specs


def changed(base: SpecSet, target: str = "", mitigation: str = "", **fields: Any) -> SpecSet:
    """The set with other fields of one target or one mitigation."""
    targets = [one.model_copy(update=fields) if one.id == target else one for one in base.targets]
    mitigations = [one.model_copy(update=fields) if one.name == mitigation else one for one in base.mitigations]
    return base.model_copy(update={"targets": tuple(targets), "mitigations": tuple(mitigations)})


def test_slow_steps_do_not_eat_up_the_watch() -> None:
    world = planned()
    for _ in NAMES:
        world.run(17, **BURN)
        answer(world)
    world.run(40, **{**BURN, "bad": 1.0})
    assert not world.commands("confirm"), "nothing is let stand for seconds that nobody has seen"
    assert steps(world, "revert") == list(reversed(NAMES))


@pytest.mark.parametrize(
    "change",
    [
        {"mitigation": "backoff", "action": Set(value="none")},
        {"target": "north-backoff", "tenants": ("south",)},
        {"target": "north-backoff", "tenants": ("north", "south")},
        {"target": "north-backoff", "actuator": "elsewhere"},
    ],
    ids=str,
)
def test_a_later_step_is_what_was_decided_or_nothing(change: dict[str, Any]) -> None:
    world = planned()
    put_in_force(world, changed(plan_specs(), **change))
    answer(world)
    assert steps(world, "apply") == ["more-connections"]
    assert steps(world, "revert") == ["more-connections"]


def test_a_later_step_needs_an_objective_that_may_act() -> None:
    world, base = planned(), plan_specs()
    put_in_force(world, base.model_copy(update={"slos": specs(acts=False).slos}))
    answer(world)
    assert steps(world, "apply") == ["more-connections"]


def test_a_later_step_is_not_ordered_on_a_frozen_target() -> None:
    world = planned()
    foreign = {**world.commands("apply")[0], "command": "x" * 32, "applies": "x" * 32, "target": "north-backoff"}
    world.outcome(foreign, "live", live_ms=world.now_ms)
    answer(world)
    assert steps(world, "apply") == ["more-connections"]


def test_a_repeated_answer_about_a_value_that_stood_there_already_changes_nothing() -> None:
    world = planned()
    answer(world)
    answer(world, "refused", reason="no_change")
    answer(world)
    world.outcome(world.commands("apply")[1], "refused", reason="no_change")
    world.run(1, rate=270)
    assert world.phase() == "watching"
    assert not world.commands("revert")


def test_a_repeated_answer_about_an_earlier_trial_does_not_end_the_next() -> None:
    world = confirmed(LIFT)
    world.run(1, rate=270)
    first = world.commands("revert")[0]
    taken_back(world)
    world.run(30, rate=270)
    assert lifted(world)[-1] == ("backoff", "trying")
    world.outcome(first, "reverted")
    world.run(1, rate=270)
    assert world.phase() == "lifting"


def test_with_a_kill_switch_on_nothing_is_taken_away_on_trial() -> None:
    world = applied(LIFT)
    world.kill("global", True, world.now_ms)
    world.run(40, rate=270)
    assert not world.told("lifted")
    assert [one["kind"] for one in world.told("suggested")] == ["lift"], "a person may"


def test_the_kill_switch_of_another_tenant_on_the_target_counts() -> None:
    base = plan_specs()
    rules = [*base.autonomy, *(rule.model_copy(update={"tenant": "south"}) for rule in base.autonomy)]
    both = base.model_copy(
        update={
            "targets": tuple(one.model_copy(update={"tenants": ("north", "south")}) for one in base.targets),
            "autonomy": tuple(rules),
        }
    )
    world = Timeline(spec_set=both)
    world.kill("tenant:live:south", True, world.now_ms)
    world.run(60)
    world.run(14, **BURN)
    assert not world.commands()
    (refused,) = world.told("refused")
    assert refused["reason"] == "kill_switch"
    assert "south" not in str(refused), "an event of a tenant names no other"


def test_a_kept_change_that_is_gone_is_told_and_not_built_on() -> None:
    courses = plan_specs().runbooks[0].courses[0]
    first = courses.model_copy(update={"steps": ("more-connections",)})
    second = courses.model_copy(update={"steps": ("more-connections", "backoff")})
    world = planned(plan_specs(first, second, cooldown_s=0, applies_per_hour_tenant=9, lag_ms_max=60_000))
    answer(world)
    world.kill("global", True, world.now_ms)
    world.run(40, rate=270, bad=0.10)
    world.outcome(world.commands("apply")[0], "reverted", reason="confirm_deadline")
    world.run(1, rate=270, bad=0.10)
    assert [one["reason"] for one in world.told("handed_over")] == ["confirm_deadline"]
    world.kill("global", False, world.now_ms)
    world.run(2, rate=270, bad=0.10)
    assert [step["mitigation"] for step in world.told("planned")[-1]["steps"]] == ["more-connections", "backoff"]


def test_an_approval_that_names_nobody_is_not_taken() -> None:
    world = suggested()
    say(world, True, by="  ")
    assert not world.commands()
    assert [one["taken"] for one in world.told("decided")] == [False]


def test_a_rejection_outlives_an_older_approval_and_a_change_to_auto() -> None:
    world = suggested()
    world.kill("global", True, world.now_ms)
    early_ms = world.now_ms - 2_000
    say(world, True, time_ms=early_ms)
    world.run(3)
    say(world, False)
    say(world, True, time_ms=early_ms)
    world.kill("global", False, world.now_ms)
    put_in_force(world, specs(Autonomy.AUTO))
    world.run(5, **BURN)
    assert not world.commands()


def test_an_approval_of_one_actuators_target_is_none_of_anothers() -> None:
    world = suggested()
    world.kill("global", True, world.now_ms)
    say(world, True)
    put_in_force(world, changed(APPROVE, target="north-pool", actuator="elsewhere"))
    world.kill("global", False, world.now_ms)
    world.run(5, **BURN)
    assert not world.commands()
