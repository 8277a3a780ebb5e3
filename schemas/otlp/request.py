"""One record of an OTLP topic, in either encoding, to one message; a fault in it named as its encoding names places."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from schemas.otlp import document, wire
from schemas.otlp.columns import Rejected
from schemas.otlp.encoding import Encoding


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the entry (span, metric, log record) that stands at place `row` of its request."""

    row: int
    found: str


def encoding(payload: bytes, promised: Encoding) -> Encoding:
    """The encoding that these bytes plainly have, else the promised one.

    JSON is an object with a key, or an empty one, which is a request of nothing. Each protobuf request begins with the
    tag of its first field, a line break: no other text does that goes on as no JSON.
    """
    if wire.is_json(payload):
        return Encoding.JSON
    if payload.startswith(wire.FIRST_TAG):
        return Encoding.PROTO
    return promised


def parse(payload: bytes, kind: type[wire.Request], written: Encoding) -> wire.Request | Rejected:
    """Read `payload` as one whole request of this kind."""
    return document.parse(payload, kind) if written is Encoding.JSON else wire.parse(payload, kind)


def rejected(payload: bytes, request: Message, written: Encoding, fault: Fault) -> Rejected:
    """The reason for a person: the place in a JSON document; of protobuf what these bytes plainly are, if not this."""
    kind = type(request)
    if written is Encoding.PROTO:
        return wire.rejected(payload, kind, fault.found)
    return document.refused(kind, f"{_place(request, fault.row)}: {fault.found}")


def _place(request: Message, row: int) -> str:
    """The path of the entry that is number `row` of the whole request, in the names of its JSON."""
    left = row
    outer = request.DESCRIPTOR.fields[0]
    for at, block in enumerate(getattr(request, outer.name)):
        middle = _repeated(block, "scope_")
        for inside, scope in enumerate(getattr(block, middle.name)):
            inner = next(each for each in scope.DESCRIPTOR.fields if each.is_repeated)
            size = len(getattr(scope, inner.name))
            if left < size:
                return f"{outer.json_name}[{at}].{middle.json_name}[{inside}].{inner.json_name}[{left}]"
            left -= size
    raise AssertionError(f"no entry {row}")


def _repeated(message: Message, begins: str) -> Any:
    return next(each for each in message.DESCRIPTOR.fields if each.is_repeated and each.name.startswith(begins))
