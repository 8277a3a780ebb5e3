"""OpenSLO v1 as douse reads it: SLOs whose indicator counts spans, every refusal with its line and what would be right.

Read: kinds SLO and SLI; `ratioMetric` (good and total) and `thresholdMetric` (op lte, seconds) with the metric source
type `douse/spans` and spec `{service, kind, match, good}`; budgeting method Occurrences; one rolling window and one
objective. Ours are annotations of the SLO: `douse.dev/acts`, `douse.dev/page-acts`, `douse.dev/tiers`. Other kinds of
OpenSLO are accepted and named as not used. Source: the OpenSLO v1 specification.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from schemas import tiers
from schemas.fields import TRUTH, Fields, nearest, one_of
from schemas.slo import DAY_S, MILLION, Severity, Slo, SpanSli, Tier
from schemas.yamlfile import Document, Problem

API_VERSION = "openslo/v1"
UNUSED_KINDS = ("Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget")
KINDS = ("SLO", "SLI", *UNUSED_KINDS)
SOURCE_TYPE = "douse/spans"
SPAN_KINDS = ("server", "consumer", "client", "producer", "internal")
PERIOD_DAYS = (7, 30)  # the longest default window is 3 d; the hourly rings reach back 30 d 6 h
LATENCY_MS_MAX = 600_000  # a span of more than ten minutes is no request
ACTS, PAGE_ACTS, TIERS = "douse.dev/acts", "douse.dev/page-acts", "douse.dev/tiers"
EXAMPLE_SOURCE = "{metricSource: {type: douse/spans, spec: {service: shop-api, kind: server}}}"
EXAMPLE_GOOD = "good: {errorFree: true, latencyMsMax: 250}"


@dataclass(frozen=True, slots=True)
class Found:
    """The SLOs of a folder with the place of each, and what its author should know."""

    slos: tuple[tuple[Slo, Fields], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Indicator:
    """An SLI before its objective: a threshold one still lacks the threshold's value."""

    sli: SpanSli
    threshold: bool


def read(documents: Sequence[Document], problems: list[Problem]) -> Found:
    """Reads all documents of `openslo/v1`; what is wrong is added to `problems`."""
    slos: list[tuple[Slo, Fields]] = []
    notes: list[str] = []
    named: dict[str, _Indicator | None] = {}
    later: list[tuple[str, Fields]] = []
    for document in documents:
        root = Fields(document.file, "", document.root, problems)
        root.ignore("apiVersion")
        kind = root.text("kind", "SLO")
        place = f"{document.file}:{root.line('kind')}"
        if kind in UNUSED_KINDS:
            notes.append(f"{place}: kind {kind} is not used by douse")
        elif kind == "SLI":
            name = root.table_of("metadata", "{name: shop-requests}").name("name", "shop-requests")
            if name in named:
                root.refuse("metadata", f"another SLI is named {name!r}; give one of them another name")
            named[name] = _indicator(root.table_of("spec", "{ratioMetric: ...}"), "")
            root.done()
        elif kind == "SLO":
            later.append((place, root))
        elif kind:
            root.refuse("kind", f"{kind!r} is not one of {one_of(KINDS)}{nearest(kind, KINDS)}")
    for place, root in later:
        slo = _slo(root, place, named, notes)
        if slo is not None:
            slos.append((slo, root))
    return Found(tuple(slos), tuple(notes))


def _slo(root: Fields, place: str, named: Mapping[str, _Indicator | None], notes: list[str]) -> Slo | None:
    before = len(root.problems)
    metadata = root.table_of("metadata", "{name: shop-availability}")
    name = metadata.name("name", "shop-availability")
    metadata.ignore("displayName", "labels")
    annotations = metadata.table_of("annotations", f"{{{ACTS}: 'true'}}", optional=True)
    spec = root.table_of("spec", "{service: shop-api, indicator: ..., objectives: ...}")
    spec.ignore("description", "alertPolicies")
    service = spec.text("service", "shop-api")
    _check_method(spec)
    period_s = _period_s(spec)
    indicator = _indicator_of(spec, service, named)
    objectives = spec.tables("objectives", "[{target: 0.999}]")
    if len(objectives) > 1:
        spec.refuse(
            "objectives", f"holds {len(objectives)} objectives; douse reads one, write an SLO for each of the others"
        )
    target_ppm, latency_ms_max = _objective(objectives[0], indicator) if objectives else (0, None)
    for asked in (root, metadata, spec):
        asked.done()
    if len(root.problems) > before or indicator is None:
        assert root.problems, "an indicator that could not be read has said why"
        return None
    watched = _tiers(annotations, target_ppm, period_s, f"{place}: SLO {name}", notes)
    acts, page_acts = _leave(annotations, watched)
    if len(root.problems) > before:
        return None
    sli = (
        indicator.sli if latency_ms_max is None else indicator.sli.model_copy(update={"latency_ms_max": latency_ms_max})
    )
    return Slo(
        name=name, sli=sli, target_ppm=target_ppm, period_s=period_s, tiers=watched, acts=acts, page_acts=page_acts
    )


def _check_method(spec: Fields) -> None:
    method = spec.text("budgetingMethod", "Occurrences")
    if method in ("Timeslices", "RatioTimeslices"):
        spec.refuse("budgetingMethod", f"{method} is not read: douse weighs every event alike; write Occurrences")
    elif method and method != "Occurrences":
        spec.refuse("budgetingMethod", f"{method!r} is not known{nearest(method, ['Occurrences'])}; write Occurrences")


def _period_s(spec: Fields) -> int:
    windows = spec.tables("timeWindow", "[{duration: 30d, isRolling: true}]")
    if len(windows) > 1:
        spec.refuse("timeWindow", f"holds {len(windows)} windows; an SLO has one")
    for window in windows[:1]:
        window.forbid("calendar", "calendar windows are not read; write isRolling: true")
        if not window.truth("isRolling", True):
            window.refuse("isRolling", "calendar windows are not read; write isRolling: true")
        duration = window.text("duration", "30d")
        length_s = tiers.seconds(duration)
        least, most = PERIOD_DAYS
        if duration and (length_s is None or length_s % DAY_S or not least <= length_s // DAY_S <= most):
            window.refuse("duration", f"{duration!r} is not from {least}d to {most}d in whole days; write 30d or 28d")
        window.done()
        return length_s or most * DAY_S
    return PERIOD_DAYS[1] * DAY_S


def _indicator_of(spec: Fields, service: str, named: Mapping[str, _Indicator | None]) -> _Indicator | None:
    inline, reference = spec.has("indicator"), spec.has("indicatorRef")
    if inline and reference:
        spec.refuse("indicatorRef", "stands beside indicator; keep one of them")
        return None
    if reference:
        name = spec.text("indicatorRef", "shop-requests")
        if name not in named:
            spec.refuse("indicatorRef", f"no SLI is named {name!r}{nearest(name, named)}; known are {one_of(named)}")
        return named.get(name)
    outer = spec.table_of("indicator", f"{{spec: {{ratioMetric: {{good: {EXAMPLE_SOURCE}, total: ...}}}}}}")
    outer.ignore("metadata")
    found = _indicator(outer.table_of("spec", "{ratioMetric: ...}"), service) if outer.has("spec") else None
    if found is None and inline and not outer.has("spec"):
        outer.refuse("spec", "is missing; write {ratioMetric: ...} or {thresholdMetric: ...} in it")
    outer.done()
    return found


def _indicator(spec: Fields, service: str) -> _Indicator | None:
    """The indicator below an SLI's `spec`, or None after a problem."""
    before = len(spec.problems)
    spec.ignore("description")
    ratio, threshold = spec.has("ratioMetric"), spec.has("thresholdMetric")
    found: SpanSli | None = None
    if ratio == threshold:
        spec.refuse("", "needs one of ratioMetric (good and total) and thresholdMetric")
    elif ratio:
        found = _ratio(spec.table_of("ratioMetric", "{good: ..., total: ...}"), service)
    else:
        found = _source(spec.table_of("thresholdMetric", EXAMPLE_SOURCE), service, with_good=True)
        if found is not None and found.latency_ms_max is not None:
            spec.refuse("thresholdMetric", "good.latencyMsMax stands beside a threshold; the objective's value says it")
    spec.done()
    return None if found is None or len(spec.problems) > before else _Indicator(found, threshold)


def _ratio(metric: Fields, service: str) -> SpanSli | None:
    for key in ("bad", "raw", "rawType"):
        metric.forbid(key, "is not read; write good and total")
    metric.ignore("counter")
    good = _source(metric.table_of("good", EXAMPLE_SOURCE), service, with_good=True)
    total = _source(metric.table_of("total", EXAMPLE_SOURCE), service, with_good=False)
    metric.done()
    if good is None or total is None:
        return None
    for field in ("service", "kinds", "match"):
        if getattr(good, field) != getattr(total, field):
            word = "kind" if field == "kinds" else field
            metric.refuse("good", f"its {word} differs from total's; good spans are those of total that pass `good`")
            return None
    if not good.error_free and good.latency_ms_max is None:
        metric.refuse("good", f"every span would be good; write {EXAMPLE_GOOD}")
    return good


def _source(metric: Fields, service: str, with_good: bool) -> SpanSli | None:
    before = len(metric.problems)
    source = metric.table_of("metricSource", "{type: douse/spans, spec: {service: shop-api}}")
    metric.done()
    if not source.table.values:
        return None
    source.forbid("metricSourceRef", f"data sources are not used; write type: {SOURCE_TYPE} here")
    kind = source.text("type", SOURCE_TYPE)
    if kind != SOURCE_TYPE:
        source.refuse("type", f"{kind!r} is not read{nearest(kind, [SOURCE_TYPE])}; write {SOURCE_TYPE}")
        return None
    spec = source.table_of("spec", "{service: shop-api, kind: server}")
    source.done()
    kinds = spec.texts("kind", "server", optional=True) or ("server", "consumer")
    for word in kinds:
        if word not in SPAN_KINDS:
            spec.refuse("kind", f"{word!r} is not one of {one_of(SPAN_KINDS)}{nearest(word, SPAN_KINDS)}")
    error_free, latency_ms_max = True, None
    if with_good and spec.has("good"):
        good = spec.table_of("good", "{errorFree: true}")
        error_free = good.truth("errorFree", True)
        if good.has("latencyMsMax"):
            latency_ms_max = good.integer("latencyMsMax", 250, 1, LATENCY_MS_MAX)
        good.done()
    elif spec.has("good"):
        spec.refuse("good", "stands in total, where all spans count; write it below good")
    name = spec.text("service", "shop-api", default=service or None)
    match = dict(spec.strings("match"))
    spec.done()
    if len(metric.problems) > before:
        return None
    return SpanSli(service=name, kinds=kinds, match=match, error_free=error_free, latency_ms_max=latency_ms_max)


def _objective(objective: Fields, indicator: _Indicator | None) -> tuple[int, int | None]:
    """Target in events per million, and the threshold in milliseconds where the indicator has one."""
    objective.ignore("displayName")
    if objective.has("target") and objective.has("targetPercent"):
        objective.refuse("targetPercent", "stands beside target; keep one of them")
    percent = objective.has("targetPercent") and not objective.has("target")
    key, example, one = ("targetPercent", "99.9", 100) if percent else ("target", "0.999", 1)
    target = objective.number(key, example)
    target_ppm = 0
    if target is not None:
        target_ppm = _target_ppm(objective, key, target, one, example)
    for key in ("timeSliceTarget", "timeSliceWindow"):
        objective.forbid(key, "belongs to time slices, which are not read; leave it out")
    for key in ("indicator", "indicatorRef", "compositeWeight"):
        objective.forbid(key, "composite objectives are not read; write the indicator below spec")
    latency_ms_max = None
    if indicator is None:
        objective.ignore("op", "value")
    elif indicator.threshold:
        latency_ms_max = _threshold_ms(objective)
    else:
        for key in ("op", "value"):
            objective.forbid(key, "belongs to a thresholdMetric; leave it out of a ratio's objective")
    objective.done()
    return target_ppm, latency_ms_max


def _target_ppm(objective: Fields, key: str, target: Decimal, one: int, example: str) -> int:
    if target >= one:
        objective.refuse(key, f"{target} is not below {one}; write {example}")
    elif target <= 0:
        objective.refuse(key, f"{target} is not above 0; write {example}")
    elif target * MILLION / one != int(target * MILLION / one):
        objective.refuse(key, f"{target} is finer than one event in a million; write {example}")
    else:
        return int(target * MILLION / one)
    return 0


def _threshold_ms(objective: Fields) -> int | None:
    op = objective.text("op", "lte")
    if op and op != "lte":
        objective.refuse("op", f"{op!r} is not read: good is at most the threshold; write lte")
    value = objective.number("value", "0.25")
    if value is None:
        return None
    value_ms = value * 1000
    if value_ms != int(value_ms) or not 1 <= value_ms <= LATENCY_MS_MAX:
        objective.refuse(
            "value", f"{value} is not from 0.001 to {LATENCY_MS_MAX // 1000} seconds in whole ms; write 0.25 for 250 ms"
        )
        return None
    return int(value_ms)


def _tiers(annotations: Fields, target_ppm: int, period_s: int, who: str, notes: list[str]) -> tuple[Tier, ...]:
    if not annotations.has(TIERS):
        kept, left_out = tiers.defaults(target_ppm, period_s)
        notes += [f"{who}: {note}" for note in left_out]
        return kept
    written, wrong = tiers.parse(annotations.text(TIERS, tiers.EXAMPLE))
    if wrong:
        annotations.refuse(TIERS, wrong)
    for tier in written:
        if not tiers.can_fire(tier, target_ppm):
            annotations.refuse(
                TIERS, f"{tier.name} can never fire: {tiers.beyond(tier, target_ppm)}; write a smaller factor"
            )
    return written


def _leave(annotations: Fields, watched: tuple[Tier, ...]) -> tuple[bool, bool]:
    """Whether the objective may lead to a change, and whether its page tiers may."""
    known = (ACTS, PAGE_ACTS, TIERS)
    for key in annotations.table.values:
        if key.startswith("douse.dev/") and key not in known:
            annotations.refuse(key, f"is not known{nearest(key, known)}; known are {one_of(known)}")
    for key in (ACTS, PAGE_ACTS):
        if annotations.has(key) and annotations.text(key, "'true'") not in TRUTH:
            annotations.refuse(key, f"{annotations.text(key, 'true')!r} is not 'true' or 'false'")
            return False, False
    acts = TRUTH[annotations.text(ACTS, "'true'", "false")]
    page_acts = TRUTH[annotations.text(PAGE_ACTS, "'true'", "false")]
    if page_acts and not acts:
        annotations.refuse(PAGE_ACTS, f"is true while {ACTS} is not; write {ACTS}: 'true' as well")
    severities = [tier.severity for tier in watched]
    if acts and Severity.ACT not in severities and not (page_acts and Severity.PAGE in severities):
        annotations.refuse(
            ACTS, f"is true, but no tier that is watched may act; write {PAGE_ACTS}: 'true', or leave it out"
        )
    return acts, page_acts
