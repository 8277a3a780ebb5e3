"""What detect sends at once: signed events and ticks, through one idempotent producer whose retries repeat nothing."""

import asyncio
from typing import Any, assert_never

from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope, journal
from stream import kafka
from stream.effects import Outlet, Publish
from stream.faustlib import exits
from stream.kafka import Address
from stream.topics import Topics

REQUEST_MS_MAX = 30_000  # a broker that is away longer ends the process; its successor sends the same again
RECORD_BYTES_MAX = 8 << 20  # what the journal topic takes
TICK_HEADERS = [("kind", journal.Kind.TICK.encode()), ("version", str(journal.VERSION).encode())]


class Publisher:
    """One producer for all shards of the process. A send that fails ends the process: nothing later may overtake it."""

    def __init__(self, bootstrap: Address, topics: Topics, keyid: str, key: Ed25519PrivateKey) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._keyid = keyid
        self._key = key
        self._producer: AIOKafkaProducer | None = None
        self._started = asyncio.Event()

    async def start(self) -> None:
        self._producer = AIOKafkaProducer(
            **kafka.client(self._bootstrap),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            request_timeout_ms=REQUEST_MS_MAX,
            max_request_size=RECORD_BYTES_MAX,
        )
        await self._producer.start()
        self._started.set()

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, effect: Publish) -> asyncio.Future[Any]:
        """Hands over one event, signed; the future ends when the broker has it. Waits only while the buffer is full."""
        event = envelope.Event(effect.type, effect.id, effect.source, effect.time_ms, effect.data)
        headers, value = envelope.encode(envelope.signed(event, self._keyid, self._key))
        return await self._send(self._topic(effect.outlet), value, key=effect.key.encode(), headers=headers)

    async def tick(self, shard: int, tick: journal.Tick) -> asyncio.Future[Any]:
        """Appends a tick to the shard's journal partition; the broker stamps it."""
        return await self._send(self._topics.journal, journal.encode_tick(tick), partition=shard, headers=TICK_HEADERS)

    def _topic(self, outlet: Outlet) -> str:
        match outlet:
            case Outlet.INCIDENTS:
                return self._topics.incidents
            case Outlet.COMMANDS:
                return self._topics.commands
            case Outlet.STATUS:
                return self._topics.status
            case _:
                assert_never(outlet)

    async def _send(self, topic: str, value: bytes, **more: Any) -> asyncio.Future[Any]:
        await self._started.wait()  # a shard may have loaded before the producer has its id
        assert self._producer is not None
        sent: asyncio.Future[Any] = await self._producer.send(topic, value, **more)
        sent.add_done_callback(_check)
        return sent


def _check(sent: asyncio.Future[Any]) -> None:
    error = None if sent.cancelled() else sent.exception()
    if error is not None:
        exits.send_failed(error)
