"""Where an incident stands, in words."""

from schemas.events import (
    Closed,
    Decided,
    Diagnosed,
    Ending,
    HandedOver,
    IncidentEvent,
    Lifted,
    Planned,
    Refused,
    Suggested,
    VerdictGiven,
    Word,
)
from schemas.runbook import Autonomy
from stream.report import plans, reasons, stands
from stream.report.model import Change, Standing
from stream.report.story import Story

GOES_ON = (Lifted, Planned, Suggested, VerdictGiven)


def state(story: Story, changes: tuple[Change, ...]) -> tuple[str, str]:
    """open, handed or closed, and what that means now."""
    closed, handed = story.last(Closed), has_it(story)
    if closed is not None:
        return "closed", f"{_ended(closed, changes)}{_since(closed, handed)}"
    if handed is not None:
        return "handed", f"a person is needed ({reasons.words(handed.reason)}); {stands.says(changes)}"
    return "open", _going_on(story, changes)


def has_it(story: Story) -> HandedOver | None:
    """The hand-over by which a person has the incident. One about a change of an earlier plan does not end it: what
    douse judges, plans or tries after that shows that it goes on."""
    handed = story.last(HandedOver)
    goes_on = handed is not None and any(follows(one, handed) for one in story.events if isinstance(one, GOES_ON))
    return None if goes_on else handed


def _ended(closed: Closed, changes: tuple[Change, ...]) -> str:
    match closed.ending:
        case Ending.CONFIRMED:
            last = [one for one in changes if one.again is None and one.plan == changes[-1].plan]
            what = f"a plan of {len(last)} changes" if len(last) > 1 else "a change"
            return f"{what} was proven effective; {stands.says(changes)}"
        case Ending.RECOVERED:
            return "the burn stopped, and no change of douse was proven to be the reason"
        case Ending.WITHDRAWN:
            return "the objective was changed or taken out of the spec set"


def _since(closed: Closed, handed: HandedOver | None) -> str:
    """What was said of a change after its incident was over."""
    if handed is None or not follows(handed, closed):
        return ""
    return f"; since then a person is needed ({reasons.words(handed.reason)})"


def follows(later: IncidentEvent, earlier: IncidentEvent) -> bool:
    return (later.journal_offset, later.index) > (earlier.journal_offset, earlier.index)


def _going_on(story: Story, changes: tuple[Change, ...]) -> str:
    if story.opened.joined:
        return f"it only reports: incident {story.opened.joined} holds the plan for this service"
    latest = next((one for one in reversed(story.events) if _moves(one)), story.opened)
    match latest:
        case Suggested() if not plans.is_plan(latest):
            return f"proven and confirmed, and some of it may be unnecessary now; {stands.says(changes)}"
        case Suggested():
            what = "a change" if len(latest.steps) == 1 else f"a plan of {len(latest.steps)} changes"
            waits = "for an approval" if latest.autonomy is Autonomy.APPROVE else "for a person"
            return f"{what} is suggested and waits {waits}"
        case Decided(word=Word.APPROVE):
            return f"{latest.by} approved the plan; it is carried out as soon as the guard lets it"
        case Decided(word=Word.REJECT):
            return f"{latest.by} rejected the plan"
        case Decided():
            return f"{latest.by} wanted it back; {stands.says(changes)}"
        case Refused():
            return f"held back ({reasons.words(latest.reason.value)}); it is looked at again at each tick"
        case Planned():
            return _on_its_way(latest, changes)
        case VerdictGiven(verdict="effective"):
            return f"proven effective, waiting until that has lasted; {stands.says(changes)}"
        case VerdictGiven():
            follow = latest.follows.replace("_", " ")
            return f"judged {latest.verdict}, follows: {follow}; {stands.says(changes)}"
        case Lifted():
            return f"proven and confirmed; {plans.tried(latest)}"
        case _:
            return "burning; evidence is being gathered"


def _moves(event: IncidentEvent) -> bool:
    """False for what changes nothing about where the incident stands."""
    return not isinstance(event, Diagnosed) and not (isinstance(event, Decided) and not event.taken)


def _on_its_way(planned: Planned, changes: tuple[Change, ...]) -> str:
    """How far a plan has come whose last step is not judged yet."""
    steps = [one for one in changes if one.plan == planned.plan and one.again is None]
    if len(steps) == 1:
        return f"a change is ordered; {stands.says(changes)}"
    if any(one.standing in (Standing.FAILED, Standing.REVERTED, Standing.NOT_ORDERED) for one in steps):
        return f"a plan has stopped, and what stands of it is taken back; {stands.says(changes)}"
    done = [one for one in steps if one.standing in (Standing.UNCONFIRMED, Standing.CONFIRMED, Standing.ALREADY)]
    return f"a plan is being carried out, {len(done)} of {len(steps)} steps are in place; {stands.says(changes)}"
