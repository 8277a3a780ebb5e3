"""The events of one incident from the public topics, each once, typed and in order: what a report is made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from schemas.commands import Command, Outcome
from schemas.envelope import Event
from schemas.events import INCIDENT_EVENTS, IncidentEvent, Opened, incident_type
from schemas.model import Model

LATEST = "latest"
KINDS = {incident_type(name): model for name, model in INCIDENT_EVENTS.items()}
COMMAND_TYPES, OUTCOME_TYPE = "dev.douse.command.", "dev.douse.outcome"
LISTED_MAX = 20  # a person picks from a screen

Kind = TypeVar("Kind", bound=IncidentEvent)


class UnknownIncident(ValueError):
    """No incident of that name is on the topics; the message lists those that are."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command, and journal time when it was given."""

    at_ms: int
    command: Command


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome, and the actuator's time when it was sent."""

    at_ms: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Story:
    """`events` are in the order of the journal, `answers` in that of the actuator's clock."""

    opened: Opened
    events: tuple[IncidentEvent, ...]
    orders: tuple[Ordered, ...]
    answers: tuple[Answer, ...]
    left_out: tuple[str, ...]

    def of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """All events of one kind."""
        return tuple(event for event in self.events if isinstance(event, kind))

    def last(self, kind: type[Kind]) -> Kind | None:
        """The latest event of one kind; None where there is none."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    @property
    def onset_ms(self) -> int:
        return self.opened.onset_s * 1000


def tell(events: Iterable[Event], incident: str) -> Story:
    """Gathers what concerns the incident. Repeats of an id are dropped, the first occurrence counts. Answers about
    another tenant are left aside: a record can name any incident, and a report about one tenant names no other.

    Raises UnknownIncident where its opening is not among the events.
    """
    seen: set[tuple[str, str]] = set()
    told: list[IncidentEvent] = []
    orders: list[Ordered] = []
    answers: list[Answer] = []
    left_out: list[str] = []
    for event in events:
        if event.data.get("incident") != incident or (event.type, event.id) in seen:
            continue
        seen.add((event.type, event.id))
        try:
            match _read(event):
                case IncidentEvent() as model:
                    told.append(model)
                case Command() as command:
                    orders.append(Ordered(event.time_ms, command))
                case Outcome() as outcome:
                    answers.append(Answer(event.time_ms, outcome))
                case _:
                    left_out.append(f"{event.id}: type {event.type} is not known")
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            left_out.append(f"{event.id} ({event.type}): {wrong}")
    told.sort(key=lambda one: (one.journal_offset, one.index))
    opened = next((one for one in told if isinstance(one, Opened)), None)
    if opened is None:
        raise UnknownIncident(f"the opening of incident {incident} is not on the topic")
    tenant = (opened.environment, opened.tenant)
    return Story(
        opened,
        tuple(told),
        tuple(sorted(orders, key=lambda one: (one.command.journal_offset, one.command.index))),
        tuple(
            sorted(
                (one for one in answers if (one.outcome.environment, one.outcome.tenant) == tenant),
                key=lambda one: one.at_ms,
            )
        ),
        tuple(left_out),
    )


def find(events: Iterable[Event], wanted: str) -> str:
    """The incident that `wanted` names: its id, a beginning of it that fits no other, or `latest`.

    Raises UnknownIncident, listing what there is, the newest first.
    """
    known = {event.data.get("incident"): event for event in events if KINDS.get(event.type) is Opened}
    newest = sorted(known.items(), key=lambda item: (item[1].time_ms, str(item[0])), reverse=True)
    fitting = [str(incident) for incident, _ in newest if str(incident).startswith(wanted)]
    if wanted == LATEST and newest:
        return str(newest[0][0])
    if wanted in fitting:
        return wanted
    if wanted and len(fitting) == 1:
        return fitting[0]
    if not newest:
        raise UnknownIncident("there is no incident on the topic")
    why = (
        f"{len(fitting)} incidents begin with {wanted!r}" if wanted and fitting else f"no incident is named {wanted!r}"
    )
    lines = [
        f"  {incident}  {event.data.get('tenant')}/{event.data.get('service')}  {event.data.get('slo')}"
        for incident, event in newest
        if not fitting or str(incident) in fitting
    ]
    more = [f"  and {len(lines) - LISTED_MAX} older ones"] if len(lines) > LISTED_MAX else []
    raise UnknownIncident("\n".join([f"{why}; there are", *lines[:LISTED_MAX], *more]))


def _read(event: Event) -> Model | None:
    if event.type in KINDS:
        return KINDS[event.type].read(dict(event.data))
    if event.type.startswith(COMMAND_TYPES):
        return Command.read(dict(event.data))
    return Outcome.read(dict(event.data)) if event.type == OUTCOME_TYPE else None
