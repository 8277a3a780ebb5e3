"""Every change that stands, or may stand: whose, what, since when, until when, and how to undo it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from schemas.commands import CommandKind, Outcome
from schemas.events import HandedOver, Planned
from schemas.identity import DEFAULT_ENVIRONMENT
from stream import incidents
from stream.incidents import ID_DIGITS
from stream.people.book import Book, Chapter
from stream.report import units
from stream.report.changes import FORGED, NO_ANSWER, NOT_TRIED, standing_of
from stream.report.model import Standing
from stream.report.story import Answer

COLUMNS = ("command", "plan", "whose", "approved by", "target", "change", "since", "state", "how to undo")
MAY_STAND = frozenset({Standing.ORDERED, Standing.UNCONFIRMED, Standing.CONFIRMED, Standing.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `command` is its apply command. Times are Unix ms."""

    command: str
    plan: str
    incident: str
    environment: str
    tenant: str
    actuator: str
    target: str
    mitigation: str
    parameter: str
    before: str
    after: str
    standing: Standing
    since_ms: int
    """Since when it is live; where nobody said so, when it was ordered."""
    confirm_by_ms: int | None
    """Its actuator takes it back then, unless it hears that it may stand; None once it is confirmed."""
    approved_by: str
    """The operator who approved its plan; empty where douse had leave."""
    undo: str

    def fields(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def whose(self) -> str:
        return self.tenant if self.environment == DEFAULT_ENVIRONMENT else f"{self.environment}/{self.tenant}"


def changes(book: Book) -> list[Change]:
    """What stands by the actuators' own latest word, or was ordered and not answered; the oldest first."""
    found = (change for chapter in book.chapters.values() for change in _of(chapter))
    return sorted(found, key=lambda one: (one.since_ms, one.command))


def cells(one: Change, now_ms: int) -> tuple[str, ...]:
    """A cell for each of COLUMNS."""
    values = f": {one.before} -> {one.after}" if one.after else ""
    until = f", taken back at {incidents.clock(one.confirm_by_ms, now_ms)}" if one.confirm_by_ms else ""
    return (
        one.command[:ID_DIGITS],
        one.plan[:ID_DIGITS],
        one.whose,
        one.approved_by or "auto",
        f"{one.actuator}/{one.target}",
        f"{one.mitigation}, {one.parameter}{values}",
        f"{incidents.clock(one.since_ms, now_ms)}, {units.duration(max(now_ms - one.since_ms, 0))} ago",
        f"{one.standing.value}{until}",
        one.undo or f"douse revert {one.command[:ID_DIGITS]}",
    )


def stands(chapter: Chapter, command: str) -> bool:
    """True where something of the change that `command` ordered stands, or may stand."""
    return any(change.command == command for change in _of(chapter))


def truths(answers: list[Answer]) -> list[Outcome]:
    """The answers that say what is true at the target: a forged record may name any command, and a word that was
    refused changes nothing."""
    return [
        one.outcome
        for one in answers
        if one.outcome.reason not in FORGED
        and (one.outcome.kind is CommandKind.APPLY or one.outcome.status not in NOT_TRIED)
    ]


def _of(chapter: Chapter) -> Iterator[Change]:
    plans = {step.command: told for told in chapter.events if isinstance(told, Planned) for step in told.steps}
    for command in dict.fromkeys((*chapter.orders, *chapter.answers)):
        heard = truths(chapter.answers.get(command, []))
        standing = standing_of(heard[-1]) if heard else _unanswered(chapter, command)
        if standing not in MAY_STAND:
            continue
        ordered, told = chapter.orders.get(command), plans.get(command)
        about = heard[-1] if heard else ordered.command if ordered else None
        if about is None:
            continue  # nothing but forged answers
        lives = [one.live_ms or one.accepted_ms for one in heard if one.kind is CommandKind.APPLY]
        plan = ordered.command.plan if ordered else told.plan if told else ""
        yield Change(
            command=command,
            plan=plan,
            incident=chapter.incident,
            environment=about.environment,
            tenant=about.tenant,
            actuator=about.actuator,
            target=about.target,
            mitigation=about.mitigation,
            parameter=about.parameter,
            before=next((one.before for one in reversed(heard) if one.before), ""),
            after=next((one.after for one in reversed(heard) if one.after), ""),
            standing=standing,
            since_ms=lives[0] if lives else ordered.at_ms if ordered else heard[0].accepted_ms,
            confirm_by_ms=heard[-1].confirm_by_ms if heard else None,
            approved_by=_approved_by(chapter, plan),
            undo=next((one.undo for one in reversed(heard) if one.undo), ""),
        )


def _unanswered(chapter: Chapter, command: str) -> Standing:
    ordered = chapter.orders.get(command)
    place = ordered.command.journal_offset if ordered else 0
    given_up = any(
        isinstance(one, HandedOver) and one.reason == NO_ANSWER and one.journal_offset > place for one in chapter.events
    )
    return Standing.UNKNOWN if given_up else Standing.ORDERED


def _approved_by(chapter: Chapter, plan: str) -> str:
    told = (one.approved_by for one in chapter.events if isinstance(one, Planned) and one.plan == plan)
    return next(told, "")
