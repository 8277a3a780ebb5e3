"""Plans of several steps by timelines: ordered one after the other, judged, confirmed and taken back as a whole."""

from typing import Any

import pytest

from schemas.runbook import (
    Autonomy,
    AutonomyRule,
    Cause,
    Course,
    Lift,
    Limits,
    Mitigation,
    Runbook,
    Set,
    Target,
)
from schemas.specs import SpecSet
from tests.beginnings import BURN, burning, put_in_force
from tests.timeline import ENVIRONMENT, SERVICE, START_MS, TENANT, Timeline, specs

NAMES = ("more-connections", "backoff", "shed")
COURSE = Course(steps=NAMES)


def plan_specs(*courses: Course, leave: Autonomy = Autonomy.AUTO, lift: Lift = Lift.SUGGEST, **limits: int) -> SpecSet:
    """The pool is grown, the clients' backoff set, an endpoint switched off: one course of three steps."""
    base = specs()
    (pool,), (pool_target,) = base.mitigations, base.targets
    mitigations = (
        pool,
        Mitigation(
            name="backoff", parameter="backoff", action=Set(value="exponential"), minimum=0, maximum=0, temporary=True
        ),
        Mitigation(name="shed", parameter="endpoint", action=Set(value=False), minimum=0, maximum=0, degrades=True),
    )
    targets = (
        pool_target,
        *(
            Target(
                id=f"north-{parameter}",
                actuator="host",
                environment=ENVIRONMENT,
                tenants=(TENANT,),
                service=SERVICE,
                parameter=parameter,
            )
            for parameter in ("backoff", "endpoint")
        ),
    )
    rules = tuple(AutonomyRule(environment=ENVIRONMENT, tenant=TENANT, mitigation=name, level=leave) for name in NAMES)
    runbook = Runbook(cause=Cause.POOL_EXHAUSTED, courses=courses or (COURSE.model_copy(update={"lift": lift}),))
    changed = {"mitigations": mitigations, "targets": targets, "autonomy": rules, "runbooks": (runbook,)}
    return base.model_copy(update=changed | {"limits": Limits(**limits)})


def planned(spec_set: SpecSet | None = None) -> Timeline:
    return burning(Timeline(spec_set=spec_set or plan_specs()))


def answer(world: Timeline, status: str = "live", kind: str = "apply", **fields: Any) -> None:
    """The actuator answers the newest command of this kind, and a tick hears of it."""
    command = world.commands(kind)[-1]
    live_ms = {"live_ms": world.now_ms} if status == "live" else {}
    world.outcome(command, status, **live_ms, **fields)
    world.now_ms += 250
    world.tick()


def applied(spec_set: SpecSet | None = None) -> Timeline:
    """All three steps are live."""
    world = planned(spec_set)
    for _ in NAMES:
        answer(world)
    return world


def confirmed(spec_set: SpecSet | None = None) -> Timeline:
    """A plan that was proven; its actuator has heard that it is to stand."""
    world = applied(spec_set)
    for _ in range(60):
        if world.commands("confirm"):
            break
        world.run(1, rate=270)
    for command in world.commands("confirm"):
        world.outcome(command, "confirmed")
    return world


def steps(world: Timeline, kind: str) -> list[str]:
    return [command["mitigation"] for command in world.commands(kind)]


def test_each_step_follows_when_the_one_before_it_is_live() -> None:
    world = planned()
    (plan,) = world.told("planned")
    assert [step["mitigation"] for step in plan["steps"]] == list(NAMES)
    for place in range(len(NAMES)):
        assert steps(world, "apply") == list(NAMES[: place + 1])
        assert world.phase() == "applying"
        answer(world)
    assert world.phase() == "watching"
    commands = world.commands("apply")
    assert [one["command"] for one in commands] == [step["command"] for step in plan["steps"]]
    assert len({one["command"] for one in commands}) == len(NAMES)
    assert {one["plan"] for one in commands} == {plan["plan"]}
    assert [one["step"] for one in commands] == [0, 1, 2]


def test_an_outcome_that_comes_twice_orders_the_next_step_once() -> None:
    world = planned()
    for _ in range(2):
        world.outcome(world.commands("apply")[0], "live", live_ms=world.now_ms)
    world.run(1, **BURN)
    world.outcome(world.commands("apply")[0], "live", live_ms=world.now_ms)
    world.run(1, **BURN)
    assert steps(world, "apply") == list(NAMES[:2])


def test_a_plan_is_judged_and_confirmed_as_a_whole() -> None:
    world = confirmed()
    assert [one["verdict"] for one in world.told("verdict")] == ["effective"]
    assert steps(world, "confirm") == list(NAMES)
    assert [one["ending"] for one in world.told("closed")] == ["confirmed"]
    live_ms = world.told("verdict")[0]["live_ms"]
    assert live_ms >= world.commands("apply")[-1]["decided_ms"] > START_MS, "its seconds begin when the last is live"


def test_what_may_be_unnecessary_is_suggested_for_taking_back_degradation_first() -> None:
    (suggested,) = confirmed().told("suggested")
    assert suggested["kind"] == "lift"
    assert [step["mitigation"] for step in suggested["steps"]] == ["shed", "backoff"]


def test_a_plan_that_does_not_help_is_taken_back_whole_the_last_change_first() -> None:
    world = applied()
    world.run(40, **BURN)
    assert world.told("verdict")[-1]["verdict"] == "ineffective"
    assert steps(world, "revert") == list(reversed(NAMES))
    for command in world.commands("revert"):
        assert world.phase() == "reverting"
        world.outcome(command, "reverted")
        world.run(1, **BURN)
    assert world.phase() in ("held", "handed", "burning")
    assert not world.commands("confirm")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_step_that_fails_stops_the_plan_and_takes_back_what_came_before(failing: int) -> None:
    world = planned()
    for _ in range(failing):
        answer(world)
    answer(world, "failed", reason="not_live", detail="deaf")
    assert steps(world, "apply") == list(NAMES[: failing + 1])
    assert steps(world, "revert") == list(reversed(NAMES[:failing]))
    for command in world.commands("revert"):
        assert not world.told("handed_over")
        world.outcome(command, "reverted")
        world.run(1, **BURN)
    (handed,) = world.told("handed_over")
    assert (handed["reason"], handed["stands"]) == ("not_live", False)


def test_a_step_whose_value_stands_there_already_is_passed_over_and_never_taken_back() -> None:
    world = planned()
    answer(world)
    answer(world, "refused", reason="no_change")
    answer(world)
    assert world.phase() == "watching"
    world.run(40, **BURN)
    assert steps(world, "revert") == ["shed", "more-connections"]


def test_where_every_value_stands_there_already_a_person_is_told() -> None:
    world = planned()
    for _ in NAMES:
        answer(world, "refused", reason="no_change")
    assert [one["reason"] for one in world.told("handed_over")] == ["no_change"]
    assert not world.commands("revert")


def test_a_step_that_nobody_answers_freezes_its_target_and_takes_back_the_others() -> None:
    world = planned()
    answer(world)
    world.run(40, **BURN)
    assert steps(world, "revert") == ["backoff", "more-connections"], "what may still come is to go as well"
    world.outcome(world.commands("revert")[1], "reverted")
    world.run(1, **BURN)
    (handed,) = world.told("handed_over")
    assert (handed["reason"], handed["stands"]) == ("no_answer", True)
    assert world.state.targets["north-backoff"].unknown
    assert not world.state.targets["north-pool"].unknown


def test_a_change_that_its_actuator_takes_back_while_the_plan_is_watched_takes_the_others_with_it() -> None:
    world = applied()
    world.outcome(world.commands("apply")[1], "reverted", reason="confirm_deadline")
    world.run(1, rate=270)
    assert steps(world, "revert") == ["shed", "more-connections"]
    for command in world.commands("revert"):
        world.outcome(command, "reverted")
    world.run(1, rate=270)
    assert [one["reason"] for one in world.told("handed_over")] == ["confirm_deadline"]


def test_a_plan_that_helps_in_part_is_kept_and_the_next_one_builds_on_it() -> None:
    first, second = Course(steps=("more-connections",)), Course(steps=("more-connections", "backoff"))
    world = planned(plan_specs(first, second, cooldown_s=0, applies_per_hour_tenant=9))
    answer(world)
    world.run(40, rate=270, bad=0.10)
    assert [one["verdict"] for one in world.told("verdict")] == ["partial"]
    assert steps(world, "confirm") == ["more-connections"]
    assert steps(world, "apply") == ["more-connections", "backoff"]
    assert not world.commands("revert")
    before = world.told("planned")[1]
    share = before["errors_before"] / before["requests_before"]
    assert share == pytest.approx(0.10, abs=0.01), "what burned before the first plan is not its measure"


def test_a_mitigation_that_leaves_the_spec_set_before_its_turn_ends_the_plan() -> None:
    world = planned()
    less = plan_specs(Course(steps=("more-connections",)))
    put_in_force(world, less.model_copy(update={"mitigations": less.mitigations[:1], "autonomy": less.autonomy[:1]}))
    answer(world)
    assert steps(world, "apply") == ["more-connections"]
    assert steps(world, "revert") == ["more-connections"]


LIFT = plan_specs(lift=Lift.AUTO)


def lifted(world: Timeline) -> list[tuple[str, str]]:
    return [(one["step"]["mitigation"], one["state"]) for one in world.told("lifted")]


def taken_back(world: Timeline) -> None:
    world.outcome(world.commands("revert")[-1], "reverted")


def test_where_the_course_says_so_steps_are_tried_one_at_a_time() -> None:
    world = confirmed(LIFT)
    assert not world.told("closed")
    world.run(1, rate=270)
    assert lifted(world) == [("shed", "trying")]
    taken_back(world)
    world.run(30, rate=270)
    assert lifted(world) == [("shed", "trying"), ("shed", "lifted"), ("backoff", "trying")]
    taken_back(world)
    world.run(30, rate=270)
    assert lifted(world)[3:] == [("backoff", "lifted")]
    assert [one["ending"] for one in world.told("closed")] == ["confirmed"]
    assert steps(world, "apply") == list(NAMES), "nothing had to be put in place again"


def test_a_step_whose_removal_hurts_is_put_in_place_again_and_kept() -> None:
    world = confirmed(LIFT)
    world.run(1, rate=270)
    taken_back(world)
    world.run(8, **BURN)
    assert lifted(world) == [("shed", "trying"), ("shed", "hurts")]
    again = world.commands("apply")[-1]
    assert again["mitigation"] == "shed"
    assert again["command"] not in {one["command"] for one in world.commands("apply")[:-1]}
    answer(world)
    world.run(30, rate=270)
    assert ("shed", "restored") in lifted(world)
    assert [one["applies"] for one in world.commands("confirm")][-1] == again["command"]
    assert ("backoff", "trying") in lifted(world), "the next one has its turn"


def test_while_steps_are_on_trial_an_unexpected_outcome_hands_to_a_person() -> None:
    world = confirmed(LIFT)
    world.run(1, rate=270)
    world.outcome(world.commands("revert")[-1], "unknown", reason="unreadable")
    world.run(1, rate=270)
    assert [one["stands"] for one in world.told("handed_over")] == [True]


def test_without_leave_to_act_alone_a_trial_is_only_suggested() -> None:
    held = LIFT.model_copy(
        update={
            "autonomy": tuple(
                rule.model_copy(update={"level": Autonomy.SUGGEST}) if rule.mitigation == "shed" else rule
                for rule in LIFT.autonomy
            )
        }
    )
    world = planned()
    for _ in NAMES:
        answer(world)
    put_in_force(world, held)
    world.run(40, rate=270)
    assert not world.told("lifted")
