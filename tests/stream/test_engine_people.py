"""What operators say, by timelines: nothing happens without their word where they want to be asked."""

from typing import Any

import pytest

from schemas.runbook import Autonomy
from tests.beginnings import BURN, burning, confirmed, live
from tests.timeline import ENVIRONMENT, TENANT, Timeline, specs

APPROVE = specs(Autonomy.APPROVE)


def suggested(spec: Any = APPROVE) -> Timeline:
    """A plan waits for a person."""
    world = burning(Timeline(spec_set=spec))
    assert world.told("suggested")
    return world


def say(world: Timeline, approve: bool, **changed: Any) -> None:
    """An operator decides about the plan that was suggested last; the next seconds burn on."""
    plan = world.told("suggested")[-1]
    data = {
        "plan": plan["plan"],
        "incident": plan["incident"],
        "environment": ENVIRONMENT,
        "tenant": TENANT,
        "approve": approve,
        "by": "kim",
        "reason": "looked at it",
        "time_ms": world.now_ms,
        "expires_ms": world.now_ms + 60_000,
    }
    world.control("dev.douse.control.plan", data | changed)
    world.run(1, **BURN)


def want_back(world: Timeline, change: dict[str, Any], **changed: Any) -> None:
    data = {
        "command": change["command"],
        "incident": change["incident"],
        "environment": ENVIRONMENT,
        "tenant": TENANT,
        "by": "kim",
        "reason": "the week's sale",
        "time_ms": world.now_ms,
    }
    world.control("dev.douse.control.revert", data | changed)
    world.run(1, rate=270)


def test_nothing_happens_until_the_plan_is_approved() -> None:
    world = suggested()
    world.run(20, **BURN)
    assert not world.commands()
    say(world, True)
    (planned,) = world.told("planned")
    assert planned["approved_by"] == "kim"
    assert planned["plan"] == world.told("suggested")[0]["plan"], "what was approved is what is done"
    assert [one["word"] for one in world.told("decided")] == ["approve"]
    assert len(world.commands("apply")) == 1
    live(world)
    world.run(35)
    assert [one["ending"] for one in world.told("closed")] == ["confirmed"]


def test_what_is_rejected_is_never_done_and_reaches_a_person() -> None:
    world = suggested()
    say(world, False)
    world.run(20, **BURN)
    assert not world.commands()
    assert [one["reason"] for one in world.told("refused")] == ["rejected"]
    assert "looked at it" in world.told("handed_over")[0]["detail"]


@pytest.mark.parametrize(
    "changed",
    [{"plan": "another"}, {"expires_ms": 1}, {"expires_ms": 10**15}, {"time_ms": 10**15, "expires_ms": 10**15 + 1}],
    ids=["another plan", "expired", "for ever", "from the future"],
)
def test_an_approval_that_does_not_fit_is_answered_and_changes_nothing(changed: dict[str, Any]) -> None:
    world = suggested()
    say(world, True, **changed)
    world.run(5, **BURN)
    assert not world.commands()
    (decided,) = world.told("decided")
    assert not decided["taken"]
    assert decided["detail"]


@pytest.mark.parametrize("changed", [{"incident": "none"}, {"tenant": "south"}, {"environment": "test"}], ids=str)
def test_an_approval_for_somebody_else_is_counted_and_changes_nothing(changed: dict[str, Any]) -> None:
    world = suggested()
    say(world, True, **changed)
    assert not world.commands()
    assert not world.told("decided")


def test_an_approval_lapses() -> None:
    world = suggested()
    world.kill("global", True, world.now_ms)
    say(world, True, expires_ms=world.now_ms + 5_000)
    world.run(10, **BURN)
    world.kill("global", False, world.now_ms)
    world.run(10, **BURN)
    assert not world.commands(), "the guard held it until the word was too old"


def test_where_douse_may_only_suggest_an_approval_carries_nothing_out() -> None:
    world = suggested(specs(Autonomy.SUGGEST))
    say(world, True)
    world.run(10, **BURN)
    assert not world.commands()


def test_a_kill_switch_stops_what_was_approved() -> None:
    world = suggested()
    world.kill("global", True, world.now_ms)
    say(world, True)
    assert not world.commands()
    assert [one["reason"] for one in world.told("refused")] == ["kill_switch"]


def test_a_person_takes_back_what_is_being_judged() -> None:
    world = burning(Timeline())
    command = live(world)
    world.run(1, rate=270)
    want_back(world, command)
    (revert,) = world.commands("revert")
    assert revert["applies"] == command["command"]
    world.outcome(revert, "reverted")
    world.run(1, rate=270)
    (handed,) = world.told("handed_over")
    assert (handed["reason"], handed["stands"]) == ("by_person", False)
    assert "kim" in handed["detail"]


def test_a_person_takes_back_a_change_long_after_its_incident_is_over() -> None:
    world = Timeline()
    command = confirmed(world)
    world.outcome(world.commands("confirm")[0], "confirmed")
    world.run(200)
    want_back(world, command)
    (revert,) = world.commands("revert")
    assert revert["applies"] == command["command"]
    world.outcome(revert, "reverted")
    world.run(1)
    assert not world.state.closed, "nothing of it stands any more"
    assert not world.told("handed_over"), "it is as the person wanted it"


def test_what_does_not_stand_is_not_taken_back_twice() -> None:
    world = Timeline()
    command = confirmed(world)
    world.outcome(world.commands("confirm")[0], "confirmed")
    for _ in range(2):
        want_back(world, command)
    assert len(world.commands("revert")) == 1
    assert [one["taken"] for one in world.told("decided")] == [True, False]


def test_what_nobody_answered_is_ordered_back_again_by_another_order() -> None:
    world = Timeline()
    command = confirmed(world)
    world.outcome(world.commands("confirm")[0], "confirmed")
    want_back(world, command)
    world.run(60, rate=270)
    assert world.told("handed_over")[-1]["reason"] == "no_answer"
    want_back(world, command)
    first, again = world.commands("revert")
    assert first["applies"] == again["applies"] == command["command"]
    assert first["command"] != again["command"], "an actuator answers one order once"
    world.outcome(again, "reverted")
    world.run(1)
    assert not world.state.closed, "nothing of it stands any more"


@pytest.mark.parametrize("changed", [{"command": "none"}, {"incident": "none"}, {"tenant": "south"}], ids=str)
def test_a_word_on_a_change_that_nobody_here_made_does_nothing(changed: dict[str, Any]) -> None:
    world = Timeline()
    command = confirmed(world)
    want_back(world, command, **changed)
    assert not world.commands("revert")


def test_a_target_is_touched_again_once_a_person_has_looked() -> None:
    world = burning(Timeline())
    world.outcome(world.commands("apply")[0], "unknown", reason="unreadable")
    world.run(1, **BURN)
    assert world.state.targets["north-pool"].unknown
    data = {"target": "north-pool", "by": "kim", "reason": "it is as it was", "time_ms": world.now_ms - 60_000}
    world.control("dev.douse.control.thaw", data)
    world.run(1, **BURN)
    assert world.state.targets["north-pool"].unknown, "a word from before says nothing about it"
    data["time_ms"] = world.now_ms
    world.control("dev.douse.control.thaw", data)
    world.run(1, **BURN)
    assert not world.state.targets["north-pool"].unknown
