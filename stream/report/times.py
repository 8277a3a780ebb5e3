"""When what happened, and how long each part of the mitigation took."""

from collections.abc import Iterator
from typing import assert_never

from schemas.commands import CommandKind, OutcomeStatus
from schemas.events import (
    Closed,
    Decided,
    Diagnosed,
    Ending,
    HandedOver,
    IncidentEvent,
    Lifted,
    Opened,
    Planned,
    Refused,
    StepRow,
    Suggested,
    VerdictGiven,
)
from stream.report import changes as changed
from stream.report import figures, plans, units
from stream.report.figures import EFFECTIVE
from stream.report.model import Moment, Mttm
from stream.report.story import Answer, Story


def mttm(story: Story) -> Mttm:
    """Onset to the end of the first of three clean seconds, in parts. With several plans the parts are those of the
    last one, so that they add up; `attempts` says how many there were."""
    opened, planned, judged = story.opened, story.last(Planned), figures.judged_of_last_plan(story)
    live_ms = plans.live_ms(story, planned) if planned else None
    closed = story.last(Closed)
    confirmed = closed if closed and closed.ending is Ending.CONFIRMED else None
    recovered_s = None
    if judged is not None and judged.verdict == EFFECTIVE:
        recovered_s = confirmed.recovered_s if confirmed and confirmed.recovered_s else judged.recovered_s
    recovered_ms = recovered_s * 1000 if recovered_s is not None else None
    proven_ms = judged.at_ms if judged and judged.verdict == EFFECTIVE else None
    return Mttm(
        total_ms=_between(story.onset_ms, recovered_ms),
        detect_ms=opened.at_ms - story.onset_ms,
        decide_ms=_between(opened.at_ms, planned.at_ms if planned else None),
        approval_ms=plans.approval_ms(story, planned) if planned else None,
        apply_ms=_between(planned.at_ms if planned else None, live_ms),
        recover_ms=_between(live_ms, recovered_ms),
        prove_ms=_between(planned.at_ms if planned else None, proven_ms),
        confirm_ms=_between(proven_ms, _confirmed_ms(story, planned, confirmed)),
        latency_ms=_between(story.onset_ms, figures.p99(story).back_ms),
        attempts=len(story.of(Planned)),
    )


def steps(story: Story) -> tuple[Moment, ...]:
    """The five steps that everybody asks for; one that was not reached has no time and says why."""
    opened, told, judged = story.opened, story.last(Diagnosed), figures.judged_of_last_plan(story)
    planned = story.last(Planned)
    live_ms = plans.live_ms(story, planned) if planned else None
    cause = told.cause if told else "no diagnosis yet"
    traces = f"; failing traces: {len(told.trace_ids)}" if told else ""
    if planned is None:
        executed = "nothing was changed"
    else:
        executed = _ordered(planned.steps)
    proven_ms = judged.at_ms if judged and judged.verdict == EFFECTIVE else None
    verdict = judged.verdict if judged else "not judged"
    return (
        _moment(story, "metrics_polled", opened.newest_telemetry_ms, f"newest telemetry, data {opened.data_state}"),
        _moment(story, "burn_detected", opened.at_ms, _fired(opened)),
        _moment(story, "traces_correlated", told.at_ms if told else None, f"{cause}{traces}"),
        _moment(story, "mitigation_executed", live_ms, executed if live_ms or not planned else f"not live: {executed}"),
        _moment(story, "recovery_validated", proven_ms, verdict),
    )


def timeline(story: Story) -> tuple[Moment, ...]:
    """All that happened, in the order of time. Times of act are its own clock's, the others are the journal's."""
    moments = [_moment(story, "onset", story.onset_ms, "first burning second")]
    moments += [moment for _, moment in sorted(_decided(story), key=lambda one: one[0])]
    moments += [_answered(story, one) for one in story.answers]
    times, latency = mttm(story), figures.p99(story)
    if times.total_ms is not None:
        at_ms = story.onset_ms + times.total_ms
        moments.append(_moment(story, "recovered", at_ms, "end of the first of three clean seconds"))
    if latency.back_ms is not None:
        moments.append(_moment(story, "p99 back", latency.back_ms, "under its objective for five seconds"))
    return tuple(sorted(moments, key=lambda one: one.at_ms or 0))


def as_of_ms(story: Story) -> int:
    """Time of the latest thing that the report knows of."""
    return max(*(event.at_ms for event in story.events), *(one.at_ms for one in story.answers), story.opened.at_ms)


def _decided(story: Story) -> Iterator[tuple[tuple[int, int], Moment]]:
    """What detect said and ordered, with its place in the journal, since much of it falls into one tick."""
    for event in story.events:
        yield (event.journal_offset, event.index), _told(story, event)
    first = {one.steps[0].command for one in story.of(Planned)}  # it leaves with the decision
    for order in story.orders:
        command = order.command
        if command.command not in first:
            place = f"{command.actuator}/{command.target} by {command.mitigation}"
            yield (
                (command.journal_offset, command.index),
                _moment(story, f"{command.kind.value} ordered", order.at_ms, place),
            )


def _confirmed_ms(story: Story, planned: Planned | None, confirmed: Closed | None) -> int | None:
    """When the last plan was let stand as proven: before its close, where steps are tried after that."""
    if planned is None or (confirmed is None and not story.of(Lifted)):
        return None
    orders = (
        one.at_ms
        for one in story.orders
        if one.command.kind is CommandKind.CONFIRM and one.command.plan == planned.plan
    )
    return next(orders, confirmed.at_ms if confirmed else None)


def _told(story: Story, event: IncidentEvent) -> Moment:
    match event:
        case Opened():
            name, detail = "burn detected", _fired(event)
        case Diagnosed():
            name, detail = "cause", " + ".join((event.cause, *(a.amplifier for a in event.amplifiers if a.present)))
        case Planned():
            by = f"; approved by {event.approved_by}" if event.approved_by else ""
            name, detail = "decided", f"{_ordered(event.steps)}{by}"
        case Suggested() if not plans.is_plan(event):
            places = ", ".join(f"{step.mitigation} on {step.target}" for step in event.steps)
            name, detail = "suggested for taking back", f"may be unnecessary now: {places}"
        case Suggested():
            name, detail = "suggested", f"{_ordered(event.steps)}; autonomy is {event.autonomy.value}"
        case Decided():
            name, detail = f"person: {event.word.value}", plans.decided(event)
        case Lifted():
            name, detail = f"trial: {event.state.value}", plans.tried(event)
        case Refused():
            name, detail = "refused by the guard", f"{event.reason.value}: {event.detail}"
        case VerdictGiven():
            detail = (
                f"{event.errors} of {event.requests} requests failed in {event.window_s} s, {event.control}; follows: "
                f"{event.follows.replace('_', ' ')}"
            )
            name = f"judged {event.verdict}"
        case HandedOver():
            name, detail = "handed to a person", f"{event.reason}: {event.detail}"
        case Closed():
            name, detail = "closed", event.ending.value
        case _:
            raise AssertionError(f"no words for {type(event).__name__}")
    return _moment(story, name, event.at_ms, detail)


def _answered(story: Story, answer: Answer) -> Moment:
    outcome = answer.outcome
    place = f"{outcome.actuator}/{outcome.target}"
    said = ": ".join(part for part in (outcome.reason.value, outcome.detail) if part not in ("", "none"))
    match outcome.status:
        case OutcomeStatus.LIVE:
            at_ms, detail = (
                outcome.live_ms or answer.at_ms,
                f"{place}: {outcome.parameter} {outcome.before} -> {outcome.after}",
            )
        case OutcomeStatus.CONFIRMED | OutcomeStatus.REVERTED | OutcomeStatus.FAILED:
            at_ms, detail = answer.at_ms, f"{place} {said}".rstrip()
        case OutcomeStatus.REFUSED | OutcomeStatus.EXPIRED | OutcomeStatus.UNKNOWN:
            at_ms, detail = answer.at_ms, f"{place} {outcome.kind.value}: {said}"
        case _:
            assert_never(outcome.status)
    name = "already so" if changed.is_already(outcome) else outcome.status.value
    return _moment(story, f"act: {name}", at_ms, detail)


def _fired(opened: Opened) -> str:
    tier = next((one for one in opened.burn if one.name == opened.tier), None)
    if tier is None:
        return f"tier {opened.tier}"
    return (
        f"tier {tier.name}: {units.times(tier.long_milli)} over {units.period(tier.long_s)} and "
        f"{units.times(tier.short_milli)} over {units.period(tier.short_s)}, threshold {units.times(tier.factor_milli)}"
    )


def _ordered(steps: tuple[StepRow, ...]) -> str:
    return ", then ".join(
        f"{step.mitigation} on {step.target}: {units.action(step.parameter, step.action)}" for step in steps
    )


def _moment(story: Story, name: str, at_ms: int | None, detail: str) -> Moment:
    return Moment(name=name, at_ms=at_ms, since_onset_ms=_between(story.onset_ms, at_ms), detail=detail)


def _between(first_ms: int | None, last_ms: int | None) -> int | None:
    return last_ms - first_ms if first_ms is not None and last_ms is not None else None
