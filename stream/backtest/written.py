"""Timelines as people write them: YAML files of `kind: Timeline`, every mistake with file, line and field."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas import envelope
from schemas.events import Ending
from schemas.fields import Fields, one_of
from schemas.refusal import RefusalReason
from schemas.runbook import Amplifier, Cause
from schemas.specs import SpecSet
from schemas.yamlfile import Document, Items, Problem, Scalar
from stream import specs
from stream.backtest.timeline import (
    Calls,
    Expected,
    LogLine,
    Memory,
    Pool,
    Requests,
    Retries,
    Stretch,
    Timeline,
)
from stream.specs import BadSpecsError

API_VERSION, KIND = "douse/v1", "Timeline"
START = "2027-01-15T08:00:00.000Z"  # a Friday morning: no test falls into a usual freeze window by chance
SECONDS_MAX = 7_200  # of one stretch; two hours at 200 requests a second are read in minutes
PER_S_MAX = 5_000  # requests and lines; a timeline is a story, no load test
MS_MAX = 600_000
NUMBER_MAX = 1_000_000
SEVERITIES = ("debug", "info", "warn", "error", "fatal")
NONE = "none"
PPM = 1_000_000


def read(paths: Sequence[Path]) -> tuple[Timeline, ...]:
    """The timelines of the files, in their order. Raises BadSpecsError with every mistake."""
    problems: list[Problem] = []
    found: list[Timeline] = []
    known: dict[Path, SpecSet] = {}
    for path in paths:
        before = len(found) + len(problems)
        for document in specs.yaml_file(path, str(path), problems):
            timeline = _timeline(document, path.parent, known, problems)
            if timeline is not None:
                found.append(timeline)
        if len(found) + len(problems) == before:
            problems.append(
                Problem(str(path), 1, "", f"holds no timeline; write apiVersion: {API_VERSION}, kind: {KIND}")
            )
    if problems:
        raise BadSpecsError(problems)
    return tuple(found)


def _timeline(document: Document, folder: Path, known: dict[Path, SpecSet], problems: list[Problem]) -> Timeline | None:
    before = len(problems)
    root = Fields(document.file, "", document.root, problems)
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        text = root.text(key, wanted)
        if text and text != wanted:
            root.refuse(key, f"{text!r} is not {wanted}")
    metadata = root.table_of("metadata", "{name: an exhausted pool is doubled}")
    name = metadata.text("name", "an exhausted pool is doubled")
    metadata.done()
    spec = root.table_of("spec", "{specs: ../specs, ...}")
    root.done()
    if len(problems) > before:
        return None
    start = spec.text("start", START, START)
    timeline = Timeline(
        file=document.file,
        line=document.root.line,
        name=name,
        specs=_specs(spec, folder, known, problems),
        environment=spec.name("environment", "demo"),
        tenant=spec.name("tenant", "acme-corp"),
        service=spec.name("service", "shop-api"),
        start_ms=_start_ms(spec, start),
        stretches=tuple(_stretch(one) for one in spec.tables("timeline", "[{for_s: 60, requests: {per_s: 100}}]")),
        expected=tuple(_expected_all(spec)),
    )
    spec.done()
    _check(spec, timeline)
    return timeline if len(problems) == before else None


def _specs(spec: Fields, folder: Path, known: dict[Path, SpecSet], problems: list[Problem]) -> SpecSet:
    """The spec set beside the file; each folder is read once however many timelines it serves."""
    place = folder / spec.text("specs", "../specs")
    if place not in known:
        try:
            known[place] = specs.load(place).specs
        except BadSpecsError as error:
            problems.extend(error.problems)
            known[place] = SpecSet(slos=())
    return known[place]


def _start_ms(spec: Fields, text: str) -> int:
    try:
        return envelope.from_rfc3339(text)
    except envelope.NotAnEvent as error:
        spec.refuse("start", str(error))
        return 0


def _stretch(at: Fields) -> Stretch:
    of = at.table_of("requests", "{per_s: 100, failed_per_s: 0, ms: 50}")
    requests = Requests(
        per_s=of.integer("per_s", 100, 0, PER_S_MAX),
        failed_per_s=of.integer("failed_per_s", 0, 0, PER_S_MAX, 0),
        ms=of.integer("ms", 50, 0, MS_MAX, 50),
        attributes=_attributes(of),
    )
    if requests.failed_per_s > requests.per_s:
        of.refuse("failed_per_s", f"{requests.failed_per_s} of {requests.per_s} requests cannot fail")
    of.done()
    stretch = Stretch(
        for_s=at.integer("for_s", 60, 1, SECONDS_MAX),
        requests=requests,
        calls=_calls(at),
        retries=_retries(at),
        pool=_pool(at),
        memory=_memory(at),
        logs=tuple(_log(one) for one in at.tables("logs", "[{severity: error, text: no connection, per_s: 5}]"))
        if at.has("logs")
        else (),
    )
    at.done()
    return stretch


def _attributes(of: Fields) -> dict[str, str | int | bool]:
    inner = of.table_of("attributes", "{http.route: /orders}", optional=True)
    return {name: inner.scalar(name, "/orders") for name in inner.table.values}


def _calls(at: Fields) -> Calls | None:
    if not at.has("calls"):
        return None
    of = at.table_of("calls", "{name: SELECT items, ms: 40}")
    calls = Calls(of.text("name", "SELECT items"), of.integer("ms", 40, 0, MS_MAX))
    of.done()
    return calls


def _retries(at: Fields) -> Retries | None:
    if not at.has("retries"):
        return None
    of = at.table_of("retries", "{attempts: 4, share: 0.5}")
    share = of.number("share", "0.5")
    if share is not None and not 0 <= share <= 1:
        of.refuse("share", f"{share} is not between 0 and 1; write 0.5")
    retries = Retries(of.integer("attempts", 4, 2, 100), round((share or 0) * PPM))
    of.done()
    return retries


def _pool(at: Fields) -> Pool | None:
    if not at.has("pool"):
        return None
    of = at.table_of("pool", "{used: 8, maximum: 32}")
    pool = Pool(
        used=of.integer("used", 8, 0, NUMBER_MAX),
        maximum=of.integer("maximum", 32, 1, NUMBER_MAX),
        pending=of.integer("pending", 0, 0, NUMBER_MAX, 0),
        wait_ms=of.integer("wait_ms", 0, 0, MS_MAX, 0),
        use_ms=of.integer("use_ms", 50, 0, MS_MAX, 50),
        timeouts_per_s=of.integer("timeouts_per_s", 0, 0, NUMBER_MAX, 0),
    )
    of.done()
    return pool


def _memory(at: Fields) -> Memory | None:
    if not at.has("memory"):
        return None
    of = at.table_of("memory", "{begin_mb: 200, end_mb: 500, limit_mb: 512}")
    begin_mb = of.integer("begin_mb", 200, 0, NUMBER_MAX)
    memory = Memory(begin_mb, of.integer("end_mb", 500, 0, NUMBER_MAX), of.integer("limit_mb", 512, 0, NUMBER_MAX, 0))
    of.done()
    return memory


def _log(of: Fields) -> LogLine:
    severity = of.text("severity", "error", "info")
    if severity not in SEVERITIES:
        of.refuse("severity", f"{severity!r} is not one of {one_of(SEVERITIES)}")
    line = LogLine(severity, of.text("text", "no connection"), of.integer("per_s", 5, 1, PER_S_MAX))
    of.done()
    return line


def _expected_all(spec: Fields) -> Iterable[Expected]:
    """`expect: []` promises that nothing opens."""
    node = spec.table.values.get("expect")
    nothing = isinstance(node, Items) and not node.values
    if nothing or (isinstance(node, Scalar) and node.text == NONE):
        spec.ignore("expect")
        return ()
    return [_expected(one) for one in spec.tables("expect", "[{slo: availability, cause: pool_exhausted}]")]


def _expected(of: Fields) -> Expected:
    expected = Expected(
        slo=of.name("slo", "availability"),
        line=of.table.line,
        onset_s=of.integer("onset_s", 60, 0, NUMBER_MAX) if of.has("onset_s") else None,
        cause=of.choice("cause", Cause).value if of.has("cause") else None,
        amplifiers=_words(of, "amplifiers", [one.value for one in Amplifier]),
        plan=_words(of, "plan"),
        suggested=_words(of, "suggested"),
        refused=_words(of, "refused", [one.value for one in RefusalReason]),
        ending=of.text("ending", Ending.RECOVERED.value) if of.has("ending") else None,
    )
    endings = ["open", *(one.value for one in Ending)]
    if expected.ending is not None and expected.ending not in endings:
        of.refuse("ending", f"{expected.ending!r} is not one of {one_of(endings)}")
    of.done()
    return expected


def _words(of: Fields, key: str, known: Sequence[str] = ()) -> tuple[str, ...] | None:
    """The words of a field, () for `none`, and None where nothing is written."""
    if not of.has(key):
        return None
    words = of.texts(key, NONE)
    if words == (NONE,):
        return ()
    for word in words:
        if known and word not in known:
            of.refuse(key, f"{word!r} is not one of {one_of([NONE, *known])}")
    return words


def _check(spec: Fields, timeline: Timeline) -> None:
    """Names that the spec set does not have would make a test fail, or hold, for the wrong reason."""
    objectives = [slo.name for slo in timeline.specs.slos if slo.sli.service == timeline.service]
    mitigations = [one.name for one in timeline.specs.mitigations]
    if not timeline.specs.slos:
        return
    if not objectives:
        spec.refuse("service", f"no SLO is about {timeline.service!r}")
        return
    for number, one in enumerate(timeline.expected):
        if one.slo not in objectives:
            spec.refuse(f"expect[{number}].slo", f"{one.slo!r} is not one of {one_of(objectives)}")
        for name in (*(one.plan or ()), *(one.suggested or ())):
            if name not in mitigations:
                spec.refuse(f"expect[{number}].plan", f"{name!r} is not one of {one_of(mitigations)}")
