"""report.md: the report for a person at three in the morning. First what happened, then when, then everything else."""

import re
from collections.abc import Iterable, Iterator

from stream.report import units
from stream.report.model import Change, Judged, Moment, Refusal, Report, Suspicion

NAMES = {
    "metrics_polled": "metrics polled",
    "burn_detected": "burn detected",
    "traces_correlated": "traces correlated",
    "mitigation_executed": "mitigation executed",
    "recovery_validated": "recovery validated",
}
REASONS = {
    "below_fast_page": "proven below the fastest page tier",
    "worse_than_before": "proven worse than before, by at least a third of what was still good",
    "better_still_burning": "proven better than before, and still burning",
    "not_better": "not proven better than before",
    "traffic_missing": "too little traffic came to judge it by",
    "too_few_requests": "too few requests to prove anything",
    "clean_runs_too_long": "the fault pauses longer by itself than it could be watched",
    "no_window_yet": "there was no window to judge it by",
}


def markdown(report: Report) -> str:
    """The whole page."""
    title = f"# {report.tenant}/{report.service}: {report.objective.slo}"
    where = f"Incident `{report.incident}`, execution `{report.execution_id}`, environment {report.environment}."
    parts = [
        [title, "", paragraph(report), "", where],
        _section("Timeline", _timeline(report)),
        _section("Steps", _steps(report.steps)),
        _section("Cause", _cause(report)),
        _section("Change", [line for change in report.changes for line in _change(change)] or ["Nothing was changed."]),
        _section("Not allowed", [_refusal(one) for one in report.refusals]),
        _section("Verdict", [line for one in report.verdicts for line in _verdict(one)] or ["Nothing to judge."]),
        _section("Budget, burn and latency", _figures(report)),
        _section("Undo by hand", list(_undo(report.changes))),
        _section("Still to do", [f"- {line}" for line in report.to_do] or ["Nothing."]),
        _section("Left out", [f"- {line}" for line in report.left_out]),
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def paragraph(report: Report) -> str:
    """What happened, in a few sentences."""
    burn, times = report.burn, report.mttm
    said = [
        f"At {units.utc(report.onset_ms)} {report.tenant}/{report.service} began to burn its error budget "
        f"({report.objective.slo}) at {units.percent(burn.before.spent_per_hour_ppm)} an hour, "
        f"{units.times(burn.before.factor_milli)} the allowed pace; seen after {units.duration(times.detect_ms)}."
    ]
    if report.cause is not None:
        said.append(_cause_sentence(report.cause.cause, report.cause.found))
    said += [_change_sentence(change) for change in report.changes]
    if times.total_ms is not None:
        said.append(f"Mitigated {units.duration(times.total_ms)} after the onset.")
    if report.verdicts:
        last = report.verdicts[-1]
        proven = f", {units.duration(times.prove_ms)} after the decision" if times.prove_ms is not None else ""
        said.append(f"Judged {last.verdict}{proven}.")
    said.append(f"Now {report.state}: {report.state_says}.")
    held = "is protected" if report.objective.protected else "is not protected"
    said.append(
        f"{units.percent(report.objective.left_ppm)} of the budget is left; the compliance window {held}: "
        f"{report.objective.why}."
    )
    return " ".join(said)


def _section(title: str, lines: list[str]) -> list[str]:
    """Nothing where there is nothing to say."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return ["", f"## {title}", "", *lines] if lines else []


def _cause_sentence(cause: str, found: Suspicion | None) -> str:
    if found is None:
        return "The evidence names no cause."
    return f"Cause: {_words(cause)} at {found.suspect} ({units.percent(found.probability_ppm)})."


def _change_sentence(change: Change) -> str:
    values = f" {change.before} -> {change.after}" if change.after else ""
    why = f" ({change.detail or change.reason})" if change.detail or change.reason else ""
    place = f"{change.actuator}/{change.target}"
    return f"{change.parameter}{values} at {place} by {change.mitigation}: {change.standing.value}{why}."


def _timeline(report: Report) -> list[str]:
    times = report.mttm
    parts = (
        ("detect", times.detect_ms),
        ("decide", times.decide_ms),
        ("apply", times.apply_ms),
        ("recover", times.recover_ms),
    )
    known = ", ".join(f"{name} {units.duration(ms)}" for name, ms in parts if ms is not None)
    beside = (("prove", times.prove_ms), ("confirm", times.confirm_ms), ("p99 back", times.latency_ms))
    also = "".join(f"; {name} {units.duration(ms)}" for name, ms in beside if ms is not None)
    total = (
        f"**MTTM {units.duration(times.total_ms)}**" if times.total_ms is not None else "MTTM: not mitigated by douse"
    )
    attempts = f"; {times.attempts} attempts, the parts are the last one's" if times.attempts > 1 else ""
    return [*_steps(report.timeline), "", f"{total}: {known}{also}{attempts}."]


def _steps(moments: Iterable[Moment]) -> list[str]:
    rows = [
        (
            units.utc(one.at_ms) if one.at_ms is not None else "not reached",
            units.since(one.since_onset_ms) if one.since_onset_ms is not None else "",
            NAMES.get(one.name, one.name),
            one.detail,
        )
        for one in moments
    ]
    return _table(("UTC", "from onset", "what", ""), rows)


def _cause(report: Report) -> list[str]:
    cause = report.cause
    if cause is None:
        return ["No diagnosis yet."]
    lines = [_cause_sentence(cause.cause, cause.found)]
    if cause.found is not None:
        lines += ["", *_evidence(cause.found)]
    if cause.runner_up is not None:
        share = units.percent(cause.runner_up.probability_ppm)
        suspect = f" at {cause.runner_up.suspect}" if cause.runner_up.suspect else ""
        role = "Runner-up" if cause.found is not None else "Most likely, yet not likely enough"
        lines += ["", f"{role}: {_words(cause.runner_up.cause)}{suspect} ({share}); {cause.why_not}."]
        if cause.found is None:
            lines += ["", *_evidence(cause.runner_up)]
    lines += [
        "",
        f"None of the known causes: {units.percent(cause.unknown_ppm)}. Seen at "
        f"{units.number(cause.requests_per_s_milli)} requests/s, {units.number(cause.errors_per_s_milli)} errors/s.",
    ]
    if report.trace_ids:
        lines += ["", "Failing traces: " + ", ".join(f"`{one}`" for one in report.trace_ids)]
    return lines


def _evidence(found: Suspicion) -> list[str]:
    return [
        f"- {one.says} ({'+' if one.weight_milli >= 0 else ''}{units.number(one.weight_milli)})"
        for one in found.findings
    ]


def _change(change: Change) -> Iterator[str]:
    yield _change_sentence(change)
    yield ""
    yield (
        f"Ordered {units.utc(change.decided_ms)}: {units.action(change.parameter, change.action)}, within "
        f"{change.minimum} to {change.maximum}. Plan `{change.plan}`, command `{change.command}`."
    )
    if change.confirm_by_ms is not None:
        yield f"Confirm deadline {units.utc(change.confirm_by_ms)}."
    if change.diff:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", change.diff)), default=0))
        yield from ("", f"{fence}diff", change.diff.rstrip("\n"), fence)
    if change.reloads:
        rows = [
            (
                one.because,
                f"{one.process} ({one.pid})",
                one.signal,
                one.before or "-",
                one.after or "-",
                units.utc(one.live_ms) if one.live_ms else "not live",
            )
            for one in change.reloads
        ]
        yield from ("", *_table(("for", "process", "signal", "said before", "said after", "live"), rows))
    yield ""


def _refusal(one: Refusal) -> str:
    numbers = ", ".join(f"{name} {value:,}" for name, value in sorted(one.numbers.items()))
    what = " ".join(part for part in (one.mitigation, f"on {one.target}" if one.target else "") if part)
    about = f" {what}" if what else ""
    return f"- {units.utc(one.at_ms)} {one.by}{about}: {one.reason}: {one.detail}{f' ({numbers})' if numbers else ''}"


def _verdict(one: Judged) -> Iterator[str]:
    yield (
        f"**{one.verdict}** at {units.utc(one.at_ms)}: {REASONS.get(one.reason, _words(one.reason))}; "
        f"follows: {_words(one.follows)}."
    )
    yield ""
    traffic = units.percent(one.traffic_ratio_milli * 1000)
    yield (
        f"{one.errors:,} of {one.requests:,} requests failed in the {one.window_s} s judged "
        f"({units.percent(one.residual_ppm)}; before {units.percent(one.before_ppm)}; needed below "
        f"{units.percent(one.p0_ppm)}), p <= {one.p_value_ppm / 1_000_000:g}, traffic {traffic} of the expected, "
        f"{one.control}."
    )
    yield ""


def _figures(report: Report) -> list[str]:
    promised, burn, p99 = report.objective, report.burn, report.p99
    paces = [("before", burn.before), ("at the verdict", burn.after), ("residual", burn.residual)]
    rows = [
        (name, f"{units.percent(one.spent_per_hour_ppm)}/h", units.times(one.factor_milli), _p99(us))
        for (name, one), us in zip(paces, (p99.burning_us, p99.after_us, p99.residual_us), strict=True)
        if one is not None and (one is burn.before or one.at_ms != burn.before.at_ms)
    ]
    hours = (
        f" At the present burn it lasts {units.duration(promised.hours_left_milli * 3600)}."
        if promised.hours_left_milli is not None
        else " Nothing burns at present."
    )
    if promised.before_hours_left_milli is not None:
        hours += (
            f" At the opening's pace it would have lasted {units.duration(promised.before_hours_left_milli * 3600)}."
        )
    spent = (
        f"spent since {units.percent(promised.spent_ppm)} ({promised.spent_events:,} requests), left "
        f"{units.percent(promised.left_ppm)} at {units.utc(promised.as_of_ms)}"
        if promised.as_of_ms != burn.before.at_ms
        else "no later figure is known"
    )
    history = (
        f" The history is {units.period(promised.history_s)}; the missing part counts as good."
        if promised.history_s < promised.period_s
        else ""
    )
    hot = ", ".join(burn.hot_tiers) or "none"
    fresh = report.freshness
    return [
        f"{promised.slo}: {units.percent(promised.target_ppm)} over {units.period(promised.period_s)}. Budget left at "
        f"the opening {units.percent(promised.before_ppm)}; {spent}.{hours}{history}",
        "",
        *_table(("", "burn", "of the allowed pace", "p99"), rows),
        "",
        f"p99 before the onset {_p99(p99.before_onset_us)}, objective {_p99(p99.objective_us, '')}. Hot tiers: {hot}.",
        "",
        f"Telemetry: data {fresh.data_state}, newest {units.duration(fresh.age_ms)} old at the opening, p99 of its "
        f"freshness {units.duration(fresh.opening_p99_ms)}.",
    ]


def _p99(us: int | None, bound: str = "<= ") -> str:
    return f"{bound}{units.latency(us)}" if us is not None else "not known"


def _undo(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        if change.undo:
            yield f"- {change.actuator}/{change.target}: `{change.undo}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _words(name: str) -> str:
    return "not known" if name == "unknown" else name.replace("_", " ")
