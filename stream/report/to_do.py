"""What is left for a person to do, the most urgent first."""

from collections.abc import Iterator

from schemas.events import Closed, Decided, Ending, HandedOver, Lifted, LiftState, Planned, Suggested, Word
from schemas.runbook import Autonomy
from stream.incidents import ID_DIGITS
from stream.report import figures as report_figures
from stream.report import plans, reasons, stands, units
from stream.report import state as report_state
from stream.report.changes import GONE
from stream.report.model import Change, Standing, TakenBack
from stream.report.story import Story

WANTED = frozenset({TakenBack.PERSON, TakenBack.TRIAL})
A_PERSONS_WORD = frozenset({"by_person", "rejected"})


def to_do(story: Story, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Each is one sentence or two, with the command to type where there is one."""
    return (
        *_at_the_targets(story, changes),
        *_handed(story),
        *_suggested(story),
        *_unnecessary(story, changes),
        *_for_good(story),
    )


def _at_the_targets(story: Story, changes: tuple[Change, ...]) -> Iterator[str]:
    closed, handed = story.last(Closed), story.last(HandedOver)
    for change in changes:
        place = f"{change.actuator}/{change.target}"
        if change.standing is Standing.UNKNOWN or (change.standing is Standing.ORDERED and (closed or handed)):
            yield f"Look at {place}: what stands there is not known. {change.undo}".rstrip()
    yield from _unconfirmed([one for one in changes if one.standing is Standing.UNCONFIRMED])
    if closed is None or closed.ending is not Ending.CONFIRMED or not changes:
        return
    proven = [one for one in stands.latest(changes) if one.plan == changes[-1].plan]
    made = [one for one in proven if one.standing not in stands.PROMISED and one.taken_back_for not in WANTED]
    gone = [one for one in made if one.standing in GONE]
    if gone and len(proven) == 1:
        yield f"The change that was proven does not stand any more ({stands.how(gone[0])}): see that it does."
    for change in gone if len(proven) > 1 else ():
        yield (
            f"{change.mitigation} at {change.actuator}/{change.target}, a part of the plan that was proven, does not "
            f"stand any more ({stands.how(change)}): see whether it is needed."
        )


def _unconfirmed(loose: list[Change]) -> Iterator[str]:
    if not loose:
        return
    what = ", ".join(f"{one.parameter} of {one.actuator}/{one.target}" for one in loose)
    first_ms = min((one.confirm_by_ms for one in loose if one.confirm_by_ms), default=None)
    sent_ms = min(one.confirm_ordered_ms or 0 for one in loose)
    at = f" at {units.utc(first_ms)}" if first_ms else ""
    sent = f" The word was sent at {units.utc(sent_ms)} and is not answered." if sent_ms else ""
    if len(loose) == 1:
        yield f"{what} stands unconfirmed: act takes it back{at} unless it is confirmed.{sent}"
    else:
        from_ms = f"{at} and after" if at else ""
        yield f"{what} stand unconfirmed: act takes them back{from_ms} unless they are confirmed.{sent}"


def _handed(story: Story) -> Iterator[str]:
    closed, handed = story.last(Closed), story.last(HandedOver)
    if handed is None:
        return
    why, detail = reasons.words(handed.reason), handed.detail.rstrip(".")
    if closed is None and report_state.has_it(story) is None:
        yield f"Look at a change of an earlier plan ({why}): {detail}."
    elif closed is None:
        yield f"Take over ({why}): {detail}."
    elif report_state.follows(handed, closed):
        yield f"Look at it again, since the incident was over by then ({why}): {detail}."
    elif handed.reason not in A_PERSONS_WORD:
        yield f"Find out why: it was handed over ({why}: {detail}) and stopped since."


def _suggested(story: Story) -> Iterator[str]:
    """The plan that waits for a person, if one does."""
    asked = next((one for one in reversed(story.of(Suggested)) if plans.is_plan(one)), None)
    if asked is None or story.last(Closed) or report_state.has_it(story):
        return
    if any(one.plan == asked.plan or report_state.follows(one, asked) for one in story.of(Planned)):
        return
    said = [one for one in story.of(Decided) if one.plan == asked.plan and one.taken]
    if said and said[-1].word is not Word.REVERT:
        return
    steps = ", then ".join(f"{units.action(one.parameter, one.action)} at {one.target}" for one in asked.steps)
    reach = f", used by {asked.tenants} tenants" if asked.tenants > 1 else ""
    plan = asked.plan[:ID_DIGITS]
    leave = ", ".join(f"{asked.tenant}/{one.mitigation}" for one in asked.steps)
    if asked.autonomy is Autonomy.APPROVE:
        yield (
            f"Decide on the suggested {_plan(asked)}: {steps}{reach}. `douse approve {plan}` shows it and carries it "
            f"out, `douse reject {plan} --reason ...` leaves it to you."
        )
    else:
        yield (
            f"Decide on the suggested {_plan(asked)}: {steps}{reach} (autonomy is {asked.autonomy.value}). Either set "
            f"`auto` for {leave} in the specs and run `douse specs apply`, or change it by hand."
        )


def _plan(asked: Suggested) -> str:
    return "change" if len(asked.steps) == 1 else f"plan of {len(asked.steps)} changes"


def _unnecessary(story: Story, changes: tuple[Change, ...]) -> Iterator[str]:
    """Steps suggested for taking back that still stand."""
    asked = next((one for one in reversed(story.of(Suggested)) if not plans.is_plan(one)), None)
    if asked is None:
        return
    tried = {one.step.command for one in story.of(Lifted) if one.state is not LiftState.TRYING}
    standing = {one.command: one for one in changes if one.standing in (Standing.UNCONFIRMED, Standing.CONFIRMED)}
    for step in asked.steps:
        change = standing.get(step.command)
        if change is None or step.command in tried:
            continue
        values = f" ({change.parameter} {change.before} -> {change.after})" if change.after else ""
        costs = ", and it takes something from the users" if step.degrades else ""
        yield (
            f"{step.mitigation} at {step.actuator}/{step.target}{values} may be unnecessary now{costs}: "
            f"`douse revert {step.command[:ID_DIGITS]} --reason ...` takes it back."
        )


def _for_good(story: Story) -> Iterator[str]:
    closed, left_ppm = story.last(Closed), report_figures.objective(story).left_ppm
    if left_ppm <= 0:
        yield f"The budget is overspent by {units.percent(-left_ppm)}: the objective of this period is broken."
    if closed is not None and closed.mend:
        yield f"Mend for good: {closed.mend}"
