"""One shard's snapshots on the compacted state topic: written in transactions that fence every other owner."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream import kafka
from stream.kafka import Address

MANIFEST = "manifest"
SEGMENT_BYTES_MAX = 500_000  # a broker takes 1 MB by default; a larger record would end the owner again at each start
BATCH_BYTES_MAX = 1_000_000
TRANSACTION_MS_MAX = 60_000  # a snapshot of 100 MB takes some seconds; the broker aborts what hangs longer
POLL_MS = 500
LOADS_AT_ONCE = 4  # each holds one shard's bytes twice
READ_S_MAX = 120.0  # some GB; a broker that went away while reading must not hold the shard for ever
PROBE_S = 10.0


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal partition: its first and next offset, and where the group goes on (None: nowhere yet)."""

    earliest: int
    end: int
    committed: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """The last snapshot by key, `manifest` and the segments (empty: none was ever taken), and the journal beside it."""

    values: Mapping[str, bytes]
    journal: Journal
    partitions: int
    """How many partitions the journal has: as many as there are shards."""


class Checkpoint:
    """The snapshots of one shard. `open` makes this process the only one that can write them."""

    def __init__(
        self, bootstrap: Address, group: str, state_topic: str, journal_topic: str, shard: int, gate: asyncio.Semaphore
    ) -> None:
        """`gate` lets LOADS_AT_ONCE shards of a process read at the same time."""
        self._bootstrap = bootstrap
        self._gate = gate
        self._group = group
        self._state = TopicPartition(state_topic, shard)
        self._journal = TopicPartition(journal_topic, shard)
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> Found:
        """Fences the earlier owner, whose open transaction is aborted, and only then reads what was committed."""
        self._producer = AIOKafkaProducer(
            **kafka.client(self._bootstrap),
            transactional_id=f"{self._group}-{self._state.partition}",
            transaction_timeout_ms=TRANSACTION_MS_MAX,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=BATCH_BYTES_MAX,
            compression_type="lz4",
            linger_ms=0,
        )
        await self._producer.start()
        async with self._gate, asyncio.timeout(READ_S_MAX):
            return await self._read()

    async def write(self, segments: Sequence[tuple[str, bytes]], manifest: bytes) -> None:
        """All of it in one transaction, or nothing. Whatever it raises, the result is unknown: the process must end."""
        assert self._producer is not None, "open comes first"
        await self._producer.begin_transaction()
        sent = []
        for key, value in [*segments, (MANIFEST, manifest)]:
            assert len(value) <= SEGMENT_BYTES_MAX, f"{key} of shard {self._state.partition} has {len(value)} bytes"
            sent.append(await self._producer.send(self._state.topic, value, key.encode(), self._state.partition))
        await asyncio.gather(*sent)
        await self._producer.commit_transaction()

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def first_after(self, mark: int) -> int | None:
        """Offset of the first record that the journal still has after `mark`; None if none comes within ten seconds."""
        consumer = self._consumer()
        await consumer.start()
        try:
            consumer.assign([self._journal])
            consumer.seek(self._journal, mark + 1)
            record = await asyncio.wait_for(consumer.getone(self._journal), PROBE_S)
        except TimeoutError:
            return None
        finally:
            await consumer.stop()
        return int(record.offset)

    async def _read(self) -> Found:
        consumer = self._consumer()
        await consumer.start()
        try:
            consumer.assign([self._state, self._journal])
            consumer.pause(self._journal)
            ends = await consumer.end_offsets([self._state, self._journal])  # read committed: the last stable offset
            firsts = await consumer.beginning_offsets([self._journal])
            committed = await consumer.committed(self._journal)
            partitions = len(consumer.partitions_for_topic(self._journal.topic) or ())
            values: dict[str, bytes] = {}
            while await consumer.position(self._state) < ends[self._state]:
                for record in (await consumer.getmany(self._state, timeout_ms=POLL_MS)).get(self._state, ()):
                    values[record.key.decode()] = record.value
        finally:
            await consumer.stop()
        return Found(values, Journal(firsts[self._journal], ends[self._journal], committed), partitions)

    def _consumer(self) -> AIOKafkaConsumer:
        """Belongs to the group only to ask for its committed offset: it never joins and never commits."""
        return AIOKafkaConsumer(
            **kafka.client(self._bootstrap),
            group_id=self._group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
