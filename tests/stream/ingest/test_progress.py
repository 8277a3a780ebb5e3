"""What shards hear of a worker's position, and what makes a worker that stands end itself."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest

from schemas import journal
from schemas.journal import Progress
from stream.faustlib import exits
from stream.ingest import progress
from stream.ingest.batch import Outgoing, Partition, ToJournal
from stream.ingest.intake import Standing
from stream.ingest.progress import Reporter

SPANS = ("spans", 0)
SHARDS = 3


class LeftError(Exception):
    """Stands for the end of the process."""


@dataclass
class World:
    """Intake, broker and journal as far as a reporter sees them."""

    generation: int = 1
    end: int = 10
    fetched: int | None = None
    held: bool = False
    standings: dict[Partition, Standing] = field(default_factory=lambda: {SPANS: Standing(9, newest_ms=77)})
    sent: list[Outgoing] = field(default_factory=list)
    moves_to: int | None = None
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.reporter = Reporter("boot", SHARDS, self, self, self, self.next_offset, self.unread)  # type: ignore[arg-type]
        self.reporter.begin({"spans": 4})

    def holds(self, _: Partition) -> bool:
        return self.held

    async def ends(self, partitions: list[Partition]) -> dict[Partition, int]:
        if self.moves_to is not None:
            self.standings[SPANS].position = self.moves_to
        return dict.fromkeys(partitions, self.end)

    async def next_offset(self, _: Partition) -> int | None:
        return self.fetched

    async def send(self, outgoing: list[Outgoing]) -> None:
        self.sent += outgoing

    def position(self) -> int:
        """The position in the next report, which all shards must hear alike."""
        self.sent.clear()
        asyncio.run(self.reporter.report())
        assert {each.shard for each in self.sent if isinstance(each, ToJournal)} == set(range(SHARDS))
        bodies = [journal.decode(journal.Record(0, 0, 0, e.kind, 1, e.value)) for e in self.sent]  # type: ignore[union-attr]
        assert all(isinstance(body, Progress) and body == bodies[0] for body in bodies)
        return bodies[0].sources[0].position  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(message: str) -> NoReturn:
        raise LeftError(message)

    monkeypatch.setattr(exits, "again", leave)
    monkeypatch.setattr(exits, "operator", leave)


def test_every_shard_hears_the_position_and_the_end() -> None:
    world = World()
    assert world.position() == 9
    body = journal.decode(journal.Record(0, 0, 0, "progress", 1, world.sent[0].value))
    [source] = body.sources
    assert (source.partitions, source.high_watermark, source.newest_end_ms, body.boot) == (4, 10, 77, "boot")


def test_a_source_that_is_switched_off_is_told_to_have_no_partitions() -> None:
    """A shard that has heard of it before must not wait for it."""
    world = World(unread=("logs",))
    assert world.position() == 9
    body = journal.decode(journal.Record(0, 0, 0, "progress", 1, world.sent[0].value))
    assert [(source.topic, source.partitions) for source in body.sources] == [("spans", 4), ("logs", 0)]


def test_nothing_is_said_while_no_generation_is_at_work() -> None:
    world = World(generation=-1)
    asyncio.run(world.reporter.report())
    assert world.sent == []


def test_a_position_beyond_the_end_is_a_topic_made_anew() -> None:
    with pytest.raises(LeftError, match=r"spans\[0\] ends at 9, 9 was read.*douse state rebase"):
        World(end=9).position()


def test_what_is_read_while_the_ends_are_asked_for_is_no_topic_made_anew() -> None:
    assert World(moves_to=12).position() == 9


def test_a_tail_without_records_counts_as_read_when_it_is_seen_twice() -> None:
    world = World(end=11, fetched=11)
    assert [world.position(), world.position(), world.position()] == [9, 10, 10]


@pytest.mark.parametrize("change", [{"held": True}, {"fetched": 10}, {"fetched": None}])
def test_a_tail_that_may_hold_records_is_lag(change: dict[str, Any]) -> None:
    world = World(end=11, **{"fetched": 11, **change})
    assert [world.position(), world.position()] == [9, 9]


def test_a_worker_that_stands_while_the_lag_grows_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s)
    world = World(end=11)
    world.position()
    now_s = progress.STANDS_S_MAX + 1
    world.position()  # the end did not grow: no new record, no reproach
    world.end = 12
    world.position()
    now_s += progress.STANDS_S_MAX + 1
    world.end = 13
    with pytest.raises(LeftError, match="stands at 9"):
        world.position()
