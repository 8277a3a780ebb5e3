"""The keeper of one shard alone: what it folds, sends, saves and acknowledges, and in which order."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import journal
from stream.detect import keeper
from stream.detect.checkpoint import Found, Journal
from stream.effects import Outlet, Publish
from stream.faustlib import exits, guard
from tests.faults import counting


class Ended(BaseException):
    """Stands for the end of the process; nothing in the product catches it."""


@dataclass
class Outside:
    """The rest of the world of one keeper, and a list of what happened to it, in order."""

    happened: list[str] = field(default_factory=list)
    found: Found = field(default_factory=lambda: Found({}, Journal(0, 1000, None), 1))
    generation_now: int = 1
    first: int | None = None
    sent: list[asyncio.Future[Any]] = field(default_factory=list)
    acknowledge_sends: bool = True
    saved: dict[str, bytes] = field(default_factory=dict)
    writing: asyncio.Event | None = None

    async def open(self) -> Found:
        return self.found

    async def write(self, segments: Sequence[tuple[str, bytes]], manifest: bytes) -> None:
        self.happened.append("write")
        if self.writing is not None:
            await self.writing.wait()
        self.saved |= {**dict(segments), "manifest": manifest}

    async def close(self) -> None:
        self.happened.append("closed")

    async def first_after(self, _mark: int) -> int | None:
        return self.first

    async def publish(self, effect: Publish) -> asyncio.Future[Any]:
        self.happened.append(f"publish {effect.id}")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.sent.append(future)
        if self.acknowledge_sends:
            future.set_result(None)
        return future

    def pause(self, _shard: int) -> None:
        self.happened.append("pause")

    def resume(self, _shard: int) -> None:
        self.happened.append("resume")

    def generation(self) -> int:
        return self.generation_now


class Echo:
    """An engine that decides something at every record."""

    def fold(self, state: Any, record: journal.Record) -> Sequence[Publish]:
        state.mark = record.offset
        return (Publish(Outlet.INCIDENTS, "k", "t", str(record.offset), "s", 0, {}),)


def record(offset: int, value: bytes = b"") -> journal.Record:
    return journal.Record(0, offset, 1000 + offset, "telemetry", 1, value or counting.row("s", offset, offset))


def parts(outside: Outside, engine: Any = counting, **more: Any) -> keeper.Parts:
    standing = guard.Guard(1000, leave=_end)
    limits: dict[str, Any] = {"snapshot_s": 1e9, "snapshot_bytes": 10**9, **more}
    return keeper.Parts(engine, counting, 1, outside, outside, standing, **limits)  # type: ignore[arg-type]


def _end(message: str) -> None:
    raise Ended(message)


@pytest.fixture(autouse=True)
def endings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of ending this process, notes how it would have ended, and stops the task."""
    endings: list[str] = []

    def ending(name: str) -> Callable[[str], None]:
        def end(message: str) -> None:
            endings.append(f"{name}: {message}")
            raise asyncio.CancelledError

        return end

    monkeypatch.setattr(exits, "again", ending("again"))
    monkeypatch.setattr(exits, "operator", ending("operator"))
    return endings


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


def offer(kept: keeper.Keeper, outside: Outside, offsets: Sequence[int]) -> None:
    for offset in offsets:
        kept.offer(record(offset), lambda offset=offset: outside.happened.append(f"ack {offset}"))


def test_records_are_acknowledged_in_order_and_only_after_the_snapshot() -> None:
    async def body() -> None:
        outside = Outside()
        kept = keeper.Keeper(0, parts(outside), outside)  # type: ignore[arg-type]
        offer(kept, outside, range(5))
        await settle()
        assert kept.mark == 4
        assert outside.happened == []
        await kept.close(1)
        assert outside.happened == ["write", *(f"ack {offset}" for offset in range(5)), "closed"]
        assert counting.restore(0, 1, outside.saved).mark == 4

    run(body())


def test_a_snapshot_waits_until_the_broker_has_every_effect_up_to_its_mark() -> None:
    async def body() -> None:
        outside = Outside(acknowledge_sends=False)
        kept = keeper.Keeper(0, parts(outside, Echo(), snapshot_bytes=1), outside)  # type: ignore[arg-type]
        offer(kept, outside, range(3))
        await settle()
        assert outside.happened == ["publish 0", "publish 1", "publish 2"]
        for future in outside.sent[:2]:
            future.set_result(None)
        await settle()
        assert "write" not in outside.happened
        outside.sent[2].set_result(None)
        await settle()
        assert outside.happened[3:] == ["write", "ack 0", "ack 1", "ack 2"]
        await kept.close(1)

    run(body())


def test_folding_goes_on_while_a_snapshot_is_written_and_its_records_are_not_acknowledged_with_it() -> None:
    async def body() -> None:
        outside = Outside(writing=asyncio.Event())
        kept = keeper.Keeper(0, parts(outside, snapshot_bytes=1), outside)  # type: ignore[arg-type]
        offer(kept, outside, [0, 1])
        await settle()
        offer(kept, outside, [2])
        await settle()
        assert (kept.mark, outside.happened) == (2, ["write"])  # and no second snapshot beside the first
        assert outside.writing is not None
        outside.writing.set()
        await settle()
        assert outside.happened == ["write", "ack 0", "ack 1"]
        await kept.close(1)
        assert outside.happened == ["write", "ack 0", "ack 1", "write", "ack 2", "closed"]

    run(body())


def test_a_repeat_is_acknowledged_if_a_snapshot_holds_it_and_otherwise_left_to_its_first_delivery() -> None:
    async def body() -> None:
        saved = dict([*counting.dirty_segments(_folded(4)), ("manifest", counting.manifest(_folded(4)))])
        outside = Outside(found=Found(saved, Journal(0, 1000, 2), 1))
        kept = keeper.Keeper(0, parts(outside), outside)  # type: ignore[arg-type]
        offer(kept, outside, [2, 3, 4, 5, 6, 5])
        await settle()
        assert kept.mark == 6
        assert outside.happened == ["ack 2", "ack 3", "ack 4"]
        await kept.close(1)
        assert outside.happened[3:] == ["write", "ack 5", "ack 6", "closed"]
        assert counting.restore(0, 1, saved | outside.saved).totals() == _folded(6).totals()

    run(body())


def _folded(mark: int) -> counting.State:
    state = counting.fresh(0, 1)
    for offset in range(mark + 1):
        counting.fold(state, record(offset))
    return state


def test_a_gap_is_the_operators_if_the_journal_lost_the_records(endings: list[str]) -> None:
    async def body() -> None:
        outside = Outside(first=7)
        kept = keeper.Keeper(0, parts(outside), outside)  # type: ignore[arg-type]
        offer(kept, outside, [0, 7])
        await settle()
        assert kept.mark == 0

    run(body())
    (ending,) = endings
    assert ending.startswith("operator: shard 0: journal offsets 1 to 6 were skipped: the journal goes on at 7")
    assert "`douse state rebase --shard 0`" in ending


@pytest.mark.parametrize("first", [1, None])
def test_a_gap_starts_the_process_again_if_the_journal_still_has_the_records(
    endings: list[str], first: int | None
) -> None:
    async def body() -> None:
        outside = Outside(first=first)
        kept = keeper.Keeper(0, parts(outside), outside)  # type: ignore[arg-type]
        offer(kept, outside, [0, 7])
        await settle()

    run(body())
    assert endings == ["again: shard 0: journal offsets 1 to 6 were skipped, and the journal still has them"]


def test_another_number_of_shards_than_partitions_is_the_operators(endings: list[str]) -> None:
    async def body() -> None:
        outside = Outside(found=Found({}, Journal(0, 0, None), 16))
        keeper.Keeper(0, parts(outside), outside)  # type: ignore[arg-type]
        await settle()

    run(body())
    assert endings == [
        "operator: the journal has 16 partitions, the settings say 1 shards: set `shards` to the first number"
    ]


def test_what_the_engine_cannot_fold_is_the_operators(endings: list[str]) -> None:
    class Stern:
        def fold(self, _state: Any, _record: journal.Record) -> Sequence[Publish]:
            raise journal.Malformed("kind 'later' is unknown")

    async def body() -> None:
        outside = Outside()
        kept = keeper.Keeper(0, parts(outside, Stern()), outside)  # type: ignore[arg-type]
        offer(kept, outside, [0])
        await settle()

    run(body())
    assert endings[0].startswith("operator: journal partition 0 offset 0 cannot be folded: kind 'later' is unknown")


def test_our_own_mistake_starts_the_process_again(endings: list[str]) -> None:
    class Faulty:
        def fold(self, _state: Any, _record: journal.Record) -> Sequence[Publish]:
            raise KeyError("x")

    async def body() -> None:
        outside = Outside()
        kept = keeper.Keeper(0, parts(outside, Faulty()), outside)  # type: ignore[arg-type]
        offer(kept, outside, [0])
        await settle()

    run(body())
    assert endings == ["again: shard 0: KeyError('x')"]


def test_a_new_generation_before_the_write_drops_the_snapshot_and_after_it_the_acknowledgements() -> None:
    async def body(change_before: bool) -> list[str]:
        outside = Outside(writing=asyncio.Event(), acknowledge_sends=False)
        kept = keeper.Keeper(0, parts(outside, Echo(), snapshot_bytes=1), outside)  # type: ignore[arg-type]
        offer(kept, outside, [0])
        await settle()
        outside.generation_now += change_before
        outside.sent[0].set_result(None)
        await settle()
        outside.generation_now += not change_before
        assert outside.writing is not None
        outside.writing.set()
        await settle()
        return outside.happened

    assert asyncio.run(body(change_before=True)) == ["publish 0"]
    assert asyncio.run(body(change_before=False)) == ["publish 0", "write"]


def test_a_shard_that_is_given_up_without_time_saves_and_acknowledges_nothing() -> None:
    async def body() -> None:
        outside = Outside(acknowledge_sends=False)
        kept = keeper.Keeper(0, parts(outside, Echo()), outside)  # type: ignore[arg-type]
        offer(kept, outside, range(3))
        await settle()
        await kept.close(0.05)
        offer(kept, outside, [3])
        await settle()
        assert kept.mark == 2
        assert outside.happened == ["publish 0", "publish 1", "publish 2", "closed"]

    run(body())


def test_a_full_queue_asks_the_source_to_pause_and_an_emptied_one_to_go_on() -> None:
    async def body() -> None:
        outside = Outside()
        kept = keeper.Keeper(0, parts(outside, Echo()), outside)  # type: ignore[arg-type]
        large = bytes(keeper.QUEUE_BYTES_MAX // 4)
        for offset in range(5):
            kept.offer(record(offset, large), lambda: None)
        assert outside.happened == ["pause"]
        kept.offer(record(5, large), lambda: None)  # what the source holds already still comes, and is taken
        await settle()
        assert [each for each in outside.happened if "publish" not in each] == ["pause", "pause", "resume"]
        assert kept.mark == 5
        await kept.close(1)

    run(body())


def test_a_long_backlog_leaves_the_loop_to_others() -> None:
    async def body() -> None:
        outside = Outside()
        clock = iter(range(10**9))
        kept = keeper.Keeper(0, parts(outside, clock_s=lambda: next(clock)), outside)  # type: ignore[arg-type]
        offer(kept, outside, range(200))
        turns = 0
        while kept.mark < 199:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50  # each slice is over by its clock after one record
        await kept.close(1)

    run(body())


@pytest.mark.parametrize(
    ("mark", "journal_found", "said"),
    [
        (-1, Journal(0, 0, None), ""),
        (-1, Journal(0, 50, 0), ""),
        (-1, Journal(5, 50, None), "there is no snapshot, and the journal begins at offset 5"),
        (-1, Journal(5, 5, None), "there is no snapshot, and the journal begins at offset 5"),
        (9, Journal(10, 50, 10), ""),
        (9, Journal(10, 10, None), ""),
        (9, Journal(12, 50, None), "the snapshot ends at offset 9, and the journal lost 10 to 11"),
        (9, Journal(0, 4, None), "the snapshot ends at offset 9, and the journal before it, at 3: it was made anew"),
        (9, Journal(0, 50, 12), "the group has acknowledged up to 11, and the snapshot ends at offset 9"),
    ],
)
def test_a_journal_that_does_not_fit_the_snapshot_is_named(mark: int, journal_found: Journal, said: str) -> None:
    assert keeper.misfit(mark, journal_found) == said


@given(
    deliveries=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), min_size=1, max_size=8),
    snapshot_bytes=st.integers(1, 200),
)
def test_counts_do_not_depend_on_repeated_deliveries(deliveries: list[tuple[int, int]], snapshot_bytes: int) -> None:
    """Each delivery goes back some records, never forwards past the next, as a consumer does that starts again."""
    seen: dict[int, bool] = {}

    async def body() -> None:
        outside = Outside()
        kept = keeper.Keeper(0, parts(outside, snapshot_bytes=snapshot_bytes), outside)  # type: ignore[arg-type]
        following = 0
        for back, count in deliveries:
            start = max(0, following - back)
            offer(kept, outside, range(start, start + count))
            following = max(following, start + count)
            await settle()
        await kept.close(1)
        acknowledged = [int(each[4:]) for each in outside.happened if each.startswith("ack ")]
        seen.update(dict.fromkeys(acknowledged, True))
        assert counting.restore(0, 1, outside.saved).totals() == _folded(following - 1).totals()
        assert sorted(seen) == list(range(following))
        first_time = list(dict.fromkeys(acknowledged))
        assert first_time == sorted(first_time)

    asyncio.run(body())
