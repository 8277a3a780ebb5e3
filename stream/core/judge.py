"""What follows from outcomes and verdicts: the part of an incident's life between the order and its end."""

from actuators.policy.incident import Attempt, Incident
from actuators.policy.lifecycle import Happening, Phase
from detectors import verdict, verdict_confirm
from detectors.verdict import Judgement, Verdict
from detectors.verdict_confirm import Confirmation, Standing
from schemas.commands import CommandKind, Outcome, OutcomeReason, OutcomeStatus
from schemas.events import Ending
from schemas.runbook import Mitigation, OnSilence, Target
from schemas.specs import SpecSet
from stream.core import desk, opening, words
from stream.core.desk import Desk
from stream.core.plan import counts, hand_over, question
from stream.core.sight import Sight
from stream.shard import ShardState, TargetState

ANSWER_MS_MAX = 20_000  # the actuator observes for 3 s, takes back for 3 s; the rest is Kafka and a restart of act
WATCH_AGAIN_MS_MAX = 25_000  # "watched once longer" must end before the confirm deadline's grace of 30 s
LATENCY_BACK_S = 5


def hear(shard: ShardState, outcome: Outcome, out: Desk) -> None:
    """Takes up what an actuator says; an outcome of a command that the shard does not know freezes its target.

    An answer to a forged record may carry the id of a true order, which the forgery did not use up: it says nothing.
    """
    incident = shard.incidents.get(outcome.incident)
    attempts = incident.attempts if incident else []
    attempt = next((one for one in attempts if outcome.command in desk.orders(one)), None)
    if outcome.status is OutcomeStatus.UNKNOWN:
        shard.targets.setdefault(outcome.target, TargetState()).unknown = True
    if incident is None or attempt is None:
        if outcome.status is OutcomeStatus.LIVE:
            shard.targets.setdefault(outcome.target, TargetState()).unknown = True
            shard.count("outcomes_unknown")
        return
    forged = outcome.reason in (OutcomeReason.BAD_SIGNATURE, OutcomeReason.MALFORMED)
    if forged or outcome.status is OutcomeStatus.CONFIRMED or attempt is not incident.attempt:
        return
    attempt.status, attempt.reason, attempt.detail = outcome.status, outcome.reason.value, outcome.detail
    match incident.phase:
        case Phase.APPLYING if outcome.status is OutcomeStatus.LIVE:
            attempt.live_ms = outcome.live_ms if outcome.live_ms is not None else out.now_ms
            out.move(incident, Happening.LIVE)
        case Phase.APPLYING:
            hand_over(incident, outcome.reason.value, _tried(outcome), False, Happening.NOT_LIVE, out)
        case Phase.WATCHING | Phase.QUIET if outcome.status is not OutcomeStatus.LIVE:
            hand_over(incident, outcome.reason.value, _tried(outcome), False, Happening.TAKEN_BACK, out)
        case Phase.REVERTING if outcome.status is OutcomeStatus.REVERTED:
            _taken_back(incident, attempt, out)
        case Phase.REVERTING if outcome.kind is CommandKind.REVERT:
            hand_over(incident, outcome.reason.value, _tried(outcome), True, Happening.HANDED_OVER, out)
        case _:
            pass


def unanswered(shard: ShardState, specs: SpecSet, incident: Incident, out: Desk) -> None:
    """An order without an answer: what stands at the target is not known, so it is frozen and a person is told."""
    attempt = incident.attempt
    assert attempt is not None
    since_ms = (
        attempt.revert_ms if incident.phase is Phase.REVERTING and attempt.revert_ms is not None else attempt.decided_ms
    )
    if out.now_ms - since_ms <= specs.limits.not_after_ms + ANSWER_MS_MAX:
        return
    shard.targets.setdefault(attempt.target, TargetState()).unknown = True
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
    attempt, target, mitigation = _parts(specs, incident)
    if attempt is None or target is None or mitigation is None:
        hand_over(
            incident,
            "withdrawn",
            "target or mitigation left the spec set while it was watched",
            True,
            Happening.KEPT,
            out,
        )
        return
    _latency(shard, sight, incident, lane)
    extended_ms = min(attempt.watch_ms, WATCH_AGAIN_MS_MAX) if attempt.watched_twice else 0
    asked = question(attempt, sight.slo(lane).target_ppm, extended_ms)
    judged = verdict.look(asked, counts(incident), incident.end_s)
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
            _keep(incident, attempt, target, f"{judged.verdict.value}: {judged.reason.value}", out)
        case Verdict.NO_DATA if mitigation.on_silence is OnSilence.HOLD:
            _tell(shard, sight, incident, attempt, lane, judged, "confirm", out)
            _keep(incident, attempt, target, "no_data: held as the mitigation's on_silence says", out)
        case Verdict.HARMFUL | Verdict.INEFFECTIVE | Verdict.NO_DATA:
            _tell(shard, sight, incident, attempt, lane, judged, "revert", out)
            _undo(incident, attempt, target, out)


def quiet(shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Waits until the success has lasted, then lets the change stand."""
    attempt, target, mitigation = _parts(specs, incident)
    if attempt is None or target is None or mitigation is None or attempt.effective_s is None:
        hand_over(
            incident,
            "withdrawn",
            "target or mitigation left the spec set while it was watched",
            True,
            Happening.KEPT,
            out,
        )
        return
    _latency(shard, sight, incident, lane)
    asked = question(attempt, sight.slo(lane).target_ppm, 0)
    standing = verdict_confirm.confirm(asked, counts(incident), attempt.effective_s, incident.end_s)
    attempt.recovered_s = verdict_confirm.recovered_s(asked, counts(incident)) or attempt.recovered_s
    match standing.standing:
        case Standing.WAIT:
            pass
        case Standing.CONFIRMED:
            _confirm(incident, attempt, target, out)
            out.move(incident, Happening.CONFIRMED)
            opening.close(shard, sight, incident, lane, Ending.CONFIRMED, out, mitigation.mend)
        case Standing.KEEP_OPEN:
            _keep(
                incident, attempt, target, f"effective, but {standing.residual_ppm} ppm of the requests still fail", out
            )
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
            _undo(incident, attempt, target, out)


def _parts(specs: SpecSet, incident: Incident) -> tuple[Attempt | None, Target | None, Mitigation | None]:
    attempt = incident.attempt
    if attempt is None:
        return None, None, None
    target = next((one for one in specs.targets if one.id == attempt.target), None)
    mitigation = next((one for one in specs.mitigations if one.name == attempt.mitigation), None)
    return attempt, target, mitigation


def _confirm(incident: Incident, attempt: Attempt, target: Target, out: Desk) -> None:
    attempt.confirm_sent_ms = out.now_ms
    out.follow_up(incident, attempt, target, CommandKind.CONFIRM)


def _keep(incident: Incident, attempt: Attempt, target: Target, detail: str, out: Desk) -> None:
    """Lets the change stand and hands the rest to a person."""
    _confirm(incident, attempt, target, out)
    hand_over(incident, attempt.verdict or "", detail, True, Happening.KEPT, out)


def _undo(incident: Incident, attempt: Attempt, target: Target, out: Desk) -> None:
    attempt.revert_ms = out.now_ms
    out.follow_up(incident, attempt, target, CommandKind.REVERT)
    out.move(incident, Happening.NOT_EFFECTIVE)


def _taken_back(incident: Incident, attempt: Attempt, out: Desk) -> None:
    """After an ineffective change the next plan is looked for; after any other it is a person's turn."""
    if attempt.verdict == Verdict.INEFFECTIVE.value:
        incident.refusal = ""
        out.move(incident, Happening.TRY_NEXT)
        return
    detail = f"{attempt.mitigation} was {attempt.verdict} and is taken back"
    hand_over(incident, attempt.verdict or "taken_back", detail, False, Happening.HANDED_OVER, out)


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


def _tried(outcome: Outcome) -> str:
    return f"{outcome.status.value} at {outcome.actuator}/{outcome.target}: {outcome.detail or outcome.reason.value}"


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
