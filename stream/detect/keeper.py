"""Keeps one shard: loads it, folds its journal in order, sends effects at once, snapshots, and only then acknowledges.

One task a shard, so that shards do not wait for each other. Whatever is in doubt ends the process: a new one starts
from the committed offset and the last whole snapshot.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, assert_never

from schemas import journal
from stream import effects
from stream.detect import telling
from stream.detect.checkpoint import MANIFEST, Checkpoint, Found, Journal
from stream.detect.publisher import Publisher
from stream.faustlib import contiguity, exits, guard

log = logging.getLogger(__name__)

QUEUE_BYTES_MAX = 16_000_000  # two fetches; times 16 shards 256 MB in the worst case, beside what Faust holds already
QUEUE_BYTES_LOW = QUEUE_BYTES_MAX // 2
SLICE_S = 0.005  # 16 busy shards then leave the loop to ticks and acknowledgements every 80 ms
CLOSE_S_MAX = 5.0


class State(Protocol):
    """What the shell knows of a shard's state: the offset last folded, -1 before the first."""

    mark: int


class Engine(Protocol):
    """The pure fold. Raises ValueError where only an operator can help."""

    def fold(self, state: Any, record: journal.Record) -> Sequence[effects.Publish]: ...


class Shards(Protocol):
    """The form of a shard's state. `restore` raises ValueError for another number of shards or another version."""

    def fresh(self, number: int, shards: int) -> Any: ...
    def restore(self, number: int, shards: int, segments: Mapping[str, bytes]) -> Any: ...
    def dirty_segments(self, state: Any) -> Sequence[tuple[str, bytes]]: ...
    def manifest(self, state: Any) -> bytes: ...


class Facts(Protocol):
    """Who counts what a shard does; it decides nothing and must not raise."""

    def folded(self, record: journal.Record, effects: Sequence[effects.Publish]) -> None: ...
    def saved(self, shard: int, size: int, took_s: float) -> None: ...
    def recovered(self, shard: int, size: int, took_s: float) -> None: ...


class Uncounted:
    """Nobody counts."""

    def folded(self, record: journal.Record, effects: Sequence[effects.Publish]) -> None: ...
    def saved(self, shard: int, size: int, took_s: float) -> None: ...
    def recovered(self, shard: int, size: int, took_s: float) -> None: ...


class Source(Protocol):
    """Where the records come from, as far as a shard may steer it: stop and go on fetching; the present generation."""

    def pause(self, shard: int) -> None: ...
    def resume(self, shard: int) -> None: ...
    def generation(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What all shards of a process share. A snapshot is due after `snapshot_s`, or `snapshot_bytes` of journal."""

    engine: Engine
    form: Shards
    shards: int
    publisher: Publisher
    source: Source
    standing: guard.Guard
    snapshot_s: float
    snapshot_bytes: int
    clock_s: Callable[[], float] = time.monotonic
    facts: Facts = field(default_factory=Uncounted)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shard at one mark: its bytes, the effects that the broker must have first, the acknowledgements after it."""

    mark: int
    segments: Sequence[tuple[str, bytes]]
    manifest: bytes
    effects: tuple[asyncio.Future[Any], ...]
    held: Sequence[Callable[[], object]]


class Keeper:
    """One owned shard in one generation of the group. `close` is its end; the next generation loads anew."""

    def __init__(self, number: int, parts: Parts, checkpoint: Checkpoint) -> None:
        self.number = number
        self._parts = parts
        self._checkpoint = checkpoint
        self._generation = parts.source.generation()
        self._state: State | None = None
        self._order = contiguity.Contiguity()
        self._partition = ("journal", number)
        self._queue: deque[tuple[journal.Record, Callable[[], object]]] = deque()
        self._queued_bytes = 0
        self._paused = False
        self._closing = False
        self._woken = asyncio.Event()
        self._effects: set[asyncio.Future[Any]] = set()
        self._held: list[Callable[[], object]] = []  # folded, and in no snapshot yet
        self._folded_bytes = 0
        self._durable = -1
        self._due_s = 0.0
        self._saving: asyncio.Task[None] | None = None  # one snapshot in flight
        self._running = _task(self._run(), f"shard {number}")

    @property
    def mark(self) -> int:
        """The offset last folded, -1 before the first."""
        return -1 if self._state is None else self._state.mark

    @property
    def at_work(self) -> bool:
        """Loaded, and not about to be given up."""
        return self._state is not None and not self._closing

    def offer(self, record: journal.Record, acknowledge: Callable[[], object]) -> None:
        """Takes a record at once, whatever the queue holds; a full queue asks the source to send no more."""
        if self._closing:
            return
        self._queue.append((record, acknowledge))
        self._queued_bytes += len(record.value)
        if self._queued_bytes > QUEUE_BYTES_MAX:
            self._paused = True
            self._parts.source.pause(self.number)  # with each record: the source may have gone on by itself
        self._woken.set()

    async def close(self, last_snapshot_s: float) -> None:
        """Folds no more, tries so long to take a last snapshot, and lets go. What is not acknowledged comes again."""
        if self._closing:
            return
        self._closing = True
        self._woken.set()
        if self._state is not None:
            try:
                async with asyncio.timeout(last_snapshot_s):
                    await self._finish(self._state)
            except TimeoutError:
                log.warning("shard %d: no time for a last snapshot, its mark stays %d", self.number, self._durable)
        if self._paused:
            self._parts.source.resume(self.number)
        tasks = [task for task in (self._running, self._saving) if task is not None]
        for task in tasks:
            task.cancel()  # so a snapshot that is still on its way acknowledges nothing
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._checkpoint.close()
        except TimeoutError:
            log.warning("shard %d: its producer did not close; the next owner aborts what it left open", self.number)

    async def _finish(self, state: State) -> None:
        await asyncio.shield(self._running)
        if self._saving is not None:
            await asyncio.shield(self._saving)
        if state.mark > self._durable:
            self._begin_snapshot(state)
            assert self._saving is not None
            await asyncio.shield(self._saving)

    async def _run(self) -> None:
        started_s = self._parts.clock_s()
        found = await self._checkpoint.open()
        state = self._load(found)
        size, took_s = sum(map(len, found.values.values())), self._parts.clock_s() - started_s
        self._parts.facts.recovered(self.number, size, took_s)
        found_at = (self.number, state.mark, size, took_s)
        log.info("shard %d: mark %d from %d bytes of state in %.2f s", *found_at, extra={"shard": self.number})
        while not self._closing:
            await self._woken.wait()
            self._woken.clear()
            await self._fold_slice(state)
            if self._snapshot_due(state):
                self._begin_snapshot(state)
            if self._queue:
                self._woken.set()
                await asyncio.sleep(0)

    def _load(self, found: Found) -> State:
        """The state of the last snapshot, or a fresh one where the journal still has everything. Exits 78 otherwise."""
        shards = self._parts.shards
        if found.partitions != shards:
            counts = f"the journal has {found.partitions} partitions, the settings say {shards} shards"
            exits.operator(f"{counts}: set `shards` to the first number")
        try:
            if MANIFEST in found.values:
                state: State = self._parts.form.restore(self.number, shards, found.values)
            else:
                state = self._parts.form.fresh(self.number, shards)
        except ValueError as error:
            exits.operator(f"shard {self.number}: the snapshot does not fit: {error}; {self._rebase()}")
        fault = misfit(state.mark, found.journal)
        if fault:
            exits.operator(f"shard {self.number}: {fault}; {self._rebase()}")
        self._durable = state.mark
        self._order.reset(self._generation)
        self._order.resume(self._partition, state.mark)
        # The shards of a process take turns, so that their snapshots do not come all at once.
        self._due_s = self._parts.clock_s() + self._parts.snapshot_s * (self.number + 1) / shards
        self._state = state
        return state

    async def _fold_slice(self, state: State) -> None:
        """One record at least, so that a slow fold also gets on."""
        until_s = self._parts.clock_s() + SLICE_S
        while self._queue and not self._closing:
            record, acknowledge = self._queue.popleft()
            self._queued_bytes -= len(record.value)
            if self._paused and self._queued_bytes < QUEUE_BYTES_LOW:
                self._paused = False
                self._parts.source.resume(self.number)
            await self._fold(state, record, acknowledge)
            if self._parts.clock_s() >= until_s:
                return

    async def _fold(self, state: State, record: journal.Record, acknowledge: Callable[[], object]) -> None:
        match self._order.step(self._partition, record.offset, self._generation):
            case contiguity.Step.NEXT:
                pass
            case contiguity.Step.REPEAT:
                if record.offset <= self._durable:
                    acknowledge()
                return  # otherwise its first delivery is held
            case contiguity.Step.GAP:
                await self._gap(state.mark, record.offset)
            case never:
                assert_never(never)
        try:
            wanted = self._parts.engine.fold(state, record)
        except ValueError as error:
            where = f"journal partition {self.number} offset {record.offset}"
            exits.operator(f"{where} cannot be folded: {error}; {self._rebase()}")
        assert state.mark == record.offset
        self._held.append(acknowledge)
        self._folded_bytes += len(record.value)
        self._parts.facts.folded(record, wanted)
        for effect in wanted:
            told = telling.line(effect)
            if told:
                log.info("%s", told, extra=telling.ids(effect))
            sent = await self._parts.publisher.publish(effect)
            self._effects.add(sent)
            sent.add_done_callback(self._effects.discard)

    async def _gap(self, mark: int, offset: int) -> NoReturn:
        """Ours to start again if the journal still has the next record, the operator's if it is lost."""
        first = await self._checkpoint.first_after(mark)
        skipped = f"shard {self.number}: journal offsets {mark + 1} to {offset - 1} were skipped"
        if first is None or first == mark + 1:
            exits.again(f"{skipped}, and the journal still has them")
        exits.operator(f"{skipped}: the journal goes on at {first}; {self._rebase()}")

    def _snapshot_due(self, state: State) -> bool:
        if state.mark == self._durable or (self._saving is not None and not self._saving.done()):
            return False
        return self._parts.clock_s() >= self._due_s or self._folded_bytes >= self._parts.snapshot_bytes

    def _begin_snapshot(self, state: State) -> None:
        """Takes the shard as it is between two records; the sending goes on beside the folding."""
        form = self._parts.form
        segments = form.dirty_segments(state)
        snapshot = Snapshot(state.mark, segments, form.manifest(state), tuple(self._effects), self._held)
        self._held = []
        self._folded_bytes = 0
        self._due_s = self._parts.clock_s() + self._parts.snapshot_s
        self._saving = _task(self._save(snapshot), f"snapshot of shard {self.number}")

    async def _save(self, snapshot: Snapshot) -> None:
        started_s = self._parts.clock_s()
        if snapshot.effects:
            await asyncio.gather(*snapshot.effects)
        self._parts.standing.check()
        if self._generation != self._parts.source.generation():
            return
        await self._checkpoint.write(snapshot.segments, snapshot.manifest)
        self._durable = snapshot.mark
        if self._generation != self._parts.source.generation():
            return
        for acknowledge in snapshot.held:
            acknowledge()
        size = sum(len(value) for _, value in snapshot.segments) + len(snapshot.manifest)
        took_s = self._parts.clock_s() - started_s
        self._parts.facts.saved(self.number, size, took_s)
        log.debug("shard %d: snapshot at %d, %d bytes in %.3f s", self.number, snapshot.mark, size, took_s)

    def _rebase(self) -> str:
        return f"`douse state rebase --shard {self.number}` starts the shard anew from what is there"


def misfit(mark: int, found: Journal) -> str:
    """Why a journal partition cannot be folded on from `mark`; empty if it can. The offsets are named."""
    following = mark + 1
    if found.earliest > following and mark < 0:
        return f"there is no snapshot, and the journal begins at offset {found.earliest}"
    if found.earliest > following:
        return f"the snapshot ends at offset {mark}, and the journal lost {following} to {found.earliest - 1}"
    if found.end < following:
        return f"the snapshot ends at offset {mark}, and the journal before it, at {found.end - 1}: it was made anew"
    if found.committed is not None and found.committed > following:
        return f"the group has acknowledged up to {found.committed - 1}, and the snapshot ends at offset {mark}"
    return ""


def _task(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(_ending(work, name), name=name)


async def _ending(work: Coroutine[Any, Any, None], name: str) -> None:
    """The outermost frame of a shard's work: whatever it did not foresee ends the process."""
    try:
        await work
    except Exception as error:
        log.exception("%s", name)
        exits.again(f"{name}: {error!r}")
