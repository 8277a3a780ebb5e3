"""What would make douse do a wrong thing: each attack, and that it does not."""

from typing import Any

import pytest

from schemas.events import HandedOver
from schemas.runbook import Autonomy, OnSilence
from schemas.specs import SpecSet
from stream.effects import Publish
from tests.beginnings import BURN, EXHAUSTED, SLOW_DATABASE, burning, confirmed, live, put_in_force
from tests.timeline import ENVIRONMENT, SERVICE, TENANT, Timeline, specs


def without(what: str, known: SpecSet) -> SpecSet:
    """The spec set less its availability objective, its target, or its mitigation."""
    match what:
        case "objective":
            return known.model_copy(update={"slos": known.slos[1:]})
        case "target":
            return known.model_copy(update={"targets": ()})
        case _:
            return known.model_copy(update={"mitigations": (), "runbooks": ()})


def handed(world: Timeline) -> list[dict[str, Any]]:
    return [dict(effect.data) for effect in world.effects if effect.type == "dev.douse.incident.handed_over"]


@pytest.mark.parametrize("what", ["objective", "target", "mitigation"])
def test_a_change_that_nobody_gives_leave_for_any_more_is_taken_back(what: str) -> None:
    world = burning(Timeline())
    apply = live(world)
    world.run(2, **BURN)
    put_in_force(world, without(what, world.spec_set))
    world.run(1, **BURN)
    (revert,) = world.commands("revert")
    assert (revert["applies"], revert["target"]) == (apply["command"], "north-pool")
    world.outcome(revert, "reverted")
    world.run(1, **BURN)
    assert world.told("handed_over")[-1]["stands"] is False
    assert len(world.commands()) == 2


def test_an_objective_that_comes_back_opens_an_incident_of_another_name() -> None:
    world = burning(Timeline(spec_set=specs(Autonomy.SUGGEST)))
    put_in_force(world, without("objective", world.spec_set))
    world.run(1, **BURN)
    put_in_force(world, world.spec_set)
    world.run(2, **BURN)
    first, second = world.told("opened")
    assert first["incident"] != second["incident"]
    assert world.told("closed")[0]["ending"] == "withdrawn"


def test_another_text_of_the_indicator_ends_the_incident_of_the_old_one() -> None:
    """Its rings are other rings: counts of two indicators must never meet in one verdict."""
    world = burning(Timeline())
    live(world)
    slo = world.spec_set.slos[0]
    other = slo.model_copy(update={"sli": slo.sli.model_copy(update={"match": {"http.route": "/items"}})})
    world.spec_set = world.spec_set.model_copy(update={"slos": (other, world.spec_set.slos[1])})
    world.run(3, **BURN)
    put_in_force(world, world.spec_set)
    world.run(1, **BURN)
    assert world.told("closed")[0]["ending"] == "withdrawn"
    assert len(world.commands("revert")) == 1


def test_another_target_of_the_objective_does_not_move_what_a_plan_is_judged_by() -> None:
    world = burning(Timeline())
    live(world)
    loose = world.spec_set.slos[0].model_copy(update={"target_ppm": 900_000})
    put_in_force(world, world.spec_set.model_copy(update={"slos": (loose, world.spec_set.slos[1])}))
    world.run(30, rate=270, bad=0.05, pool=EXHAUSTED)
    assert world.told("verdict")[0]["p0_ppm"] == 14_400
    assert world.told("verdict")[0]["verdict"] != "effective"


def test_leave_to_act_that_is_taken_from_an_objective_stops_its_open_incidents() -> None:
    world = Timeline()
    world.kill("global", True, 1)
    burning(world)
    put_in_force(world, specs(acts=False))
    world.kill("global", False, 2)
    world.run(3, **BURN)
    assert not world.commands()
    assert world.told("refused")[-1]["reason"] == "not_allowed"


def test_a_burn_that_stopped_while_something_held_us_back_is_left_alone() -> None:
    world = Timeline()
    world.kill("global", True, 1)
    burning(world)
    world.run(8, pool=EXHAUSTED)
    world.kill("global", False, 2)
    world.run(5, pool=EXHAUSTED)
    assert not world.commands()


def test_a_cause_that_was_seen_long_ago_is_looked_for_again_before_anything_is_changed() -> None:
    world = Timeline()
    world.kill("global", True, 1)
    burning(world)
    assert world.told("diagnosed")[-1]["cause"] == "pool_exhausted"
    world.run(65, **{**BURN, "pool": SLOW_DATABASE})
    world.kill("global", False, 2)
    world.run(3, **{**BURN, "pool": SLOW_DATABASE})
    assert world.told("diagnosed")[-1]["cause"] == "slow_database"
    assert not world.commands()


def test_an_actuators_wrong_clock_does_not_let_the_calm_before_count_as_a_success() -> None:
    world = burning(Timeline())
    (command,) = world.commands("apply")
    world.outcome(command, "live", live_ms=world.now_ms - 60_000)
    world.run(25, **BURN)
    assert [one["verdict"] for one in world.told("verdict")] == ["ineffective"]


@pytest.mark.parametrize("blind", ["no progress", "a loss", "sampled"])
def test_no_success_is_concluded_from_telemetry_that_may_be_incomplete(blind: str) -> None:
    world = burning(Timeline())
    live(world)
    match blind:
        case "a loss":
            world.lost = (3, 7)
        case "sampled":
            world.sampled = True
    world.run(50, pool=EXHAUSTED, fresh=blind != "no progress")
    assert not world.commands("confirm")
    assert [one["verdict"] for one in world.told("verdict")] == ["no_data"]
    assert len(world.commands("revert")) == 1


def test_a_success_whose_telemetry_stays_away_before_it_has_lasted_is_taken_back() -> None:
    world = burning(Timeline())
    live(world)
    while not world.told("verdict"):
        world.run(1, pool=EXHAUSTED)
    world.run(80, pool=EXHAUSTED, fresh=False)
    assert not world.commands("confirm")
    assert len(world.commands("revert")) == 1


def test_on_silence_hold_keeps_the_change_and_tells_a_person() -> None:
    spec_set = specs()
    holding = spec_set.mitigations[0].model_copy(update={"on_silence": OnSilence.HOLD})
    world = burning(Timeline(spec_set=spec_set.model_copy(update={"mitigations": (holding,)})))
    live(world)
    world.run(45, rate=0)
    assert len(world.commands("confirm")) == 1
    assert world.told("handed_over")[-1]["stands"] is True


def test_a_change_taken_back_after_its_incident_was_closed_as_confirmed_reaches_a_person() -> None:
    world = Timeline()
    command = confirmed(world)
    world.outcome(command, "reverted", reason="confirm_deadline")
    world.outcome(command, "reverted", reason="confirm_deadline")
    world.run(1)
    (told,) = world.told("handed_over")
    assert (told["reason"], told["stands"], told["incident"]) == ("confirm_deadline", False, command["incident"])
    assert not world.state.closed


def test_a_confirmation_that_is_heard_is_the_end_of_it() -> None:
    world = Timeline()
    confirmed(world)
    world.outcome(world.commands("confirm")[0], "confirmed")
    world.run(300)
    (over,) = world.state.closed.values()
    assert [step.gone for step in over.attempts[0].steps] == [False], "remembered for the person who wants it back"
    assert not handed(world)
    assert not world.state.targets["north-pool"].unknown


def test_a_confirmation_that_nobody_answers_freezes_the_target_and_reaches_a_person() -> None:
    world = Timeline()
    confirmed(world)
    world.run(300)
    assert [one["reason"] for one in handed(world)] == ["no_answer"]
    assert world.state.targets["north-pool"].unknown


def test_a_target_whose_last_change_is_not_settled_is_not_changed_again() -> None:
    world = Timeline(spec_set=specs(cooldown_s=0, applies_per_hour_target=10))
    confirmed(world)
    world.run(30)
    world.run(12, **BURN)
    assert world.told("refused")[-1]["reason"] == "unconfirmed"
    world.outcome(world.commands("confirm")[0], "confirmed")
    world.run(2, **BURN)
    assert len(world.commands("apply")) == 2


def test_a_live_change_of_a_command_that_nobody_gave_freezes_its_target_and_reaches_a_person_once() -> None:
    world = burning(Timeline(spec_set=specs(Autonomy.SUGGEST)))
    forged = {
        "command": "9" * 32, "kind": "apply", "applies": "9" * 32, "actuator": "host", "target": "north-pool",
        "environment": ENVIRONMENT, "tenant": TENANT, "incident": "8" * 32, "shard": 0, "mitigation": "m",
        "parameter": "pool_size",
    }  # fmt: skip
    world.outcome(forged, "live")
    world.outcome(forged, "live")
    world.run(1, **BURN)
    (told,) = handed(world)
    assert (told["reason"], told["service"], told["stands"]) == ("unknown_command", SERVICE, True)
    assert world.state.targets["north-pool"].unknown
    world.outcome(forged, "reverted")
    world.run(1, **BURN)
    assert not world.state.targets["north-pool"].unknown


def test_what_another_actuator_says_of_a_target_that_is_not_its_own_is_ignored() -> None:
    world = burning(Timeline())
    (command,) = world.commands("apply")
    world.outcome({**command, "actuator": "elsewhere"}, "live", live_ms=world.now_ms)
    world.run(1, **BURN)
    assert world.phase() == "applying"
    assert world.state.counters["outcomes_ignored"] == 1


def test_a_revert_of_a_change_that_had_failed_by_itself_leaves_nothing() -> None:
    world = burning(Timeline())
    live(world)
    while not world.commands("revert"):
        world.run(1, rate=270, bad=0.9, pool=EXHAUSTED)
    world.outcome(world.commands("revert")[0], "failed")
    world.run(1, **BURN)
    assert world.told("handed_over")[-1]["stands"] is False


def test_what_stands_is_not_known_after_an_unknown_outcome() -> None:
    world = burning(Timeline())
    live(world)
    world.run(2, **BURN)
    world.outcome(world.commands("apply")[0], "unknown", reason="unreadable")
    world.run(1, **BURN)
    assert world.told("handed_over")[-1]["stands"] is True
    assert world.state.targets["north-pool"].unknown


def test_a_hand_over_carries_the_figures_of_its_moment() -> None:
    world = burning(Timeline())
    world.outcome(world.commands()[0], "failed", reason="not_live")
    world.run(1, **BURN)
    told = HandedOver.read(world.told("handed_over")[0])
    assert told.burn[0].fires
    assert told.budget is not None and told.budget.spent_per_hour_ppm > 0
    assert told.latency is not None and told.latency.p99_us is not None


def test_progress_from_before_a_clock_was_set_back_is_not_fresh() -> None:
    world = Timeline()
    world.run(60)
    world.now_ms -= 600_000
    world.run(60, fresh=False)
    assert world.status()["stale"] is True


def test_no_event_comes_twice_with_two_contents_when_the_clock_is_set_back() -> None:
    world = Timeline()
    world.run(40)
    world.now_ms -= 30_000
    world.run(40)
    seen: dict[str, Publish] = {}
    assert all(seen.setdefault(effect.id, effect) == effect for effect in world.effects)
