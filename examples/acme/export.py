"""Sends telemetry to Kafka as the Collector's Kafka exporter does: one OTLP request a record, no key, no headers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from examples.acme import telemetry

REQUESTS_PER_RECORD_MAX = 512  # the SDKs' batch; 5 s of a storm in one record would be more than a broker takes
BACKLOG_RECORDS_MAX = 720  # two minutes at six records a second
RETRY_S = 1.0
SEND_MS = 5_000  # a broker that is silent for longer is away
DRAIN_S = 2.0  # at a clean end the last records get this long


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two exports of each signal."""

    spans_s: float
    metrics_s: float
    logs_s: float


PACES = {
    "fast": Pace(0.5, 0.5, 0.5),
    "default": Pace(5.0, 60.0, 1.0),  # what the OpenTelemetry SDKs do if nobody tells them otherwise
}


class Exporter:
    """Now and then one record of each signal; while Kafka is away the newest records are kept.

    An empty `bootstrap` exports to nowhere: everything is built, counted and dropped.
    """

    def __init__(
        self,
        sources: Sequence[telemetry.Telemetry],
        bootstrap: str,
        topic_prefix: str,
        say: Callable[[str], None],
        pace: Pace = PACES["fast"],
    ) -> None:
        self._sources = tuple(sources)
        self._bootstrap = bootstrap
        self._say = say
        self._pace = pace
        self._spans_topic = f"{topic_prefix}otlp_spans"
        self._metrics_topic = f"{topic_prefix}otlp_metrics"
        self._logs_topic = f"{topic_prefix}otlp_logs"
        self.backlog: deque[tuple[str, bytes]] = deque()
        self._filled = asyncio.Event()
        self.dropped = 0
        self.away = False

    async def run(self) -> None:
        """Export until cancelled; then send what is left, within a limit."""
        sender = asyncio.create_task(self._send_all()) if self._bootstrap else None
        collects = (
            (self._collect_spans, self._pace.spans_s),
            (self._collect_metrics, self._pace.metrics_s),
            (self._collect_logs, self._pace.logs_s),
        )
        tasks = [asyncio.create_task(_every(seconds, collect)) for collect, seconds in collects]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            for collect, _ in collects:
                collect()
            if sender is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_S):
                        while self.backlog and not self.away:
                            await asyncio.sleep(0.01)
                sender.cancel()
                with suppress(asyncio.CancelledError):
                    await sender

    def _collect_spans(self) -> None:
        for source in self._sources:
            while payload := source.spans(REQUESTS_PER_RECORD_MAX):
                self.keep(self._spans_topic, payload)

    def _collect_metrics(self) -> None:
        for source in self._sources:
            self.keep(self._metrics_topic, source.metrics(time.time_ns()))

    def _collect_logs(self) -> None:
        for source in self._sources:
            self.keep(self._logs_topic, source.logbook.export())

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


async def _every(seconds: float, do: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        do()
