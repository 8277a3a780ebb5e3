"""Sends telemetry to Kafka as the Collector's Kafka exporter does: one OTLP request a record, no key, no headers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from examples.acme import telemetry

EXPORT_S = 0.5
BACKLOG_RECORDS_MAX = 480  # two minutes at four records a second
RETRY_S = 1.0
SEND_MS = 5_000  # a broker that is silent for longer is away
DRAIN_S = 2.0  # at a clean end the last records get this long


class Exporter:
    """Every half second one record of spans and one of metrics; while Kafka is away the newest records are kept.

    An empty `bootstrap` exports to nowhere: everything is built, counted and dropped.
    """

    def __init__(
        self, source: telemetry.Telemetry, bootstrap: str, topic_prefix: str, say: Callable[[str], None]
    ) -> None:
        self._source = source
        self._bootstrap = bootstrap
        self._say = say
        self._spans_topic = f"{topic_prefix}otlp_spans"
        self._metrics_topic = f"{topic_prefix}otlp_metrics"
        self.backlog: deque[tuple[str, bytes]] = deque()
        self._filled = asyncio.Event()
        self.dropped = 0
        self.away = False

    async def run(self) -> None:
        """Export until cancelled; then send what is left, within a limit."""
        sender = asyncio.create_task(self._send_all()) if self._bootstrap else None
        try:
            while True:
                await asyncio.sleep(EXPORT_S)
                self._collect()
        finally:
            self._collect()
            if sender is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_S):
                        while self.backlog and not self.away:
                            await asyncio.sleep(0.01)
                sender.cancel()
                with suppress(asyncio.CancelledError):
                    await sender

    def _collect(self) -> None:
        self.keep(self._spans_topic, self._source.spans())
        self.keep(self._metrics_topic, self._source.metrics(time.time_ns()))

    def keep(self, topic: str, payload: bytes) -> None:
        if not payload or not self._bootstrap:
            return
        if len(self.backlog) >= BACKLOG_RECORDS_MAX:
            self.backlog.popleft()
            self.dropped += 1
        self.backlog.append((topic, payload))
        self._filled.set()

    async def _send_all(self) -> None:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it repeats each failure ten times a second
        while True:
            producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks=1, request_timeout_ms=SEND_MS)
            try:
                await producer.start()
                if self.away:
                    self._say(f"telemetry: Kafka is back; {self.dropped} records were dropped meanwhile")
                self.away = False
                await self._send_backlog(producer)
            except (KafkaError, OSError) as error:
                if not self.away:
                    self._say(f"telemetry: Kafka at {self._bootstrap} is away, keeping records: {error!r}")
                self.away = True
            finally:
                with suppress(KafkaError, OSError):
                    await producer.stop()
            await asyncio.sleep(RETRY_S)

    async def _send_backlog(self, producer: AIOKafkaProducer) -> None:
        """A record leaves the backlog when the broker has it, so a failure may repeat one: as in production."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self.backlog:
                record = self.backlog[0]
                await producer.send_and_wait(record[0], record[1])
                if self.backlog and self.backlog[0] is record:
                    self.backlog.popleft()
