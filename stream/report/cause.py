"""Why it burned, in words and numbers, and why it was not the runner-up."""

from dataclasses import dataclass
from enum import Enum

from schemas.events import AmplifierRow, CauseRow, Diagnosed, FindingRow
from schemas.runbook import Cause
from stream.report import units
from stream.report.model import AmplifierFound, CauseFound, Finding, Suspicion
from stream.report.story import Story

WHY_MAX = 3  # findings named for an amplifier
WHY_NOT_MAX = 2  # findings named against the runner-up; the whole list stands in report.json
SILENT_MILLI = 100  # a finding that moves the log odds by less says nothing


class Unit(Enum):
    SHARE = "share"
    NUMBER = "number"
    TIME = "time"
    TIMES = "times"
    SIZE = "size"
    GROWTH = "growth"
    TRUTH = "truth"


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
    "database_call_duration_ratio": Words("duration of calls to it, against before", Unit.TIMES, compared=False),
    "peer_call_duration_ratio": Words("duration of calls to it, against before", Unit.TIMES, compared=False),
    "other_calls_duration_ratio": Words("duration of calls to all others, against before", Unit.TIMES, compared=False),
    "calls_per_error_ratio": Words("calls to it per failed request", Unit.NUMBER, compared=False),
    "peer_named": Words("spans or log lines name it", Unit.TRUTH, compared=False),
    "log_lines_per_s": Words("log lines a second that name it", Unit.NUMBER),
    "slope_bytes_per_s": Words("memory grows by", Unit.GROWTH, compared=False),
    "last_quarter_slope_ratio": Words("growth of late, against the whole rise", Unit.TIMES, compared=False),
    "used_bytes": Words("memory in use", Unit.SIZE),
    "used_of_limit_ratio": Words("share of the memory limit in use", Unit.SHARE),
    "restarts": Words("restarts", Unit.NUMBER, compared=False),
    "attempts_per_resent_operation": Words("attempts of an operation that is sent again", Unit.NUMBER),
    "resends_per_request_ratio": Words("share of the requests that are sent again", Unit.SHARE),
    "offered_per_s": Words("requests a second", Unit.NUMBER),
    "good_per_request_ratio": Words("share of the requests that are answered well", Unit.SHARE),
    "first_attempts_per_s": Words("first attempts a second", Unit.NUMBER),
    "good_answers_per_s": Words("good answers a second", Unit.NUMBER),
    "deviations": Words("rise in robust deviations of the seconds before", Unit.NUMBER, compared=False),
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
        amplifiers=tuple(_amplifier(row) for row in sorted(told.amplifiers, key=lambda row: not row.present)),
        unknown_ppm=sum(row.probability_ppm for row in told.ranked if row.cause == Cause.UNKNOWN),
        requests_per_s_milli=told.requests_per_s_milli,
        errors_per_s_milli=told.errors_per_s_milli,
    )


def why_not(runner_up: CauseRow | None) -> str:
    """What speaks most against a cause, or is missing of its signature."""
    if runner_up is None:
        return "no other cause has any evidence"
    return _lacks(runner_up.findings)


def why(row: AmplifierRow) -> str:
    """What speaks most for an amplifier that is at work, or what one lacks that is not."""
    if not row.present:
        return _lacks(row.findings)
    found = sorted((f for f in row.findings if f.weight_milli >= SILENT_MILLI), key=lambda f: -f.weight_milli)
    return "; ".join(says(finding) for finding in found[:WHY_MAX]) or "no single finding says so"


def says(finding: FindingRow) -> str:
    """One finding as a person would say it: `wait for a connection 498 ms (before 0.2 ms)`."""
    words = WORDS.get(finding.name) or Words(finding.name.replace("_", " "), _unit(finding.name))
    now = _value(finding.value_milli, words.unit)
    if not words.compared or finding.before_milli is None:
        return f"{words.text} {now}"
    return f"{words.text} {now} (before {_value(finding.before_milli, words.unit)})"


def _lacks(findings: tuple[FindingRow, ...]) -> str:
    against = sorted((f for f in findings if f.weight_milli <= -SILENT_MILLI), key=lambda f: f.weight_milli)
    if against:
        return "against it: " + "; ".join(says(finding) for finding in against[:WHY_NOT_MAX])
    missing = [finding for finding in findings if abs(finding.weight_milli) < SILENT_MILLI]
    if missing:
        return "nothing speaks for it: " + "; ".join(says(finding) for finding in missing[:WHY_NOT_MAX])
    return "its evidence is weaker" if findings else "none of its signals was seen"


def _suspicion(row: CauseRow) -> Suspicion:
    return Suspicion(
        cause=row.cause, suspect=row.suspect, probability_ppm=row.probability_ppm, findings=_findings(row.findings)
    )


def _amplifier(row: AmplifierRow) -> AmplifierFound:
    return AmplifierFound(amplifier=row.amplifier, present=row.present, why=why(row), findings=_findings(row.findings))


def _findings(rows: tuple[FindingRow, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            name=one.name,
            says=says(one),
            value_milli=one.value_milli,
            before_milli=one.before_milli,
            weight_milli=one.weight_milli,
        )
        for one in rows
    )


def _unit(name: str) -> Unit:
    if name.endswith("_per_s"):
        return Unit.NUMBER
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
        case Unit.SIZE:
            return units.size(milli // 1000)
        case Unit.GROWTH:
            return f"{units.size(milli // 1000)}/s"
        case Unit.TRUTH:
            return "yes" if milli > 0 else "no"
