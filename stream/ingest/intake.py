"""From Faust's events to the journal: held for a moment, sent together, acknowledged in order after the broker has all.

Positions are guarded within one generation of the group: what comes twice is dropped, what is missing is looked into.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from detectors import rows
from detectors.rows import Reduced
from schemas import journal
from schemas.journal import NO_POSITION
from stream.faustlib import exits
from stream.faustlib.contiguity import Contiguity, Step
from stream.ingest import batch
from stream.ingest.batch import Chain, Held, Partition
from stream.ingest.doors import Door, Incoming, Otherwise, Refused
from stream.reach import Stored

log = logging.getLogger(__name__)

FLUSH_S = 0.05  # a tenth of what people call at once; at the usual load one OTLP record waits for company no longer
HELD_BYTES_MAX = 16_000_000  # of source records; together with Faust's queues it bounds the memory of a worker

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Sender(Protocol):
    async def send(self, outgoing: list[batch.Outgoing]) -> None: ...


class Source(Protocol):
    """What the broker itself says of a source partition."""

    async def beginnings(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...

    async def next_record(self, partition: Partition, offset: int) -> int: ...


@dataclass(slots=True)
class Standing:
    """How far this worker is in one source partition."""

    position: int
    newest_ms: int = NO_POSITION
    lost_from: int = NO_POSITION
    lost_to: int = NO_POSITION


class Intake:
    """The held records of one generation of the group, and how far each partition is."""

    def __init__(
        self,
        sender: Sender,
        source: Source,
        announce: Callable[[], Awaitable[None]],
        generation: Callable[[], int],
        spawn: Spawn,
        leave: Callable[[str], object] = exits.again,
        sent: Callable[[Sequence[Held]], object] = len,
    ) -> None:
        """`sent` hears of each flush that the broker has whole."""
        self._sent = sent
        self._sender = sender
        self._source = source
        self._leave = leave
        self._announce = announce
        self._app_generation = generation
        self._spawn = spawn
        self._sending = asyncio.Lock()
        self._ready = asyncio.Event()
        self._generation = -1
        self._guard = Contiguity()
        self._chain = Chain()
        self._held: list[Held] = []
        self._held_bytes = 0
        self._bounds: dict[int, int] = {}
        self._numbers: dict[Partition, int] = {}
        self.standings: dict[Partition, Standing] = {}
        self.otherwise: Counter[str] = Counter()
        """By topic: records of this process that were read in another encoding than their topic's."""

    def end(self) -> None:
        """The generation is over: what is held belongs to whoever reads it next."""
        self._ready.clear()
        self._forget()
        self.standings = {}

    def begin(self, generation: int, committed: Mapping[Partition, int], beginnings: Mapping[Partition, int]) -> None:
        """A new generation owns the partitions of `beginnings` (first offsets); one with a commit goes on there."""
        self._forget()
        self._generation = generation
        self._guard.reset(generation)
        self.standings = {}
        for partition, beginning in beginnings.items():
            wanted = committed.get(partition, beginning)
            first = max(wanted, beginning)
            self.standings[partition] = Standing(first - 1)
            self._guard.resume(partition, first - 1)
            if first > wanted:
                self._lose(partition, wanted, first - 1)
        self._ready.set()

    @property
    def generation(self) -> int:
        """The generation that is at work, -1 while there is none."""
        return self._generation if self._ready.is_set() else -1

    def holds(self, partition: Partition) -> bool:
        """Whether a record of it waits to be sent."""
        return any(each.partition == partition for each in self._held)

    async def take(self, event: Any, door: Door) -> None:
        """One event of Faust. Returns when it is held; waits while too much is."""
        message = event.message
        if not await self._current(message):
            return
        partition = (message.topic, message.partition)
        if not await self._follows(partition, message):
            return
        stored = _stored(message, event.value)
        found = door(Incoming(stored, self._numbers.setdefault(partition, len(self._numbers))))
        content, written = (found.content, found.written) if isinstance(found, Otherwise) else (found, "")
        bounds = rows.bytes_max(content) if isinstance(content, Reduced) else {}
        size = len(stored.value or b"")
        while self._too_much(bounds, size):  # again if other agents filled it meanwhile
            await self.flush()
            if not await self._current(message):
                return
        kept = stored.value if isinstance(content, Refused) else None
        key, headers = (message.key, stored.headers) if isinstance(content, Refused) else (None, ())
        newest_ms = batch.newest_ms(content, stored.timestamp_ms)
        self._held.append(Held(partition, message.offset, content, newest_ms, event.ack, kept, key, headers, written))
        self._held_bytes += size
        for shard, bound in bounds.items():
            self._bounds[shard] = self._bounds.get(shard, 0) + bound
        if len(self._held) == 1:
            self._spawn(self._flush_soon())

    async def flush(self) -> None:
        """Sends what is held, waits for the broker, acknowledges in order. One at a time: streams must not overtake."""
        async with self._sending:
            held, generation = self._held, self._generation
            if not held:
                return
            self._held, self._held_bytes, self._bounds = [], 0, {}
            await self._sender.send(batch.compose(held, list(self._numbers), self._chain))
            if generation != self._generation or generation != self._app_generation():
                return
            for each in held:
                each.ack()
                standing = self.standings[each.partition]
                standing.position = each.offset
                standing.newest_ms = max(standing.newest_ms, each.newest_ms)
            self._sent(held)
            _tell_refused(held)
            self._count_otherwise(held)

    def _count_otherwise(self, held: Sequence[Held]) -> None:
        """One line for each topic when it begins: it is no fault, and may be so for as long as both are written."""
        for each in held:
            if not each.written:
                continue
            topic = each.partition[0]
            if topic not in self.otherwise:
                log.warning(
                    "%s has records in %s (first: [%d] offset %d); they are read and counted: set its encoding to that",
                    topic, each.written, each.partition[1], each.offset,
                )  # fmt: skip
            self.otherwise[topic] += 1

    async def _flush_soon(self) -> None:
        await asyncio.sleep(FLUSH_S)
        await self.flush()

    async def _current(self, message: Any) -> bool:
        """Whether the event is of the generation at work; waits while a new one begins."""
        if message.generation_id != self._app_generation():
            return False
        await self._ready.wait()
        return bool(message.generation_id == self._app_generation() == self._generation)

    async def _follows(self, partition: Partition, message: Any) -> bool:
        """Whether the event is the next of its partition; a gap is looked into and then passed."""
        match self._guard.step(partition, message.offset, self._generation):
            case Step.NEXT:
                return True
            case Step.REPEAT:
                return False
            case Step.GAP:
                last = self._guard.last(partition)
                assert last is not None, "the first of a generation is never a gap"
                await self._explain(partition, last + 1, message.offset)
                if not await self._current(message):
                    return False
                self._guard.resume(partition, message.offset)
                return True
            case unknown:
                assert_never(unknown)

    async def _explain(self, partition: Partition, expected: int, came: int) -> None:
        """Why a position was skipped: retention, which is a loss; compaction or a marker, which is none; or Faust."""
        beginning = (await self._source.beginnings([partition]))[partition]
        if beginning > expected and partition in self.standings:
            self._lose(partition, expected, min(beginning, came) - 1)
            await self._announce()  # before anything after it is acknowledged
        if beginning < came and (there := await self._source.next_record(partition, max(expected, beginning))) < came:
            self._leave(f"{partition[0]}[{partition[1]}]: offset {came} was delivered, and {there} before it was not")

    def _lose(self, partition: Partition, first: int, last: int) -> None:
        log.error("%s[%d]: %d records are lost to retention, %d to %d", *partition, last - first + 1, first, last)
        standing = self.standings[partition]
        standing.lost_from, standing.lost_to = first, last

    def _too_much(self, bounds: dict[int, int], size: int) -> bool:
        full = any(self._bounds.get(shard, 0) + bound > journal.RECORD_BYTES_MAX for shard, bound in bounds.items())
        return bool(self._held) and (full or self._held_bytes + size > HELD_BYTES_MAX)

    def _forget(self) -> None:
        self._generation = -1
        self._chain = Chain()
        self._held, self._held_bytes, self._bounds = [], 0, {}


def _tell_refused(held: Sequence[Held]) -> None:
    """One line a flush, however many there are; the topic has them all."""
    refused = [(each, each.content.reason) for each in held if isinstance(each.content, Refused)]
    if refused:
        last, reason = refused[-1]
        log.warning(
            "%d dead letters, the last %s[%d] offset %d: %s", len(refused), *last.partition, last.offset, reason
        )


def _stored(message: Any, value: bytes | None) -> Stored:
    key = message.key.decode(errors="replace") if message.key else ""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Stored(message.partition, message.offset, round(message.timestamp * 1000), key, tuple(pairs), value)
