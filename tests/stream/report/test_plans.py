"""Reports of plans of several steps, of people's words and of trials, as the engine itself tells them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Event
from schemas.events import LiftState, Word
from schemas.runbook import Autonomy, Course, Lift
from stream.report import build as report
from stream.report import markdown as report_markdown
from stream.report.model import Report, Standing, TakenBack
from stream.report.paragraph import paragraph
from tests.beginnings import BURN, burning
from tests.stream.report.worlds import answer, applied, built, change, confirmed, events, planned
from tests.stream.test_engine_people import say, suggested, want_back
from tests.stream.test_engine_plans import NAMES, plan_specs
from tests.timeline import TICK_MS, Timeline, specs

LIFT = plan_specs(lift=Lift.AUTO)


def standings(told: Report) -> list[Standing]:
    return [one.standing for one in told.changes]


def revert_all(world: Timeline) -> None:
    for number in range(len(world.commands("revert"))):
        answer(world, "reverted", "revert", number)


def test_each_step_has_its_own_times_in_the_order_of_the_plan() -> None:
    told = built(confirmed())
    assert [(one.step, one.mitigation) for one in told.changes] == list(enumerate(NAMES))
    assert standings(told) == [Standing.CONFIRMED] * 3
    times = [(one.ordered_ms, one.live_ms, one.confirm_ordered_ms, one.confirmed_ms) for one in told.changes]
    for before, after in pairwise(times):
        assert before[1] is not None and after[0] is not None and before[1] <= after[0], "ordered once the last is live"
    assert all(None not in one and list(one) == sorted(one) for one in times)
    assert {one.decided_ms for one in told.changes} == {told.plans[0].decided_ms}


def test_a_plan_is_live_when_the_last_of_its_steps_is() -> None:
    world = planned()
    answer(world)
    answer(world)
    waiting = built(world)
    assert waiting.plans[0].live_ms is None and waiting.mttm.apply_ms is None
    world.run(2, **BURN)
    answer(world)
    told = built(world)
    live_ms = change(told, "shed").live_ms
    assert live_ms is not None
    assert told.plans[0].live_ms == live_ms and told.mttm.apply_ms == live_ms - told.plans[0].decided_ms
    assert next(one for one in told.steps if one.name == "mitigation_executed").at_ms == live_ms


def test_parts_of_the_time_to_mitigate_add_up_with_several_steps() -> None:
    times = built(confirmed()).mttm
    parts = (times.detect_ms, times.decide_ms, times.apply_ms, times.recover_ms)
    assert sum(part for part in parts if part is not None) == times.total_ms


def test_a_step_whose_turn_has_not_come_waits() -> None:
    told = built(planned())
    assert standings(told) == [Standing.ORDERED, Standing.WAITING, Standing.WAITING]
    assert "0 of 3 steps are in place" in told.state_says


def test_a_value_that_stood_there_already_is_neither_a_failure_nor_a_refusal() -> None:
    world = planned()
    answer(world)
    answer(world, "refused", reason="no_change")
    answer(world)
    assert built(world).plans[0].live_ms == world.now_ms - TICK_MS, "it waits for no word on what stood there already"
    world.run(12, rate=270)
    told = built(world)
    assert standings(told) == [Standing.UNCONFIRMED, Standing.ALREADY, Standing.UNCONFIRMED]
    assert not told.refusals
    assert told.mttm.apply_ms is not None and told.mttm.total_ms is not None
    assert "act: already so" in [one.name for one in told.timeline]
    assert "both changes stand" in told.state_says and "backoff was so already" in told.state_says


def test_where_all_of_it_stood_there_already_nothing_was_changed() -> None:
    world = planned()
    for _ in NAMES:
        answer(world, "refused", reason="no_change")
    told = built(world)
    assert (told.state, standings(told)) == ("handed", [Standing.ALREADY] * 3)
    assert "nothing was changed" in told.state_says
    assert told.to_do[0].startswith("Take over (the value stood there already)")


def test_a_step_that_fails_leaves_none_standing_and_says_of_each_why() -> None:
    world = planned()
    answer(world)
    answer(world, "failed", reason="not_live", detail="deaf")
    stopped = built(world)
    assert standings(stopped) == [Standing.UNCONFIRMED, Standing.FAILED, Standing.NOT_ORDERED]
    assert stopped.state_says.startswith("a plan has stopped")
    revert_all(world)
    told = built(world)
    assert standings(told) == [Standing.REVERTED, Standing.FAILED, Standing.NOT_ORDERED]
    assert "neither of the 2 changes stands" in told.state_says
    assert change(told, "more-connections").taken_back_for is TakenBack.DOUSE
    assert told.to_do[0].startswith("Take over (the process did not take the change over)")


def test_what_is_known_of_some_steps_is_not_passed_off_as_known_of_all() -> None:
    world = planned()
    answer(world)
    world.run(40, **BURN)
    answer(world, "reverted", "revert", 1)
    told = built(world)
    assert standings(told) == [Standing.REVERTED, Standing.UNKNOWN, Standing.NOT_ORDERED]
    assert "what stands of backoff is not known" in told.state_says
    assert told.to_do[0].startswith("Look at host/north-backoff")


def test_a_change_that_its_actuator_took_back_itself_is_told_apart_from_the_others() -> None:
    world = applied()
    answer(world, "reverted", number=1, reason="confirm_deadline")
    revert_all(world)
    told = built(world)
    assert [one.taken_back_for for one in told.changes] == [TakenBack.DOUSE, TakenBack.ACT, TakenBack.DOUSE]
    assert "none of the 3 changes stands" in told.state_says


def test_after_a_plan_that_helped_in_part_both_plans_are_told() -> None:
    first, second = Course(steps=("more-connections",)), Course(steps=("more-connections", "backoff"))
    world = planned(plan_specs(first, second, cooldown_s=0, applies_per_hour_tenant=9))
    answer(world)
    world.run(40, rate=270, bad=0.10)
    answer(world)
    told = built(world)
    assert [one.revision for one in told.plans] == [0, 1] and told.mttm.attempts == 2
    assert {one.plan for one in told.changes} == {one.plan for one in told.plans}
    assert "both changes stand" in told.state_says, "the first plan's change counts as well"


def test_word_of_an_earlier_plans_change_does_not_end_the_incident() -> None:
    first, second = Course(steps=("more-connections",)), Course(steps=("more-connections", "backoff"))
    world = planned(plan_specs(first, second, cooldown_s=0, applies_per_hour_tenant=9))
    answer(world)
    world.run(40, rate=270, bad=0.10)
    answer(world, "reverted", "confirm", 0, reason="confirm_deadline", detail="too late")
    assert built(world).state == "handed", "nothing shows yet that it goes on"
    answer(world)
    world.run(12, rate=270)
    told = built(world)
    assert (told.state, told.verdicts[-1].verdict) == ("open", "effective")
    assert any(one.startswith("Look at a change of an earlier plan (nobody confirmed") for one in told.to_do)
    assert "of 2 changes backoff stands" in told.state_says


def test_what_may_be_unnecessary_is_left_for_a_person_with_the_command() -> None:
    told = built(confirmed())
    shed, backoff = told.to_do[:2]
    assert shed.startswith("shed at host/north-endpoint (endpoint true -> false) may be unnecessary now")
    assert "takes something from the users" in shed
    assert f"`douse revert {change(told, 'shed').command[:12]} --reason ...`" in shed
    assert backoff.startswith("backoff") and "users" not in backoff
    assert told.state_says == "a plan of 3 changes was proven effective; all 3 changes stand"


def test_a_suggestion_to_take_back_ends_when_that_was_done() -> None:
    world = confirmed()
    want_back(world, world.commands("apply")[2])
    answer(world, "reverted", "revert")
    told = built(world)
    shed = change(told, "shed")
    assert (shed.taken_back_for, shed.taken_back_by) == (TakenBack.PERSON, "kim")
    assert not any(one.startswith("shed") for one in told.to_do)
    assert "more-connections and backoff stand; shed reverted by kim" in told.state_says


def test_a_confirmed_change_that_does_not_stand_any_more_sends_a_person() -> None:
    world = confirmed()
    answer(world, "reverted", "confirm", 1, reason="confirm_deadline", detail="too late to confirm it")
    told = built(world)
    assert told.to_do[0].startswith("backoff at host/north-backoff, a part of the plan that was proven, does not stand")
    assert "since then a person is needed" in told.state_says


def test_steps_that_were_not_needed_are_told_as_taken_back_on_trial() -> None:
    world = confirmed(LIFT)
    for _ in range(2):
        world.run(1, rate=270)
        answer(world, "reverted", "revert")
        world.run(30, rate=270)
    told = built(world)
    assert [(one.mitigation, one.state) for one in told.trials] == [
        ("shed", LiftState.TRYING),
        ("shed", LiftState.LIFTED),
        ("backoff", LiftState.TRYING),
        ("backoff", LiftState.LIFTED),
    ]
    assert [one.taken_back_for for one in told.changes] == [None, TakenBack.TRIAL, TakenBack.TRIAL]
    assert not told.to_do
    assert "more-connections stands; backoff reverted on trial, shed reverted on trial" in told.state_says
    assert "it goes without shed" in paragraph(told)
    assert told.mttm.confirm_ms == built(confirmed()).mttm.confirm_ms, "trials are no part of the confirmation"


def test_a_step_whose_removal_hurts_appears_again_as_a_change_of_its_own() -> None:
    world = confirmed(LIFT)
    world.run(1, rate=270)
    answer(world, "reverted", "revert")
    world.run(8, **BURN)
    hurt = built(world)
    assert not hurt.objective.protected, "it burns while the step is away"
    assert change(hurt, "shed", again=True).standing is Standing.ORDERED
    answer(world)
    world.run(30, rate=270)
    answer(world, "confirmed", "confirm")
    told = built(world)
    first, again = change(told, "shed"), change(told, "shed", again=True)
    assert (first.standing, first.taken_back_for) == (Standing.REVERTED, TakenBack.TRIAL)
    assert (again.again, again.standing, again.step) == (first.command, Standing.CONFIRMED, 3)
    assert again.ordered_ms == again.decided_ms and again.plan == told.plans[0].plan and again.degrades
    assert told.plans[0].says == "all 3 changes stand"
    assert told.plans[0].live_ms == first.live_ms, "the plan was live long before"
    assert "without shed the burn came back: it is put in place again, and kept" in paragraph(told)
    assert "shed (again)" in report_markdown.markdown(told)


def test_an_approval_is_told_with_its_person_and_how_long_it_took() -> None:
    world = suggested()
    waiting = built(world)
    assert waiting.state_says == "a change is suggested and waits for an approval"
    plan = world.told("suggested")[0]["plan"][:12]
    assert f"`douse approve {plan}`" in waiting.to_do[0] and f"`douse reject {plan} --reason ...`" in waiting.to_do[0]
    say(world, True)
    answer(world)
    told = built(world)
    assert [(one.word, one.by, one.taken) for one in told.decisions] == [(Word.APPROVE, "kim", True)]
    assert told.plans[0].approved_by == "kim"
    assert told.mttm.approval_ms == told.plans[0].decided_ms - world.told("suggested")[0]["at_ms"]
    assert told.mttm.decide_ms is not None and told.mttm.approval_ms is not None
    assert told.mttm.approval_ms <= told.mttm.decide_ms
    assert "kim approved it: looked at it." in paragraph(told)
    assert not any("Decide" in one for one in told.to_do)


def test_an_approval_that_does_not_fit_leaves_the_plan_waiting() -> None:
    world = suggested()
    say(world, True, plan="another")
    told = built(world)
    assert [one.taken for one in told.decisions] == [False]
    assert "(not taken up: this plan is not the one that waits)" in paragraph(told)
    assert told.state_says.endswith("waits for an approval") and told.to_do[0].startswith("Decide")


def test_a_rejection_goes_to_a_person_with_its_reason() -> None:
    world = suggested()
    say(world, False)
    told = built(world)
    assert told.state_says == "a person is needed (a person rejected the plan); nothing was changed"
    assert told.to_do == ("Take over (a person rejected the plan): kim rejected it: looked at it.",)


def test_where_douse_may_only_suggest_no_approval_is_asked_for() -> None:
    told = built(suggested(plan_specs(leave=Autonomy.SUGGEST)))
    assert told.to_do[0].startswith("Decide on the suggested plan of 3 changes: pool_size x 2 at north-pool, then")
    assert "endpoint = false" in told.to_do[0]
    assert "douse approve" not in told.to_do[0] and "`auto` for north/more-connections" in told.to_do[0]


def test_a_person_who_takes_a_plan_back_under_judgement_is_named() -> None:
    world = applied()
    world.run(1, rate=270)
    want_back(world, world.commands("apply")[0])
    revert_all(world)
    told = built(world)
    assert {(one.taken_back_for, one.taken_back_by) for one in told.changes} == {(TakenBack.PERSON, "kim")}
    assert told.state_says.startswith("a person is needed (a person took the change back)")


@pytest.mark.parametrize("order", [1, -1], ids=["as told", "the other way round"])
def test_the_order_of_the_topics_does_not_matter_to_a_plan(order: int) -> None:
    world = confirmed(LIFT)
    told = events(world)
    assert report.build([*told, *told][::order], world.told("opened")[0]["incident"]) == built(world)


def test_a_plan_of_one_step_is_told_without_a_list() -> None:
    world = burning(Timeline(spec_set=specs()))
    answer(world)
    assert "A plan of" not in paragraph(built(world))
    assert "pool_size 32 -> 64 at host/north-pool by more-connections: unconfirmed." in paragraph(built(world))


@pytest.fixture(scope="module")
def stories() -> tuple[list[Event], ...]:
    hurt = confirmed(LIFT)
    hurt.run(1, rate=270)
    answer(hurt, "reverted", "revert")
    hurt.run(8, **BURN)
    answer(hurt)
    hurt.run(30, rate=270)
    failed = planned()
    answer(failed)
    answer(failed, "failed", reason="not_live")
    approved = suggested()
    say(approved, True)
    answer(approved)
    want_back(approved, approved.commands("apply")[0])
    return tuple(events(one) for one in (hurt, failed, approved, confirmed()))


@given(st.data())
def test_any_part_of_a_plans_story_that_has_its_opening_makes_a_report(
    stories: tuple[list[Event], ...], data: st.DataObject
) -> None:
    """Topics forget at different times, and a crash may have come anywhere."""
    told = data.draw(st.sampled_from(stories))
    opened = next(one for one in told if one.type.endswith("opened") and one.data["slo"] == "availability")
    kept = data.draw(st.lists(st.sampled_from(told), unique_by=lambda event: event.id))
    made = report.build([opened, *kept], str(opened.data["incident"]))
    assert report_markdown.markdown(made).startswith("# north/basket")
    assert Report.read(made.fields()) == made
