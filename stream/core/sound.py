"""Can this spec set be in force? What a fold could not work with is found when the set arrives, not in the middle."""

from detectors import windows
from schemas.runbook import STEPS_MAX
from schemas.slo import MILLION, Slo
from schemas.specs import SpecSet


def unsound(specs: SpecSet) -> str:
    """The first thing that makes the set unfit; empty if it is fit. `douse specs apply` never writes an unfit one."""
    for slo in specs.slos:
        wrong = _objective(slo)
        if wrong:
            return f"objective {slo.name} of {slo.sli.service}: {wrong}"
    known = {mitigation.name for mitigation in specs.mitigations}
    if len(known) < len(specs.mitigations) or len({one.id for one in specs.targets}) < len(specs.targets):
        return "two mitigations or two targets have one name"
    for runbook in specs.runbooks:
        for course in runbook.courses:
            if not 0 < len(course.steps) <= STEPS_MAX:
                return f"a course for {runbook.cause.value} has {len(course.steps)} steps, not 1 to {STEPS_MAX}"
            if len(set(course.steps)) < len(course.steps):
                return f"a course for {runbook.cause.value} names a mitigation twice"
        for name in runbook.mitigations:
            if name not in known:
                return f"the runbook for {runbook.cause.value} names the mitigation {name}, which the set does not hold"
    return ""


def _objective(slo: Slo) -> str:
    if not 0 < slo.target_ppm < MILLION:
        return f"its target of {slo.target_ppm} ppm leaves no budget, or nothing else"
    if not slo.tiers:
        return "it has no tier"
    longest_s = max(slo.period_s, *(length for tier in slo.tiers for length in (tier.long_s, tier.short_s)))
    shortest_s = min(slo.period_s, *(length for tier in slo.tiers for length in (tier.long_s, tier.short_s)))
    if not 0 < shortest_s <= longest_s <= windows.WINDOW_S_MAX:
        return f"its windows reach from {shortest_s} s to {longest_s} s, and {windows.WINDOW_S_MAX} s are kept"
    if min(tier.factor_milli for tier in slo.tiers) <= 0:
        return "a tier with a factor of 0 fires always"
    return ""
