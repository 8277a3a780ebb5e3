"""The spec set that a worker counts by for its whole life: awaited at the start, watched for a newer one after.

The control topic has one partition, so Faust brings it to one worker of the group; every worker needs it, hence a
reader of its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.specs import SpecSet
from stream import control, kafka
from stream.kafka import Address
from stream.reach import Stored

AGAIN_S = 1.0  # between two looks while there is no spec set
FETCH_WAIT_MS = 2_000  # a fetch without news returns after this; longer would keep a clean stop waiting
PARTITION = 0


@dataclass(frozen=True, slots=True)
class InForce:
    """The spec set, and the control offset up to which (exclusive) it is the last word."""

    specs: SpecSet
    next_offset: int


async def first(
    bootstrap: Address, topic: str, trusted: Mapping[str, Ed25519PublicKey], say: Callable[[str], None]
) -> InForce:
    """Waits until a trusted operator has applied a spec set; says once that it waits. Raises BrokerError."""
    said = False
    while True:
        found = await control.read(bootstrap, topic, trusted)
        if found.specs is not None:
            return InForce(found.specs, found.next_offset)
        if not said:
            say(f"no spec set on {topic} yet, nothing is counted before: `douse specs apply DIR`")
            said = True
        await asyncio.sleep(AGAIN_S)


async def newer(bootstrap: Address, topic: str, trusted: Mapping[str, Ed25519PublicKey], known: InForce) -> SpecSet:
    """Returns when another spec set than the known one is on the topic. Raises KafkaError."""
    consumer = AIOKafkaConsumer(
        **kafka.client(bootstrap),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    try:
        part = TopicPartition(topic, PARTITION)
        consumer.assign([part])
        consumer.seek(part, known.next_offset)
        async for record in consumer:
            key = record.key.decode(errors="replace") if record.key else ""
            specs = _specs(
                Stored(PARTITION, record.offset, record.timestamp, key, record.headers, record.value), trusted
            )
            if specs is not None and specs.revision != known.specs.revision:
                return specs
        raise AssertionError("a consumer that is not stopped has no end")
    finally:
        await consumer.stop()


def _specs(stored: Stored, trusted: Mapping[str, Ed25519PublicKey]) -> SpecSet | None:
    if stored.value is None:
        return None
    try:
        decided = control.accept(stored, trusted)
    except control.NotControlError:
        return None  # the worker that owns the partition sends it to the dead letters
    return decided.specs if isinstance(decided, control.Specs) else None
