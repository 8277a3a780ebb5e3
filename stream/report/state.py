"""Where an incident stands, in words, and what is left for a person to do."""

from schemas.events import Closed, Diagnosed, Ending, HandedOver, Planned, Refused, Suggested, VerdictGiven
from stream.report import figures as report_figures
from stream.report import units
from stream.report.model import Change, Standing
from stream.report.story import Story

GONE = frozenset({Standing.REVERTED, Standing.FAILED, Standing.REFUSED, Standing.EXPIRED})


def state(story: Story, changes: tuple[Change, ...]) -> tuple[str, str]:
    """open, handed or closed, and what that means now."""
    closed = story.last(Closed)
    if closed is not None:
        match closed.ending:
            case Ending.CONFIRMED:
                return "closed", f"a change was proven effective; it is {_stands(changes)}"
            case Ending.RECOVERED:
                return "closed", "the burn stopped, and no change of douse was proven to be the reason"
            case Ending.WITHDRAWN:
                return "closed", "the objective was changed or taken out of the spec set"
    handed = story.last(HandedOver)
    if handed is not None:
        return "handed", f"a person is needed ({handed.reason}); {_standing_words(changes)}"
    return "open", _going_on(story, changes)


def _going_on(story: Story, changes: tuple[Change, ...]) -> str:
    if story.opened.joined:
        return f"it only reports: incident {story.opened.joined} holds the plan for this service"
    latest = next((one for one in reversed(story.events) if not isinstance(one, Diagnosed)), story.opened)
    match latest:
        case Suggested():
            return "a change is suggested and waits for a person"
        case Refused():
            return f"held back ({latest.reason.value}); it is looked at again at each tick"
        case Planned():
            return f"a change is ordered; it is {_stands(changes)}"
        case VerdictGiven(verdict="effective"):
            return f"proven effective, waiting until that has lasted; the change is {_stands(changes)}"
        case VerdictGiven():
            return f"judged {latest.verdict}, follows: {latest.follows}; the change is {_stands(changes)}"
        case _:
            return "burning; evidence is being gathered"


def _reason(change: Change) -> str:
    return ": ".join(part for part in (change.standing.value, change.detail or change.reason) if part)


def _stands(changes: tuple[Change, ...]) -> str:
    return changes[-1].standing.value if changes else "not there"


def _standing_words(changes: tuple[Change, ...]) -> str:
    if not changes:
        return "nothing was changed"
    last = changes[-1]
    match last.standing:
        case Standing.CONFIRMED:
            return "the change stands"
        case Standing.UNCONFIRMED:
            return "the change stands unconfirmed, and act takes it back by itself"
        case Standing.REVERTED | Standing.FAILED:
            return "the change is taken back"
        case Standing.REFUSED | Standing.EXPIRED:
            return "the change was not made"
        case Standing.ORDERED | Standing.UNKNOWN:
            return "what stands at the target is not known"


def to_do(story: Story, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """What is left for a person, the most urgent first."""
    found = []
    closed, handed, suggested = story.last(Closed), story.last(HandedOver), story.last(Suggested)
    for change in changes:
        place = f"{change.actuator}/{change.target}"
        if change.standing is Standing.UNKNOWN or (change.standing is Standing.ORDERED and (closed or handed)):
            found.append(f"Look at {place}: what stands there is not known. {change.undo}".rstrip())
        elif change.standing is Standing.UNCONFIRMED:
            by = f" at {units.utc(change.confirm_by_ms)}" if change.confirm_by_ms else ""
            what = f"{change.parameter} of {place}"
            found.append(f"{what} stands unconfirmed: act takes it back{by} unless it is confirmed.")
    if closed is not None and closed.ending is Ending.CONFIRMED and changes[-1:] and changes[-1].standing in GONE:
        found.append(f"The change that was proven does not stand any more ({_reason(changes[-1])}): see that it does.")
    if handed is not None and closed is None:
        found.append(f"Take over ({handed.reason}): {handed.detail}.")
    elif handed is not None:
        found.append(f"Find out why: it was handed over ({handed.reason}: {handed.detail}) and stopped since.")
    if suggested is not None and closed is None and not changes:
        steps = ", ".join(f"{units.action(one.parameter, one.action)} at {one.target}" for one in suggested.steps)
        leave = ", ".join(f"{suggested.tenant}/{one.mitigation}" for one in suggested.steps)
        found.append(
            f"Decide on the suggested change: {steps} (autonomy is {suggested.autonomy.value}). Either set `auto` for "
            f"{leave} in the specs and run `douse specs apply`, or change it by hand."
        )
    left_ppm = report_figures.objective(story).left_ppm
    if left_ppm <= 0:
        found.append(f"The budget is overspent by {units.percent(-left_ppm)}: the objective of this period is broken.")
    if closed is not None and closed.mend:
        found.append(f"Mend for good: {closed.mend}")
    return tuple(found)
