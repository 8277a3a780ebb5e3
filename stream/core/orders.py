"""Orders of steps whose plan was decided before: what was decided, or nothing."""

from actuators.policy import choice, guard
from actuators.policy.guard import Refusal
from actuators.policy.incident import Attempt, Incident, Step
from schemas import canonical
from schemas.events import StepRow
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy, Mitigation, Target
from schemas.specs import SpecSet
from stream.core.desk import Desk
from stream.shard import ShardState, TargetState


def order_step(
    shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, step: Step, out: Desk
) -> Refusal | None:
    """Orders one step of a plan that is under way, unless the leave for it was taken away meanwhile."""
    refusal = may_order(shard, specs, incident, attempt, step)
    if refusal is not None:
        return refusal
    mitigation = next(one for one in specs.mitigations if one.name == step.mitigation)
    target = shard.targets.setdefault(step.target, TargetState())
    target.applied_ms.append(out.now_ms)
    target.standing = step.command
    out.apply(incident, attempt, step, mitigation, specs.limits.not_after_ms)
    return None


def may_order(shard: ShardState, specs: SpecSet, incident: Incident, attempt: Attempt, step: Step) -> Refusal | None:
    """What speaks by now against a change that was decided before."""
    mitigation = next((one for one in specs.mitigations if one.name == step.mitigation), None)
    target = next((one for one in specs.targets if one.id == step.target), None)
    if mitigation is None or target is None:
        return Refusal(RefusalReason.NOT_ALLOWED, True, {}, f"{step.mitigation} or its target left the spec set")
    if terms(mitigation, target) != step.terms:
        return Refusal(RefusalReason.NOT_ALLOWED, True, {}, f"{step.mitigation} or its target was changed in the specs")
    if not any((slo.name, slo.sli.hash, slo.acts) == (incident.slo, incident.sli, True) for slo in specs.slos):
        return Refusal(RefusalReason.NOT_ALLOWED, True, {}, "the objective may not act any more")
    for tenant in target.tenants:
        for scope in guard.switch_scopes(incident.environment, tenant, step.mitigation):
            if shard.switches.get(scope, (False, 0))[0]:
                return Refusal(
                    RefusalReason.KILL_SWITCH, True, {}, f"kill switch {guard.shown(scope, incident.tenant)} is on"
                )
        leave = choice.autonomy(specs, incident.environment, tenant, step.mitigation)
        if leave is not Autonomy.AUTO and not (attempt.approved_by and leave is Autonomy.APPROVE):
            detail = f"autonomy of {step.mitigation} is {leave.value} by now"
            return Refusal(RefusalReason.NOT_ALLOWED, True, {}, detail)
    known = shard.targets.get(step.target, TargetState())
    if known.unknown:
        return Refusal(RefusalReason.UNKNOWN_OUTCOME, True, {}, f"what stands at target {step.target} is not known")
    if known.standing not in ("", step.command):
        detail = f"another change of target {step.target} is neither confirmed nor taken back yet"
        return Refusal(RefusalReason.UNCONFIRMED, True, {}, detail)
    return None


def step_row(specs: SpecSet, step: Step) -> StepRow | None:
    """A step as events carry it; None where its mitigation has left the spec set."""
    mitigation = next((one for one in specs.mitigations if one.name == step.mitigation), None)
    if mitigation is None:
        return None
    return StepRow(
        command=step.command,
        mitigation=step.mitigation,
        actuator=step.actuator,
        target=step.target,
        parameter=step.parameter,
        action=mitigation.action,
        minimum=mitigation.minimum,
        maximum=mitigation.maximum,
        degrades=mitigation.degrades,
    )


def terms(mitigation: Mitigation, target: Target) -> str:
    """Names everything of a change that leave was given for."""
    action = canonical.dumps(mitigation.action.fields()).decode()
    place = canonical.dumps(target.fields()).decode()
    return canonical.digest(
        mitigation.name, mitigation.parameter, action, mitigation.minimum, mitigation.maximum, place
    )
