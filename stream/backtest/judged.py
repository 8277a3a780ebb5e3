"""A written timeline, played and judged: what was expected beside what was seen, field by field."""

from collections.abc import Iterator
from dataclasses import dataclass

from stream.backtest.answers import Answers, Incident
from stream.backtest.sources import Names, Replay
from stream.backtest.telemetry import Exporter
from stream.backtest.timeline import Expected, Timeline

ONSET_OFF_S_MAX = 2  # an onset is found to the second; what a test promises of it is the neighbourhood
OPEN, NONE = "open", "none"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as written."""

    line: int
    what: str
    expected: str
    seen: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One timeline and all that was not as written; none: it holds."""

    timeline: Timeline
    answers: Answers
    differences: tuple[Difference, ...]


def play(timeline: Timeline) -> Judged:
    """Exports the timeline, replays it and compares."""
    names = Names()
    replay = Replay(timeline.specs, names)
    for record in Exporter(timeline, names).records():
        replay.take(record)
    answers = replay.finish()
    return Judged(timeline, answers, tuple(_differences(timeline, answers)))


def _differences(timeline: Timeline, answers: Answers) -> Iterator[Difference]:
    """Incidents of one objective are expected in the order in which they open."""
    seen: dict[str, list[Incident]] = {}
    for incident in answers.incidents.values():
        seen.setdefault(incident.slo, []).append(incident)
    for expected in timeline.expected:
        found = seen.get(expected.slo)
        if not found:
            yield Difference(expected.line, f"{expected.slo}: incident", "one opens", "none opened")
            continue
        yield from _of_incident(timeline, expected, found.pop(0))
    for slo, left in seen.items():
        for incident in left:
            said = (
                f"one opened with its onset at {_onset_s(timeline, incident)} s, cause {incident.cause or 'not named'}"
            )
            yield Difference(timeline.line, f"{slo}: incident", "none more", said)
    if answers.rejected_total:
        (_, reason), _ = answers.rejected.most_common(1)[0]
        yield Difference(timeline.line, "records", "all are read", f"{answers.rejected_total} rejected: {reason}")


def _of_incident(timeline: Timeline, expected: Expected, seen: Incident) -> Iterator[Difference]:
    onset_s = _onset_s(timeline, seen)
    if expected.onset_s is not None and abs(onset_s - expected.onset_s) > ONSET_OFF_S_MAX:
        yield Difference(expected.line, f"{seen.slo}: onset", f"{expected.onset_s} s", f"{onset_s} s")
    for what, wanted, found in (
        ("cause", expected.cause, seen.cause or NONE),
        ("ending", expected.ending, seen.ending or OPEN),
    ):
        if wanted is not None and wanted != found:
            yield Difference(expected.line, f"{seen.slo}: {what}", wanted, found)
    for what, listed, there in (
        ("amplifiers", expected.amplifiers, tuple(sorted(seen.amplifiers))),
        ("plan", expected.plan, _steps(seen, suggested=False)),
        ("suggested", expected.suggested, _steps(seen, suggested=True)),
        ("refused", expected.refused, tuple(dict.fromkeys(one.reason for one in seen.refusals))),
    ):
        wanted_words = tuple(sorted(listed)) if listed is not None and what == "amplifiers" else listed
        if wanted_words is not None and wanted_words != there:
            yield Difference(expected.line, f"{seen.slo}: {what}", _text(wanted_words), _text(there))


def _onset_s(timeline: Timeline, incident: Incident) -> int:
    return incident.onset_s - timeline.start_ms // 1000


def _steps(incident: Incident, *, suggested: bool) -> tuple[str, ...]:
    first = next((one for one in incident.plans if one.suggested is suggested), None)
    return tuple(step.mitigation for step in first.steps) if first else ()


def _text(words: tuple[str, ...]) -> str:
    return ", ".join(words) or NONE
