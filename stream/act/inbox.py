"""Records of the commands topic as act understands them: whose they are, who signed them, what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from schemas import canonical, envelope, signing
from schemas.commands import Command
from schemas.envelope import Event, Headers

COMMAND_TYPE = f"{envelope.TYPE_PREFIX}command."
RECORD_BYTES_MAX = 1 << 16  # a command has about 1 kB; compressed, a topic takes a thousand times what it shows
DETAIL_CHARACTERS_MAX = 300  # what is wrong with a record may quote it
ECHO_CHARACTERS_MAX = 100  # of a field of a record that nobody vouches for
SHARDS_MAX = 1 << 16  # no deployment has more partitions; what a forgery says beyond is not passed on

Keys = Mapping[str, Ed25519PublicKey]


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another actuator's: ignored."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command for this actuator, and the trusted key that signed it, if one did."""

    command: Command
    signer: str | None


@dataclass(frozen=True, slots=True)
class Unfit:
    """A record for this actuator that is no command; whatever it says of itself stands in `named`, cut short."""

    command: str
    shard: int
    named: Mapping[str, str]
    detail: str


def command(name: str, keys: Keys, key: bytes | None, headers: Headers, value: bytes | None) -> Order | Unfit | Foreign:
    """Reads a record of the commands topic for the actuator `name`. The Kafka key tells whose a broken one is."""
    ours = (key or b"").startswith(f"{name}/".encode())
    size = len(value or b"") + sum(len(header) + len(raw or b"") for header, raw in headers)
    try:
        if size > RECORD_BYTES_MAX:
            raise envelope.NotAnEvent(f"{size} bytes; a command has at most {RECORD_BYTES_MAX}")
        event = envelope.decode(headers, value)
    except envelope.NotAnEvent as error:
        return _nameless(value or b"", str(error)) if ours else Foreign()
    if event.data.get("actuator") != name and not ours:
        return Foreign()
    try:
        order = Command.read(event.data)
    except (ValidationError, TypeError, ValueError) as error:
        return _unfit(event, _first_fault(error))
    if order.actuator != name:
        return _unfit(event, f"its key names {name}, its data another actuator")
    if event.id != order.command or event.type != COMMAND_TYPE + order.kind.value:
        return _unfit(event, "its headers and its data name different commands")
    return Order(order, _signer(keys, event))


def _signer(keys: Keys, event: Event) -> str | None:
    return signing.signer(keys, event.keyid, event.signature, event.type, event.id, event.source, event.data)


def _nameless(value: bytes, detail: str) -> Unfit:
    return Unfit(canonical.digest("record", canonical.hash64(value)), 0, {}, detail[:DETAIL_CHARACTERS_MAX])


def _unfit(event: Event, detail: str) -> Unfit:
    fields = ("kind", "applies", "target", "environment", "tenant", "incident", "mitigation", "parameter")
    named = {field: _echo(event.data.get(field)) for field in fields}
    shard = event.data.get("shard")
    known = isinstance(shard, int) and not isinstance(shard, bool) and 0 <= shard < SHARDS_MAX
    return Unfit(_echo(event.id), shard if known and isinstance(shard, int) else 0, named, detail)


def _echo(value: Any) -> str:
    return value[:ECHO_CHARACTERS_MAX] if isinstance(value, str) else ""


def _first_fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_input=False, include_url=False)[0]
        return f"field {'.'.join(map(str, fault['loc']))}: {fault['msg']}"[:DETAIL_CHARACTERS_MAX]
    return str(error)[:DETAIL_CHARACTERS_MAX]
