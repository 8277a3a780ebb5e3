"""The incidents as they stand: the events of the incidents topic, each counted once, folded to one line an incident."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas import envelope, signing
from schemas.envelope import Event
from schemas.events import INCIDENT_EVENTS, incident_type
from stream.reach import Stored

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


@dataclass(slots=True)
class Board:
    """All incidents by their id, in the order of their first event, and what could not be read."""

    lines: dict[str, Line] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)


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


def _said(kind: str, data: Mapping[str, Any]) -> str:
    """The few words of an event that a table has room for."""
    match kind:
        case "planned" | "suggested":
            return ", ".join(f"{step['mitigation']} on {step['target']}" for step in data["steps"])
        case "refused" | "handed_over" | "verdict":
            return str(data.get("reason", ""))
        case "opened":
            return f"tier {data['tier']}" + (f", joined {data['joined']}" if data.get("joined") else "")
        case "closed":
            return str(data["ending"])
        case _:
            return ""
