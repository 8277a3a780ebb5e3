"""Once a second every shard hears how far this worker is in its source partitions; a worker that stands ends itself."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka.errors import KafkaError

from schemas import journal
from schemas.journal import NO_POSITION, Progress, SourceProgress
from stream.faustlib import exits
from stream.ingest.batch import Outgoing, Partition, ToJournal
from stream.ingest.intake import Intake
from stream.ingest.outlet import Outlet
from stream.ingest.sights import Sights

INTERVAL_S = 1.0
STANDS_S_MAX = 60.0  # Faust can stop delivering for good without an error (faust-streaming issue 629)

log = logging.getLogger(__name__)


Fetched = Callable[[Partition], Awaitable[int | None]]
"""The next offset that Faust's consumer will fetch."""


class Reporter:
    """Reports the standings of one worker and watches that they move."""

    def __init__(
        self,
        boot: str,
        shards: int,
        intake: Intake,
        sights: Sights,
        outlet: Outlet,
        fetched: Fetched,
        unread: Sequence[str] = (),
        reported: Callable[[Sequence[SourceProgress]], object] = len,
    ) -> None:
        """`reported` hears of each report that the broker has."""
        self._reported = reported
        self._unread = tuple(SourceProgress(topic, 0, 0, NO_POSITION, 0, NO_POSITION) for topic in unread)
        """Sources that are switched off: no partition of theirs is waited for, or a shard that has heard of them before
        would take their silence for a fault."""
        self._fetched = fetched
        self._tails: dict[Partition, tuple[int, int]] = {}
        self._boot = boot
        self._shards = shards
        self._intake = intake
        self._sights = sights
        self._outlet = outlet
        self._partitions: Mapping[str, int] = {}
        self._moved: dict[Partition, tuple[int, int, float]] = {}

    def begin(self, partitions: Mapping[str, int]) -> None:
        """A new generation: how many partitions each source topic has now."""
        self._partitions = partitions
        self._moved = {}
        self._tails = {}

    async def report(self) -> None:
        """One record of progress to each shard; none while no generation is at work or the broker does not answer."""
        generation = self._intake.generation
        # Noted before the ends are asked for: what is read and sent meanwhile would look like a topic made anew.
        positions = {partition: standing.position for partition, standing in sorted(self._intake.standings.items())}
        if generation < 0 or not positions:
            return
        try:
            ends = await self._sights.ends(list(positions))
        except KafkaError as error:
            log.warning("no progress is reported, the broker did not tell the ends of the sources: %r", error)
            return
        for partition, position in positions.items():
            if position >= ends[partition]:
                topic, number = partition
                beyond = f"{topic}[{number}] ends at {ends[partition]}, {position} was read"
                exits.operator(f"{beyond}: the topic was made anew; see `douse state rebase` in docs/operating.md")
            self._watch(partition, position, ends[partition])
        reached = {of: await self._reached(of, position, ends[of]) for of, position in positions.items()}
        if generation != self._intake.generation:
            return
        sources = tuple(self._source(partition, reached[partition], ends[partition]) for partition in positions)
        value = journal.encode_progress(Progress(self._boot, (*sources, *self._unread)))
        everyone: list[Outgoing] = [ToJournal(shard, journal.Kind.PROGRESS, value) for shard in range(self._shards)]
        await self._outlet.send(everyone)
        self._reported(sources)

    async def _reached(self, partition: Partition, position: int, end: int) -> int:
        """The position to report. A tail without records (a transaction's markers) counts as read.

        That is so when Faust has fetched up to the end, nothing came of it and the same was seen a report earlier.
        """
        before = self._tails.pop(partition, None)
        if position + 1 >= end or self._intake.holds(partition):
            return position
        self._tails[partition] = (position, end)
        if before == (position, end) and await self._fetched(partition) == end:
            return end - 1
        return position

    def _source(self, partition: Partition, position: int, end: int) -> SourceProgress:
        topic, number = partition
        standing = self._intake.standings[partition]
        return SourceProgress(
            topic=topic,
            partition=number,
            partitions=self._partitions.get(topic, 1),
            position=position,
            high_watermark=end,
            newest_end_ms=standing.newest_ms,
            lost_from=standing.lost_from,
            lost_to=standing.lost_to,
        )

    def _watch(self, partition: Partition, position: int, end: int) -> None:
        """The lag grows and the position stands still: only a new process helps."""
        now_s = time.monotonic()
        before, end_before, since_s = self._moved.get(partition, (position, end, now_s))
        if position != before or end == end_before:
            self._moved[partition] = (position, end, now_s)
            return
        self._moved[partition] = (before, end_before, since_s)
        if now_s - since_s > STANDS_S_MAX:
            exits.again(f"{partition[0]}[{partition[1]}] stands at {position} for {STANDS_S_MAX:g} s, the end is {end}")
