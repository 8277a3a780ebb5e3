"""Plans as a whole, what people said of them, and the trials of what may be unnecessary."""

from typing import assert_never

from schemas.commands import OutcomeStatus
from schemas.events import Decided, Lifted, LiftState, Planned, Suggested, Suggestion, VerdictGiven
from stream.report import changes as changed
from stream.report import stands, units
from stream.report.model import Change, Decision, Plan, TrialMoment
from stream.report.story import Story


def plans(story: Story, changes: tuple[Change, ...]) -> tuple[Plan, ...]:
    """Every plan that was carried out, in its order."""
    return tuple(
        Plan(
            plan=one.plan,
            revision=one.revision,
            decided_ms=one.at_ms,
            cause=one.cause,
            amplifiers=one.amplifiers,
            approved_by=one.approved_by,
            approval_ms=approval_ms(story, one),
            live_ms=live_ms(story, one),
            watch_ms=one.watch_ms,
            provable=one.provable,
            says=stands.says([change for change in changes if change.plan == one.plan]),
        )
        for one in story.of(Planned)
    )


def live_ms(story: Story, planned: Planned) -> int | None:
    """When the last change of a plan was live, by its actuator's clock. None while one of them is not; a value that
    stood there already waits for nobody."""
    told = []
    for step in planned.steps:
        heard = [one.outcome for one in changed.truths(story, step.command)]
        if any(changed.is_already(one) for one in heard):
            continue
        times = [one.live_ms for one in heard if one.status is OutcomeStatus.LIVE and one.live_ms is not None]
        if not times:
            judged = next((one for one in story.of(VerdictGiven) if one.plan == planned.plan), None)
            return judged.live_ms if judged else None
        told.append(times[0])
    return max(told, default=None)


def approval_ms(story: Story, planned: Planned) -> int | None:
    """From the suggestion of a plan to its order; None where no person was asked."""
    asked = next((one for one in story.of(Suggested) if one.plan == planned.plan and is_plan(one)), None)
    return planned.at_ms - asked.at_ms if asked and planned.approved_by else None


def is_plan(told: Suggested) -> bool:
    """True for a plan to carry out, false for steps to take back."""
    return told.kind is Suggestion.APPLY


def decisions(story: Story) -> tuple[Decision, ...]:
    """Everything that people said, taken up or not."""
    return tuple(
        Decision(
            at_ms=one.at_ms,
            plan=one.plan,
            word=one.word,
            by=one.by,
            said=one.said,
            taken=one.taken,
            detail=one.detail,
        )
        for one in story.of(Decided)
    )


def decided(told: Decided | Decision) -> str:
    """`kim approved it: looked at it`."""
    verb = {"approve": "approved it", "reject": "rejected it", "revert": "wanted it back"}[told.word.value]
    said = f": {' '.join(told.said.split())}" if told.said else ""
    return f"{told.by} {verb}{said}" + ("" if told.taken else f" (not taken up: {told.detail})")


def trials(story: Story) -> tuple[TrialMoment, ...]:
    """Every trial of taking a step back, moment by moment."""
    return tuple(
        TrialMoment(
            at_ms=one.at_ms,
            plan=one.plan,
            command=one.step.command,
            mitigation=one.step.mitigation,
            actuator=one.step.actuator,
            target=one.step.target,
            state=one.state,
            says=tried(one),
            errors=one.errors,
            requests=one.requests,
            residual_ppm=one.residual_ppm,
        )
        for one in story.of(Lifted)
    )


def tried(told: Lifted) -> str:
    """What a moment of a trial means, with the numbers that it rests on."""
    name = told.step.mitigation
    match told.state:
        case LiftState.TRYING:
            text = f"{name} is taken back on trial"
        case LiftState.LIFTED:
            text = f"it goes without {name}, which stays taken back"
        case LiftState.HURTS:
            text = f"without {name} the burn came back: it is put in place again, and kept"
        case LiftState.RESTORED:
            text = f"{name} is in place again, and kept"
        case LiftState.STOPPED:
            text = f"the trial of {name} is broken off: {told.detail or 'it could not be judged'}"
        case _:
            assert_never(told.state)
    if not told.requests:
        return text
    share = units.percent(told.residual_ppm)
    return f"{text} ({told.errors:,} of {told.requests:,} requests failed, {share})"
