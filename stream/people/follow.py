"""The public topics as a person's command reads them: to their end, or on and on as they grow; in no consumer group."""

import asyncio
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.envelope import Event
from schemas.events import HEARTBEAT_TYPE
from stream import kafka, reach, topics
from stream.people.book import Book
from stream.people.trust import Trust, UntrustedError
from stream.settings import Settings

REQUEST_MS = 10_000
POLL_S = 0.5


async def read(settings: Settings, trust: Trust) -> Book:
    """All that the topics of incidents, commands and outcomes hold now. Raises BrokerError, MissingTopicsError."""
    book = Book()

    async def one(topic: str) -> None:
        async for stored in reach.read(kafka.cluster(settings), topic):
            try:
                book.take(trust.event(stored.headers, stored.value))
            except UntrustedError as error:
                book.leave_out(f"{topic}[{stored.partition}] offset {stored.offset}: {error}")

    await asyncio.gather(*map(one, _told(settings)))
    return book


class Follower:
    """Events in the order of arrival, from the end that the topics had at the start or from their beginning; what
    nobody trusted has signed is counted and left out."""

    def __init__(self, settings: Settings, trust: Trust, *, status: bool = False, from_end: bool = False) -> None:
        self._settings, self._trust, self._from_end = settings, trust, from_end
        names = topics.names(settings.topic_prefix)
        self._topics = (*_told(settings), *((names.status,) if status else ()))
        self._consumer = AIOKafkaConsumer(
            **kafka.client(kafka.cluster(settings)),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_MS,
        )
        self._ends: dict[TopicPartition, int] = {}
        self.rejected = 0

    async def __aenter__(self) -> Self:
        found = await reach.require(kafka.cluster(self._settings), self._topics)
        parts = [TopicPartition(topic, number) for topic, count in found.items() for number in range(count)]
        try:
            await self._consumer.start()
            self._consumer.assign(parts)
            self._ends = await self._consumer.end_offsets(parts)
            for part in parts:
                if self._from_end:
                    self._consumer.seek(part, self._ends[part])
                else:
                    await self._consumer.seek_to_beginning(part)
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise kafka.failed(error, self._settings.bootstrap) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def next(self, wait_s: float = POLL_S) -> list[Event]:
        """What came within `wait_s`; empty if nothing did. Raises BrokerError."""
        try:
            batches = await self._consumer.getmany(timeout_ms=int(wait_s * 1000))
        except (KafkaError, OSError) as error:
            raise kafka.failed(error, self._settings.bootstrap) from error
        events = []
        for record in (record for records in batches.values() for record in records):
            if ("ce_type", HEARTBEAT_TYPE.encode()) in record.headers:
                continue  # for machines; ingest, which has no key, sends it unsigned
            try:
                events.append(self._trust.event(record.headers, record.value))
            except UntrustedError:
                self.rejected += 1
        return events

    async def caught_up(self) -> bool:
        """True once everything was read that was there at the start."""
        for part, end in self._ends.items():
            if await self._consumer.position(part) < end:
                return False
        return True


def _told(settings: Settings) -> tuple[str, ...]:
    names = topics.names(settings.topic_prefix)
    return (names.incidents, names.commands, names.outcomes)
