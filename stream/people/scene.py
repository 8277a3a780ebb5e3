"""What `douse watch` shows: tenants, open incidents, the step in progress and the last refusals, as rows of text.

Pure: a scene is folded from events and told as of a moment.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import Event
from schemas.events import STATUS_TYPE, Diagnosed, Lifted, LiftState, Planned, Refused, Status, StatusRow
from schemas.model import Model
from stream import incidents
from stream.people import standing, telling, waiting
from stream.people.book import Book, Chapter
from stream.report import changes, units
from stream.report.model import Standing

CLOSED_MAX = 200  # incidents that are over and still remembered, for repeats that come late
REFUSALS_MAX = 5
TENANTS_MAX = 40  # rows of a screen; the burning ones come first, the rest is counted
SILENT_MS = 3_000  # a shard says how it is once a second; older than this, nobody knows

TENANT_COLUMNS = ("tenant", "SLO", "data", "burn", "p99", "incident")
INCIDENT_COLUMNS = ("incident", "whose", "cause", "now")
REFUSAL_COLUMNS = ("at", "whose", "refused")
WAITING_COLUMNS = ("plan", "whose", "kind", "steps", "answer with")


@dataclass(frozen=True, slots=True)
class Board:
    """A titled table of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    urgent: frozenset[int] = frozenset()
    """Numbers of the rows that burn."""


@dataclass(slots=True)
class Scene:
    """All that was seen so far."""

    book: Book = field(default_factory=Book)
    status: dict[int, Status] = field(default_factory=dict)
    refusals: deque[Refused] = field(default_factory=lambda: deque(maxlen=REFUSALS_MAX))

    def take(self, event: Event) -> Model | None:
        """Takes up an event; what is new of it, apart from the status, which is new all the time."""
        if event.type == STATUS_TYPE:
            try:
                status = Status.read(dict(event.data))
            except ValueError as error:
                self.book.leave_out(f"{event.id} ({event.type}): {' '.join(str(error).split())}")
                return None
            known = self.status.get(status.shard)
            if known is None or status.at_ms >= known.at_ms:
                self.status[status.shard] = status
            return None
        model = self.book.take(event)
        if isinstance(model, Refused):
            self.refusals.append(model)
        self.book.forget(CLOSED_MAX)
        return model

    def boards(self, now_ms: int) -> list[Board]:
        """One frame."""
        shown = [self._tenants(now_ms), self._incidents(now_ms), self._waiting(now_ms), self._refusals(now_ms)]
        return [board for board in shown if board.rows or board.columns == TENANT_COLUMNS]

    def fields(self, now_ms: int) -> dict[str, Any]:
        """The same frame for a program."""
        return {
            "tenants": [row.fields() | {"age_ms": now_ms - at_ms} for at_ms, row in self._rows()],
            "incidents": [
                {"incident": one.incident, "now": progress(one, now_ms), "tenant": one.events[-1].tenant}
                for one in self._open()
            ],
            "waiting": [one.fields() for one in waiting.waiting(self.book, {}, now_ms)],
            "refusals": [one.fields() for one in self.refusals],
            "left_out": sum(status.rows_left_out for status in self.status.values()),
        }

    def _rows(self) -> list[tuple[int, StatusRow]]:
        rows = [(status.at_ms, row) for status in self.status.values() for row in status.rows]
        return sorted(
            rows,
            key=lambda one: (not one[1].fires, one[1].phase is None, one[1].environment, one[1].tenant, one[1].slo),
        )

    def _tenants(self, now_ms: int) -> Board:
        rows = self._rows()
        left = len(rows) - TENANTS_MAX if len(rows) > TENANTS_MAX else 0
        left += sum(status.rows_left_out for status in self.status.values())
        silent = sum(now_ms - status.at_ms > SILENT_MS for status in self.status.values())
        title = f"{len(self.status)} {'shard' if len(self.status) == 1 else 'shards'}" + (
            f", {silent} of them silent" if silent else ""
        )
        title += f"; {left} rows not shown" if left else ""
        shown = rows[:TENANTS_MAX]
        urgent = frozenset(number for number, (_, row) in enumerate(shown) if row.fires)
        cells = tuple(tenant_cells(row, at_ms, now_ms) for at_ms, row in shown)
        return Board(title if self.status else "no shard has told anything yet", TENANT_COLUMNS, cells, urgent)

    def _open(self) -> list[Chapter]:
        found = (one for one in self.book.chapters.values() if one.events and not one.over)
        return sorted(found, key=lambda one: (one.events[0].at_ms, one.incident))

    def _incidents(self, now_ms: int) -> Board:
        rows = []
        for chapter in self._open():
            last, diagnosed = chapter.events[-1], chapter.last(Diagnosed)
            cause = diagnosed.cause if diagnosed else ""
            name = telling.whose(last.environment, last.tenant)
            rows.append((chapter.incident[: telling.ID_DIGITS], name, cause, progress(chapter, now_ms)))
        return Board("open incidents", INCIDENT_COLUMNS, tuple(rows))

    def _waiting(self, now_ms: int) -> Board:
        rows = tuple(
            (
                one.told.plan[: telling.ID_DIGITS],
                one.whose,
                f"{one.told.kind.value}{telling.shared(one.told.tenants)}",
                telling.steps(one.told.steps),
                f"douse approve {one.told.plan[: telling.ID_DIGITS]}" if one.approvable else "specs: autonomy",
            )
            for one in waiting.waiting(self.book, {}, now_ms)
        )
        return Board("suggestions that wait for a person", WAITING_COLUMNS, rows)

    def _refusals(self, now_ms: int) -> Board:
        rows = tuple(
            (incidents.clock(one.at_ms, now_ms), telling.whose(one.environment, one.tenant), telling.refused(one))
            for one in reversed(self.refusals)
        )
        return Board("last refusals", REFUSAL_COLUMNS, rows)


def tenant_cells(row: StatusRow, at_ms: int, now_ms: int) -> tuple[str, ...]:
    """A cell for each of TENANT_COLUMNS; `burn` is that of the fastest tier, long and short window."""
    silent = now_ms - at_ms > SILENT_MS
    data = f"silent for {units.duration(now_ms - at_ms)}" if silent else row.data_state
    burn = f"{row.long_milli / 1000:.1f}x / {row.short_milli / 1000:.1f}x ({row.tier})"
    p99 = units.latency(row.p99_us) if row.p99_us else "-"
    return (telling.whose(row.environment, row.tenant), row.slo, data, burn, p99, row.phase or "-")


def progress(chapter: Chapter, now_ms: int) -> str:
    """How far an incident is: the step in progress while a plan is carried out, else its latest event in words."""
    planned, last = chapter.last(Planned), chapter.events[-1]
    if isinstance(last, Lifted) and last.state in (LiftState.TRYING, LiftState.HURTS):
        return telling.incident(last)
    if planned is None or last is not planned:
        return telling.incident(last)
    total = len(planned.steps)
    for number, step in enumerate(planned.steps, 1):
        heard = standing.truths(chapter.answers.get(step.command, []))
        place = f"step {number} of {total}: {step.mitigation} on {step.actuator}/{step.target}"
        if not heard:
            ordered = chapter.orders.get(step.command)
            since_ms = ordered.at_ms if ordered else planned.at_ms
            word = "ordered" if ordered else "waits for its order"
            return f"{place}: {word}, {units.duration(max(now_ms - since_ms, 0))}"
        found = changes.standing_of(heard[-1])
        if found not in (Standing.UNCONFIRMED, Standing.CONFIRMED):
            return f"{place}: {found.value}"
    return f"{total} of {total} steps live, their effect is counted"


def plain(boards: Sequence[Board], told: dict[str, str]) -> list[str]:
    """A line for each tenant about which something changed since `told`, which is brought up to date. Burn and p99
    change all the time: they are shown as they are when something else changes."""
    lines = []
    for board in (board for board in boards if board.columns == TENANT_COLUMNS):
        for number, (tenant, slo, data, burn, p99, phase) in enumerate(board.rows):
            state = "burning" if number in board.urgent else "not burning"
            changed = f"{tenant} {slo}: {state}, data {data.split()[0]}, incident {phase}"
            if told.get(f"{tenant} {slo}") != changed:
                told[f"{tenant} {slo}"] = changed
                lines.append(f"{changed}; burn {burn}, p99 {p99}")
    return lines
