"""Two configurations over the same archive: which incidents only one has, and how the others differ."""

from dataclasses import asdict, dataclass
from typing import Any

from stream.backtest.answers import Answers, Incident

SAME_S_MAX = 120  # between two onsets: one burn as two spec sets may see it


@dataclass(frozen=True, slots=True)
class Change:
    """One row of one incident; an empty text: this configuration has no such incident."""

    environment: str
    tenant: str
    service: str
    slo: str
    onset_s: int
    what: str
    first: str
    second: str


def between(first: Answers, second: Answers) -> tuple[Change, ...]:
    """Every difference, in the order of the onsets."""
    left = list(second.incidents.values())
    found: list[Change] = []
    for one in first.incidents.values():
        other = _same(one, left)
        if other is None:
            found.append(_change(one, "incident", f"opens ({one.cause or 'no cause'})", ""))
        else:
            left.remove(other)
            found += _changes(one, other)
    found += [_change(one, "incident", "", f"opens ({one.cause or 'no cause'})") for one in left]
    return tuple(sorted(found, key=lambda one: (one.onset_s, one.environment, one.tenant, one.service, one.slo)))


def fields(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(one) for one in changes]


def words(incident: Incident) -> dict[str, str]:
    """What is compared of an incident, as texts."""
    done = [plan for plan in incident.plans if not plan.suggested]
    shown = [plan for plan in incident.plans if plan.suggested]
    return {
        "tier": incident.tier,
        "cause": incident.cause or "none",
        "would do": "; ".join(", ".join(f"{s.mitigation} on {s.target}" for s in plan.steps) for plan in done)
        or "none",
        "would suggest": "; ".join(", ".join(f"{s.mitigation} on {s.target}" for s in plan.steps) for plan in shown)
        or "none",
        "refused": ", ".join(dict.fromkeys(one.reason for one in incident.refusals)) or "none",
        "ending": incident.ending or "open",
    }


def _same(one: Incident, left: list[Incident]) -> Incident | None:
    near = [other for other in left if other.row == one.row and abs(other.onset_s - one.onset_s) <= SAME_S_MAX]
    return min(near, key=lambda other: abs(other.onset_s - one.onset_s), default=None)


def _changes(one: Incident, other: Incident) -> list[Change]:
    ours, theirs = words(one), words(other)
    return [_change(one, what, text, theirs[what]) for what, text in ours.items() if text != theirs[what]]


def _change(incident: Incident, what: str, first: str, second: str) -> Change:
    return Change(*incident.row, incident.onset_s, what, first, second)
