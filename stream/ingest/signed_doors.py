"""The doors for what is signed: an outcome or an operator's word becomes a journal's event, or a reason why not."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from schemas import envelope, journal, signing
from schemas.commands import Outcome
from stream import control
from stream.ingest.doors import Addressed, Content, Door, Incoming, Nothing, Refused

OUTCOME = "dev.douse.outcome"


def outcomes(keys: Mapping[str, Ed25519PublicKey], names: Mapping[str, str], shards: int) -> Door:
    """The door for outcomes: only what a trusted actuator signed of its own targets, to the shard of its command.

    `names` says by key id whose key it is.
    """

    def enter(incoming: Incoming) -> Content:
        try:
            event = envelope.decode(incoming.stored.headers, incoming.stored.value)
        except envelope.NotAnEvent as error:
            return Refused(str(error))
        if event.keyid not in keys:
            return Refused(f"signed by {event.keyid or 'nobody'}, which is not a trusted actuator's key")
        if not signing.holds(keys[event.keyid], event.signature, event.type, event.id, event.source, event.data):
            return Refused("the signature does not fit the content")
        if event.type != OUTCOME:
            return Refused(f"type {event.type!r} is not {OUTCOME!r}")
        try:
            outcome = Outcome.read(event.data)
        except (ValidationError, TypeError) as error:
            return Refused(f"cannot be read: {error}")
        if outcome.actuator != names[event.keyid]:
            return Refused(f"signed by actuator {names[event.keyid]}, and speaks of a target of {outcome.actuator}")
        if not 0 <= outcome.shard < shards:
            return Refused(f"shard {outcome.shard} is not one of {shards}")
        return Addressed(journal.Kind.OUTCOME, event, (outcome.shard,))

    return enter


def controls(keys: Mapping[str, Ed25519PublicKey], shards: int) -> Door:
    """The door for what operators decide: only what a trusted operator signed, to all shards."""

    def enter(incoming: Incoming) -> Content:
        if incoming.stored.value is None:
            return Nothing()
        try:
            control.accept(incoming.stored, keys)
        except control.NotControlError as error:
            return Refused(str(error))
        event = envelope.decode(incoming.stored.headers, incoming.stored.value)
        return Addressed(journal.Kind.CONTROL, event, tuple(range(shards)))

    return enter
