"""From a named cause to an order: choice, leave, guard, and the burn before frozen for the verdict."""

from dataclasses import asdict

import numpy as np

from actuators.policy import choice, guard
from actuators.policy.choice import Chosen, Nothing
from actuators.policy.guard import Facts, Refusal, TargetFacts
from actuators.policy.incident import Attempt, Incident
from actuators.policy.lifecycle import Happening
from detectors import verdict_deadline
from detectors import verdict_question as ask
from schemas.events import RefusalReason, StepRow
from schemas.identity import Entity
from schemas.runbook import Autonomy, Cause
from schemas.slo import MILLION
from schemas.specs import SpecSet
from stream.core import cause as diagnosis
from stream.core import desk
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState, TargetState

SLOW_PAGE_MILLI = 6_000


def pursue(
    shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, cause: Cause, out: Desk
) -> None:
    """Orders the chosen change, suggests it, or says why not."""
    entity = Entity(*incident.entity)
    tried = [(attempt.mitigation, attempt.target) for attempt in incident.attempts]
    chosen = choice.choose(specs, entity, cause, tried)
    if isinstance(chosen, Nothing):
        refuse(incident, Refusal(chosen.reason, True, {}, chosen.detail), None, out)
        return
    if chosen.autonomy is Autonomy.OBSERVE:
        detail = f"autonomy of {chosen.mitigation.name} for {incident.tenant} is observe"
        refuse(incident, Refusal(RefusalReason.NOT_ALLOWED, False, {}, detail), chosen, out)
        return
    revision = len(incident.attempts)
    plan = desk.plan_id(incident.id, revision)
    if chosen.autonomy is not Autonomy.AUTO:
        if incident.suggested != plan:
            incident.suggested = plan
            out.tell(
                incident,
                "suggested",
                plan=plan,
                cause=cause.value,
                autonomy=chosen.autonomy,
                steps=(_step(incident, chosen),),
            )
        out.move(incident, Happening.HELD_BACK)
        return
    refusal = _unprovable(incident) or guard.refuses(
        chosen.mitigation, chosen.target, specs.limits, _facts(shard, sight, incident, lane, chosen)
    )
    if refusal:
        refuse(incident, refusal, chosen, out)
        return
    if not diagnosis.still(shard, sight, incident, lane, cause, out):
        return
    _order(shard, specs, sight, incident, lane, cause, chosen, plan, out)


def refuse(incident: Incident, refusal: Refusal, chosen: Chosen | None, out: Desk) -> None:
    """Tells the reason when it is another than before; a permanent one hands the incident to a person."""
    if incident.refusal != refusal.reason.value:
        incident.refusal = refusal.reason.value
        out.tell(
            incident,
            "refused",
            reason=refusal.reason,
            permanent=refusal.permanent,
            numbers=dict(refusal.numbers),
            detail=refusal.detail,
            mitigation=chosen.mitigation.name if chosen else "",
            target=chosen.target.id if chosen else "",
        )
    if refusal.permanent:
        hand_over(incident, refusal.reason.value, refusal.detail, False, Happening.HANDED_OVER, out)
    else:
        out.move(incident, Happening.HELD_BACK)


def hand_over(incident: Incident, reason: str, detail: str, stands: bool, happening: Happening, out: Desk) -> None:
    out.hand_over(incident, reason, detail, stands)
    out.move(incident, happening)


def counts(incident: Incident) -> ask.Counts:
    return ask.Counts(incident.start_s, np.array(incident.good, np.int64), np.array(incident.total, np.int64))


def _order(
    shard: ShardState,
    specs: SpecSet,
    sight: Sight,
    incident: Incident,
    lane: int,
    cause: Cause,
    chosen: Chosen,
    plan: str,
    out: Desk,
) -> None:
    now_ms, revision = sight.now_ms, len(incident.attempts)
    p0 = ask.p0_ppm(incident.target_ppm, incident.tier_factor_milli)
    before = ask.freeze(counts(incident), incident.onset_s, incident.end_s, p0)
    freshness_ms = int(sight.freshness_ms[lane])
    deadline = verdict_deadline.plan(
        p0, before, freshness_ms, chosen.mitigation.rollout_ms, chosen.mitigation.settle_ms
    )
    confirm_ms = deadline.watch_ms + specs.limits.confirm_quiet_ms + specs.limits.confirm_grace_ms
    attempt = Attempt(
        plan=plan,
        command=desk.command_id(incident.id, revision, 0, "apply", revision),
        mitigation=chosen.mitigation.name,
        actuator=chosen.target.actuator,
        target=chosen.target.id,
        parameter=chosen.target.parameter,
        decided_ms=now_ms,
        watch_ms=deadline.watch_ms,
        confirm_ms=confirm_ms,
        settle_ms=chosen.mitigation.settle_ms,
        tier_factor_milli=incident.tier_factor_milli,
        before=asdict(before),
    )
    incident.attempts.append(attempt)
    target = shard.targets.setdefault(chosen.target.id, TargetState())
    target.applied_ms.append(now_ms)
    target.standing = attempt.command
    shard.tenants.setdefault(_tenant(incident), []).append(now_ms)
    _forget_old(shard, specs.limits.cooldown_s * 1000, now_ms)
    incident.refusal = ""
    out.tell(
        incident,
        "planned",
        plan=plan,
        revision=revision,
        cause=cause.value,
        steps=(_step(incident, chosen, attempt.command),),
        provable=deadline.provable,
        requests_needed=deadline.requests_needed,
        watch_ms=deadline.watch_ms,
        confirm_ms=confirm_ms,
        errors_before=before.errors,
        requests_before=before.total,
        rate_before_onset_mps=before.rate_before_onset_mps,
        rate_before_decision_mps=before.rate_before_decision_mps,
        longest_clean_run_s=before.longest_clean_run_s,
    )
    out.apply(incident, attempt, chosen.mitigation, specs.limits.not_after_ms)
    out.move(incident, Happening.ORDERED)


def question(incident: Incident, attempt: Attempt, extended_ms: int) -> ask.Question:
    """What the verdict is asked about this attempt; `extended_ms` is added to its deadline when it is watched once
    longer. The target is the one that was promised at the opening, whatever the spec set says by now."""
    assert attempt.live_ms is not None
    target_ppm = incident.target_ppm
    return ask.Question(
        target_ppm=target_ppm,
        tier_factor_milli=attempt.tier_factor_milli,
        live_ms=attempt.live_ms,
        settle_ms=attempt.settle_ms,
        deadline_ms=attempt.decided_ms + attempt.watch_ms + extended_ms,
        before=ask.Before(**attempt.before),
        slow_page_factor_milli=min(
            SLOW_PAGE_MILLI, attempt.tier_factor_milli, MILLION * 1000 // (MILLION - target_ppm) - 1
        ),
    )


def _facts(shard: ShardState, sight: Sight, incident: Incident, lane: int, chosen: Chosen) -> Facts:
    target = shard.targets.get(chosen.target.id, TargetState())
    return Facts(
        now_ms=sight.now_ms,
        environment=incident.environment,
        tenant=incident.tenant,
        data_state=sight.data_state(lane),
        act_from_ms=sight.act_from_ms,
        lag_ms=sight.lag_ms,
        target=TargetFacts(tuple(target.applied_ms), target.unknown, bool(target.standing)),
        tenant_applied_ms=tuple(shard.tenants.get(_tenant(incident), ())),
        switches={scope: on for scope, (on, _) in shard.switches.items()},
    )


def _unprovable(incident: Incident) -> Refusal | None:
    """An objective so fine that not one failure per million lies below its tier: no change could ever be judged."""
    slow_ppm = ask.p0_ppm(incident.target_ppm, min(SLOW_PAGE_MILLI, incident.tier_factor_milli))
    if slow_ppm > 0:
        return None
    numbers = {"target_ppm": incident.target_ppm, "factor_milli": incident.tier_factor_milli}
    return Refusal(RefusalReason.NOT_ALLOWED, True, numbers, "no verdict can be given below one failure per million")


def _step(incident: Incident, chosen: Chosen, command: str = "") -> StepRow:
    mitigation, target = chosen.mitigation, chosen.target
    revision = len(incident.attempts) - (1 if command else 0)
    return StepRow(
        command=command or desk.command_id(incident.id, revision, 0, "apply", revision),
        mitigation=mitigation.name,
        actuator=target.actuator,
        target=target.id,
        parameter=mitigation.parameter,
        action=mitigation.action,
        minimum=mitigation.minimum,
        maximum=mitigation.maximum,
    )


def _tenant(incident: Incident) -> str:
    return f"{incident.environment}/{incident.tenant}"


def _forget_old(shard: ShardState, cooldown_ms: int, now_ms: int) -> None:
    for name, target in list(shard.targets.items()):
        target.applied_ms = [at for at in target.applied_ms if now_ms - at < max(guard.HOUR_MS, cooldown_ms)]
        if target == TargetState():
            del shard.targets[name]
    shard.tenants = {
        name: kept
        for name, times in shard.tenants.items()
        if (kept := [at for at in times if now_ms - at < guard.HOUR_MS])
    }
