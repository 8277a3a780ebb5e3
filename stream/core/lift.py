"""After a plan is confirmed: steps that may be unnecessary are suggested for taking back, or tried one at a time.

A trial takes one step back and asks of the seconds since what the confirmation asked. Burning again: it is put in
place again and kept. A retry storm's good state is metastable, so a calm trial proves only that nothing struck
meanwhile.
"""

from actuators.policy import choice
from actuators.policy.incident import Attempt, Incident, Step, Trial
from actuators.policy.lifecycle import Happening
from detectors import verdict_confirm
from detectors.state import DataState
from detectors.verdict_confirm import Confirmation, Standing
from schemas.commands import CommandKind, Outcome, OutcomeStatus
from schemas.events import Ending, LiftState, Suggestion
from schemas.runbook import Autonomy, Lift
from schemas.specs import SpecSet
from stream.core import desk, opening, orders, plan, settle
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState

UNSURE = frozenset({DataState.STALE, DataState.PARTIAL, DataState.SAMPLED, DataState.NO_DATA})
BURNING_MS_MAX = 60_000  # a burn that lasts longer is a person's
UNSURE_MS_MAX = 10_000  # as long as a verdict waits for telemetry


def begin(
    shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, attempt: Attempt, lane: int, out: Desk
) -> None:
    """Follows a confirmation: trials where the course says `lift: auto`, else a suggestion, and the close."""
    steps = _candidates(specs, attempt)
    if steps and attempt.lift == Lift.AUTO and all(_is_auto(specs, incident, step) for step in steps):
        out.move(incident, Happening.ON_TRIAL)
        return
    _suggest(specs, incident, attempt, steps, out)
    _close(shard, specs, sight, incident, attempt, lane, out)


def go_on(shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """One tick of an incident whose steps are on trial."""
    attempt = incident.attempt
    assert attempt is not None
    trial = attempt.trials[-1] if attempt.trials else None
    if trial is not None:  # a clock that was set back must not wait for what lies ahead of it
        trial.taken_back_ms = None if trial.taken_back_ms is None else min(trial.taken_back_ms, out.now_ms)
        trial.restored_ms = None if trial.restored_ms is None else min(trial.restored_ms, out.now_ms)
    if trial is None or _is_over(attempt, trial):
        _begin_trial(shard, specs, sight, incident, attempt, lane, out)
    elif trial.restored_ms is not None:
        _after_restoring(specs, sight, incident, attempt, trial, lane, out)
    elif trial.restore or trial.taken_back_ms is None:
        _unanswered(shard, specs, incident, attempt, trial, out)
    else:
        _judge(shard, specs, sight, incident, attempt, trial, lane, out)


def answered(incident: Incident, attempt: Attempt, step: Step, outcome: Outcome, out: Desk) -> None:
    """What an actuator says while a step is on trial; anything but what was ordered hands the rest to a person."""
    trial = attempt.trials[-1] if attempt.trials else None
    if step.already or any(one.number == step.number for one in attempt.trials[:-1]):
        return  # said again of what is settled
    if trial is not None and step.number == trial.number and outcome.status is OutcomeStatus.REVERTED:
        trial.taken_back_ms = out.now_ms
    elif trial is not None and step.command == trial.restore and outcome.status is OutcomeStatus.LIVE:
        step.live_ms = trial.restored_ms = out.now_ms
    elif outcome.status is not OutcomeStatus.LIVE or outcome.kind is not CommandKind.APPLY:
        detail = f"while a step was on trial: {settle.tried(outcome)}"
        leave(incident, attempt, outcome.reason.value, detail, out)


def leave(incident: Incident, attempt: Attempt, reason: str, detail: str, out: Desk) -> None:
    """Ends the trials; what was put in place again because its removal hurt is let stand."""
    for trial in attempt.trials:
        for step in attempt.steps:
            if step.command == trial.restore and step.live_ms is not None and step.confirm_sent_ms is None:
                out.confirm_step(incident, attempt, step)
    plan.hand_over(incident, reason, detail, True, Happening.HANDED_OVER, out)


def _candidates(specs: SpecSet, attempt: Attempt) -> list[Step]:
    """Steps that stand and may be unnecessary, in the order in which they are tried."""
    known = {mitigation.name: mitigation for mitigation in specs.mitigations}
    standing = [step for step in attempt.standing if step.mitigation in known]
    return [standing[place] for place in choice.may_lift([known[step.mitigation] for step in standing])]


def _suggest(specs: SpecSet, incident: Incident, attempt: Attempt, steps: list[Step], out: Desk) -> None:
    """Leaves the taking back of these steps to a person."""
    rows = [row for step in steps if (row := orders.step_row(specs, step)) is not None]
    if rows:
        out.tell(
            incident,
            "suggested",
            plan=attempt.plan,
            kind=Suggestion.LIFT,
            cause=incident.cause or "",
            amplifiers=tuple(incident.amplifiers),
            autonomy=min((_autonomy(specs, incident, step) for step in steps), key=choice.LEAVE.index),
            steps=tuple(rows),
        )


def _last_ms(attempt: Attempt) -> int:
    """When something was last done about the plan."""
    times = [ms for step in attempt.steps for ms in (step.confirm_sent_ms, step.revert_ms) if ms is not None]
    return max(times, default=attempt.decided_ms)


def _autonomy(specs: SpecSet, incident: Incident, step: Step) -> Autonomy:
    return choice.autonomy(specs, incident.environment, incident.tenant, step.mitigation)


def _is_auto(specs: SpecSet, incident: Incident, step: Step) -> bool:
    return _autonomy(specs, incident, step) is Autonomy.AUTO


def _is_over(attempt: Attempt, trial: Trial) -> bool:
    """True where its step stays taken back, or was put in place again and is confirmed."""
    if not trial.restore:
        return bool(trial.why)
    restored = next(step for step in attempt.steps if step.command == trial.restore)
    return restored.confirm_sent_ms is not None


def _begin_trial(
    shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, attempt: Attempt, lane: int, out: Desk
) -> None:
    if sight.data_state(lane) in UNSURE:
        return
    tried = {attempt.steps[trial.number].mitigation for trial in attempt.trials}
    waiting = [step for step in _candidates(specs, attempt) if step.mitigation not in tried]
    if not waiting:
        _close(shard, specs, sight, incident, attempt, lane, out)
        return
    if opening.still_burns(incident):  # not into a burn, wherever it comes from
        if out.now_ms - _last_ms(attempt) > BURNING_MS_MAX:
            detail = "it burns again while steps of its plan were on trial"
            leave(incident, attempt, "relapse", detail, out)
        return
    step = waiting[0]
    refusal = orders.may_order(shard, specs, incident, attempt, step)
    if refusal is not None:  # what could not be put back is not taken away on trial
        _suggest(specs, incident, attempt, waiting, out)
        _close(shard, specs, sight, incident, attempt, lane, out)
        return
    attempt.trials.append(Trial(step.number, out.now_ms))
    out.revert(incident, attempt, step)
    _tell(specs, incident, attempt, step, LiftState.TRYING, None, out)


def _judge(
    shard: ShardState,
    specs: SpecSet,
    sight: Sight,
    incident: Incident,
    attempt: Attempt,
    trial: Trial,
    lane: int,
    out: Desk,
) -> None:
    assert trial.taken_back_ms is not None
    step = attempt.steps[trial.number]
    seen = _seen(incident, attempt, trial.taken_back_ms)
    unsure = sight.data_state(lane) in UNSURE
    waited_ms = out.now_ms - trial.taken_back_ms - attempt.settle_ms - int(sight.freshness_ms[lane])
    if seen.standing is Standing.RELAPSE:
        trial.why = "without it the burn came back"
        _tell(specs, incident, attempt, step, LiftState.HURTS, seen, out)
        _restore(shard, specs, incident, attempt, trial, out)
    elif seen.standing is Standing.CONFIRMED and not unsure:
        trial.why = "it was not needed any more"
        _tell(specs, incident, attempt, step, LiftState.LIFTED, seen, out)
    elif seen.standing is Standing.KEEP_OPEN or waited_ms > verdict_confirm.CONFIRM_S_MAX * 1000 + UNSURE_MS_MAX:
        trial.why = "it could not be shown that it goes without it"
        _tell(specs, incident, attempt, step, LiftState.STOPPED, seen, out)
        _restore(shard, specs, incident, attempt, trial, out)


def _restore(shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, trial: Trial, out: Desk) -> None:
    """Puts the step in place again, by an order of its own."""
    was = attempt.steps[trial.number]
    number, revision = len(attempt.steps), incident.attempts.index(attempt)
    trial.restore = desk.command_id(incident.id, revision, number, "apply", revision)
    again = Step(number, trial.restore, was.mitigation, was.actuator, was.target, was.parameter, was.terms)
    attempt.steps.append(again)
    refusal = orders.order_step(shard, specs, incident, attempt, again, out)
    if refusal is not None:
        detail = f"{was.mitigation} should be put in place again: {refusal.detail}"
        leave(incident, attempt, refusal.reason.value, detail, out)


def _after_restoring(
    specs: SpecSet,
    sight: Sight,
    incident: Incident,
    attempt: Attempt,
    trial: Trial,
    lane: int,
    out: Desk,
) -> None:
    """Confirms the step that was put in place again; where the burn goes on all the same, it is kept and a person is
    told."""
    assert trial.restored_ms is not None
    step = next(one for one in attempt.steps if one.command == trial.restore)
    seen = _seen(incident, attempt, trial.restored_ms)
    if seen.standing is Standing.WAIT or sight.data_state(lane) in UNSURE:
        limit_ms = (verdict_confirm.CONFIRM_S_MAX * 1000) + attempt.settle_ms + UNSURE_MS_MAX
        if out.now_ms - trial.restored_ms <= limit_ms + int(sight.freshness_ms[lane]):
            return
    out.confirm_step(incident, attempt, step)
    if seen.standing is Standing.CONFIRMED:
        _tell(specs, incident, attempt, step, LiftState.RESTORED, seen, out)
        return
    detail = f"{step.mitigation} was taken back on trial and put in place again, and it still burns"
    leave(incident, attempt, "relapse", detail, out)


def _unanswered(
    shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, trial: Trial, out: Desk
) -> None:
    waiting = [step for step in attempt.steps if step.command == trial.restore] or [attempt.steps[trial.number]]
    step = waiting[0]
    since_ms = step.ordered_ms if trial.restore else trial.revert_ms
    assert since_ms is not None
    if out.now_ms - since_ms <= specs.limits.not_after_ms + settle.ANSWER_MS_MAX:
        return
    step.unknown = True
    settle.freeze(shard.targets[step.target], step.command, out.now_ms)
    detail = f"no outcome for command {step.command} of target {step.target}"
    leave(incident, attempt, "no_answer", detail, out)


def _seen(incident: Incident, attempt: Attempt, since_ms: int) -> Confirmation:
    """The confirmation's question, asked of the seconds since a change of this trial has settled."""
    from_s = -(-(since_ms + attempt.settle_ms) // 1000)
    return verdict_confirm.confirm(plan.question(incident, attempt, 0), plan.counts(incident), from_s, incident.end_s)


def _tell(
    specs: SpecSet,
    incident: Incident,
    attempt: Attempt,
    step: Step,
    state: LiftState,
    seen: Confirmation | None,
    out: Desk,
) -> None:
    row = orders.step_row(specs, step)
    if row is None:
        return
    numbers = {} if seen is None else {"errors": seen.errors, "requests": seen.n, "residual_ppm": seen.residual_ppm}
    detail = attempt.trials[-1].why
    out.tell(incident, "lifted", plan=attempt.plan, step=row, state=state, detail=detail, **numbers)


def _close(
    shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, attempt: Attempt, lane: int, out: Desk
) -> None:
    out.move(incident, Happening.CONFIRMED)
    mends = {one.name: one.mend for one in specs.mitigations}
    told = dict.fromkeys(mends.get(step.mitigation, "") for step in attempt.standing)
    opening.close(shard, sight, incident, lane, Ending.CONFIRMED, out, " ".join(text for text in told if text))
