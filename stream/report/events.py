"""All that the public topics hold of incidents, commands and outcomes, as far as a trusted key signed it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas import envelope, signing
from schemas.envelope import Event
from stream import kafka, keys, reach, topics
from stream.reach import Stored
from stream.settings import Settings


@dataclass(frozen=True, slots=True)
class Archive:
    """The events topic by topic, each in the order of its partitions, repeats left in; and what does not count."""

    events: tuple[Event, ...]
    rejected: tuple[str, ...]


async def read(settings: Settings) -> Archive:
    """Reads the three topics from their beginning to the end that they have now, in no consumer group.

    Raises BrokerError, MissingTopicsError and KeyFileError.
    """
    names = topics.names(settings.topic_prefix)
    commanders, actuators = keys.trusted(settings.trusted_command_keys), keys.trusted(settings.trusted_actuator_keys)
    sources = ((names.incidents, commanders), (names.commands, commanders), (names.outcomes, actuators))
    parts = await asyncio.gather(
        *(fold(topic, reach.read(kafka.cluster(settings), topic), trusted) for topic, trusted in sources)
    )
    return Archive(
        tuple(event for part in parts for event in part.events), tuple(line for part in parts for line in part.rejected)
    )


async def fold(topic: str, records: AsyncIterator[Stored], trusted: Mapping[str, Ed25519PublicKey]) -> Archive:
    """The events of one topic. What cannot be read or nobody trusted signed is named, never counted."""
    events: list[Event] = []
    rejected: list[str] = []
    async for stored in records:
        place = f"{topic}[{stored.partition}] offset {stored.offset}"
        try:
            event = envelope.decode(stored.headers, stored.value)
        except envelope.NotAnEvent as error:
            rejected.append(f"{place}: {error}")
            continue
        if signing.signer(trusted, event.keyid, event.signature, event.type, event.id, event.source, event.data):
            events.append(event)
        else:
            rejected.append(f"{place}: not signed by a trusted key")
    return Archive(tuple(events), tuple(rejected))
