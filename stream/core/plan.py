"""From a named cause to an order: choice, leave, guard, and the burn before frozen for the verdict."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from actuators.policy import choice, guard
from actuators.policy.choice import Change, Chosen, Nothing, Tried
from actuators.policy.guard import Refusal
from actuators.policy.incident import Attempt, Incident, Step
from actuators.policy.lifecycle import Happening
from detectors import verdict_control, verdict_deadline
from detectors import verdict_question as ask
from detectors.verdict_control import Untouched
from schemas.control import PlanDecided
from schemas.events import StepRow, Suggestion
from schemas.fleet import Group
from schemas.identity import Entity
from schemas.refusal import RefusalReason
from schemas.runbook import Amplifier, Autonomy, Cause
from schemas.slo import MILLION
from schemas.specs import SpecSet
from stream.core import cause as diagnosis
from stream.core import desk, facts, fleet, orders
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState, TargetState

SLOW_PAGE_MILLI = 6_000
CONTROL_MS_MAX = 10_000  # a digest a second; who is later is not compared with
STEP_MS = 1_500  # from one step's order to the next: an edit, a reload, an answer by way of Kafka, a tick


def pursue(
    shard: ShardState, specs: SpecSet, sight: Sight, incident: Incident, lane: int, cause: Cause, out: Desk
) -> None:
    """Orders the chosen course, suggests it, or says why not."""
    chosen = choose(specs, incident, cause)
    if isinstance(chosen, Nothing):
        refuse(incident, Refusal(chosen.reason, True, {}, chosen.detail), None, out)
        return
    if chosen.autonomy is Autonomy.OBSERVE:
        held = next(step for step in chosen.steps if step.autonomy is Autonomy.OBSERVE)
        detail = f"autonomy of {held.mitigation.name} for {incident.tenant} is observe"
        refuse(incident, Refusal(RefusalReason.NOT_ALLOWED, False, {}, detail), held, out)
        return
    plan = suggested_id(incident, chosen)
    said = _word(shard, plan, out)
    if said is not None and not said.approve:
        detail = f"{said.by} rejected it: {said.reason}"
        refuse(incident, Refusal(RefusalReason.REJECTED, True, {}, detail), None, out)
        return
    word: PlanDecided | None = None
    watch = _watch(incident, int(sight.freshness_ms[lane]), chosen)
    if chosen.autonomy is not Autonomy.AUTO or not watch.deadline.provable:
        suggest(incident, chosen, cause, watch.deadline.provable, out)
        word = said if chosen.autonomy in (Autonomy.APPROVE, Autonomy.AUTO) else None
        if word is None:
            out.move(incident, Happening.HELD_BACK)
            return
    unprovable = _unprovable(incident)
    if unprovable:
        refuse(incident, unprovable, chosen.steps[0], out)
        return
    for ahead, step in enumerate(chosen.steps):
        known = facts.of(shard, specs, sight, incident, lane, chosen, ahead, word)
        refusal = guard.refuses(step.mitigation, step.target, specs.limits, known)
        if refusal:
            refuse(incident, refusal, step, out)
            return
    if not diagnosis.still(shard, sight, incident, lane, cause, out):
        return
    _order(shard, specs, incident, cause, chosen, watch, word.by if word else "", out)


def choose(specs: SpecSet, incident: Incident, cause: Cause) -> Chosen | Nothing:
    """The course that is next for this incident."""
    tried = [tried_before(attempt) for attempt in incident.attempts]
    amplifiers = [Amplifier(name) for name in incident.amplifiers]
    return choice.choose(specs, Entity(*incident.entity), cause, amplifiers, tried)


def tried_before(attempt: Attempt, *, whole: bool = False) -> Tried:
    """An attempt as the choice sees it; `whole` as if it were let stand now."""
    kept = [step for step in attempt.standing if whole or step.confirm_sent_ms is not None]
    return Tried(
        frozenset((step.mitigation, step.target) for step in attempt.steps),
        frozenset((step.mitigation, step.target) for step in kept),
    )


def suggest(incident: Incident, chosen: Chosen, cause: Cause, provable: bool, out: Desk) -> None:
    """Tells the plan once; its id names the changes as well, so that a person approves what was shown."""
    rows = _rows(incident, chosen.steps)
    plan = suggested_id(incident, chosen)
    if incident.suggested == plan:
        return
    incident.suggested = plan
    out.tell(
        incident,
        "suggested",
        plan=plan,
        kind=Suggestion.APPLY,
        cause=cause.value,
        amplifiers=tuple(incident.amplifiers),
        autonomy=chosen.autonomy,
        provable=provable,
        steps=rows,
        tenants=len({tenant for step in chosen.steps for tenant in step.target.tenants}),
    )


def suggested_id(incident: Incident, chosen: Chosen) -> str:
    """Names the plan by what it would change, so that a word on one is no word on another."""
    return desk.plan_id(
        incident.id, len(incident.attempts), *(orders.terms(step.mitigation, step.target) for step in chosen.steps)
    )


def refuse(incident: Incident, refusal: Refusal, change: Change | None, out: Desk) -> None:
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
            mitigation=change.mitigation.name if change else "",
            target=change.target.id if change else "",
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


@dataclass(frozen=True, slots=True)
class Watch:
    """How a plan will be judged: the burn before, and how long its seconds are counted."""

    before: ask.Before
    settle_ms: int
    rollout_ms: int
    deadline: verdict_deadline.Deadline


def _watch(incident: Incident, freshness_ms: int, chosen: Chosen) -> Watch:
    mitigations = [step.mitigation for step in chosen.steps]
    settle_ms = max(one.settle_ms for one in mitigations)
    rollout_ms = sum(one.rollout_ms for one in mitigations) + (len(mitigations) - 1) * STEP_MS
    before = _before(incident)
    p0 = ask.p0_ppm(incident.target_ppm, incident.tier_factor_milli)
    return Watch(before, settle_ms, rollout_ms, verdict_deadline.plan(p0, before, freshness_ms, rollout_ms, settle_ms))


def _order(
    shard: ShardState,
    specs: SpecSet,
    incident: Incident,
    cause: Cause,
    chosen: Chosen,
    watch: Watch,
    approved_by: str,
    out: Desk,
) -> None:
    before, deadline = watch.before, watch.deadline
    confirm_ms = deadline.watch_ms + specs.limits.confirm_quiet_ms + specs.limits.confirm_grace_ms
    rows = _rows(incident, chosen.steps)
    attempt = Attempt(
        plan=suggested_id(incident, chosen),
        steps=[
            Step(
                number,
                row.command,
                row.mitigation,
                row.actuator,
                row.target,
                row.parameter,
                orders.terms(change.mitigation, change.target),
            )
            for number, (row, change) in enumerate(zip(rows, chosen.steps, strict=True))
        ],
        lift=chosen.lift.value,
        decided_ms=out.now_ms,
        watch_ms=deadline.watch_ms,
        confirm_ms=confirm_ms,
        settle_ms=watch.settle_ms,
        rollout_ms=watch.rollout_ms,
        tier_factor_milli=incident.tier_factor_milli,
        before=asdict(before),
        approved_by=approved_by,
    )
    incident.attempts.append(attempt)
    shard.tenants.setdefault(facts.tenant(incident), []).append(out.now_ms)
    _forget_old(shard, specs.limits.cooldown_s * 1000, out.now_ms)
    incident.refusal = ""
    _tell_plan(incident, attempt, cause, rows, deadline, before, out)
    refusal = orders.order_step(shard, specs, incident, attempt, attempt.steps[0], out)
    assert refusal is None, "a step was chosen from this very spec set, and the guard has let it pass"
    out.move(incident, Happening.ORDERED)


def _tell_plan(
    incident: Incident,
    attempt: Attempt,
    cause: Cause,
    rows: tuple[StepRow, ...],
    deadline: verdict_deadline.Deadline,
    before: ask.Before,
    out: Desk,
) -> None:
    out.tell(
        incident,
        "planned",
        plan=attempt.plan,
        revision=len(incident.attempts) - 1,
        cause=cause.value,
        amplifiers=tuple(incident.amplifiers),
        approved_by=attempt.approved_by,
        steps=rows,
        provable=deadline.provable,
        requests_needed=deadline.requests_needed,
        watch_ms=deadline.watch_ms,
        confirm_ms=attempt.confirm_ms,
        errors_before=before.errors,
        requests_before=before.total,
        rate_before_onset_mps=before.rate_before_onset_mps,
        rate_before_decision_mps=before.rate_before_decision_mps,
        longest_clean_run_s=before.longest_clean_run_s,
    )


def control_group(shard: ShardState, specs: SpecSet, incident: Incident) -> tuple[Untouched, ...]:
    """Tenants of the same service and objective that no change of douse has reached."""
    group = Group(environment=incident.environment, service=incident.service, slo=incident.slo)
    return fleet.untouched(shard, specs, shard.fleet, group, {(incident.environment, incident.tenant)})


def freeze_control(shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, now_ms: int) -> None:
    """Keeps how the control group burned before the decision, once all of those seconds have come."""
    if attempt.control is not None:
        return
    group, decided_s = control_group(shard, specs, incident), attempt.before["decided_s"]
    come = bool(group) and all(one.counts.end_s >= decided_s for one in group)
    if come or now_ms > attempt.decided_ms + CONTROL_MS_MAX:
        attempt.control = verdict_control.freeze(group, attempt.before["onset_s"], decided_s)


def _before(incident: Incident) -> ask.Before:
    """The burn before the decision; after a plan that helped in part only what burned since counts."""
    p0 = ask.p0_ppm(incident.target_ppm, incident.tier_factor_milli)
    whole = ask.freeze(counts(incident), incident.onset_s, incident.end_s, p0)
    last = incident.attempt
    if last is None or not last.kept or last.live_ms is None:
        return whole
    since_s = -(-(last.live_ms + last.settle_ms) // 1000)
    late = ask.freeze(counts(incident), since_s, incident.end_s, p0)
    return replace(whole, errors=late.errors, total=late.total, longest_clean_run_s=late.longest_clean_run_s)


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
        deadline_ms=max(attempt.decided_ms, attempt.live_ms - attempt.rollout_ms) + attempt.watch_ms + extended_ms,
        before=ask.Before(**attempt.before),
        slow_page_factor_milli=min(
            SLOW_PAGE_MILLI, attempt.tier_factor_milli, MILLION * 1000 // (MILLION - target_ppm) - 1
        ),
    )


def _word(shard: ShardState, plan: str, out: Desk) -> PlanDecided | None:
    """An operator's word on a plan, while it holds; a no holds as long as the incident."""
    raw = shard.words.get(plan)
    decided = PlanDecided.read(raw) if raw else None
    holds = decided is not None and (not decided.approve or out.now_ms <= decided.expires_ms)
    return decided if holds else None


def _unprovable(incident: Incident) -> Refusal | None:
    """An objective so fine that not one failure per million lies below its tier: no change could ever be judged."""
    slow_ppm = ask.p0_ppm(incident.target_ppm, min(SLOW_PAGE_MILLI, incident.tier_factor_milli))
    if slow_ppm > 0:
        return None
    numbers = {"target_ppm": incident.target_ppm, "factor_milli": incident.tier_factor_milli}
    return Refusal(RefusalReason.NOT_ALLOWED, True, numbers, "no verdict can be given below one failure per million")


def _rows(incident: Incident, changes: tuple[Change, ...]) -> tuple[StepRow, ...]:
    """The steps of the next plan, each with the command that would carry it out."""
    revision = len(incident.attempts)
    return tuple(
        StepRow(
            command=desk.command_id(incident.id, revision, number, "apply", revision),
            mitigation=change.mitigation.name,
            actuator=change.target.actuator,
            target=change.target.id,
            parameter=change.mitigation.parameter,
            action=change.mitigation.action,
            minimum=change.mitigation.minimum,
            maximum=change.mitigation.maximum,
            degrades=change.mitigation.degrades,
        )
        for number, change in enumerate(changes)
    )


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
