"""What the public topics tell of incidents, orders and answers, each event once and typed: what people are shown."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from schemas.commands import Command, CommandKind, Outcome
from schemas.envelope import Event
from schemas.events import Closed, IncidentEvent
from schemas.fleet import STORM_TYPE
from schemas.model import Model
from stream.report.story import COMMAND_TYPES, KINDS, OUTCOME_TYPE, Answer, Ordered

LEFT_OUT_MAX = 1_000  # lines; who floods a topic must not fill the memory of those who look

Kind = TypeVar("Kind", bound=IncidentEvent)


@dataclass(slots=True)
class Chapter:
    """One incident: its events in the order of the journal, its orders and answers by the apply command."""

    incident: str
    events: list[IncidentEvent] = field(default_factory=list)
    orders: dict[str, Ordered] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    """Each list is in the order of the actuator's clock."""
    seen: set[tuple[str, str]] = field(default_factory=set)

    def last(self, kind: type[Kind]) -> Kind | None:
        """The latest event of one kind; None where there is none."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    @property
    def over(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Closed)


@dataclass(slots=True)
class Book:
    """All incidents by their id, in the order of their first event, and what could not be read."""

    chapters: dict[str, Chapter] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def take(self, event: Event) -> Model | None:
        """Takes up an event that somebody trusted has signed; what is new of it, or None for a repeat and for what is
        of no use here."""
        try:
            model = _read(event)
        except ValidationError as error:
            self.leave_out(f"{event.id} ({event.type}): {' '.join(str(error).split())}")
            return None
        if event.type == STORM_TYPE:
            return None  # it is no tenant's: `douse incidents` shows it
        if model is None:
            self.leave_out(f"{event.id}: type {event.type} is not known")
            return None
        chapter = self.chapters.setdefault(model.incident, Chapter(model.incident))
        if (event.type, event.id) in chapter.seen:
            return None
        chapter.seen.add((event.type, event.id))
        match model:
            case IncidentEvent():
                insort(chapter.events, model, key=lambda one: (one.journal_offset, one.index))
            case Command():
                if model.kind is CommandKind.APPLY:
                    chapter.orders[model.command] = Ordered(event.time_ms, model)
            case Outcome():
                heard = chapter.answers.setdefault(model.applies, [])
                insort(heard, Answer(event.time_ms, model), key=lambda one: one.at_ms)
        return model

    def leave_out(self, line: str) -> None:
        if len(self.left_out) < LEFT_OUT_MAX:
            self.left_out.append(line)

    def forget(self, closed_max: int) -> None:
        """Drops the oldest incidents that are over, until no more than `closed_max` of them are left."""
        over = [name for name, chapter in self.chapters.items() if chapter.over]
        for name in over[: max(len(over) - closed_max, 0)]:
            del self.chapters[name]


def of(events: Iterable[Event]) -> Book:
    """The book of these events."""
    book = Book()
    for event in events:
        book.take(event)
    return book


def _read(event: Event) -> IncidentEvent | Command | Outcome | None:
    if event.type in KINDS:
        return KINDS[event.type].read(dict(event.data))
    if event.type.startswith(COMMAND_TYPES):
        return Command.read(dict(event.data))
    return Outcome.read(dict(event.data)) if event.type == OUTCOME_TYPE else None
