"""What douse publishes, as it comes: the public topics read by a plain consumer, as any other system would."""

import asyncio
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import envelope
from schemas.envelope import Event
from schemas.events import HEARTBEAT_TYPE, STATUS_TYPE
from stream import kafka
from stream.kafka import Address
from stream.topics import Topics

INCIDENT, COMMAND, OUTCOME = "dev.douse.incident.", "dev.douse.command.", "dev.douse.outcome"


class Feed:
    """Events in the order of arrival, repeats left out; the newest status of each shard apart."""

    def __init__(self, bootstrap: Address, topics: Topics) -> None:
        self.events: list[Event] = []
        self.status: dict[int, dict[str, Any]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._commands = topics.commands
        self._consumer = AIOKafkaConsumer(
            topics.incidents,
            topics.commands,
            topics.outcomes,
            topics.status,
            **kafka.client(bootstrap),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._consumer.stop()

    def incidents(self, name: str, tenant: str | None = None, slo: str | None = None) -> list[Event]:
        """Incident events of one kind, oldest first."""
        return [
            event
            for event in self.events
            if event.type == INCIDENT + name
            and tenant in (None, event.data["tenant"])
            and slo in (None, event.data["slo"])
        ]

    def commands(self, tenant: str | None = None) -> list[Event]:
        return [e for e in self.events if e.type.startswith(COMMAND) and tenant in (None, e.data["tenant"])]

    async def command_ends(self) -> dict[int, int]:
        """The end of each partition of the commands topic: the broker's own word on whether anything was published."""
        parts = [
            TopicPartition(self._commands, number) for number in self._consumer.partitions_for_topic(self._commands)
        ]
        ends = await self._consumer.end_offsets(parts)
        return {part.partition: offset for part, offset in ends.items()}

    def outcomes(self, tenant: str | None = None) -> list[Event]:
        return [e for e in self.events if e.type == OUTCOME and tenant in (None, e.data["tenant"])]

    def rows(self, slo: str) -> dict[str, dict[str, Any]]:
        """The newest status row of each tenant for one objective."""
        return {
            row["tenant"]: {**row, "act_from_ms": status["act_from_ms"], "at_ms": status["at_ms"]}
            for status in self.status.values()
            for row in status["rows"]
            if row["slo"] == slo
        }

    async def _read(self) -> None:
        async for record in self._consumer:
            event = envelope.decode(record.headers, record.value)
            if event.type == STATUS_TYPE:
                self.status[event.data["shard"]] = dict(event.data)
            elif event.type != HEARTBEAT_TYPE and (event.type, event.id) not in self._seen:
                self._seen.add((event.type, event.id))
                self.events.append(event)
