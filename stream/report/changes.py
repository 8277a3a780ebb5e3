"""What was changed, what became of it by the actuator's own word, and what was not allowed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from schemas.commands import Command, CommandKind, Outcome, OutcomeReason, OutcomeStatus
from schemas.events import Closed, Decided, HandedOver, Lifted, LiftState, Planned, Refused, StepRow, Word
from stream.report.model import Change, Refusal, Reloaded, Standing, TakenBack
from stream.report.story import Answer, Ordered, Story

FORGED = frozenset({OutcomeReason.BAD_SIGNATURE, OutcomeReason.MALFORMED})
NO_ANSWER = "no_answer"
NOT_TRIED = frozenset({OutcomeStatus.REFUSED, OutcomeStatus.EXPIRED})
GONE = frozenset(
    {Standing.REVERTED, Standing.FAILED, Standing.REFUSED, Standing.EXPIRED, Standing.ALREADY, Standing.NOT_ORDERED}
)
"""Nothing of the change stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change has its place: the plan that holds it, or held what it puts in place again."""

    plan: str
    step: int
    row: StepRow
    decided_ms: int
    planned: Planned | None
    again: str | None = None


def changes(story: Story) -> tuple[Change, ...]:
    """Every change of every plan, in the order of their steps; what was put in place again follows its plan."""
    planned = {one.plan: one for one in story.of(Planned)}
    named = {step.command for one in planned.values() for step in one.steps}
    more = [
        place
        for order in _unnamed(story, named)
        if (place := _again(planned.get(order.command.plan), order)) is not None
    ]
    found = []
    for told in planned.values():
        places = [Place(told.plan, number, step, told.at_ms, told) for number, step in enumerate(told.steps)]
        places += [place for place in more if place.plan == told.plan]
        found += [_change(story, place, places) for place in places]
    return (*found, *(_change(story, place, [place]) for place in more if place.planned is None))


def refusals(story: Story) -> tuple[Refusal, ...]:
    """What the guard and the actuators did not allow, in the order of time."""
    guarded = [
        Refusal(
            at_ms=one.at_ms,
            by="guard",
            reason=one.reason.value,
            detail=one.detail,
            mitigation=one.mitigation,
            target=one.target,
            permanent=one.permanent,
            numbers=one.numbers,
        )
        for one in story.of(Refused)
    ]
    acted = [
        Refusal(
            at_ms=one.at_ms,
            by=one.outcome.actuator,
            reason=one.outcome.reason.value,
            detail=one.outcome.detail,
            mitigation=one.outcome.mitigation,
            target=one.outcome.target,
            permanent=True,
            numbers={},
        )
        for one in story.answers
        if one.outcome.status in NOT_TRIED and not is_already(one.outcome)
    ]
    return tuple(sorted((*guarded, *acted), key=lambda one: one.at_ms))


def truths(story: Story, command: str) -> list[Answer]:
    """The answers that say what stands of the change that `command` ordered. A forged record may name any command, and
    a word that was refused changes nothing, so neither says anything about it."""
    return [
        one
        for one in story.answers
        if one.outcome.applies == command
        and one.outcome.reason not in FORGED
        and (one.outcome.kind is CommandKind.APPLY or one.outcome.status not in NOT_TRIED)
    ]


def is_already(outcome: Outcome) -> bool:
    """True where the value stood there before, so that nothing was to be done."""
    return (
        outcome.kind is CommandKind.APPLY
        and outcome.status in (OutcomeStatus.REFUSED, OutcomeStatus.FAILED)
        and outcome.reason is OutcomeReason.NO_CHANGE
    )


def standing_of(outcome: Outcome) -> Standing:
    """What stands after this answer."""
    match outcome.status:
        case OutcomeStatus.LIVE:
            return Standing.UNCONFIRMED
        case OutcomeStatus.CONFIRMED:
            return Standing.CONFIRMED
        case OutcomeStatus.REVERTED:
            return Standing.REVERTED
        case OutcomeStatus.FAILED:
            return Standing.FAILED
        case OutcomeStatus.REFUSED:
            return Standing.REFUSED
        case OutcomeStatus.EXPIRED:
            return Standing.EXPIRED
        case OutcomeStatus.UNKNOWN:
            return Standing.UNKNOWN
        case _:
            assert_never(outcome.status)


def _unnamed(story: Story, named: set[str]) -> list[Ordered]:
    """Apply orders that no plan names as its step, each once."""
    orders = (one for one in story.orders if one.command.kind is CommandKind.APPLY)
    return list({one.command.command: one for one in orders if one.command.command not in named}.values())


def _again(planned: Planned | None, ordered: Ordered) -> Place | None:
    """The place of an order that its plan does not name: it puts a step of that plan in place again."""
    order = ordered.command
    if order.action is None:
        return None
    was = next(
        (
            step
            for step in (planned.steps if planned else ())
            if (step.mitigation, step.actuator, step.target) == (order.mitigation, order.actuator, order.target)
        ),
        None,
    )
    row = StepRow(
        command=order.command,
        mitigation=order.mitigation,
        actuator=order.actuator,
        target=order.target,
        parameter=order.parameter,
        action=order.action,
        minimum=order.minimum,
        maximum=order.maximum,
        degrades=was.degrades if was else False,
    )
    return Place(order.plan, order.step, row, ordered.at_ms, planned, was.command if was else None)


def _change(story: Story, place: Place, plan: Iterable[Place]) -> Change:
    step, heard, ordered = place.row, truths(story, place.row.command), _ordered(story, place.row.command)
    live = _first(heard, OutcomeStatus.LIVE)
    confirmed, reverted = _first(heard, OutcomeStatus.CONFIRMED), _first(heard, OutcomeStatus.REVERTED)
    last = heard[-1] if heard else None
    shown = next((one.outcome for one in reversed(heard) if one.outcome.diff), None)
    standing = _standing(last.outcome) if last else _unanswered(story, place, plan, ordered)
    undo = next((one.outcome.undo for one in reversed(heard) if one.outcome.undo), "")
    said = last.outcome if last and standing is not Standing.ALREADY else None
    confirm = next((one for one in ordered if one.command.kind is CommandKind.CONFIRM), None)
    back_for, back_by = _taken_back(story, step.command, ordered) if reverted else (None, "")
    return Change(
        plan=place.plan,
        step=place.step,
        command=step.command,
        again=place.again,
        mitigation=step.mitigation,
        actuator=step.actuator,
        target=step.target,
        parameter=step.parameter,
        action=step.action,
        minimum=step.minimum,
        maximum=step.maximum,
        degrades=step.degrades,
        decided_ms=place.decided_ms,
        ordered_ms=next((one.at_ms for one in ordered if one.command.kind is CommandKind.APPLY), None),
        standing=standing,
        reason=said.reason.value if said and said.reason is not OutcomeReason.NONE else "",
        detail=said.detail if said else "",
        live_ms=live.outcome.live_ms if live else None,
        ended_ms=last.at_ms if last and standing is not Standing.UNCONFIRMED else None,
        confirm_ordered_ms=confirm.at_ms if confirm else None,
        confirmed_ms=confirmed.at_ms if confirmed else None,
        taken_back_ms=reverted.at_ms if reverted else None,
        taken_back_for=back_for,
        taken_back_by=back_by,
        confirm_by_ms=live.outcome.confirm_by_ms if live else None,
        before=shown.before if shown else "",
        after=shown.after if shown else "",
        diff=shown.diff if shown else "",
        reloads=tuple(_reload(one.outcome, index) for one in heard for index in range(len(one.outcome.reloads))),
        undo=undo if standing in (Standing.UNCONFIRMED, Standing.CONFIRMED, Standing.UNKNOWN) else "",
    )


def _standing(outcome: Outcome) -> Standing:
    return Standing.ALREADY if is_already(outcome) else standing_of(outcome)


def _ordered(story: Story, command: str) -> list[Ordered]:
    """The orders about the change of this apply command, in their order."""
    return [one for one in story.orders if one.command.applies == command]


def _first(heard: list[Answer], status: OutcomeStatus) -> Answer | None:
    return next((one for one in heard if one.outcome.status is status), None)


def _unanswered(story: Story, place: Place, plan: Iterable[Place], ordered: list[Ordered]) -> Standing:
    """The first step leaves with its plan; each other one has left if its order is there, or a later step's is."""
    later = [one.row.command for one in plan if one.step > place.step]
    has_left = place.step == 0 or bool(ordered) or any(truths(story, one) or _ordered(story, one) for one in later)
    since = place.planned.journal_offset if place.planned else 0
    if not has_left:
        over = [one for one in (*story.of(HandedOver), *story.of(Closed)) if one.journal_offset > since]
        return Standing.NOT_ORDERED if over or _is_being_taken_back(story, plan) else Standing.WAITING
    given_up = (one for one in story.of(HandedOver) if one.reason == NO_ANSWER and one.journal_offset > since)
    return Standing.UNKNOWN if any(given_up) else Standing.ORDERED


def _is_being_taken_back(story: Story, plan: Iterable[Place]) -> bool:
    orders = (order for one in plan for order in _ordered(story, one.row.command))
    return any(one.command.kind is CommandKind.REVERT for one in orders)


def _taken_back(story: Story, command: str, ordered: list[Ordered]) -> tuple[TakenBack, str]:
    """Why, and the person's name where it was one: their word lies before the order, in the same journal record."""
    order = next((one.command for one in ordered if one.command.kind is CommandKind.REVERT), None)
    if order is None:
        return TakenBack.ACT, ""
    words: list[Decided | Lifted] = [*story.of(Decided), *story.of(Lifted)]
    said = [one for one in words if one.journal_offset == order.journal_offset and _speaks_of(one, command, order)]
    last = max(said, key=lambda one: one.index, default=None)
    match last:
        case Decided():
            return TakenBack.PERSON, last.by
        case Lifted():
            return TakenBack.TRIAL, ""
        case _:
            return TakenBack.DOUSE, ""


def _speaks_of(said: Decided | Lifted, command: str, order: Command) -> bool:
    match said:
        case Decided():
            return said.word is Word.REVERT and said.taken and said.plan == order.plan and said.index < order.index
        case Lifted():
            return said.state is LiftState.TRYING and said.step.command == command
        case _:
            assert_never(said)


def _reload(outcome: Outcome, index: int) -> Reloaded:
    seen = outcome.reloads[index]
    return Reloaded(
        because="apply" if outcome.status is OutcomeStatus.LIVE else outcome.status.value,
        process=seen.process,
        pid=seen.pid,
        signal=seen.signal,
        before=seen.before,
        after=seen.after,
        live_ms=seen.live_ms,
    )
