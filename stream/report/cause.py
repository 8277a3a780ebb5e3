"""Why it burned, in words and numbers, and why it was not the runner-up."""

from dataclasses import dataclass
from enum import Enum

from schemas.events import CauseRow, Diagnosed, FindingRow
from schemas.runbook import Cause
from stream.report import units
from stream.report.model import CauseFound, Finding, Suspicion
from stream.report.story import Story

WHY_NOT_MAX = 2  # findings named against the runner-up; the whole list stands in report.json
SILENT_MILLI = 100  # a finding that moves the log odds by less says nothing


class Unit(Enum):
    SHARE = "share"
    NUMBER = "number"
    TIME = "time"
    TIMES = "times"


@dataclass(frozen=True, slots=True)
class Words:
    """What a finding is about, in words; `compared` where its value before the onset says something."""

    text: str
    unit: Unit
    compared: bool = True


WORDS = {
    "used_of_max_ratio": Words("share of the time with every connection in use", Unit.SHARE),
    "pending_requests": Words("callers waiting for a connection", Unit.NUMBER),
    "wait_time_s": Words("wait for a connection", Unit.TIME),
    "timeouts_per_error_ratio": Words("pool timeouts per failed request", Unit.NUMBER, compared=False),
    "use_time_ratio": Words("time that a connection is held, against before", Unit.TIMES, compared=False),
    "client_call_duration_ratio": Words("duration of calls to it, against before", Unit.TIMES, compared=False),
}


def cause(story: Story) -> CauseFound | None:
    """The latest diagnosis; None while there is none."""
    told = story.last(Diagnosed)
    if told is None:
        return None
    named = [row for row in told.ranked if row.cause != Cause.UNKNOWN]
    found = next((row for row in named if row.cause == told.cause), None)
    runner_up = next((row for row in named if row is not found), None)
    return CauseFound(
        cause=told.cause,
        at_ms=told.at_ms,
        found=_suspicion(found) if found else None,
        runner_up=_suspicion(runner_up) if runner_up else None,
        why_not=why_not(runner_up),
        unknown_ppm=sum(row.probability_ppm for row in told.ranked if row.cause == Cause.UNKNOWN),
        requests_per_s_milli=told.requests_per_s_milli,
        errors_per_s_milli=told.errors_per_s_milli,
    )


def why_not(runner_up: CauseRow | None) -> str:
    """What speaks most against a cause, or is missing of its signature."""
    if runner_up is None:
        return "no other cause has any evidence"
    against = sorted((f for f in runner_up.findings if f.weight_milli <= -SILENT_MILLI), key=lambda f: f.weight_milli)
    if against:
        return "against it: " + "; ".join(says(finding) for finding in against[:WHY_NOT_MAX])
    missing = [finding for finding in runner_up.findings if abs(finding.weight_milli) < SILENT_MILLI]
    if missing:
        return "nothing speaks for it: " + "; ".join(says(finding) for finding in missing[:WHY_NOT_MAX])
    return "its evidence is weaker" if runner_up.findings else "none of its signals was seen"


def says(finding: FindingRow) -> str:
    """One finding as a person would say it: `wait for a connection 498 ms (before 0.2 ms)`."""
    words = WORDS.get(finding.name) or Words(finding.name.replace("_", " "), _unit(finding.name))
    now = _value(finding.value_milli, words.unit)
    if not words.compared or finding.before_milli is None:
        return f"{words.text} {now}"
    return f"{words.text} {now} (before {_value(finding.before_milli, words.unit)})"


def _suspicion(row: CauseRow) -> Suspicion:
    return Suspicion(
        cause=row.cause,
        suspect=row.suspect,
        probability_ppm=row.probability_ppm,
        findings=tuple(
            Finding(
                name=one.name,
                says=says(one),
                value_milli=one.value_milli,
                before_milli=one.before_milli,
                weight_milli=one.weight_milli,
            )
            for one in row.findings
        ),
    )


def _unit(name: str) -> Unit:
    return Unit.TIME if name.endswith("_s") else Unit.NUMBER


def _value(milli: int | None, unit: Unit) -> str:
    if milli is None:
        return "not measured"
    match unit:
        case Unit.SHARE:
            return units.percent(milli * 1000)
        case Unit.TIME:
            return units.latency(milli * 1000)
        case Unit.TIMES:
            return units.times(milli)
        case Unit.NUMBER:
            return units.number(milli)
