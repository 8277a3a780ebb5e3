"""The worker's own pulse: once a second it looks at itself, every ten it says on Kafka that it is well.

A dead-man's switch: what tells is the silence. A worker that is not well by its own watchdog keeps silent too.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import canonical, envelope
from schemas.envelope import Event
from schemas.events import HEARTBEAT_TYPE, Heartbeat
from stream import kafka, topics
from stream.faustlib.watchdog import Watchdog
from stream.health import vitals
from stream.health.families import Families, version
from stream.health.server import Server
from stream.health.vitals import STANDS_S_MAX, Look, Vitals
from stream.settings import Settings

BEAT_S = 1.0
HEARTBEAT_S = 10  # six of them fit into the minute within which their absence has to be told
REQUEST_MS = 5_000
SEND_S_MAX = 5.0
OFF = "off"

log = logging.getLogger("douse.health")

Signer = tuple[str, Ed25519PrivateKey]


class Pulse:
    """One worker's endpoint and heartbeat. Nothing that fails here may hold up or end the worker's work."""

    def __init__(self, settings: Settings, families: Families, name: str = "", signer: Signer | None = None) -> None:
        """`name` is the actuator's, `signer` the worker's key where it has one: ingest has none."""
        self.vitals = Vitals()
        self.families = families
        self._cluster = kafka.cluster(settings)
        self._topic = topics.names(settings.topic_prefix).status
        self._name = name
        self._signer = signer
        self._boot = uuid.uuid4().hex
        self._sequence = 0
        self._watchdog = Watchdog(STANDS_S_MAX)
        self._warned = False

    def serve(self, address: str) -> None:
        """Opens the endpoint, unless it is off. An address that cannot be had costs the endpoint, not the worker."""
        if address == OFF:
            return
        host, _, port = address.rpartition(":")
        try:
            server = Server(host, int(port), self.families.registry, self.vitals)
        except (OSError, OverflowError) as error:
            setting = f"{self.families.app}_metrics_address"
            log.warning(
                "no metrics: %s cannot be had (%s); set `%s` to another address or to off", address, error, setting
            )
            return
        server.begin()
        log.info("metrics and health at http://%s/metrics", server.address)

    async def run(self, look: Callable[[], Look]) -> None:
        """Until it is cancelled; beside the loop's other work, so it also shows that the loop turns."""
        sending = asyncio.create_task(self._send_all())
        try:
            while True:
                self.beat(look(), time.monotonic(), time.time())
                await asyncio.sleep(BEAT_S)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def beat(self, seen: Look, now_s: float, wall_s: float) -> None:
        """One look at the worker; `now_s` by the clock of probes, `wall_s` Unix time."""
        self._watchdog.keep(seen.positions.keys())
        standing = [
            part for part, (position, end) in seen.positions.items() if self._watchdog.stuck(part, position, end, now_s)
        ]
        if standing and not self.vitals.stalled:
            log.error("%s stands still for %g s although there is more to read", standing[0], STANDS_S_MAX)
        self.vitals.stalled = standing[0] if standing else ""
        self.vitals.waits_for = seen.waits_for
        self.vitals.beat_s = now_s
        self.families.stands(bool(standing), not vitals.unready(self.vitals, now_s))
        if not standing:
            self.families.well(wall_s)

    def heartbeat(self, wall_ms: int) -> Event:
        """The next event; its id counts them for this process."""
        self._sequence += 1
        app = self.families.app
        told = Heartbeat(
            app=app,
            actuator=self._name,
            boot=self._boot,
            sequence=self._sequence,
            at_ms=wall_ms,
            period_s=HEARTBEAT_S,
            ready=not self.vitals.waits_for,
            version=version(),
        )
        name = canonical.digest("heartbeat", app, self._boot, self._sequence)
        event = Event(HEARTBEAT_TYPE, name, f"/douse/{self._key()}", wall_ms, told.fields())
        return envelope.signed(event, *self._signer) if self._signer else event

    async def _send_all(self) -> None:
        producer: AIOKafkaProducer | None = None
        try:
            while True:
                if not self.vitals.stalled:
                    try:
                        async with asyncio.timeout(SEND_S_MAX):
                            producer = producer or await self._connected()
                            await self._send(producer)
                        self._warned = False
                    except (KafkaError, OSError, TimeoutError) as error:
                        self._warn(error)
                await asyncio.sleep(HEARTBEAT_S)
        finally:
            if producer is not None:
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    await asyncio.wait_for(producer.stop(), SEND_S_MAX)

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**kafka.client(self._cluster), request_timeout_ms=REQUEST_MS)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _send(self, producer: AIOKafkaProducer) -> None:
        headers, value = envelope.encode(self.heartbeat(int(time.time() * 1000)))
        await producer.send_and_wait(self._topic, value, key=f"heartbeat/{self._key()}".encode(), headers=headers)

    def _key(self) -> str:
        """One key an app, one an actuator: the compacted topic must not grow with every restart."""
        return f"{self.families.app}/{self._name}" if self._name else self.families.app

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("the heartbeat cannot be sent: %r", error)
