"""The incidents as they stand: the events of the incidents topic, each counted once, folded to one line an incident."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas import envelope, signing
from schemas.envelope import Event
from schemas.events import INCIDENT_EVENTS, Suggestion, incident_type
from schemas.fleet import STORM_TYPE, Storm, StormState
from schemas.identity import DEFAULT_ENVIRONMENT
from stream.reach import Stored

ID_DIGITS = 12  # 48 bits: enough to tell the incidents of a topic apart, and `douse report` takes a beginning
WIDE = ("incident", "tenant", "service", "SLO", "opened_utc", "state", "since_utc", "cause", "verdict", "details")
NARROW = ("incident", "opened", "tenant, SLO", "state", "cause, verdict, details")
KINDS = {incident_type(name): name for name in INCIDENT_EVENTS}


@dataclass(frozen=True, slots=True)
class Line:
    """One incident at its latest event."""

    incident: str
    environment: str
    tenant: str
    service: str
    slo: str
    opened_ms: int
    changed_ms: int
    state: str
    cause: str = ""
    verdict: str = ""
    said: str = ""

    def fields(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def whose(self) -> str:
        return self.tenant if self.environment == DEFAULT_ENVIRONMENT else f"{self.environment}/{self.tenant}"

    def wide(self, now_ms: int) -> tuple[str, ...]:
        """A cell for each column of WIDE."""
        opened, since = clock(self.opened_ms, now_ms), clock(self.changed_ms, now_ms)
        head = (self.incident[:ID_DIGITS], self.whose, self.service, self.slo)
        return (*head, opened, self.state, since, self.cause, self.verdict, self.said)

    def narrow(self, now_ms: int) -> tuple[str, ...]:
        """A cell for each column of NARROW, of two lines where that saves width: it fits a screen of 80 columns."""
        told = (self.cause, self.verdict, self.said)
        return (
            self.incident[:ID_DIGITS],
            clock(self.opened_ms, now_ms).replace(" ", "\n"),
            f"{self.whose}\n{self.slo}",
            f"{self.state}\n{clock(self.changed_ms, now_ms)}",
            ", ".join(dict.fromkeys(word for word in told if word)),
        )


@dataclass(slots=True)
class Board:
    """All incidents by their id, in the order of their first event, and what could not be read."""

    lines: dict[str, Line] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)


def clock(at_ms: int, now_ms: int) -> str:
    """HH:MM:SS, with the date before it where that is not today's; UTC."""
    at, now = (datetime.fromtimestamp(ms // 1000, UTC) for ms in (at_ms, now_ms))
    return at.strftime("%H:%M:%S" if at.date() == now.date() else "%Y-%m-%d %H:%M:%S")


async def fold(records: AsyncIterator[Stored], trusted: Mapping[str, Ed25519PublicKey]) -> Board:
    """The board after these records. Repeats are dropped by their id; what no trusted key signed is not shown."""
    board = Board()
    seen: set[str] = set()
    async for stored in records:
        place = f"partition {stored.partition} offset {stored.offset}"
        try:
            event = envelope.decode(stored.headers, stored.value)
        except envelope.NotAnEvent as error:
            board.rejected.append(f"{place}: {error}")
            continue
        if event.id in seen:
            continue
        if not signing.signer(trusted, event.keyid, event.signature, event.type, event.id, event.source, event.data):
            board.rejected.append(f"{place}: not signed by a trusted command key")
            continue
        seen.add(event.id)
        _take(board, event, place)
    return board


def _take(board: Board, event: Event, place: str) -> None:
    if event.type == STORM_TYPE:
        _take_storm(board, event, place)
        return
    kind = KINDS.get(event.type)
    if kind is None:
        board.rejected.append(f"{place}: type {event.type} is not known")
        return
    try:
        model = INCIDENT_EVENTS[kind].read(event.data)
    except ValueError as error:
        board.rejected.append(f"{place}: {' '.join(str(error).split())}")
        return
    before = board.lines.get(model.incident)
    data = event.data
    cause = data.get("cause") or (before.cause if before else "")
    verdict = data.get("verdict") or (before.verdict if before else "")
    board.lines[model.incident] = Line(
        incident=model.incident,
        environment=model.environment,
        tenant=model.tenant,
        service=model.service,
        slo=model.slo,
        opened_ms=before.opened_ms if before else model.at_ms,
        changed_ms=model.at_ms,
        state=kind,
        cause=cause,
        verdict=verdict,
        said=_said(kind, data),
    )


def _take_storm(board: Board, event: Event, place: str) -> None:
    """One line for all tenants of a storm."""
    try:
        storm = Storm.read(event.data)
    except ValueError as error:
        board.rejected.append(f"{place}: {' '.join(str(error).split())}")
        return
    before = board.lines.get(storm.storm)
    wanted = f"; would fit: {', '.join(storm.steps)}" if storm.steps else ""
    doubt = "" if storm.observer_healthy else f"; douse itself: {storm.observer}"
    board.lines[storm.storm] = Line(
        incident=storm.storm,
        environment=DEFAULT_ENVIRONMENT,
        tenant=f"{storm.alarming} of {storm.tenants} tenants",
        service=", ".join(storm.services),
        slo="",
        opened_ms=before.opened_ms if before else storm.at_ms,
        changed_ms=storm.at_ms,
        state="storm over" if storm.state is StormState.OVER else "storm",
        cause=storm.cause,
        said=f"nobody is touched{wanted}{doubt}",
    )


def _said(kind: str, data: Mapping[str, Any]) -> str:
    """The few words of an event that a table has room for."""
    match kind:
        case "planned" | "suggested":
            back = "take back " if data.get("kind") == Suggestion.LIFT else ""
            shared = f"; shared by {data['tenants']} tenants" if data.get("tenants", 1) > 1 else ""
            return back + ", ".join(f"{step['mitigation']} on {step['target']}" for step in data["steps"]) + shared
        case "decided":
            taken = "" if data["taken"] else f", not taken: {data['detail']}"
            return f"{data['by']} said {data['word']}{taken}"
        case "lifted":
            return f"{data['step']['mitigation']} {data['state']}"
        case "refused" | "handed_over" | "verdict":
            return str(data.get("reason", ""))
        case "opened":
            return f"tier {data['tier']}" + (f", joined {data['joined']}" if data.get("joined") else "")
        case "closed":
            return str(data["ending"])
        case _:
            return ""
