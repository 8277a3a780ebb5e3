"""A suggestion in full, for the one who is to answer it: the steps, what they change, how far they reach, and why."""

from collections.abc import Sequence

from actuators.policy import guard
from schemas.events import Suggestion
from schemas.specs import SpecSet
from stream.control import Control
from stream.people import telling, waiting
from stream.people.preview import Preview
from stream.people.waiting import Waiting
from stream.report import units


def lines(one: Waiting, previews: Sequence[Preview], found: Control) -> list[str]:
    """The lines of `douse approve`."""
    told = one.told
    verb = "carry out" if told.kind is Suggestion.APPLY else "take back"
    shown = [f"plan {told.plan}: {verb} for {one.whose}, {told.service} {told.slo}, since {units.utc(told.at_ms)}"]
    diffs = {preview.step.command: preview for preview in previews}
    for number, step in enumerate(told.steps, 1):
        shown.append(f"step {number} of {len(told.steps)}: {telling.step(step)}")
        preview = diffs.get(step.command)
        if preview is not None:
            shown += [f"    {line}" for line in (preview.diff or preview.why_not).splitlines()]
    shown += stopped(one, found)
    shown += reach(one, found.specs)
    shown += waiting.evidence_lines(one)
    if one.refused is not None:
        shown.append(f"last {telling.refused(one.refused)}")
    return shown


def stopped(one: Waiting, found: Control) -> list[str]:
    """Each kill switch that is on and would stop a step; none of them stops a taking back."""
    if one.told.kind is Suggestion.LIFT:
        return []
    told = one.told
    scopes = [
        scope for step in told.steps for scope in guard.switch_scopes(told.environment, told.tenant, step.mitigation)
    ]
    on = [found.kills[scope] for scope in dict.fromkeys(scopes) if scope in found.kills and found.kills[scope].on]
    return [f"kill switch {kill.scope} is ON, by {kill.by}: {kill.reason}; it stops this plan" for kill in on]


def reach(one: Waiting, specs: SpecSet | None) -> list[str]:
    """How far a mistake would reach: every tenant whose traffic depends on a target. Without specs only their
    number."""
    found = []
    for step in {step.target: step for step in one.told.steps}.values():
        target = next((each for each in specs.targets if each.id == step.target), None) if specs else None
        if target is None:
            found.append(f"reach of {step.target}: not in the specs in force")
            continue
        many = f"shared by {len(target.tenants)} tenants" if len(target.tenants) > 1 else "one tenant"
        found.append(f"reach of {step.target}: {many} ({', '.join(target.tenants)}), {target.service}")
    if not specs and one.told.tenants > 1:
        found.append(f"the targets are shared by {one.told.tenants} tenants")
    return found
