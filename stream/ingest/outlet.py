"""Ingest's own idempotent producer: each journal partition gets one gapless stream, a failed send ends the process."""

import asyncio
from collections.abc import Iterable
from typing import Any, assert_never

from aiokafka import AIOKafkaProducer

from schemas import journal
from stream import kafka
from stream.faustlib import exits
from stream.ingest.batch import DeadLetter, Outgoing, ToJournal
from stream.kafka import Address
from stream.topics import RECORD_BYTES_MAX, Topics

REQUEST_MS_MAX = 30_000  # a broker that is away longer ends the process; what was not acknowledged is read again


class Outlet:
    """Sends to the journal and to the dead letters."""

    def __init__(self, bootstrap: Address, topics: Topics) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connects; a second call does nothing."""
        if self._producer is not None:
            return
        self._producer = AIOKafkaProducer(
            **kafka.client(self._bootstrap),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            compression_type="lz4",
            request_timeout_ms=REQUEST_MS_MAX,
            max_request_size=RECORD_BYTES_MAX,
        )
        await self._producer.start()

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Returns when the broker has all of them."""
        assert self._producer is not None, "start comes first"
        sent: list[asyncio.Future[Any]] = []
        for each in outgoing:
            future = await self._handed_over(self._producer, each)
            future.add_done_callback(_check)
            sent.append(future)
        await asyncio.gather(*sent)

    async def _handed_over(self, producer: AIOKafkaProducer, outgoing: Outgoing) -> asyncio.Future[Any]:
        match outgoing:
            case ToJournal(shard, kind, value):
                headers = [("kind", kind.encode()), ("version", str(journal.VERSION).encode())]
                future = await producer.send(self._topics.journal, value, partition=shard, headers=headers)
            case DeadLetter(value, letter_headers, key):
                headers = list(letter_headers)
                future = await producer.send(self._topics.dead_letter, value, key=key, headers=headers)
            case _:
                assert_never(outgoing)
        return future  # type: ignore[no-any-return]  # aiokafka has no types


def _check(sent: asyncio.Future[Any]) -> None:
    error = None if sent.cancelled() else sent.exception()
    if error is not None:
        exits.send_failed(error)
