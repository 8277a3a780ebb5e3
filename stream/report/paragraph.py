"""The first paragraph of a report: what burned, why, what was done, whether it helped, what stands and what is left."""

from collections.abc import Iterator

from schemas.events import LiftState
from stream.report import plans, reasons, stands, units
from stream.report.figures import EFFECTIVE
from stream.report.model import CauseFound, Change, Report, Suspicion

BY_PARTS_FROM = 2  # changes of one plan that are told in a sentence of their own


def paragraph(report: Report) -> str:
    """What happened, in a few sentences."""
    said = (*_burned(report), *_why(report.cause), *_done(report), *_helped(report), *_now(report))
    return " ".join(said)


def cause_sentence(cause: str, found: Suspicion | None) -> str:
    """`Cause: pool exhausted at replica@acme-1 (95.3 %).`"""
    if found is None:
        return "The evidence names no cause."
    return f"Cause: {named(cause)} at {found.suspect} ({units.percent(found.probability_ppm)})."


def change_says(change: Change) -> str:
    """`pool_size 32 -> 64 at local/acme-pool by raise_pool: confirmed`."""
    what = (
        f"{change.parameter} {change.before} -> {change.after}"
        if change.after
        else units.action(change.parameter, change.action)
    )
    again = " put in place again" if change.again else ""
    return f"{what} at {change.actuator}/{change.target} by {change.mitigation}{again}: {stands.how(change)}"


def named(name: str) -> str:
    """A cause or an amplifier in words."""
    return "not known" if name == "unknown" else name.replace("_", " ")


def _burned(report: Report) -> Iterator[str]:
    before = report.burn.before
    yield (
        f"At {units.utc(report.onset_ms)} {report.tenant}/{report.service} began to burn its error budget "
        f"({report.objective.slo}) at {units.percent(before.spent_per_hour_ppm)} an hour, "
        f"{units.times(before.factor_milli)} the allowed pace; seen after {units.duration(report.mttm.detect_ms)}."
    )


def _why(cause: CauseFound | None) -> Iterator[str]:
    if cause is None:
        return
    yield cause_sentence(cause.cause, cause.found)
    present = [named(one.amplifier) for one in cause.amplifiers if one.present]
    if present:
        yield f"Made worse by: {' and '.join(present)}."


def _done(report: Report) -> Iterator[str]:
    for said in report.decisions:
        yield f"{plans.decided(said)}."
    told = {one.plan: [change for change in report.changes if change.plan == one.plan] for one in report.plans}
    for changes in told.values():
        if len(changes) < BY_PARTS_FROM:
            yield from (f"{change_says(one)}." for one in changes)
        else:
            parts = "; ".join(f"({number}) {change_says(one)}" for number, one in enumerate(changes, 1))
            yield f"A plan of {sum(one.again is None for one in changes)} changes: {parts}."
    yield from (f"{change_says(one)}." for one in report.changes if one.plan not in told)


def _helped(report: Report) -> Iterator[str]:
    times = report.mttm
    if times.total_ms is not None:
        yield f"Mitigated {units.duration(times.total_ms)} after the onset."
    if report.verdicts:
        last = report.verdicts[-1]
        proven = f", {units.duration(times.prove_ms)} after the decision" if times.prove_ms is not None else ""
        why = f" ({reasons.words(last.reason)})" if last.verdict != EFFECTIVE else ""
        yield f"Judged {last.verdict}{why}{proven}."
    tried = {one.mitigation: one.says for one in report.trials}
    tried |= {one.mitigation: one.says for one in report.trials if one.state is LiftState.HURTS}
    if tried:
        yield f"Tried after that: {'; '.join(tried.values())}."


def _now(report: Report) -> Iterator[str]:
    yield f"Now {report.state}: {report.state_says}."
    held = "is protected" if report.objective.protected else "is not protected"
    yield (
        f"{units.percent(report.objective.left_ppm)} of the budget is left; the compliance window {held}: "
        f"{report.objective.why}."
    )
    if report.to_do:
        more = f" (and {len(report.to_do) - 1} more below)" if len(report.to_do) > 1 else ""
        yield f"Still to do{more}: {report.to_do[0].rstrip('.')}."
