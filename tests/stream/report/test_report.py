"""What a report says of an incident that went one way or another."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import canonical
from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from schemas.envelope import Event
from schemas.events import Ending
from schemas.refusal import RefusalReason
from stream.report import build as report
from stream.report import markdown as report_markdown
from stream.report import story as report_story
from stream.report.model import Moment, Report, Standing
from tests.stream.report import timelines as made
from tests.stream.report.timelines import INCIDENT, ONSET_S, Timeline


def built(story: Timeline) -> Report:
    return report.build(story.events, story.incident)


def step(made_of: Report, name: str) -> Moment:
    return next(one for one in made_of.steps if one.name == name)


def test_a_pool_that_was_put_out_is_told_from_onset_to_confirmation() -> None:
    story = made.pool()
    told = built(story)
    assert told.execution_id == story.plan and told.state == "closed"
    times = told.mttm
    assert (times.total_ms, times.detect_ms, times.decide_ms) == (7000, 3200, 500)
    assert (times.apply_ms, times.recover_ms) == (850, 2450)
    assert (times.prove_ms, times.confirm_ms) == (7200, 15300)
    assert [one.since_onset_ms for one in told.steps] == [2800, 3200, 3700, 4550, 10900]
    assert [one.name for one in told.steps] == [
        "metrics_polled",
        "burn_detected",
        "traces_correlated",
        "mitigation_executed",
        "recovery_validated",
    ]
    assert told.objective.protected
    assert (told.objective.before_ppm, told.objective.left_ppm) == (970_000, 967_900)
    assert (told.objective.spent_events, told.objective.spent_ppm) == (1_050, 2_100)
    assert (told.burn.before.spent_per_hour_ppm, told.burn.before.factor_milli) == (486_000, 349_920)
    assert told.burn.residual.factor_milli == 72 and told.burn.hot_tiers == ("page_fast",)
    assert (told.p99.burning_us, told.p99.after_us, told.p99.back_ms) == (1_210_000, 204_000, (ONSET_S + 11) * 1000)
    [change] = told.changes
    assert (change.standing, change.before, change.after) == (Standing.CONFIRMED, "32", "64")
    assert change.diff == made.DIFF and change.undo == made.UNDO
    assert [(one.process, one.before, one.after) for one in change.reloads] == [
        ("service", "32", "64"),
        ("worker", "32", "64"),
    ]
    assert told.to_do == ("Mend for good: size the pool for the peak",)
    assert not told.refusals and not told.left_out


def test_parts_of_the_time_to_mitigate_add_up_to_it() -> None:
    times = built(made.pool()).mttm
    parts = (times.detect_ms, times.decide_ms, times.apply_ms, times.recover_ms)
    assert sum(part for part in parts if part is not None) == times.total_ms


def test_the_cause_stands_beside_its_runner_up_and_why_not() -> None:
    told = built(made.pool()).cause
    assert told is not None and told.found is not None and told.runner_up is not None
    assert (told.found.cause, told.found.suspect) == ("pool_exhausted", "replica@acme-1")
    assert told.found.findings[1].says == "wait for a connection 498 ms (before 0 ms)"
    assert told.runner_up.cause == "slow_database"
    assert told.why_not == "against it: duration of calls to it, against before 1.02x"
    assert told.unknown_ppm == 41_000


def test_a_slow_database_is_handed_over_with_nothing_changed() -> None:
    story = Timeline().at(3.2).opened()
    slow = made.DATABASE.model_copy(update={"probability_ppm": 980_000})
    full = made.POOL.model_copy(
        update={"probability_ppm": 1_000, "findings": (made.finding("use_time_ratio", 4_900, 1000, -6000),)}
    )
    story.at(3.9).diagnosed("slow_database", slow, made.UNKNOWN, full)
    story.refused(RefusalReason.NO_MITIGATION, "no runbook holds an untried mitigation for slow_database of shop")
    told = built(story.handed("no_mitigation", "no runbook holds an untried mitigation for slow_database of shop"))
    assert told.state == "handed" and told.state_says.endswith("nothing was changed")
    assert told.execution_id == INCIDENT and not told.changes and not told.verdicts
    assert told.cause is not None and told.cause.cause == "slow_database"
    assert told.cause.why_not == "against it: time that a connection is held, against before 4.9x"
    assert [(one.by, one.reason) for one in told.refusals] == [("guard", "no_mitigation")]
    assert told.mttm.total_ms is None and told.mttm.decide_ms is None
    assert step(told, "mitigation_executed").at_ms is None
    assert not told.objective.protected and told.objective.why == "the burn has not stopped"
    assert told.to_do[0].startswith("Take over (no runbook holds anything more for this cause): no runbook")


def test_an_unknown_cause_names_the_likeliest_and_why_that_is_not_enough() -> None:
    story = Timeline().at(3.2).opened()
    thin = made.POOL.model_copy(update={"probability_ppm": 47_000, "findings": ()})
    story.at(8.3).diagnosed("unknown", made.UNKNOWN, thin)
    story.refused(RefusalReason.CAUSE_UNKNOWN, "the evidence names no cause; nothing is changed on a guess")
    told = built(story.handed("cause_unknown", "the evidence names no cause; nothing is changed on a guess"))
    assert told.cause is not None and told.cause.found is None
    assert told.cause.runner_up is not None and told.cause.runner_up.cause == "pool_exhausted"
    assert told.cause.why_not == "none of its signals was seen"
    assert "The evidence names no cause." in report_markdown.paragraph(told)


def test_a_deaf_target_is_a_failed_change_of_which_nothing_stands() -> None:
    told = built(made.deaf())
    [change] = told.changes
    assert (change.standing, change.reason, change.undo) == (Standing.FAILED, "not_live", "")
    assert told.state == "handed" and "taken back" in told.state_says
    assert step(told, "mitigation_executed").detail.startswith("not live")
    assert told.mttm.apply_ms is None and told.mttm.total_ms is None


def test_a_harmful_change_is_told_as_taken_back() -> None:
    told = built(made.harmful())
    [change] = told.changes
    assert (change.standing, change.undo) == (Standing.REVERTED, "")
    assert change.ended_ms == ONSET_S * 1000 + 9_800
    assert told.verdicts[-1].verdict == "harmful" and told.verdicts[-1].residual_ppm == 818_000
    assert told.mttm.total_ms is None and told.mttm.prove_ms is None
    assert step(told, "recovery_validated") == Moment(name="recovery_validated", detail="harmful")
    assert told.burn.after is not None and told.burn.after.spent_per_hour_ppm == 1_100_000
    assert not told.objective.protected


def test_an_open_incident_says_how_far_it_has_come() -> None:
    assert built(Timeline().at(3.2).opened()).state_says == "burning; evidence is being gathered"
    assert built(made.burning().planned()).changes[0].standing is Standing.ORDERED
    told = built(made.live())
    assert told.state == "open" and told.changes[0].standing is Standing.UNCONFIRMED
    assert "act takes it back at 2026-02-02T02:41:54.600Z" in told.to_do[0]
    effective = made.live().at(10.9).verdict("effective", "below_fast_page", "wait_quiet", recovered_s=ONSET_S + 8)
    told = built(effective)
    assert told.state == "open" and told.mttm.total_ms == 8000 and told.objective.protected
    assert told.mttm.confirm_ms is None
    (decide, *_) = built(made.burning().suggested()).to_do
    assert decide.startswith("Decide on the suggested change: pool_size x 2")
    assert "set `auto` for acme-corp/" in decide and "`douse specs apply`, or change it by hand" in decide
    assert "holds the plan" in built(Timeline().at(3.2).opened(joined="other")).state_says


def relapse() -> Timeline:
    story = made.live().at(10.9).verdict("effective", "below_fast_page", "wait_quiet", recovered_s=ONSET_S + 8)
    story.at(16.9).verdict("ineffective", "not_better", "revert", recovered_s=ONSET_S + 8)
    return story.at(17.5).outcome(OutcomeStatus.REVERTED, CommandKind.REVERT)


def test_a_relapse_takes_the_success_back() -> None:
    told = built(relapse())
    assert told.mttm.total_ms is None and not told.objective.protected
    assert step(told, "recovery_validated").at_ms is None


def test_a_burn_that_stops_after_a_hand_over_is_not_claimed() -> None:
    told = built(made.deaf().at(60).closed(Ending.RECOVERED))
    assert told.state == "closed" and "no change of douse" in told.state_says
    assert told.mttm.total_ms is None and told.objective.protected
    assert told.to_do == (
        "Find out why: it was handed over (the process did not take the change over: failed at local/acme-pool: "
        "service: the new value was not live after 3000 ms; the file is restored) and stopped since.",
    )


def test_an_order_without_an_answer_sends_a_person_to_the_target() -> None:
    story = made.burning().planned().at(34).handed("no_answer", "no outcome for command c of target t", stands=True)
    told = built(story)
    assert told.changes[0].standing is Standing.UNKNOWN
    assert told.to_do[0].startswith("Look at local/acme-pool")


def test_an_unconfirmed_change_taken_back_by_act_alone_is_seen() -> None:
    story = (
        made.live()
        .at(95)
        .outcome(
            OutcomeStatus.REVERTED, reason=OutcomeReason.CONFIRM_DEADLINE, detail="nobody confirmed the change in time"
        )
    )
    [change] = built(story).changes
    assert (change.standing, change.reason) == (Standing.REVERTED, "confirm_deadline")


def test_a_confirmation_that_came_too_late_sends_a_person() -> None:
    story = made.live().at(10.9).verdict("effective", "below_fast_page", "wait_quiet", recovered_s=ONSET_S + 8)
    story.at(26).closed(Ending.CONFIRMED, recovered_s=ONSET_S + 8, verdict="effective").ordered(CommandKind.CONFIRM)
    late = {"reason": OutcomeReason.CONFIRM_DEADLINE, "detail": "too late to confirm it"}
    told = built(story.at(115).outcome(OutcomeStatus.REVERTED, CommandKind.CONFIRM, **late))
    assert told.changes[0].standing is Standing.REVERTED
    assert told.to_do[0].startswith("The change that was proven does not stand any more (reverted by its actuator")


def test_what_one_tick_decides_keeps_its_order() -> None:
    names = [one.name for one in built(made.harmful()).timeline]
    assert names == [
        *("onset", "burn detected", "cause", "decided", "act: live"),
        *("judged harmful", "revert ordered", "act: reverted", "handed to a person"),
    ]


def test_figures_of_the_opening_are_not_passed_off_as_later_ones() -> None:
    page = report_markdown.markdown(built(made.deaf()))
    assert "no later figure is known" in page and "| residual |" not in page


def test_the_budget_of_a_withdrawn_objective_is_the_last_one_known() -> None:
    told = built(made.burning().closed(Ending.WITHDRAWN, budget=None, burn=()))
    assert told.objective.left_ppm == 970_000 and not told.objective.protected


def test_the_second_of_two_plans_is_the_execution() -> None:
    story = made.live().at(23.7).verdict("ineffective", "not_better", "revert")
    story.at(24.5).outcome(OutcomeStatus.REVERTED, CommandKind.REVERT)
    first = story.plan
    story.at(24.7).planned("other").at(25.0).outcome(OutcomeStatus.LIVE)
    story.at(31.0).verdict("effective", "below_fast_page", "wait_quiet", recovered_s=ONSET_S + 28)
    told = built(story)
    assert [one.plan for one in told.changes] == [first, story.plan] and told.execution_id == story.plan
    assert [one.standing for one in told.changes] == [Standing.REVERTED, Standing.UNCONFIRMED]
    assert told.mttm.attempts == 2 and told.mttm.decide_ms == 21_500 and told.mttm.total_ms == 28_000


def test_repeats_change_nothing() -> None:
    story = made.pool()
    twice = [event for event in story.events for _ in range(2)] + story.events[:4]
    assert report.build(twice, INCIDENT) == built(story)


def test_the_order_of_the_topics_does_not_matter() -> None:
    for story in (made.pool(), relapse(), made.harmful()):
        assert report.build(reversed(story.events), INCIDENT) == built(story)


def test_an_answer_to_a_forged_record_is_a_refusal_and_changes_nothing() -> None:
    story = made.pool()
    truth = built(story).changes
    story.at(27).outcome(
        OutcomeStatus.REFUSED, reason=OutcomeReason.BAD_SIGNATURE, detail="signed by nobody", diff="", after=""
    )
    told = built(story)
    assert told.changes == truth
    assert [(one.by, one.reason) for one in told.refusals] == [("local", "bad_signature")]


def test_a_report_names_no_other_tenant() -> None:
    story = made.pool()
    story.at(27).outcome(OutcomeStatus.REFUSED, reason=OutcomeReason.BAD_SIGNATURE, tenant="globex", detail="globex")
    told = built(story)
    assert "globex" not in json.dumps(told.fields()) + report_markdown.markdown(told)


def test_events_that_cannot_be_read_are_named() -> None:
    story = made.pool()
    story.events.append(Event("dev.douse.incident.sung", "x1", "/s", 1, {"incident": INCIDENT}))
    newer = dict(story.events[0].data) | {"colour": "red"}
    story.events.append(Event("dev.douse.incident.opened", "x2", "/s", 1, newer))
    left_out = built(story).left_out
    assert left_out[0] == "x1: type dev.douse.incident.sung is not known"
    assert left_out[1].startswith("x2 (dev.douse.incident.opened): colour:")


def test_an_incident_is_found_by_its_beginning_or_as_the_latest() -> None:
    first = made.pool().events
    second = Timeline(incident="0" + INCIDENT[1:], tenant="globex", onset_s=ONSET_S + 500).at(3).opened().events
    events = [*second, *first]
    assert report_story.find(events, INCIDENT[:6]) == INCIDENT
    assert report_story.find(events, "latest") == "0" + INCIDENT[1:]
    with pytest.raises(report_story.UnknownIncident, match=f"no incident is named 'zz'(.|\n)*{INCIDENT}"):
        report_story.find(events, "zz")
    twin = Timeline(incident=INCIDENT[:-1] + "z").at(3).opened().events
    with pytest.raises(report_story.UnknownIncident, match="2 incidents begin"):
        report_story.find([*first, *twin], INCIDENT[:6])
    with pytest.raises(report_story.UnknownIncident, match="there is no incident on the topic"):
        report_story.find([], "latest")
    with pytest.raises(report_story.UnknownIncident, match="opening"):
        report.build(first, "nothing")


@given(st.data())
def test_any_part_of_a_story_that_has_its_opening_makes_a_report(data: st.DataObject) -> None:
    """Topics forget at different times, and a crash may have come anywhere."""
    story = data.draw(st.sampled_from([story() for story in ALL]))
    kept = data.draw(st.lists(st.sampled_from(story.events), unique_by=lambda event: event.id))
    told = report.build([story.events[0], *kept], INCIDENT)
    assert report_markdown.markdown(told).startswith("# acme-corp/shop")
    assert Report.read(told.fields()) == told


ALL = (made.pool, made.deaf, made.harmful, made.burning, made.live)


@pytest.mark.parametrize("story", ALL)
def test_the_written_files_are_the_report(story: type[Timeline], tmp_path: Path) -> None:
    told = built(story())
    json_file, markdown_file = report.write(told, tmp_path / "new")
    assert Report.read(json.loads(json_file.read_bytes())) == told
    assert canonical.dumps(told.fields())  # no floats: every number is an integer of the unit that ends its name
    assert markdown_file.read_text(encoding="utf-8") == report_markdown.markdown(told)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.json", "report.md"]


def test_the_page_begins_with_what_happened() -> None:
    page = report_markdown.markdown(built(made.pool()))
    head, *rest = page.split("\n## ")
    assert head.startswith("# acme-corp/shop: availability\n")
    for said in (
        "at 48.6 % an hour, 349.9x the allowed pace; seen after 3.2 s",
        "Cause: pool exhausted at replica@acme-1 (95.3 %)",
        "pool_size 32 -> 64 at local/acme-pool by raise_pool: confirmed",
        "Mitigated 7 s after the onset. Judged effective, 7.2 s after the decision",
        "96.79 % of the budget is left; the compliance window is protected",
    ):
        assert said in head
    assert [part.splitlines()[0] for part in rest] == [
        "Timeline",
        "Steps",
        "Cause",
        "Plan",
        "Change",
        "Verdict",
        "Budget, burn and latency",
        "Undo",
        "Still to do",
    ]
    assert "**MTTM 7 s**: detect 3.2 s, decide 0.5 s, apply 0.85 s, recover 2.45 s; prove 7.2 s; confirm 15.3 s" in page
    assert f"```diff\n{made.DIFF}```" in page
    assert "0 of 1,100 requests failed in the 5 s judged (0 %; before 35.5 %; needed below 1.44 %)" in page


def test_text_from_outside_cannot_break_a_table_or_a_fence() -> None:
    story = made.burning().planned().at(5)
    story.outcome(OutcomeStatus.FAILED, diff="-a = '```'\n+a = '````'\n", detail="one | two\nthree")
    page = report_markdown.markdown(built(story))
    assert "`````diff\n-a = '```'\n+a = '````'\n`````" in page
    assert "local/acme-pool one \\| two three |" in page
