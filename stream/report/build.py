"""The report of one incident, from the public topics alone: `build` makes it of events, `write` puts it into a folder.

It is whole at the verdict and complete at the close; before that it says how far things have come.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from schemas.envelope import Event
from schemas.events import Diagnosed, Planned, VerdictGiven
from stream.report import cause, changes, figures, plans, state, story, times
from stream.report import to_do as left
from stream.report.markdown import markdown
from stream.report.model import Judged, Report

__all__ = ["build", "markdown", "write"]

JSON_FILE, MARKDOWN_FILE = "report.json", "report.md"


def build(events: Iterable[Event], incident: str) -> Report:
    """The report of the incident with exactly this id. Raises story.UnknownIncident."""
    told = story.tell(events, incident)
    opened, planned, diagnosed = told.opened, told.last(Planned), told.last(Diagnosed)
    changed = changes.changes(told)
    standing, says = state.state(told, changed)
    return Report(
        execution_id=planned.plan if planned else incident,
        incident=incident,
        joined=opened.joined,
        environment=opened.environment,
        tenant=opened.tenant,
        service=opened.service,
        state=standing,
        state_says=says,
        onset_ms=told.onset_ms,
        as_of_ms=times.as_of_ms(told),
        steps=times.steps(told),
        timeline=times.timeline(told),
        mttm=times.mttm(told),
        objective=figures.objective(told),
        burn=figures.burn(told),
        p99=figures.p99(told),
        freshness=figures.freshness(told),
        cause=cause.cause(told),
        trace_ids=diagnosed.trace_ids if diagnosed else (),
        plans=plans.plans(told, changed),
        changes=changed,
        decisions=plans.decisions(told),
        trials=plans.trials(told),
        refusals=changes.refusals(told),
        verdicts=tuple(_judged(one) for one in told.of(VerdictGiven)),
        to_do=left.to_do(told, changed),
        left_out=told.left_out,
    )


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """report.json and report.md in the folder, which is made; each file takes its place at once and whole."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in (
        (JSON_FILE, orjson.dumps(report.fields(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)),
        (MARKDOWN_FILE, markdown(report).encode()),
    ):
        draft = folder / f".{name}.{os.getpid()}"
        draft.write_bytes(content)
        os.replace(draft, folder / name)
        written.append(folder / name)
    return written[0], written[1]


def _judged(told: VerdictGiven) -> Judged:
    return Judged(
        at_ms=told.at_ms,
        plan=told.plan,
        verdict=told.verdict,
        reason=told.reason,
        follows=told.follows,
        window_s=told.window_s,
        errors=told.errors,
        requests=told.requests,
        before_ppm=told.before_ppm,
        residual_ppm=told.residual_ppm,
        p0_ppm=told.p0_ppm,
        p_value_ppm=told.p_value_ppm,
        traffic_ratio_milli=told.traffic_ratio_milli,
        control=told.control,
    )
