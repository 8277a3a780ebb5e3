"""What a replay answers: incidents and causes, what would have been done to whom, refusals, budgets, counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas import events
from schemas.fleet import STORM_TYPE
from stream.backtest import shadow
from stream.backtest.budgets import Spent
from stream.effects import Outlet, Publish

PREFIX = events.incident_type("opened").removesuffix("opened")
INCIDENTS_MAX = 20_000  # 60 MB at 3 kB each; those beyond are counted


@dataclass(frozen=True, slots=True)
class Step:
    """One change that would have been made."""

    mitigation: str
    target: str
    parameter: str
    action: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would have been done, or shown to a person (`suggested`)."""

    at_ms: int
    suggested: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was not done."""

    at_ms: int
    reason: str
    numbers: Mapping[str, int]
    detail: str
    mitigation: str
    target: str


@dataclass(slots=True)
class Incident:
    """One incident, from its events."""

    id: str
    environment: str
    tenant: str
    service: str
    slo: str
    tier: str
    severity: str
    opened_ms: int
    onset_s: int
    joined: bool
    cause: str = ""
    ranked: tuple[tuple[str, str, int], ...] = ()
    """Causes with their suspects and probabilities in millionths, the likeliest first."""
    amplifiers: tuple[str, ...] = ()
    plans: list[Plan] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    handed_over: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    ending: str = ""
    """Empty: it was still open at the end of the archive."""
    closed_ms: int | None = None

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Whose objective it is about."""
        return (self.environment, self.tenant, self.service, self.slo)

    def fields(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Answers:
    """Everything that a replay found. Times are those of the archive."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    incidents_left_out: int = 0
    storms: int = 0
    orders: int = 0
    """Commands that would have gone to an actuator; of a journal, those that went."""
    budgets: tuple[Spent, ...] = ()
    counters: Counter[str] = field(default_factory=Counter)
    """What the engine counted: late, future, unattributed, left out."""
    records: Counter[str] = field(default_factory=Counter)
    """By topic."""
    bytes: int = 0
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By topic and reason."""
    rejected_first: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Partition and offset of the first of each."""
    rejected_total: int = 0
    silence_ms: int = 0
    """Time without a record that the clock jumped over."""
    first_ms: int = 0
    last_ms: int = 0

    def take(self, effect: Publish) -> None:
        """One effect of the engine, in the order in which they come."""
        if effect.outlet is Outlet.COMMANDS:
            self.orders += 1
        elif effect.type == STORM_TYPE:
            self.storms += effect.data["state"] == "began"
        elif effect.type.startswith(PREFIX):
            self._incident(effect.type.removeprefix(PREFIX), effect.data)

    @property
    def refusals(self) -> Counter[str]:
        """How often each reason was told."""
        return Counter(refused.reason for one in self.incidents.values() for refused in one.refusals)

    def unattributed(self) -> dict[str, int]:
        """By kind and why they belong to no tenant."""
        prefix = "unattributed_"
        return {name.removeprefix(prefix): n for name, n in sorted(self.counters.items()) if name.startswith(prefix)}

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "budgets": [asdict(one) for one in self.budgets],
            "bytes": self.bytes,
            "counters": dict(sorted(self.counters.items())),
            "first_ms": self.first_ms,
            "incidents": [one.fields() for one in self.incidents.values()],
            "incidents_left_out": self.incidents_left_out,
            "last_ms": self.last_ms,
            "orders": self.orders,
            "records": dict(sorted(self.records.items())),
            "refusals": dict(self.refusals.most_common()),
            "rejected": [
                {
                    "count": count,
                    "first_offset": self.rejected_first[topic, reason][1],
                    "first_partition": self.rejected_first[topic, reason][0],
                    "reason": reason,
                    "topic": topic,
                }
                for (topic, reason), count in self.rejected.most_common()
            ],
            "rejected_total": self.rejected_total,
            "silence_ms": self.silence_ms,
            "storms": self.storms,
            "unattributed": self.unattributed(),
        }

    def _incident(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "opened":
            self._open(data)
            return
        incident = self.incidents.get(data["incident"])
        if incident is None:
            return
        at_ms = data["at_ms"]
        match name:
            case "diagnosed":
                incident.cause = data["cause"]
                incident.ranked = tuple(
                    (one["cause"], one["suspect"], one["probability_ppm"]) for one in data["ranked"]
                )
                incident.amplifiers = tuple(one["amplifier"] for one in data["amplifiers"] if one["present"])
            case "planned" | "suggested":
                incident.plans.append(Plan(at_ms, name == "suggested", tuple(_step(one) for one in data["steps"])))
            case "refused":
                names = ("reason", "numbers", "detail", "mitigation", "target")
                incident.refusals.append(Refused(at_ms, **{key: data[key] for key in names}))
            case "handed_over" if shadow.DETAIL not in data["detail"]:
                incident.handed_over.append(data["reason"])
            case "verdict":
                incident.verdicts.append(data["verdict"])
            case "closed":
                incident.ending, incident.closed_ms = data["ending"], at_ms
            case _:
                pass

    def _open(self, data: Mapping[str, Any]) -> None:
        if len(self.incidents) >= INCIDENTS_MAX:
            self.incidents_left_out += 1
            return
        names = ("environment", "tenant", "service", "slo", "tier", "severity", "onset_s")
        joined = bool(data.get("joined"))
        self.incidents[data["incident"]] = Incident(
            id=data["incident"], opened_ms=data["at_ms"], joined=joined, **{name: data[name] for name in names}
        )


def _step(row: Mapping[str, Any]) -> Step:
    return Step(row["mitigation"], row["target"], row["parameter"], dict(row["action"]))
