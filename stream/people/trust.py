"""Which records of the public topics count: what detect signed of incidents and orders, what an actuator signed of its
own targets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas import envelope, signing
from schemas.envelope import Event
from stream import keys
from stream.report.story import OUTCOME_TYPE
from stream.settings import Settings


class UntrustedError(ValueError):
    """A record that must not count; the message says why."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that count, and by key id the actuator that each of theirs speaks for."""

    commanders: Mapping[str, Ed25519PublicKey]
    actuators: Mapping[str, Ed25519PublicKey]
    names: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys that the settings name. Raises KeyFileError."""
        files = settings.trusted_actuator_keys
        return cls(keys.trusted(settings.trusted_command_keys), keys.trusted(files), keys.actuators(files))

    def event(self, headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event:
        """The event of a record. Raises UntrustedError."""
        try:
            event = envelope.decode(headers, value)
        except envelope.NotAnEvent as error:
            raise UntrustedError(str(error)) from error
        from_act = event.type == OUTCOME_TYPE
        known = self.actuators if from_act else self.commanders
        signer = signing.signer(known, event.keyid, event.signature, event.type, event.id, event.source, event.data)
        if signer is None:
            raise UntrustedError(f"not signed by a trusted {'actuator' if from_act else 'command'} key")
        if from_act and event.data.get("actuator") != self.names[signer]:
            told = event.data.get("actuator")
            raise UntrustedError(f"signed by actuator {self.names[signer]}, and speaks of a target of {told}")
        return event
