"""What was changed, what became of it by the actuator's own word, and what was not allowed."""

from typing import assert_never

from schemas.commands import CommandKind, Outcome, OutcomeReason, OutcomeStatus
from schemas.events import HandedOver, Planned, Refused, StepRow
from stream.report.model import Change, Refusal, Reloaded, Standing
from stream.report.story import Answer, Story

FORGED = frozenset({OutcomeReason.BAD_SIGNATURE, OutcomeReason.MALFORMED})
NO_ANSWER = "no_answer"
NOT_TRIED = frozenset({OutcomeStatus.REFUSED, OutcomeStatus.EXPIRED})


def changes(story: Story) -> tuple[Change, ...]:
    """Every change that was ordered, in the order of the plans."""
    return tuple(_change(story, planned, step) for planned in story.of(Planned) for step in planned.steps)


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
        if one.outcome.status in NOT_TRIED
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


def _change(story: Story, planned: Planned, step: StepRow) -> Change:
    heard = truths(story, step.command)
    live = next((one for one in heard if one.outcome.status is OutcomeStatus.LIVE), None)
    last = heard[-1] if heard else None
    shown = next((one.outcome for one in reversed(heard) if one.outcome.diff), None)
    standing = standing_of(last.outcome) if last else _unanswered(story, planned)
    undo = next((one.outcome.undo for one in reversed(heard) if one.outcome.undo), "")
    return Change(
        plan=planned.plan,
        command=step.command,
        mitigation=step.mitigation,
        actuator=step.actuator,
        target=step.target,
        parameter=step.parameter,
        action=step.action,
        minimum=step.minimum,
        maximum=step.maximum,
        decided_ms=planned.at_ms,
        standing=standing,
        reason=last.outcome.reason.value if last and last.outcome.reason is not OutcomeReason.NONE else "",
        detail=last.outcome.detail if last else "",
        live_ms=live.outcome.live_ms if live else None,
        ended_ms=last.at_ms if last and standing is not Standing.UNCONFIRMED else None,
        confirm_by_ms=live.outcome.confirm_by_ms if live else None,
        before=shown.before if shown else "",
        after=shown.after if shown else "",
        diff=shown.diff if shown else "",
        reloads=tuple(_reload(one.outcome, index) for one in heard for index in range(len(one.outcome.reloads))),
        undo=undo if standing in (Standing.UNCONFIRMED, Standing.CONFIRMED, Standing.UNKNOWN) else "",
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


def _unanswered(story: Story, planned: Planned) -> Standing:
    given_up = any(
        one.reason == NO_ANSWER and one.journal_offset > planned.journal_offset for one in story.of(HandedOver)
    )
    return Standing.UNKNOWN if given_up else Standing.ORDERED


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
