"""Outcomes on their way from the ledger to Kafka, in order; none is lost while Kafka is away."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actuators import ledger
from actuators.ledger import Ledger, Unsent
from schemas import envelope
from schemas.envelope import Event
from stream import kafka
from stream.kafka import Address

OUTCOME_TYPE = f"{envelope.TYPE_PREFIX}outcome"
IDLE_S = 1.0  # between two looks while nothing happens
PAUSE_S = 2.0  # after Kafka failed
REQUEST_MS = 10_000

log = logging.getLogger("douse.act")


class Delivery:
    """One idempotent producer, made anew after every failure: ids, not sessions, remove the repeats."""

    def __init__(
        self, bootstrap: Address, topic: str, name: str, book: Ledger, keyid: str, key: Ed25519PrivateKey
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._source = f"/douse/act/{name}"
        self._book = book
        self._keyid = keyid
        self._key = key
        self._news = asyncio.Event()
        self._closing = False

    def wake(self) -> None:
        """There is something to send, or to commit."""
        self._news.set()

    def close(self) -> None:
        """Send what is there, then end."""
        self._closing = True
        self._news.set()

    async def run(self, begin: Callable[[], Callable[[], Awaitable[None]]]) -> None:
        """Until it is closed. `begin` is called before each look at the ledger; what it returned once all is sent."""
        producer: AIOKafkaProducer | None = None
        try:
            while True:
                last = self._closing
                self._news.clear()
                try:
                    if producer is None:
                        producer = self._new_producer()
                        await producer.start()
                    commit = begin()
                    if await self._sent_all(producer):
                        await commit()
                        if last:
                            return
                except (KafkaError, OSError) as error:
                    log.warning("kafka: outcomes wait in the ledger: %s", error)
                    await _stopped(producer)
                    producer = None
                    await asyncio.sleep(PAUSE_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), IDLE_S)
        finally:
            await _stopped(producer)

    async def _sent_all(self, producer: AIOKafkaProducer) -> bool:
        unsent = await asyncio.to_thread(self._book.unsent)
        for each in unsent:
            headers, value = envelope.encode(self._event(each))
            await producer.send_and_wait(self._topic, value, key=each.outcome.command.encode(), headers=headers)
            await asyncio.to_thread(self._book.acknowledged, each.number)
        if len(unsent) < ledger.UNSENT_MAX:
            return True
        self._news.set()
        return False

    def _event(self, unsent: Unsent) -> Event:
        event = Event(OUTCOME_TYPE, unsent.id, self._source, unsent.time_ms, unsent.outcome.fields())
        return envelope.signed(event, self._keyid, self._key)

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **kafka.client(self._bootstrap),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            request_timeout_ms=REQUEST_MS,
        )


async def _stopped(producer: AIOKafkaProducer | None) -> None:
    if producer is not None:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.stop(), PAUSE_S)
