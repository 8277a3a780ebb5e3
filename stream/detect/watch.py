"""The other shards, as their digests on the status topic show them: read by every worker, told to its shards in ticks.

Read to the newest digest of each shard, without a group and without commits. Only what the command key signed counts:
a forged digest could hide a storm, or invent one.
"""

import logging
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas import envelope, signing
from schemas.envelope import NotAnEvent
from schemas.events import HEARTBEAT_TYPE, STATUS_TYPE, Status
from schemas.fleet import Fleet
from stream import kafka
from stream.core import fleet
from stream.kafka import Address

log = logging.getLogger(__name__)

REPEAT_S = 1.0  # a fold forgets the fleet after three
POLL_MS = 200


class Watch:
    """The newest digest of each shard, and what of it a shard has not been told yet."""

    def __init__(self, shards: int, keyid: str, key: Ed25519PublicKey) -> None:
        self._shards = shards
        self._keys = {keyid: key}
        self._digests: dict[int, Status] = {}
        self._told: dict[int, tuple[Fleet, float]] = {}
        self._warned = False

    def hear(self, headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> None:
        """Takes up one record of the topic; what is no digest of ours, or not signed by us, is left out."""
        try:
            event = envelope.decode(headers, value)
            if event.type == HEARTBEAT_TYPE:
                return
            trusted = signing.signer(
                self._keys, event.keyid, event.signature, event.type, event.id, event.source, event.data
            )
            if event.type != STATUS_TYPE or trusted is None:
                self._warn(f"{event.type} {event.id} is no digest that the command key signed")
                return
            status = Status.read(event.data)
        except (NotAnEvent, ValueError) as error:
            self._warn(str(error))
            return
        if 0 <= status.shard < self._shards:
            self._digests[status.shard] = status

    def news(self, shard: int, now_s: float) -> Fleet | None:
        """The fleet for this shard's next tick, where it says something new or the last one is a second old."""
        if not self._digests:
            return None
        newest_ms = max(digest.at_ms for digest in self._digests.values())
        told, told_s = self._told.get(shard, (None, now_s - REPEAT_S))
        if told is not None and told.at_ms == newest_ms:
            return None
        seen = fleet.summed(self._digests.values(), newest_ms, self._shards, shard)
        if told is not None and now_s - told_s < REPEAT_S and _words(seen) == _words(told):
            return None
        self._told[shard] = (seen, now_s)
        return seen

    def forget(self, shard: int) -> None:
        """The shard has gone to another owner; should it come back, it is told at once."""
        self._told.pop(shard, None)

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("status: a record is left out, and others like it will be: %s", text)


async def read(bootstrap: Address, topic: str, watch: Watch) -> None:
    """Reads the topic from its beginning until it is cancelled."""
    consumer = AIOKafkaConsumer(**kafka.client(bootstrap), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        while True:
            batches: dict[Any, list[Any]] = await consumer.getmany(partition, timeout_ms=POLL_MS)
            for record in batches.get(partition, ()):
                watch.hear(record.headers, record.value)
    finally:
        await consumer.stop()


def _words(seen: Fleet) -> Fleet:
    """Without what changes with every digest."""
    return seen.model_copy(update={"at_ms": 0, "controls": ()})
