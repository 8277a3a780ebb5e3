"""What follows from outcomes and verdicts: the part of an incident's life between the order and its end."""

from dataclasses import replace

from actuators.policy import choice
from actuators.policy.choice import Chosen, Nothing
from actuators.policy.incident import Attempt, Incident, Step
from actuators.policy.lifecycle import Happening, Phase
from detectors import verdict, verdict_confirm, verdict_control
from detectors.state import DataState
from detectors.verdict import Verdict
from detectors.verdict_confirm import Standing
from detectors.verdict_control import Comparison, Likeness
from schemas.commands import CommandKind, Outcome, OutcomeReason, OutcomeStatus
from schemas.identity import Entity
from schemas.runbook import Amplifier, Cause, OnSilence
from schemas.specs import SpecSet
from stream.core import lift, orders, plan, settle, told
from stream.core.desk import Desk
from stream.core.plan import counts, hand_over, question
from stream.core.sight import Sight
from stream.shard import ShardState, TargetState

WATCH_AGAIN_MS_MAX = 25_000  # "watched once longer" must end before the confirm deadline's grace of 30 s
LAST_S = 10  # seconds at the end of a longer watch that are compared with the control group's
UNSURE_MS_MAX = 10_000  # a pause of ingest is shorter; the confirm deadline's grace of 30 s is longer
UNSURE = frozenset({DataState.STALE, DataState.PARTIAL, DataState.SAMPLED, DataState.NO_DATA})
"""What is counted may not be what happened: no success is concluded from it."""
WORSE = frozenset({Verdict.HARMFUL, Verdict.INEFFECTIVE, Verdict.NO_DATA})
"""What is taken back, whatever the telemetry is like: that never makes it worse."""


def hear(shard: ShardState, specs: SpecSet, outcome: Outcome, out: Desk) -> None:
    """Takes up what an actuator says.

    An answer to a forged record may carry the id of a true order, which the forgery did not use up: it says nothing.
    Nor does what another actuator says of this one's target.
    """
    found = settle.find(shard, outcome.incident, outcome.command)
    if found is None:
        settle.stray(shard, specs, outcome, out)
        return
    incident, attempt, step = found
    ours = (incident.environment, incident.tenant, step.actuator, step.target)
    if outcome.reason in settle.FORGED or ours != (
        outcome.environment,
        outcome.tenant,
        outcome.actuator,
        outcome.target,
    ):
        shard.count("outcomes_ignored")
        return
    settle.note(shard, step, outcome)
    over = incident.id in shard.closed or incident.phase in (Phase.HANDED, Phase.BURNING, Phase.HELD)
    if over or attempt is not incident.attempt:
        settle.late(incident, step, outcome, out)
    elif outcome.status is not OutcomeStatus.CONFIRMED:
        step.status, step.reason, step.detail = outcome.status, outcome.reason.value, outcome.detail
        _answered(shard, specs, incident, attempt, step, outcome, out)


def _answered(
    shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, step: Step, outcome: Outcome, out: Desk
) -> None:
    """Moves an incident whose plan is on its way."""
    why = outcome.reason.value
    match incident.phase:
        case Phase.APPLYING if outcome.status is OutcomeStatus.LIVE and step.done:
            pass  # said again
        case Phase.APPLYING if outcome.status is OutcomeStatus.LIVE:
            said_ms = outcome.live_ms if outcome.live_ms is not None else out.now_ms
            # Its own clock may be wrong: live before the order would count the calm before the onset as its success.
            step.live_ms = min(max(said_ms, step.ordered_ms or attempt.decided_ms), out.now_ms)
            _next(shard, specs, incident, attempt, out)
        case Phase.APPLYING if step.already:
            pass
        case Phase.APPLYING if outcome.reason is OutcomeReason.NO_CHANGE and not step.done and settle.is_gone(outcome):
            step.already = True
            _next(shard, specs, incident, attempt, out)
        case Phase.APPLYING:
            _broken(incident, attempt, why, settle.tried(outcome), Happening.NOT_LIVE, out)
        case Phase.WATCHING | Phase.QUIET if outcome.status is not OutcomeStatus.LIVE and not step.already:
            _broken(incident, attempt, why, settle.tried(outcome), Happening.TAKEN_BACK, out)
        case Phase.LIFTING:
            lift.answered(incident, attempt, step, outcome, out)
        case Phase.REVERTING if step.gone:
            if not any(one.stands and not one.unknown for one in attempt.steps):
                _taken_back(incident, attempt, out)
        case Phase.REVERTING if outcome.kind is CommandKind.REVERT:
            hand_over(incident, why, settle.tried(outcome), True, Happening.HANDED_OVER, out)
        case _:
            pass


def _next(shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, out: Desk) -> None:
    """After a step that is live: the next one, or the watch over the whole plan."""
    step = attempt.next_step
    if step is not None:
        refusal = orders.order_step(shard, specs, incident, attempt, step, out)
        if refusal is not None:
            detail = f"step {step.number + 1} of the plan: {refusal.detail}"
            _broken(incident, attempt, refusal.reason.value, detail, Happening.NOT_LIVE, out)
    elif attempt.live_ms is None:
        detail = "every value of the plan stood there already: what is configured does not stop this burn"
        hand_over(incident, OutcomeReason.NO_CHANGE.value, detail, False, Happening.NOT_LIVE, out)
    else:
        out.move(incident, Happening.LIVE)


def _broken(incident: Incident, attempt: Attempt, reason: str, detail: str, alone: Happening, out: Desk) -> None:
    """A step did not come, or is gone: what else stands of the plan is taken back, then a person is told; at once, by
    the happening `alone`, where nothing else stands."""
    others = [step for step in attempt.standing if not step.unknown]
    if others:
        undo(incident, attempt, reason, detail, out)
    else:
        hand_over(incident, reason, detail, bool(attempt.standing), alone, out)


def unanswered(shard: ShardState, specs: SpecSet, incident: Incident, out: Desk) -> None:
    """A step without an answer: what stands at its target is not known, so it is frozen; the steps before it are taken
    back, and a person is told."""
    attempt = incident.attempt
    assert attempt is not None
    for step in attempt.standing:
        if not step.done and _overdue(specs, step, step.ordered_ms, out):
            detail = _froze(shard, step, out)
            _broken(incident, attempt, "no_answer", detail, Happening.NO_ANSWER, out)
            return


def not_taken_back(shard: ShardState, specs: SpecSet, incident: Incident, out: Desk) -> None:
    """A taking back without an answer: its target is frozen, and a person is told."""
    attempt = incident.attempt
    assert attempt is not None
    for step in attempt.standing:
        if (
            step.revert_ms is not None
            and out.now_ms - step.revert_ms > specs.limits.not_after_ms + settle.ANSWER_MS_MAX
        ):
            hand_over(incident, "no_answer", _froze(shard, step, out), True, Happening.NO_ANSWER, out)
            return


def _overdue(specs: SpecSet, step: Step, since_ms: int | None, out: Desk) -> bool:
    waiting = since_ms is not None and not step.unknown
    return waiting and out.now_ms - (since_ms or 0) > specs.limits.not_after_ms + settle.ANSWER_MS_MAX


def _froze(shard: ShardState, step: Step, out: Desk) -> str:
    step.unknown = True
    settle.freeze(shard.targets.setdefault(step.target, TargetState()), step.command, out.now_ms)
    return f"no outcome for command {step.command} of target {step.target}"


def watch(shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Looks at the seconds since the change is live, and does what the verdict asks for."""
    attempt = incident.attempt
    assert attempt is not None
    withdrawn = _withdrawn(specs, incident.tenant, attempt)
    if withdrawn:
        detail = f"{withdrawn} left the spec set while its effect was watched"
        undo(incident, attempt, "taken_back", detail, out)
        return
    told.note_latency(shard, sight, incident, lane)
    plan.freeze_control(shard, specs, incident, attempt, out.now_ms)
    extended_ms = min(attempt.watch_ms, WATCH_AGAIN_MS_MAX) if attempt.watched_twice else 0
    asked = question(incident, attempt, extended_ms)
    judged = verdict.look(asked, counts(incident), incident.end_s)
    if sight.data_state(lane) in UNSURE and judged.verdict not in WORSE:
        if sight.now_ms <= asked.deadline_ms + UNSURE_MS_MAX:
            return
        judged = replace(judged, verdict=Verdict.NO_DATA, reason=verdict.Reason.TRAFFIC_MISSING)
    if judged.verdict in verdict_control.CLAIMS:
        if attempt.alike and sight.now_ms <= asked.deadline_ms:
            return
        seen = replace(judged, at_s=incident.end_s, window_s=LAST_S) if attempt.alike else judged
        group = plan.control_group(shard, specs, incident)
        compared = verdict_control.compare(asked, seen, attempt.control or {}, group)
        if _awaited(compared, seen.at_s, sight, lane):
            return
        judged = verdict_control.lowered(judged, compared)
        attempt.alike |= judged.verdict is Verdict.INCONCLUSIVE
    if judged.verdict is None:
        return
    if judged.verdict is Verdict.INCONCLUSIVE and not attempt.watched_twice:
        attempt.watched_twice = True
        told.tell(shard, sight, incident, attempt, lane, judged, "watch", out)
        return
    if judged.verdict is Verdict.INCONCLUSIVE and not judged.n:  # nothing was seen, so nothing is let stand for it
        judged = replace(judged, verdict=Verdict.NO_DATA, reason=verdict.Reason.TRAFFIC_MISSING)
    assert judged.verdict is not None
    attempt.verdict = judged.verdict.value
    attempt.recovered_s = verdict_confirm.recovered_s(asked, counts(incident))
    match judged.verdict:
        case Verdict.EFFECTIVE:
            attempt.effective_s = judged.at_s
            told.tell(shard, sight, incident, attempt, lane, judged, "wait_quiet", out)
            out.move(incident, Happening.EFFECTIVE)
        case Verdict.PARTIAL if not isinstance(_following(specs, incident, attempt), Nothing):
            told.tell(shard, sight, incident, attempt, lane, judged, "confirm", out)
            out.confirm(incident, attempt)
            incident.refusal = ""
            out.move(incident, Happening.TRY_NEXT)
        case Verdict.PARTIAL | Verdict.INCONCLUSIVE:
            told.tell(shard, sight, incident, attempt, lane, judged, "confirm", out)
            _keep(incident, attempt, f"{judged.verdict.value}: {judged.reason.value}", out)
        case Verdict.NO_DATA if _holds(specs, attempt):
            told.tell(shard, sight, incident, attempt, lane, judged, "confirm", out)
            _keep(incident, attempt, "no_data: held as the mitigation's on_silence says", out)
        case Verdict.HARMFUL | Verdict.INEFFECTIVE | Verdict.NO_DATA:
            told.tell(shard, sight, incident, attempt, lane, judged, "revert", out)
            undo(incident, attempt, "", "", out)


def _awaited(compared: Comparison, at_s: int, sight: Sight, lane: int) -> bool:
    """True while the seconds of the control group are still on their way from the other shards."""
    late_ms = sight.now_ms - at_s * 1000 - int(sight.freshness_ms[lane])
    return compared.likeness is Likeness.PENDING and late_ms <= verdict_control.WAIT_MS_MAX


def quiet(shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Waits until the success has lasted, then lets the change stand."""
    attempt = incident.attempt
    assert attempt is not None and attempt.effective_s is not None
    withdrawn = _withdrawn(specs, incident.tenant, attempt)
    if withdrawn:
        undo(incident, attempt, "taken_back", f"{withdrawn} left the spec set before the success had lasted", out)
        return
    told.note_latency(shard, sight, incident, lane)
    asked = question(incident, attempt, 0)
    standing = verdict_confirm.confirm(asked, counts(incident), attempt.effective_s, incident.end_s)
    attempt.recovered_s = verdict_confirm.recovered_s(asked, counts(incident)) or attempt.recovered_s
    if standing.standing is Standing.WAIT and sight.now_ms > attempt.decided_ms + attempt.confirm_ms:
        _unseen(specs, incident, attempt, out)  # its actuator waits no longer either
        return
    if sight.data_state(lane) in UNSURE and standing.standing is not Standing.RELAPSE:
        last_ms = (attempt.effective_s + verdict_confirm.CONFIRM_S_MAX) * 1000 + int(sight.freshness_ms[lane])
        if sight.now_ms > last_ms + UNSURE_MS_MAX:
            _unseen(specs, incident, attempt, out)
        return
    match standing.standing:
        case Standing.WAIT:
            pass
        case Standing.CONFIRMED:
            compared = verdict_control.compare(
                asked, standing, attempt.control or {}, plan.control_group(shard, specs, incident)
            )
            if _awaited(compared, standing.at_s, sight, lane):
                return
            if compared.likeness is Likeness.ALIKE:
                attempt.verdict = Verdict.INCONCLUSIVE.value
                _keep(incident, attempt, f"it is over, but {compared.text}", out)
                return
            out.confirm(incident, attempt)
            lift.begin(shard, specs, sight, incident, attempt, lane, out)
        case Standing.KEEP_OPEN:
            _keep(incident, attempt, f"effective, but {standing.residual_ppm} ppm of the requests still fail", out)
        case Standing.RELAPSE:
            attempt.verdict = Verdict.INEFFECTIVE.value
            told.tell(
                shard,
                sight,
                incident,
                attempt,
                lane,
                told.relapse(standing, asked.p0_ppm, asked.before.share_ppm),
                "revert",
                out,
            )
            undo(incident, attempt, "", "", out)


def _withdrawn(specs: SpecSet, tenant: str, attempt: Attempt) -> str:
    """What a plan was made with and the spec set no longer holds: nobody gives leave for it any more."""
    targets = {one.id: one.tenants for one in specs.targets}
    mitigations = {one.name for one in specs.mitigations}
    for step in attempt.standing:
        if tenant not in targets.get(step.target, ()):
            return f"target {step.target}"
        if step.mitigation not in mitigations:
            return f"mitigation {step.mitigation}"
    return ""


def _following(specs: SpecSet, incident: Incident, attempt: Attempt) -> Chosen | Nothing:
    """The course that would follow, were this plan kept."""
    tried = [plan.tried_before(one, whole=one is attempt) for one in incident.attempts]
    amplifiers = [Amplifier(name) for name in incident.amplifiers]
    return choice.choose(specs, Entity(*incident.entity), Cause(incident.cause or "unknown"), amplifiers, tried)


def _holds(specs: SpecSet, attempt: Attempt) -> bool:
    """True where every mitigation of the plan is to be held through silence."""
    silence = {one.name: one.on_silence for one in specs.mitigations}
    return all(silence[step.mitigation] is OnSilence.HOLD for step in attempt.standing)


def take_back_withdrawn(incident: Incident, attempt: Attempt, out: Desk) -> None:
    """Takes back the plan of an incident whose objective left the spec set, and tells a person."""
    for step in reversed(attempt.standing):
        if step.revert_ms is None:
            out.revert(incident, attempt, step)
    names = ", ".join(step.mitigation for step in attempt.steps)
    detail = f"its objective left the spec set while {names} waited for its verdict; it is taken back"
    out.hand_over(incident, "withdrawn", detail, True)


def _unseen(specs: SpecSet, incident: Incident, attempt: Attempt, out: Desk) -> None:
    """The telemetry that should show whether the success lasts stays away: as the mitigation's on_silence says."""
    if _holds(specs, attempt):
        _keep(incident, attempt, "effective, then its telemetry stayed away: held as on_silence says", out)
    else:
        detail = "it was effective, but the telemetry that should show that it lasts stayed away"
        undo(incident, attempt, "taken_back", detail, out)


def _keep(incident: Incident, attempt: Attempt, detail: str, out: Desk) -> None:
    """Lets the change stand and hands the rest to a person."""
    out.confirm(incident, attempt)
    hand_over(incident, attempt.verdict or "", detail, True, Happening.KEPT, out)


def undo(incident: Incident, attempt: Attempt, reason: str, why: str, out: Desk) -> None:
    """Takes the whole plan back; `reason` and `why` where it is not the verdict that says so."""
    attempt.broken, attempt.why = reason, why
    out.revert_all(incident, attempt)
    out.move(incident, Happening.NOT_EFFECTIVE)


def _taken_back(incident: Incident, attempt: Attempt, out: Desk) -> None:
    """After an ineffective change the next plan is looked for; after any other it is a person's turn."""
    stands = bool(attempt.standing)
    if attempt.verdict == Verdict.INEFFECTIVE.value and not attempt.broken and not stands:
        incident.refusal = ""
        out.move(incident, Happening.TRY_NEXT)
        return
    names = ", ".join(step.mitigation for step in attempt.steps if step.ordered_ms is not None)
    detail = f"{names} is taken back: {attempt.why or f'it was {attempt.verdict}'}"
    hand_over(incident, attempt.broken or attempt.verdict or "taken_back", detail, stands, Happening.HANDED_OVER, out)
