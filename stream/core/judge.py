"""What follows from outcomes and verdicts: the part of an incident's life between the order and its end."""

from dataclasses import replace

from actuators.policy.incident import Attempt, Incident
from actuators.policy.lifecycle import Happening, Phase
from detectors import verdict, verdict_confirm
from detectors.state import DataState
from detectors.verdict import Judgement, Verdict
from detectors.verdict_confirm import Confirmation, Standing
from schemas.commands import CommandKind, Outcome, OutcomeStatus
from schemas.events import Ending
from schemas.runbook import Mitigation, OnSilence
from schemas.specs import SpecSet
from stream.core import opening, settle, words
from stream.core.desk import Desk
from stream.core.plan import counts, hand_over, question
from stream.core.sight import Sight
from stream.shard import ShardState, TargetState

WATCH_AGAIN_MS_MAX = 25_000  # "watched once longer" must end before the confirm deadline's grace of 30 s
UNSURE_MS_MAX = 10_000  # a pause of ingest is shorter; the confirm deadline's grace of 30 s is longer
LATENCY_BACK_S = 5
UNSURE = frozenset({DataState.STALE, DataState.PARTIAL, DataState.SAMPLED, DataState.NO_DATA})
"""What is counted may not be what happened: no success is concluded from it."""
WORSE = frozenset({Verdict.HARMFUL, Verdict.INEFFECTIVE, Verdict.NO_DATA})
"""What is taken back, whatever the telemetry is like: that never makes it worse."""


def hear(shard: ShardState, specs: SpecSet, outcome: Outcome, out: Desk) -> None:
    """Takes up what an actuator says.

    An answer to a forged record may carry the id of a true order, which the forgery did not use up: it says nothing.
    Nor does what another actuator says of this one's target.
    """
    found = settle.find(shard, outcome)
    if found is None:
        settle.stray(shard, specs, outcome, out)
        return
    incident, attempt = found
    ours = (incident.environment, incident.tenant, attempt.actuator, attempt.target)
    if outcome.reason in settle.FORGED or ours != (
        outcome.environment,
        outcome.tenant,
        outcome.actuator,
        outcome.target,
    ):
        shard.count("outcomes_ignored")
        return
    settle.note(shard, attempt, outcome)
    if attempt is not incident.attempt:
        return
    if incident.id in shard.closed or incident.phase is Phase.HANDED:
        settle.late(incident, attempt, outcome, out)
    elif outcome.status is not OutcomeStatus.CONFIRMED:
        attempt.status, attempt.reason, attempt.detail = outcome.status, outcome.reason.value, outcome.detail
        _answered(incident, attempt, outcome, out)


def _answered(incident: Incident, attempt: Attempt, outcome: Outcome, out: Desk) -> None:
    """Moves an incident whose change is on its way."""
    stands, why = not settle.is_gone(outcome), outcome.reason.value
    match incident.phase:
        case Phase.APPLYING if outcome.status is OutcomeStatus.LIVE:
            said_ms = outcome.live_ms if outcome.live_ms is not None else out.now_ms
            # Its own clock may be wrong: live before the order would count the calm before the onset as its success.
            attempt.live_ms = min(max(said_ms, attempt.decided_ms), out.now_ms)
            out.move(incident, Happening.LIVE)
        case Phase.APPLYING:
            hand_over(incident, why, settle.tried(outcome), stands, Happening.NOT_LIVE, out)
        case Phase.WATCHING | Phase.QUIET if outcome.status is not OutcomeStatus.LIVE:
            hand_over(incident, why, settle.tried(outcome), stands, Happening.TAKEN_BACK, out)
        case Phase.REVERTING if not stands:
            _taken_back(incident, attempt, out)
        case Phase.REVERTING if outcome.kind is CommandKind.REVERT:
            hand_over(incident, why, settle.tried(outcome), True, Happening.HANDED_OVER, out)
        case _:
            pass


def unanswered(shard: ShardState, specs: SpecSet, incident: Incident, out: Desk) -> None:
    """An order without an answer: what stands at the target is not known, so it is frozen and a person is told."""
    attempt = incident.attempt
    assert attempt is not None
    since_ms = (
        attempt.revert_ms if incident.phase is Phase.REVERTING and attempt.revert_ms is not None else attempt.decided_ms
    )
    if out.now_ms - since_ms <= specs.limits.not_after_ms + settle.ANSWER_MS_MAX:
        return
    settle.freeze(shard.targets.setdefault(attempt.target, TargetState()), attempt.command)
    hand_over(
        incident,
        "no_answer",
        f"no outcome for command {attempt.command} of target {attempt.target}",
        True,
        Happening.NO_ANSWER,
        out,
    )


def watch(shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Looks at the seconds since the change is live, and does what the verdict asks for."""
    attempt = incident.attempt
    assert attempt is not None
    withdrawn = _withdrawn(specs, attempt)
    if withdrawn:
        _undo(incident, attempt, f"{withdrawn} left the spec set while its effect was watched", out)
        return
    _latency(shard, sight, incident, lane)
    extended_ms = min(attempt.watch_ms, WATCH_AGAIN_MS_MAX) if attempt.watched_twice else 0
    asked = question(incident, attempt, extended_ms)
    judged = verdict.look(asked, counts(incident), incident.end_s)
    if sight.data_state(lane) in UNSURE and judged.verdict not in WORSE:
        if sight.now_ms <= asked.deadline_ms + UNSURE_MS_MAX:
            return
        judged = replace(judged, verdict=Verdict.NO_DATA, reason=verdict.Reason.TRAFFIC_MISSING)
    if judged.verdict is None:
        return
    if judged.verdict is Verdict.INCONCLUSIVE and not attempt.watched_twice:
        attempt.watched_twice = True
        _tell(shard, sight, incident, attempt, lane, judged, "watch", out)
        return
    attempt.verdict = judged.verdict.value
    attempt.recovered_s = verdict_confirm.recovered_s(asked, counts(incident))
    match judged.verdict:
        case Verdict.EFFECTIVE:
            attempt.effective_s = judged.at_s
            _tell(shard, sight, incident, attempt, lane, judged, "wait_quiet", out)
            out.move(incident, Happening.EFFECTIVE)
        case Verdict.PARTIAL | Verdict.INCONCLUSIVE:
            _tell(shard, sight, incident, attempt, lane, judged, "confirm", out)
            _keep(incident, attempt, f"{judged.verdict.value}: {judged.reason.value}", out)
        case Verdict.NO_DATA if _mitigation(specs, attempt).on_silence is OnSilence.HOLD:
            _tell(shard, sight, incident, attempt, lane, judged, "confirm", out)
            _keep(incident, attempt, "no_data: held as the mitigation's on_silence says", out)
        case Verdict.HARMFUL | Verdict.INEFFECTIVE | Verdict.NO_DATA:
            _tell(shard, sight, incident, attempt, lane, judged, "revert", out)
            _undo(incident, attempt, "", out)


def quiet(shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Waits until the success has lasted, then lets the change stand."""
    attempt = incident.attempt
    assert attempt is not None and attempt.effective_s is not None
    withdrawn = _withdrawn(specs, attempt)
    if withdrawn:
        _undo(incident, attempt, f"{withdrawn} left the spec set before the success had lasted", out)
        return
    _latency(shard, sight, incident, lane)
    asked = question(incident, attempt, 0)
    standing = verdict_confirm.confirm(asked, counts(incident), attempt.effective_s, incident.end_s)
    attempt.recovered_s = verdict_confirm.recovered_s(asked, counts(incident)) or attempt.recovered_s
    if sight.data_state(lane) in UNSURE and standing.standing is not Standing.RELAPSE:
        last_ms = (attempt.effective_s + verdict_confirm.CONFIRM_S_MAX) * 1000 + int(sight.freshness_ms[lane])
        if sight.now_ms > last_ms + UNSURE_MS_MAX:
            _unseen(specs, incident, attempt, out)
        return
    match standing.standing:
        case Standing.WAIT:
            pass
        case Standing.CONFIRMED:
            _confirm(incident, attempt, out)
            out.move(incident, Happening.CONFIRMED)
            mend = _mitigation(specs, attempt).mend
            opening.close(shard, sight, incident, lane, Ending.CONFIRMED, out, mend)
        case Standing.KEEP_OPEN:
            _keep(incident, attempt, f"effective, but {standing.residual_ppm} ppm of the requests still fail", out)
        case Standing.RELAPSE:
            attempt.verdict = Verdict.INEFFECTIVE.value
            _tell(
                shard,
                sight,
                incident,
                attempt,
                lane,
                _relapse(standing, asked.p0_ppm, asked.before.share_ppm),
                "revert",
                out,
            )
            _undo(incident, attempt, "", out)


def _withdrawn(specs: SpecSet, attempt: Attempt) -> str:
    """What a change was made with and the spec set no longer holds: nobody gives leave for it any more."""
    if not any(one.id == attempt.target for one in specs.targets):
        return f"target {attempt.target}"
    if not any(one.name == attempt.mitigation for one in specs.mitigations):
        return f"mitigation {attempt.mitigation}"
    return ""


def _mitigation(specs: SpecSet, attempt: Attempt) -> Mitigation:
    return next(one for one in specs.mitigations if one.name == attempt.mitigation)


def take_back_withdrawn(incident: Incident, attempt: Attempt, out: Desk) -> None:
    """Takes back the change of an incident whose objective left the spec set, and tells a person."""
    if attempt.revert_ms is None:
        attempt.revert_ms = out.now_ms
        out.follow_up(incident, attempt, CommandKind.REVERT)
    detail = f"its objective left the spec set while {attempt.mitigation} waited for its verdict; it is taken back"
    out.hand_over(incident, "withdrawn", detail, True)


def _unseen(specs: SpecSet, incident: Incident, attempt: Attempt, out: Desk) -> None:
    """The telemetry that should show whether the success lasts stays away: as the mitigation's on_silence says."""
    if _mitigation(specs, attempt).on_silence is OnSilence.HOLD:
        _keep(incident, attempt, "effective, then its telemetry stayed away: held as on_silence says", out)
    else:
        _undo(incident, attempt, "it was effective, but the telemetry that should show that it lasts stayed away", out)


def _confirm(incident: Incident, attempt: Attempt, out: Desk) -> None:
    attempt.confirm_sent_ms = out.now_ms
    out.follow_up(incident, attempt, CommandKind.CONFIRM)


def _keep(incident: Incident, attempt: Attempt, detail: str, out: Desk) -> None:
    """Lets the change stand and hands the rest to a person."""
    _confirm(incident, attempt, out)
    hand_over(incident, attempt.verdict or "", detail, True, Happening.KEPT, out)


def _undo(incident: Incident, attempt: Attempt, why: str, out: Desk) -> None:
    attempt.revert_ms, attempt.why = out.now_ms, why
    out.follow_up(incident, attempt, CommandKind.REVERT)
    out.move(incident, Happening.NOT_EFFECTIVE)


def _taken_back(incident: Incident, attempt: Attempt, out: Desk) -> None:
    """After an ineffective change the next plan is looked for; after any other it is a person's turn."""
    if attempt.verdict == Verdict.INEFFECTIVE.value and not attempt.why:
        incident.refusal = ""
        out.move(incident, Happening.TRY_NEXT)
        return
    detail = f"{attempt.mitigation} is taken back: {attempt.why or f'it was {attempt.verdict}'}"
    reason = "taken_back" if attempt.why or attempt.verdict is None else attempt.verdict
    hand_over(incident, reason, detail, False, Happening.HANDED_OVER, out)


def _latency(shard: ShardState, sight: Sight, incident: Incident, lane: int) -> None:
    """Notes the first time at which p99 was under its objective for five seconds running since the change."""
    attempt = incident.attempt
    if incident.latency_back_s is not None or attempt is None or attempt.live_ms is None:
        return
    first_s = max(attempt.live_ms // 1000 + 1, incident.end_s - LATENCY_BACK_S)
    for end_s in range(incident.end_s - LATENCY_BACK_S + 1, incident.end_s + 1):
        seen = words.p99(shard, sight, lane, end_s)
        if end_s <= first_s or seen.p99_us is None or seen.objective_us is None or seen.p99_us > seen.objective_us:
            return
    incident.latency_back_s = incident.end_s


def _tell(
    shard: ShardState,
    sight: Sight,
    incident: Incident,
    attempt: Attempt,
    lane: int,
    judged: Judgement,
    follows: str,
    out: Desk,
) -> None:
    assert judged.verdict is not None and attempt.live_ms is not None
    first_s = attempt.live_ms // 1000 + 1
    out.tell(
        incident,
        "verdict",
        plan=attempt.plan,
        verdict=judged.verdict.value,
        reason=judged.reason.value,
        follows=follows,
        window_s=judged.window_s,
        errors=judged.errors,
        requests=judged.n,
        residual_ppm=judged.residual_ppm,
        before_ppm=judged.before_ppm,
        p0_ppm=judged.p0_ppm,
        p_value_ppm=judged.p_value_ppm,
        traffic_ratio_milli=judged.traffic_ratio_milli,
        control=judged.control,
        live_ms=attempt.live_ms,
        decided_ms=attempt.decided_ms,
        recovered_s=attempt.recovered_s,
        latency=words.p99(shard, sight, lane, incident.end_s),
        latency_back_s=incident.latency_back_s,
        burn=words.tiers(sight, lane),
        budget=words.budget(
            shard, sight, lane, words.share_ppm(incident, max(first_s, incident.end_s - 10), incident.end_s)
        ),
        freshness_p99_ms=int(sight.freshness_ms[lane]),
    )


def _relapse(standing: Confirmation, p0_ppm: int, before_ppm: int) -> Judgement:
    """The numbers of a relapse in the form of a verdict."""
    return Judgement(
        verdict=Verdict.INEFFECTIVE,
        reason=verdict.Reason.NOT_BETTER,
        at_s=standing.at_s,
        window_s=standing.window_s,
        errors=standing.errors,
        n=standing.n,
        residual_ppm=standing.residual_ppm,
        before_ppm=before_ppm,
        p0_ppm=p0_ppm,
        p_value=standing.p_value,
        p_value_ppm=standing.p_value_ppm,
        traffic_ratio_milli=1000 if standing.traffic_ok else 0,
        window_s_min=standing.window_s,
    )
