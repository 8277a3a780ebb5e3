"""What ingest asks the broker beside its reading: ends and beginnings of its partitions, the group's offsets."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stream import kafka
from stream.ingest.batch import Partition
from stream.kafka import Address

REQUEST_MS = 5_000
ONE_RECORD_BYTES = 1024  # the broker gives at least one batch, whatever its size
NEXT_S_MAX = 10.0


class Sights:
    """One client without group and assignment, so that asking disturbs no reading. Methods raise KafkaError."""

    def __init__(self, bootstrap: Address, group: str) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Connects; a second call does nothing."""
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(**kafka.client(self._bootstrap), request_timeout_ms=REQUEST_MS)
            await self._consumer.start()

    async def stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """High watermarks: the offset that the next record will get."""
        assert self._consumer is not None, "start comes first"
        found = await self._consumer.end_offsets([TopicPartition(*partition) for partition in partitions])
        return {(part.topic, part.partition): int(offset) for part, offset in found.items()}

    async def beginnings(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The first offsets that retention has left."""
        assert self._consumer is not None, "start comes first"
        found = await self._consumer.beginning_offsets([TopicPartition(*partition) for partition in partitions])
        return {(part.topic, part.partition): int(offset) for part, offset in found.items()}

    async def next_record(self, partition: Partition, offset: int) -> int:
        """Offset of the first record at or after this one; there has to be one. Raises TimeoutError."""
        consumer = AIOKafkaConsumer(
            **kafka.client(self._bootstrap),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_MS,
            max_partition_fetch_bytes=ONE_RECORD_BYTES,
        )
        await consumer.start()
        try:
            part = TopicPartition(*partition)
            consumer.assign([part])
            consumer.seek(part, offset)
            return int((await asyncio.wait_for(consumer.getone(), NEXT_S_MAX)).offset)
        finally:
            await consumer.stop()

    async def committed(self) -> dict[Partition, int]:
        """The next offset that the group will read, of each partition that has one."""
        admin = AIOKafkaAdminClient(**kafka.client(self._bootstrap), request_timeout_ms=REQUEST_MS)
        try:
            await admin.start()
            found = await admin.list_consumer_group_offsets(self._group)
        finally:
            await admin.close()
        return {(part.topic, part.partition): int(meta.offset) for part, meta in found.items() if meta.offset >= 0}
