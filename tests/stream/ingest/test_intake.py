"""What ingest holds goes out together and is acknowledged in order, once, and only by the generation that read it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import rows
from detectors.rows import Builder, Entities, Reduced, Source
from schemas import journal
from schemas.identity import Entity
from stream.ingest.batch import FUTURE_MS_MAX, DeadLetter, Outgoing, Partition, ToJournal
from stream.ingest.doors import Content, Incoming, Refused
from stream.ingest.intake import Intake

SHARDS = 4
SPANS, METRICS = "spans", "metrics"


def reduced(incoming: Incoming, names: int = 1) -> Reduced:
    """Unattributed rows are the simplest: `names` services of an environment nobody owns, in shard 0."""
    entities = Entities((Entity(f"e{name}", "", "s" * 200) for name in range(names)), SHARDS)
    builder = Builder(Source(incoming.number, incoming.stored.offset, 0), entities)
    one = np.ones(names, np.uint32)
    columns = {"reason": np.ones(names, np.uint8), "spans": one, "points": 0 * one, "logs": 0 * one}
    builder.add("unattributed", np.arange(names), columns)
    return builder.reduced(1000 + incoming.stored.offset)


@dataclass
class Broker:
    """A sender that a test opens and closes, and Faust as far as the intake sees it."""

    generation: int = 1
    sent: list[list[Outgoing]] = field(default_factory=list)
    acked: list[tuple[str, int, int]] = field(default_factory=list)
    announced: list[tuple[int, int]] = field(default_factory=list)
    beginning: int = 0
    there: list[int] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    spawned: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open.set()
        self.intake = Intake(self, self, self.announce, lambda: self.generation, self.spawn, self.left.append)

    async def send(self, outgoing: list[Outgoing]) -> None:
        self.sent.append(list(outgoing))
        await self.open.wait()

    async def next_record(self, _: Partition, offset: int) -> int:
        return next(there for there in sorted(self.there) if there >= offset)

    async def beginnings(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.beginning)

    async def announce(self) -> None:
        self.announced += [(s.lost_from, s.lost_to) for s in self.intake.standings.values() if s.lost_to >= 0]

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        work.close()  # tests flush by hand: no clock

    def event(self, offset: int, topic: str = SPANS, partition: int = 0, generation: int | None = None) -> Any:
        known = self.generation if generation is None else generation
        message = SimpleNamespace(
            topic=topic, partition=partition, offset=offset, key=None, headers=(), timestamp=1.0, generation_id=known
        )
        return SimpleNamespace(
            message=message, value=b"value", ack=lambda: self.acked.append((topic, partition, offset))
        )

    def offsets(self) -> list[int]:
        """Offsets of the rows in the journal, in its order."""
        found: list[int] = []
        for record in (each for batch in self.sent for each in batch if isinstance(each, ToJournal)):
            body = journal.decode(journal.Record(record.shard, 0, 0, record.kind, 1, record.value))
            assert isinstance(body, journal.Telemetry)
            offsets = body.tables["unattributed"]["offset"]
            assert isinstance(offsets, np.ndarray)
            found += offsets.tolist()
        return found


def started(**committed: int) -> Broker:
    broker = Broker()
    at = {(topic, 0): offset for topic, offset in (committed or {SPANS: 0}).items()}
    broker.intake.begin(1, at, dict.fromkeys(at, 0))
    return broker


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


def test_acknowledgements_come_after_the_broker_has_all_and_in_order() -> None:
    async def test() -> None:
        broker = started()
        for offset in range(3):
            await broker.intake.take(broker.event(offset), reduced)
        broker.open.clear()
        flushing = asyncio.create_task(broker.intake.flush())
        await asyncio.sleep(0)
        assert broker.acked == []
        assert broker.intake.standings[SPANS, 0].position == -1
        broker.open.set()
        await flushing
        assert broker.acked == [(SPANS, 0, 0), (SPANS, 0, 1), (SPANS, 0, 2)]
        assert broker.intake.standings[SPANS, 0].position == 2
        assert broker.intake.standings[SPANS, 0].newest_ms == 1002
        assert len(broker.sent) == 1

    run(test)


def test_what_comes_twice_counts_once_and_is_not_acknowledged_early() -> None:
    async def test() -> None:
        broker = started()
        for offset in (0, 1, 0, 1, 2):
            await broker.intake.take(broker.event(offset), reduced)
        assert broker.acked == []
        await broker.intake.flush()
        assert broker.offsets() == [0, 1, 2]
        assert [offset for _, _, offset in broker.acked] == [0, 1, 2]

    run(test)


def test_an_older_generation_is_left_alone() -> None:
    async def test() -> None:
        broker = started()
        await broker.intake.take(broker.event(0), reduced)
        broker.generation = 2
        await broker.intake.take(broker.event(1, generation=1), reduced)
        broker.intake.begin(2, {(SPANS, 0): 0}, {(SPANS, 0): 0})
        await broker.intake.take(broker.event(0), reduced)
        await broker.intake.flush()
        assert broker.offsets() == [0]
        assert broker.acked == [(SPANS, 0, 0)]

    run(test)


def test_what_was_on_its_way_at_a_rebalance_is_not_acknowledged() -> None:
    async def test() -> None:
        broker = started()
        await broker.intake.take(broker.event(0), reduced)
        broker.open.clear()
        flushing = asyncio.create_task(broker.intake.flush())
        await asyncio.sleep(0)
        broker.intake.end()
        broker.generation = 2
        broker.intake.begin(2, {(SPANS, 0): 0}, {(SPANS, 0): 0})
        broker.open.set()
        await flushing
        assert broker.acked == []
        assert broker.intake.standings[SPANS, 0].position == -1

    run(test)


def test_a_new_generation_names_no_previous_position() -> None:
    async def test() -> None:
        broker = started()
        await broker.intake.take(broker.event(0), reduced)
        await broker.intake.flush()
        await broker.intake.take(broker.event(1), reduced)
        await broker.intake.flush()
        broker.generation = 2
        broker.intake.begin(2, {(SPANS, 0): 1}, {(SPANS, 0): 0})
        await broker.intake.take(broker.event(1), reduced)
        await broker.intake.flush()
        bodies = [journal.decode(journal.Record(0, 0, 0, "telemetry", 1, sent.value)) for [sent] in broker.sent]
        assert [body.positions[0].previous for body in bodies] == [-1, 0, -1]

    run(test)


def test_a_gap_is_a_loss_only_where_retention_passed() -> None:
    async def test() -> None:
        broker = started(spans=10)
        broker.beginning, broker.there = 5, [9, 12]
        await broker.intake.take(broker.event(12), reduced)
        assert broker.announced == []
        broker.beginning = 20
        await broker.intake.take(broker.event(20), reduced)
        assert broker.announced == [(13, 19)]
        await broker.intake.flush()
        assert broker.offsets() == [12, 20]
        assert broker.left == []

    run(test)


@pytest.mark.parametrize("committed", [0, 10])
def test_what_faust_skipped_ends_the_process(committed: int) -> None:
    async def test() -> None:
        broker = started(spans=committed)
        broker.there = list(range(20))
        await broker.intake.take(broker.event(committed + 2), reduced)
        assert broker.left == [f"spans[0]: offset {committed + 2} was delivered, and {committed} before it was not"]

    run(test)


def test_a_loss_shows_even_where_nothing_is_left_to_read() -> None:
    async def test() -> None:
        broker = Broker()
        broker.intake.begin(1, {(SPANS, 0): 50}, {(SPANS, 0): 100, (SPANS, 1): 7})
        standing = broker.intake.standings[SPANS, 0]
        assert (standing.position, standing.lost_from, standing.lost_to) == (99, 50, 99)
        never_committed = broker.intake.standings[SPANS, 1]
        assert (never_committed.position, never_committed.lost_to) == (6, -1)
        await broker.intake.take(broker.event(100), reduced)
        await broker.intake.flush()
        assert broker.offsets() == [100]

    run(test)


def test_a_refused_record_is_a_dead_letter_with_its_bytes_and_place() -> None:
    async def test() -> None:
        broker = started()
        await broker.intake.take(broker.event(0), lambda _: Refused("no protobuf"))
        await broker.intake.flush()
        [[letter]] = broker.sent
        headers = (("topic", b"spans"), ("partition", b"0"), ("offset", b"0"), ("reason", b"no protobuf"))
        assert letter == DeadLetter(b"value", headers)
        assert broker.acked == [(SPANS, 0, 0)]

    run(test)


def test_a_journal_record_keeps_its_limit_and_a_position_is_never_split() -> None:
    async def test() -> None:
        broker = started()
        names = 10_000
        bound = rows.bytes_max(reduced(Incoming(SimpleNamespace(offset=0), 0), names))[0]
        fit = journal.RECORD_BYTES_MAX // bound
        assert fit > 1
        for offset in range(2 * fit + 1):
            await broker.intake.take(broker.event(offset), lambda incoming: reduced(incoming, names))
        await broker.intake.flush()
        assert [len({*offsets}) for offsets in per_record(broker)] == [fit, fit, 1]
        assert all(len(each.value) <= journal.RECORD_BYTES_MAX for [each] in broker.sent)

    run(test)


def per_record(broker: Broker) -> list[list[int]]:
    alone = []
    for batch in broker.sent:
        one = Broker()
        one.sent = [batch]
        alone.append(one.offsets())
    return alone


def test_times_far_ahead_of_their_record_say_nothing_about_freshness() -> None:
    async def test() -> None:
        broker = started()

        def ahead(incoming: Incoming) -> Content:
            of_now = reduced(incoming)
            return Reduced(of_now.tables, of_now.shards, 1000 + FUTURE_MS_MAX + 1)

        await broker.intake.take(broker.event(0), ahead)
        await broker.intake.flush()
        assert broker.intake.standings[SPANS, 0].newest_ms == -1

    run(test)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 6)),
        st.tuples(st.just("again"), st.integers(1, 6)),
        st.tuples(st.sampled_from(["flush", "rebalance", "crash"]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_whatever_happens_each_position_counts_once(plan: list[tuple[str, int]]) -> None:
    """After a rebalance or a crash Faust delivers anew from the committed offset; a mark drops what was there."""

    async def test() -> None:
        broker, next_offset, committed = started(), 0, 0
        journals: list[int] = []
        for step, count in plan:
            match step:
                case "take" | "again":
                    first = next_offset if step == "take" else max(committed, next_offset - count)
                    for offset in range(first, first + count):
                        await broker.intake.take(broker.event(offset), reduced)
                    next_offset = max(next_offset, first + count)
                case "flush":
                    await broker.intake.flush()
                case "rebalance" | "crash":
                    if step == "rebalance":
                        broker.intake.end()
                    journals += broker.offsets()
                    committed = max([committed, *(offset + 1 for _, _, offset in broker.acked)])
                    assert committed <= max(journals, default=-1) + 1, "acknowledged before the journal had it"
                    broker = broker if step == "rebalance" else Broker(broker.generation)
                    broker.sent, broker.generation, next_offset = [], broker.generation + 1, committed
                    broker.intake.begin(broker.generation, {(SPANS, 0): committed}, {(SPANS, 0): 0})
        await broker.intake.flush()
        journals += broker.offsets()
        mark = -1
        for offset in journals:
            assert offset <= mark + 1, "a position is missing"
            mark = max(mark, offset)
        assert mark + 1 >= next_offset
        assert mark + 1 >= max([committed, *(offset + 1 for _, _, offset in broker.acked)])

    run(test)
