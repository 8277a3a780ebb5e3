"""What people are shown and what comes of their words: pure folds of the public events, without Kafka."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from schemas.control import PlanDecided
from schemas.events import AmplifierRow, Ending, LiftState, StepRow, Suggestion, Word
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy, Scale
from stream.control import Control, Kill
from stream.people import book, picking, showing, speaking, standing, telling, waiting
from stream.people.book import Book
from stream.people.picking import UnknownIdError
from stream.people.standing import Change
from stream.people.waiting import Waiting
from stream.report.model import Standing
from tests.stream.report import timelines
from tests.stream.report.timelines import DATABASE, ONSET_S, POOL, UNKNOWN, Timeline, burning, finding, live

NOW_MS = ONSET_S * 1000 + 60_000
TEN_MIN_MS = 600_000


def step(story: Timeline, **fields: Any) -> StepRow:
    return story.step("raise_pool", Scale(numerator=2)).model_copy(update=fields)


def suggested(story: Timeline, autonomy: Autonomy = Autonomy.APPROVE, **fields: Any) -> Timeline:
    """A plan of one step waits for a person; `story.plan` names it, and `planned` would carry it out."""
    story.plans += 1
    shown: dict[str, Any] = {"plan": story.plan, "cause": "pool_exhausted", "autonomy": autonomy}
    told = story.told("suggested", **(shown | {"steps": (step(story),), "tenants": 2} | fields))
    story.plans -= 1
    return told


def waits() -> Timeline:
    return suggested(burning())


def plan_of(story: Timeline) -> str:
    return str(next(one for one in reversed(story.events) if one.type.endswith("suggested")).data["plan"])


def decided(story: Timeline, word: Word, taken: bool = True, detail: str = "") -> Timeline:
    fields = {"plan": plan_of(story), "word": word, "by": "ann", "said": "because", "taken": taken, "detail": detail}
    return story.told("decided", **fields)


def word(story: Timeline, approve: bool, time_ms: int = NOW_MS, expires_ms: int = NOW_MS) -> PlanDecided:
    whose = {"incident": story.incident, "environment": "default", "tenant": story.tenant, "by": "ann"}
    times = {"time_ms": time_ms, "expires_ms": expires_ms}
    return PlanDecided(plan=plan_of(story), approve=approve, reason="because", **whose, **times)


def open_plans(*stories: Timeline, words: Iterable[PlanDecided] = ()) -> list[Waiting]:
    told = book.of(event for story in stories for event in story.events)
    return waiting.waiting(told, {one.plan: one for one in words}, NOW_MS)


def changes(*stories: Timeline) -> list[Change]:
    return standing.changes(book.of(event for story in stories for event in story.events))


def test_a_suggestion_waits_until_somebody_answers() -> None:
    (one,) = open_plans(waits())
    assert (one.told.plan, one.whose, one.approvable) == (plan_of(waits()), "acme-corp", True)
    assert open_plans(decided(waits(), Word.REJECT)) == []
    assert open_plans(decided(waits(), Word.APPROVE)) == []


@pytest.mark.parametrize(
    "ends",
    [
        lambda story: story.planned(),
        lambda story: story.closed(Ending.RECOVERED),
        lambda story: story.handed("cause_unknown", "nothing fits"),
    ],
)
def test_what_is_carried_out_or_over_waits_for_nobody(ends: Any) -> None:
    assert open_plans(ends(waits())) == []


def test_another_suggestion_takes_the_place_of_the_first() -> None:
    story = waits()
    first = plan_of(story)
    story.plans += 1
    (one,) = open_plans(suggested(story))
    assert one.told.plan == plan_of(story) != first


def test_a_word_that_was_not_taken_answers_nothing() -> None:
    assert len(open_plans(decided(waits(), Word.REJECT, taken=False, detail="too late"))) == 1
    assert len(open_plans(decided(waits(), Word.APPROVE, taken=False, detail="too late"))) == 1


def test_an_approval_that_expired_without_effect_leaves_the_plan_waiting() -> None:
    story = decided(waits(), Word.APPROVE)
    assert open_plans(story, words=[word(story, True, expires_ms=NOW_MS)]) == []
    held = story.refused(RefusalReason.LAG, "9000 ms behind", permanent=False, lag_ms=9_000)
    (one,) = open_plans(held, words=[word(story, True, expires_ms=NOW_MS - 1)])
    assert one.refused is not None
    assert one.refused.numbers == {"lag_ms": 9_000}
    assert open_plans(decided(waits(), Word.REJECT), words=[word(waits(), False, expires_ms=0)]) == []


def test_only_leave_to_approve_makes_a_yes_count() -> None:
    found = {level: open_plans(suggested(burning(), level))[0].approvable for level in Autonomy}
    assert found == {Autonomy.OBSERVE: False, Autonomy.SUGGEST: False, Autonomy.APPROVE: True, Autonomy.AUTO: True}


def lifting(story: Timeline) -> Timeline:
    """A confirmed plan whose step may be unnecessary; the incident closes all the same."""
    steps = (step(story, degrades=True),)
    kind = {"kind": Suggestion.LIFT, "plan": story.plan, "cause": "pool_exhausted", "autonomy": Autonomy.AUTO}
    story.ordered(CommandKind.CONFIRM).outcome(OutcomeStatus.CONFIRMED, CommandKind.CONFIRM)
    return story.told("suggested", steps=steps, **kind).closed(Ending.CONFIRMED)


def test_steps_to_take_back_are_suggested_as_long_as_they_stand() -> None:
    story = lifting(live())
    (one,) = open_plans(story)
    assert (one.told.kind, one.approvable) == (Suggestion.LIFT, True)
    assert open_plans(story, words=[word(story, True)]) == [one], "a yes to the plan says nothing of taking it back"
    assert open_plans(story, words=[word(story, False)]) == [], "a no lets it stand"
    story.outcome(OutcomeStatus.REVERTED, CommandKind.REVERT)
    assert open_plans(story) == []


def test_a_change_stands_from_its_order_until_nothing_of_it_is_left() -> None:
    def state(story: Timeline) -> list[Standing]:
        return [one.standing for one in changes(story)]

    assert state(burning().planned()) == []
    assert state(burning().planned().ordered(CommandKind.APPLY)) == [Standing.ORDERED]
    assert state(live()) == [Standing.UNCONFIRMED]
    assert state(timelines.pool()) == [Standing.CONFIRMED]
    assert state(timelines.deaf()) == []
    assert state(timelines.harmful()) == []
    late = live().outcome(OutcomeStatus.UNKNOWN, CommandKind.REVERT, reason=OutcomeReason.PRE_IMAGE_CHANGED)
    assert state(late) == [Standing.UNKNOWN]
    unanswered = burning().planned().ordered(CommandKind.APPLY).handed("no_answer", "nobody said")
    assert state(unanswered) == [Standing.UNKNOWN]


def test_a_forged_or_refused_word_changes_nothing_about_a_change() -> None:
    story = live()
    story.at(5).outcome(OutcomeStatus.REFUSED, reason=OutcomeReason.BAD_SIGNATURE)
    story.at(6).outcome(OutcomeStatus.REFUSED, CommandKind.REVERT, reason=OutcomeReason.UNKNOWN_COMMAND)
    assert [one.standing for one in changes(story)] == [Standing.UNCONFIRMED]


def test_a_change_says_whose_it_is_and_how_to_undo_it() -> None:
    (one,) = changes(live())
    assert (one.before, one.after, one.plan, one.approved_by) == ("32", "64", live().plan, "")
    assert one.undo == timelines.UNDO
    assert one.confirm_by_ms == ONSET_S * 1000 + 4_600 + 110_000
    command, plan, whose, by, target, change, since, state, undo = standing.cells(one, NOW_MS)
    assert (command, plan) == (live().command[:12], live().plan[:12])
    assert (whose, by, target) == ("acme-corp", "auto", "local/acme-pool")
    assert change == "raise_pool, pool_size: 32 -> 64"
    assert since.endswith("55.5 s ago")
    assert state.startswith("unconfirmed, taken back at ")
    assert undo == timelines.UNDO
    (confirmed,) = changes(timelines.pool())
    assert confirmed.confirm_by_ms is None


def test_repeats_and_the_order_of_topics_change_nothing() -> None:
    events = timelines.pool().events
    shuffled = [*sorted(events, key=lambda one: one.type, reverse=True), *events]
    told, once = book.of(shuffled), book.of(events)
    assert standing.changes(told) == standing.changes(once)
    assert [one.events for one in told.chapters.values()] == [one.events for one in once.chapters.values()]
    assert told.take(events[0]) is None


def test_what_cannot_be_read_is_named_and_left_out() -> None:
    good = live().events
    bad = [replace(good[0], id="x", data={"incident": "i"}), replace(good[0], id="y", type="dev.douse.incident.new")]
    told = book.of([*bad, *good])
    assert standing.changes(told) == standing.changes(book.of(good))
    assert len(told.left_out) == 2
    assert "type dev.douse.incident.new is not known" in told.left_out[1]


def test_a_flood_of_bad_records_fills_no_memory() -> None:
    told = Book()
    for number in range(book.LEFT_OUT_MAX + 5):
        told.leave_out(str(number))
    assert len(told.left_out) == book.LEFT_OUT_MAX


def test_the_oldest_that_are_over_are_forgotten_first() -> None:
    stories = [Timeline(f"i{number}").opened() for number in range(4)]
    stories[0].closed(Ending.RECOVERED)
    stories[2].closed(Ending.RECOVERED)
    told = book.of(event for story in stories for event in story.events)
    told.forget(1)
    assert list(told.chapters) == ["i1", "i2", "i3"]


def test_the_beginning_of_an_id_picks_one_suggestion_or_says_what_there_is() -> None:
    one, other = waits(), suggested(Timeline("ffff", "globex").opened())
    known = open_plans(one, other)
    assert picking.suggestion(plan_of(one)[:6], known).whose == "acme-corp"
    assert picking.suggestion("ffff", known).whose == "globex"
    for wrong in ("zz", ""):
        with pytest.raises(UnknownIdError, match="there are") as error:
            picking.suggestion(wrong, known)
        assert len(str(error.value).splitlines()) == 3
    with pytest.raises(UnknownIdError, match="there are"):
        picking.suggestion("", known[:1])
    with pytest.raises(UnknownIdError, match="no suggestion waits"):
        picking.suggestion("zz", [])


def test_an_ambiguous_beginning_picks_nothing() -> None:
    known = open_plans(suggested(Timeline("aa1").opened()), suggested(Timeline("aa2").opened()))
    with pytest.raises(UnknownIdError, match="2 ids begin with 'aa'"):
        picking.suggestion("aa", known)


def test_an_incident_a_plan_and_a_command_name_their_changes() -> None:
    first, second = live(), Timeline("ffff").opened().planned().ordered(CommandKind.APPLY)
    known = changes(first, second)
    for name in (first.incident, first.plan[:8], first.command[:8]):
        assert [one.command for one in picking.standing_changes(name, known)] == [first.command]
    with pytest.raises(UnknownIdError, match="no change begins with"):
        picking.standing_changes("zz", known)
    with pytest.raises(UnknownIdError, match="no change of douse stands"):
        picking.standing_changes("zz", [])


def test_a_suggestion_is_shown_with_its_evidence_and_its_reach() -> None:
    story = Timeline().at(3.2).opened()
    storm = AmplifierRow(
        amplifier="retry_storm",
        present=True,
        log_odds_milli=2_000,
        findings=(finding("attempts_per_operation", 6_200, 1_010, 2_000),),
    )
    story.diagnosed("pool_exhausted", POOL, UNKNOWN, DATABASE)
    told = story.events[-1]
    story.events[-1] = replace(told, data={**told.data, "amplifiers": [storm.fields()]})
    (one,) = open_plans(suggested(story))
    lines = showing.lines(one, [], Control())
    text = "\n".join(lines)
    assert lines[1] == "step 1 of 1: raise_pool: pool_size x 2 (4 to 128) on local/acme-pool"
    assert "the targets are shared by 2 tenants" in lines
    assert "cause: pool_exhausted (95.3 %), suspect replica@acme-1" in lines
    assert "runner-up: slow_database (0.6 %): against it:" in text
    assert "amplifier retry_storm: at work" in lines
    assert "attempts per operation 6.2 (before 1.01)" in text


def test_a_kill_switch_that_would_stop_the_plan_is_told_before_the_yes() -> None:
    (one,) = open_plans(waits())
    on = Kill("mitigation:raise_pool", True, "bob", "drill", 1)
    off = Kill("global", False, "bob", "over", 1)
    elsewhere = Kill("tenant:default:globex", True, "bob", "x", 1)
    found = Control(kills={kill.scope: kill for kill in (on, off, elsewhere)})
    told = [line for line in showing.lines(one, [], found) if "kill switch" in line]
    assert told == ["kill switch mitigation:raise_pool is ON, by bob: drill; it stops this plan"]


def heard(approve: bool, *stories: Timeline) -> speaking.PlanHeard:
    found = speaking.PlanHeard(plan_of(waits()), waits().incident, approve)
    told = Book()
    for event in (event for story in stories for event in story.events):
        model = told.take(event)
        if model is not None:
            found.take(model)
    return found


def test_a_yes_is_done_once_the_plan_is_carried_out() -> None:
    assert not heard(True, waits()).done
    taken = heard(True, decided(waits(), Word.APPROVE))
    assert (taken.done, taken.well) == (False, True)
    carried = heard(True, decided(waits(), Word.APPROVE).planned())
    assert (carried.done, carried.well) == (True, True)
    assert "carried out now: raise_pool on local/acme-pool" in carried.lines()[0]


def test_a_yes_that_is_held_back_says_why() -> None:
    story = decided(waits(), Word.APPROVE).refused(RefusalReason.LAG, "behind", permanent=False, lag_ms=9_000)
    held = heard(True, story)
    assert (held.done, held.well) == (False, True)
    assert "not carried out yet: lag: behind" in held.lines()[0]
    gone = heard(True, story.handed("shared_target", "globex gave no leave"))
    assert (gone.done, gone.well) == (True, False)


def test_a_word_that_is_not_taken_ends_the_waiting() -> None:
    late = heard(True, decided(waits(), Word.APPROVE, taken=False, detail="it came too late"))
    assert (late.done, late.well, late.lines()) == (True, False, ["not taken: it came too late"])
    no = heard(False, decided(waits(), Word.REJECT))
    assert (no.done, no.well, no.lines()) == (True, True, ["rejected"])


def test_a_revert_is_done_once_every_change_has_its_answer() -> None:
    story = live()
    (change,) = changes(story)
    found = speaking.RevertHeard((change, replace(change, command="other")))
    told = Book()
    for event in story.outcome(OutcomeStatus.REVERTED, CommandKind.REVERT).events:
        model = told.take(event)
        if model is not None:
            found.take(model)
    assert (found.done, found.well) == (False, False)
    assert found.lines()[1].startswith("other: no answer yet")
    alone = replace(found, changes=(change,))
    assert (alone.done, alone.well) == (True, True)


def test_a_revert_that_its_actuator_refuses_is_not_well() -> None:
    story = live().outcome(OutcomeStatus.UNKNOWN, CommandKind.REVERT, detail="somebody else has changed it")
    found = speaking.RevertHeard(tuple(changes(story)))
    told = Book()
    for event in story.events:
        model = told.take(event)
        if model is not None:
            found.take(model)
    assert (found.done, found.well) == (True, False)
    assert found.lines()[0].endswith("unknown at local/acme-pool: somebody else has changed it")


def test_words_name_what_they_are_about_and_when_they_end() -> None:
    (one,) = open_plans(waits())
    said = speaking.decision(one, "ann", True, "", NOW_MS, TEN_MIN_MS)
    assert (said.plan, said.incident, said.tenant) == (plan_of(waits()), waits().incident, "acme-corp")
    assert (said.approve, said.time_ms, said.expires_ms) == (True, NOW_MS, NOW_MS + TEN_MIN_MS)
    (change,) = changes(live())
    back = speaking.reversal(change, "ann", "over", NOW_MS)
    assert (back.command, back.incident, back.reason) == (live().command, live().incident, "over")


def test_every_kind_of_event_has_a_line_of_its_own() -> None:
    story = decided(waits(), Word.APPROVE).planned().ordered(CommandKind.APPLY).outcome(OutcomeStatus.LIVE)
    story.verdict("effective", "below_fast_page", "wait_quiet").told(
        "lifted", plan="p", step=step(story), state=LiftState.HURTS
    )
    story.refused(RefusalReason.LAG, "behind", lag_ms=9_000).handed("x", "y").closed(Ending.CONFIRMED)
    lines = []
    told = Book()
    for event in story.events:
        model = told.take(event)
        assert model is not None
        lines.append(telling.line(model))
    assert len(set(lines)) == len(story.events)
    assert all(line.startswith("acme-corp ") for line in lines)
    text = "\n".join(lines)
    assert "refused: lag (lag_ms 9000): behind" in text
    assert "ann said approve: because" in text
    assert "shared by 2 tenants" in text
    assert "live at local/acme-pool: 32 -> 64" in text
