"""report.md: the report for a person at three in the morning. First what happened, then when, then everything else."""

import re
from collections.abc import Iterable, Iterator

from stream.incidents import ID_DIGITS
from stream.report import plans, reasons, stands, units
from stream.report.model import AmplifierFound, Change, Judged, Moment, Plan, Refusal, Report, Standing, Suspicion
from stream.report.paragraph import cause_sentence, change_says, named, paragraph

NAMES = {
    "metrics_polled": "metrics polled",
    "burn_detected": "burn detected",
    "traces_correlated": "traces correlated",
    "mitigation_executed": "mitigation executed",
    "recovery_validated": "recovery validated",
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
        _section("People", [f"- {units.utc(one.at_ms)} {plans.decided(one)}" for one in report.decisions]),
        _section("Plan", [line for one in report.plans for line in _plan(one, report.changes)]),
        _section("Change", [line for change in report.changes for line in _change(change)] or ["Nothing was changed."]),
        _section("Not allowed", [_refusal(one) for one in report.refusals]),
        _section("Verdict", [line for one in report.verdicts for line in _verdict(one)] or ["Nothing to judge."]),
        _section("Trials of taking back", [f"- {units.utc(one.at_ms)} {one.says}" for one in report.trials]),
        _section("Budget, burn and latency", _figures(report)),
        _section("Undo", list(_undo(report.changes))),
        _section("Still to do", [f"- {line}" for line in report.to_do] or ["Nothing."]),
        _section("Left out", [f"- {line}" for line in report.left_out]),
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def _section(title: str, lines: list[str]) -> list[str]:
    """Nothing where there is nothing to say."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return ["", f"## {title}", "", *lines] if lines else []


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
    if times.approval_ms is not None:
        also += f"; of decide, {units.duration(times.approval_ms)} until a person approved"
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
    lines = [cause_sentence(cause.cause, cause.found)]
    if cause.found is not None:
        lines += ["", *_evidence(cause.found)]
    if cause.runner_up is not None:
        share = units.percent(cause.runner_up.probability_ppm)
        suspect = f" at {cause.runner_up.suspect}" if cause.runner_up.suspect else ""
        role = "Runner-up" if cause.found is not None else "Most likely, yet not likely enough"
        lines += ["", f"{role}: {named(cause.runner_up.cause)}{suspect} ({share}); {cause.why_not}."]
        if cause.found is None:
            lines += ["", *_evidence(cause.runner_up)]
    if cause.amplifiers:
        lines += ["", "Beside the cause, whatever it is:", "", *(_amplifier(one) for one in cause.amplifiers)]
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


def _amplifier(one: AmplifierFound) -> str:
    return f"- {named(one.amplifier)}: {'at work' if one.present else 'not seen'}; {one.why}"


def _plan(plan: Plan, changes: tuple[Change, ...]) -> Iterator[str]:
    """Its steps in their order, each with its times."""
    amplifiers = "".join(f" + {named(one)}" for one in plan.amplifiers)
    approved = f", approved by {plan.approved_by}" if plan.approved_by else ""
    live = f", live {units.utc(plan.live_ms)}" if plan.live_ms is not None else ", never wholly live"
    provable = "" if plan.provable else " So little traffic comes that its effect cannot be proven."
    yield (
        f"Plan `{plan.plan[:ID_DIGITS]}` for {named(plan.cause)}{amplifiers}: decided {units.utc(plan.decided_ms)}"
        f"{approved}{live}, judged within {units.duration(plan.watch_ms)}.{provable} By now: {plan.says}."
    )
    rows = [
        (
            str(number),
            f"{one.mitigation}{' (again)' if one.again else ''}",
            f"{one.actuator}/{one.target}",
            f"{one.parameter} {one.before} -> {one.after}" if one.after else units.action(one.parameter, one.action),
            *(_at(at_ms) for at_ms in (one.ordered_ms, one.live_ms, one.confirmed_ms, one.taken_back_ms)),
            stands.how(one),
        )
        for number, one in enumerate((one for one in changes if one.plan == plan.plan), 1)
    ]
    head = ("", "step", "where", "change", "ordered", "live", "confirmed", "taken back", "now")
    yield from ("", *_table(head, rows), "")


def _at(at_ms: int | None) -> str:
    return units.clock(at_ms) if at_ms is not None else "-"


def _change(change: Change) -> Iterator[str]:
    yield f"{change_says(change)}."
    yield ""
    again = f" It puts `{change.again}` in place again." if change.again else ""
    ordered = f"Ordered {units.utc(change.ordered_ms)}" if change.ordered_ms is not None else "Decided"
    if change.ordered_ms is None:
        ordered += f" {units.utc(change.decided_ms)}"
    bounds = f", within {change.minimum} to {change.maximum}" if change.minimum != change.maximum else ""
    yield (
        f"{ordered}: {units.action(change.parameter, change.action)}{bounds}. Plan `{change.plan}`, command "
        f"`{change.command}`.{again}"
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
        f"**{one.verdict}** at {units.utc(one.at_ms)}: {reasons.words(one.reason)}; "
        f"follows: {one.follows.replace('_', ' ')}."
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
    stand = [one for one in changes if one.standing in (Standing.UNCONFIRMED, Standing.CONFIRMED)]
    if stand:
        said = ", ".join(f"`douse revert {one.command[:ID_DIGITS]} --reason ...`" for one in stand)
        yield f"- By douse itself: {said}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
