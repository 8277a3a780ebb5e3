"""What people write besides objectives (`apiVersion: douse/v1`): mitigations, runbooks, targets, autonomy, limits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from schemas import envelope
from schemas.fields import Fields, nearest, one_of
from schemas.runbook import (
    STEPS_MAX,
    Action,
    Amplifier,
    Autonomy,
    AutonomyRule,
    Cause,
    Course,
    FreezeWindow,
    Lift,
    Limits,
    Mitigation,
    OnSilence,
    Runbook,
    Scale,
    Set,
    Target,
)
from schemas.yamlfile import Document, Problem

Entry = TypeVar("Entry")

API_VERSION = "douse/v1"
KINDS = ("Mitigation", "Runbook", "Target", "Autonomy", "Limits", "Tenancy")
OPERATIONS = ("scale", "set")
COURSES = "[{amplifiers: [retry_storm], steps: [raise-pool, exponential-backoff]}]"
BOUND_MAX = 2**53 - 1  # above this JSON readers in other languages lose digits
DURATION_MS_MAX = 600_000  # a verdict waits 10 min at most
FACTOR_MAX = 1_000
REPLICAS_MAX = 10_000
WILDCARDS = "*?[]{}"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})Z")
FREEZES = '[{days: [fri, sat], from: "22:00", until: "06:00", why: weekend}]'
FREEZES_MAX = 100  # each is looked at for each change; more would be a calendar, not a list
# Each limit: an example, which is its default, is taken from the model; the bounds keep a slip of the finger out.
LIMIT_MAX = {
    "cooldown_s": 86_400,
    "applies_per_hour_tenant": 100,
    "applies_per_hour_target": 100,
    "applies_per_hour_service": 1_000,
    "applies_per_hour_fleet": 10_000,
    "storm_share_ppm": 1_000_000,
    "storm_tenants_min": 1_000_000,
    "attempts_per_incident": 10,
    "lag_ms_max": 60_000,
    "not_after_ms": 60_000,
    "confirm_quiet_ms": 3_600_000,
    "confirm_grace_ms": 600_000,
    "approval_ms_max": 86_400_000,
}


@dataclass(frozen=True, slots=True)
class Found:
    """The entries of a folder, each with the place where it stands."""

    mitigations: list[tuple[Mitigation, Fields]] = field(default_factory=list)
    runbooks: list[tuple[Runbook, Fields]] = field(default_factory=list)
    targets: list[tuple[Target, Fields]] = field(default_factory=list)
    autonomy: list[tuple[AutonomyRule, Fields]] = field(default_factory=list)
    limits: list[tuple[Limits, Fields]] = field(default_factory=list)
    tenancy: list[tuple[tuple[str, ...], Fields]] = field(default_factory=list)


def read(documents: Sequence[Document], problems: list[Problem]) -> Found:
    """Reads all documents of `douse/v1`; what is wrong is added to `problems`, and only whole entries are found."""
    found = Found()
    for document in documents:
        root = Fields(document.file, "", document.root, problems)
        root.ignore("apiVersion")
        kind = root.text("kind", "Mitigation")
        metadata = root.table_of("metadata", "{name: raise-pool}", optional=kind in ("Autonomy", "Limits", "Tenancy"))
        metadata.ignore("displayName", "labels", "annotations", "name")
        spec = root.table_of("spec", "{...}")
        before = len(problems)
        match kind:
            case "Mitigation":
                _keep(found.mitigations, _mitigation(metadata, spec), spec, before)
            case "Runbook":
                _keep(found.runbooks, _runbook(spec), spec, before)
            case "Target":
                _keep(found.targets, _target(metadata, spec), spec, before)
            case "Autonomy":
                for rule in spec.tables("rules", "[{tenant: acme-corp, mitigation: raise-pool, level: suggest}]"):
                    _keep(found.autonomy, _rule(rule), rule, before)
                spec.done()
            case "Limits":
                _keep(found.limits, _limits(spec), spec, before)
            case "Tenancy":
                attributes = spec.texts("attributes", "[tenant.id, k8s.namespace.name]")
                spec.done()
                _keep(found.tenancy, attributes, spec, before)
            case _:
                if kind:
                    root.refuse("kind", f"{kind!r} is not one of {one_of(KINDS)}{nearest(kind, KINDS)}")
        metadata.done()
        root.done()
    return found


def _keep(entries: list[tuple[Entry, Fields]], entry: Entry, place: Fields, before: int) -> None:
    if len(place.problems) == before:
        entries.append((entry, place))


def _mitigation(metadata: Fields, spec: Fields) -> Mitigation:
    action = _action(spec.table_of("action", "{op: scale, numerator: 2}"))
    numeric = isinstance(action, Scale) or (isinstance(action.value, int) and not isinstance(action.value, bool))
    minimum = spec.integer("minimum", 1, -BOUND_MAX, BOUND_MAX, default=None if numeric else 0)
    maximum = spec.integer("maximum", 64, -BOUND_MAX, BOUND_MAX, default=None if numeric else 0)
    mitigation = Mitigation(
        name=metadata.name("name", "raise-pool"),
        parameter=spec.name("parameter", "pool_size"),
        action=action,
        minimum=minimum,
        maximum=maximum,
        settle_ms=spec.integer("settle_ms", 1000, 0, DURATION_MS_MAX, default=1000),
        rollout_ms=spec.integer("rollout_ms", 5000, 0, DURATION_MS_MAX, default=0),
        on_silence=spec.choice("on_silence", OnSilence, OnSilence.REVERT),
        mend=spec.text("mend", "what a person should still do", default=""),
        degrades=spec.truth("degrades", False),
        capacity=spec.truth("capacity", False),
        cuts_retries=spec.truth("cuts_retries", False),
        temporary=spec.truth("temporary", False),
    )
    if numeric and spec.has("minimum") and spec.has("maximum"):
        if minimum > maximum:
            spec.refuse("maximum", f"{maximum} is below the minimum {minimum}; write a number from {minimum}")
        elif isinstance(action, Set) and not minimum <= int(action.value) <= maximum:
            spec.refuse(
                "action", f"sets {action.value}, which is outside {minimum} to {maximum}; write a value between"
            )
    spec.done()
    return mitigation


def _action(action: Fields) -> Action:
    op = action.text("op", "scale") if action.table.values else "scale"
    if op not in OPERATIONS:
        action.refuse("op", f"{op!r} is not one of {one_of(OPERATIONS)}{nearest(op, OPERATIONS)}")
        return Scale(numerator=2)
    result: Action
    if op == "set":
        result = Set(value=action.scalar("value", "64"))
    else:
        numerator = action.integer("numerator", 2, 1, FACTOR_MAX) if action.table.values else 2
        denominator = action.integer("denominator", 1, 1, FACTOR_MAX, default=1)
        if numerator == denominator and action.table.values:
            action.refuse("numerator", f"{numerator}/{denominator} changes nothing; write e.g. numerator: 2")
        result = Scale(numerator=numerator, denominator=denominator)
    action.done()
    return result


def _runbook(spec: Fields) -> Runbook:
    cause = spec.choice("cause", Cause)
    if cause is Cause.UNKNOWN:
        spec.refuse("cause", "what is not known is handed to a person; a runbook needs a cause that is named")
    service = spec.text("service", "shop-api") if spec.has("service") else None
    if spec.has("courses"):
        spec.forbid("mitigations", "stands beside courses; write each one as a course of its own")
        courses = tuple(course for place in spec.tables("courses", COURSES) if (course := _course(place)) is not None)
    else:
        names = spec.texts("mitigations", "[raise-pool]")
        courses = tuple(Course(steps=(name,)) for name in names)
    runbook = Runbook(cause=cause, service=service, courses=courses)
    spec.done()
    return runbook


def _course(course: Fields) -> Course | None:
    steps = course.texts("steps", "[raise-pool, exponential-backoff]")
    named = course.texts("amplifiers", "[retry_storm]", optional=True)
    known = [one.value for one in Amplifier]
    for word in named:
        if word not in known:
            course.refuse("amplifiers", f"{word!r} is not one of {one_of(known)}{nearest(word, known)}")
    if len(steps) > STEPS_MAX:
        course.refuse("steps", f"has {len(steps)} steps, at most {STEPS_MAX} make a plan")
    if len(set(steps)) < len(steps):
        course.refuse("steps", "names a mitigation twice; each step changes something else")
    lift = course.choice("lift", Lift, Lift.SUGGEST)
    course.done()
    if not steps or len(steps) > STEPS_MAX or not set(named) <= set(known):
        return None
    return Course(steps=steps, amplifiers=tuple(Amplifier(word) for word in named), lift=lift)


def _target(metadata: Fields, spec: Fields) -> Target:
    target = Target(
        id=metadata.name("name", "acme-pool"),
        actuator=spec.name("actuator", "local"),
        environment=_explicit(spec, "environment", "default", optional=True),
        tenants=_explicit_all(spec, "tenants", "[acme-corp]"),
        service=_explicit(spec, "service", "shop-api"),
        parameter=spec.name("parameter", "pool_size"),
        replicas=spec.integer("replicas", 1, 1, REPLICAS_MAX, default=1),
        connections_max=spec.integer("connections_max", 200, 1, BOUND_MAX, default=0),
    )
    spec.done()
    return target


def _rule(rule: Fields) -> AutonomyRule:
    level = rule.choice("level", Autonomy)
    entry = AutonomyRule(
        environment=_explicit(rule, "environment", "default", optional=True),
        tenant=_explicit(rule, "tenant", "acme-corp"),
        mitigation=_explicit(rule, "mitigation", "raise-pool"),
        level=level,
    )
    rule.done()
    return entry


def _limits(spec: Fields) -> Limits:
    safe = Limits()
    given = {
        key: spec.integer(key, getattr(safe, key), 0 if key == "cooldown_s" else 1, most, default=getattr(safe, key))
        for key, most in LIMIT_MAX.items()
    }
    places = spec.tables("freeze", FREEZES) if spec.has("freeze") else ()
    if len(places) > FREEZES_MAX:
        spec.refuse("freeze", f"has {len(places)} windows, at most {FREEZES_MAX} are kept")
    windows = tuple(_freeze(place) for place in places)
    spec.done()
    return Limits(**given, freeze=windows)


def _freeze(place: Fields) -> FreezeWindow:
    """A window of each week in hours of the UTC day, or one from a moment until a moment."""
    days = place.texts("days", "[fri, sat]", optional=True)
    for word in days:
        if word not in DAYS:
            place.refuse("days", f"{word!r} is not one of {one_of(DAYS)}{nearest(word, DAYS)}")
    start, end = place.text("from", "'22:00'"), place.text("until", "'06:00'")
    why = place.text("why", "the weekend", default="")
    place.done()
    if HOUR.fullmatch(start) and HOUR.fullmatch(end):
        numbers = tuple(DAYS.index(word) for word in days if word in DAYS)
        return FreezeWindow(days=numbers, from_min=_minutes(start), until_min=_minutes(end), why=why)
    from_ms, until_ms = _moment_ms(start), _moment_ms(end)
    if from_ms is None or until_ms is None:
        wrong = "until" if from_ms is not None or HOUR.fullmatch(start) else "from"
        place.refuse(
            wrong, f'{place.text(wrong, "")!r} is no time; write both as "22:00" or both as "2026-12-24T00:00:00Z", UTC'
        )
        return FreezeWindow()
    if days:
        place.refuse("days", "stands beside a date; a window comes each week, or once")
    if until_ms <= from_ms:
        place.refuse("until", "is not after from; the window would hold no time")
    return FreezeWindow(from_ms=from_ms, until_ms=until_ms, why=why)


def _minutes(hour: str) -> int:
    return int(hour[:2]) * 60 + int(hour[3:])


def _moment_ms(text: str) -> int | None:
    found = MOMENT.fullmatch(text)
    try:
        return envelope.from_rfc3339(f"{found[1]}.000Z") if found else None
    except envelope.NotAnEvent:
        return None


def _explicit(fields: Fields, key: str, example: str, optional: bool = False) -> str:
    """A word that names exactly one thing: an empty or open selector once meant everything, and hurt people."""
    word = fields.text(key, example, default="default" if optional else None)
    if any(sign in word for sign in WILDCARDS):
        fields.refuse(key, f"{word!r} is a wildcard, which is not read; name each one, as {example}")
    return word


def _explicit_all(fields: Fields, key: str, example: str) -> tuple[str, ...]:
    words = fields.texts(key, example)
    for word in words:
        if any(sign in word for sign in WILDCARDS):
            fields.refuse(key, f"{word!r} is a wildcard, which is not read; name each one, as {example}")
    return words
