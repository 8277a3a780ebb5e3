"""The fields of a protobuf message as JSON writes them: readers made from the message's own description.

proto3's JSON mapping (names in camelCase or as in the .proto file, 64-bit numbers as texts or numbers, enumerations by
name or number, null for an absent field, unknown fields ignored) with OTLP's exception: trace and span ids are
hexadecimal. What a reader gives is what the message's constructor takes.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

NESTING_MAX = 100  # messages within messages, as protobuf's own parsers have it
SHOWN_MAX = 60  # characters of a value in a reason: it must fit one line of a terminal
ID_BYTES: Mapping[str, int] = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}

Reader = Callable[[Any, int], Any]
"""Takes a value of the JSON tree and how many messages it stands in; raises WrongError."""

_DIGITS = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,400})(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?")
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_HEX = re.compile(r"[0-9a-fA-F]*")
_INTEGERS: Mapping[int, tuple[int, int]] = {
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((FieldDescriptor.TYPE_SFIXED32, FieldDescriptor.TYPE_ENUM), (-(2**31), 2**31 - 1)),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), (0, 2**32 - 1)),
    **dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64), (-(2**63), 2**63 - 1)),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), (0, 2**64 - 1)),
}


class WrongError(ValueError):
    """A value that its field cannot have; `path` grows from the inside outwards."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[str | int] = []

    def place(self) -> str:
        """Where in the document, as `resourceSpans[0].scopeSpans[1].spans[3].kind`."""
        parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in reversed(self.path)]
        return "".join(parts).removeprefix(".")


@dataclass(slots=True)
class MessageReader:
    """Reads one JSON object; filled after it is made, since messages contain themselves."""

    fields: dict[str, tuple[str, str, Reader]] = field(default_factory=dict)
    """By either name of a field: its own name, that of its oneof, "" without one, and its reader."""

    def __call__(self, value: Any, depth: int) -> dict[str, Any]:
        if type(value) is not dict:
            raise WrongError(f"{shown(value)} is not an object")
        if depth > NESTING_MAX:
            raise WrongError(f"more than {NESTING_MAX} objects within one another")
        found: dict[str, Any] = {}
        slots: list[str] = []
        for key, item in value.items():
            known = self.fields.get(key)
            if known is None or item is None:
                continue
            name, slot, read = known
            try:
                if slot or name in found:
                    _alone(name, slot, found, slots)
                found[name] = read(item, depth + 1)
            except WrongError as wrong:
                wrong.path.append(key)
                raise
        return found


def _alone(name: str, slot: str, found: Mapping[str, Any], slots: list[str]) -> None:
    """Notes the oneof of a field. Raises WrongError for a field given under both names, and for two of one oneof."""
    if name in found:
        raise WrongError(f"is given twice, by both names of {name}")
    if slot in slots:
        raise WrongError("an object has only one of the fields that exclude each other, and here is a second")
    slots.append(slot)


def readers(message: Descriptor, made: dict[str, MessageReader] | None = None) -> MessageReader:
    """The reader of this message and, through `made` by full name, of all that it contains."""
    known = {} if made is None else made
    if message.full_name in known:
        return known[message.full_name]
    reader = known[message.full_name] = MessageReader()
    for each in message.fields:
        read = _single(each, known)
        if each.is_repeated:
            read = _repeated(read)
        choice = each.containing_oneof
        slot = choice.name if choice is not None and len(choice.fields) > 1 else ""
        for key in (each.name, each.json_name):
            reader.fields[key] = (each.name, slot, read)
    return reader


def _single(each: FieldDescriptor, made: dict[str, MessageReader]) -> Reader:
    match each.type:
        case FieldDescriptor.TYPE_MESSAGE:
            assert each.message_type is not None
            return readers(each.message_type, made)
        case FieldDescriptor.TYPE_STRING:
            return _text
        case FieldDescriptor.TYPE_BOOL:
            return _truth
        case FieldDescriptor.TYPE_BYTES:
            return _identifier(ID_BYTES[each.name]) if each.name in ID_BYTES else _binary
        case FieldDescriptor.TYPE_ENUM:
            assert each.enum_type is not None
            return _named(each.enum_type)
        case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FLOAT:
            return _double
        case kind:
            return _integer(*_INTEGERS[kind])


def _repeated(read: Reader) -> Reader:
    def items(value: Any, depth: int) -> list[Any]:
        if type(value) is not list:
            raise WrongError(f"{shown(value)} is not a list")
        found: list[Any] = []
        add = found.append
        try:
            for item in value:
                add(read(item, depth))
        except WrongError as wrong:
            wrong.path.append(len(found))
            raise
        return found

    return items


def _text(value: Any, _: int) -> str:
    if type(value) is not str:
        raise WrongError(f"{shown(value)} is not a text in quotes")
    return value


def _truth(value: Any, _: int) -> bool:
    if type(value) is not bool:
        raise WrongError(f"{shown(value)} is neither true nor false")
    return value


def _integer(least: int, most: int) -> Reader:
    def integer(value: Any, _: int) -> int:
        number = _whole(value)
        if number is None:
            raise WrongError(f"{shown(value)} is not a whole number")
        if not least <= number <= most:
            raise WrongError(f"{shown(value)} is not between {least} and {most}")
        return number

    return integer


def _whole(value: Any) -> int | None:
    """The whole number that this is, also written as 1.0, 1e3 or a text; None for anything else."""
    if type(value) is int:
        return value
    if type(value) is str:
        if _DIGITS.fullmatch(value):
            return int(value)
        value = float(value) if _NUMBER.fullmatch(value) else None
    return int(value) if type(value) is float and value.is_integer() else None


def _double(value: Any, _: int) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if type(value) is str and value in _SPECIAL:
        return _SPECIAL[value]
    if type(value) is str and _NUMBER.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    raise WrongError(f"{shown(value)} is not a number that a double holds, nor one of {', '.join(_SPECIAL)}")


def _named(kind: EnumDescriptor) -> Reader:
    numbers = {name: value.number for name, value in kind.values_by_name.items()}
    bounded = _integer(*_INTEGERS[FieldDescriptor.TYPE_ENUM])

    def enumerated(value: Any, depth: int) -> int:
        if type(value) is str and value in numbers:
            return numbers[value]
        if type(value) is str and not _NUMBER.fullmatch(value):
            raise WrongError(f"{shown(value)} is not a number or a name of {kind.name}, as {next(iter(numbers))}")
        return int(bounded(value, depth))

    return enumerated


def _identifier(size: int) -> Reader:
    def identifier(value: Any, _: int) -> bytes:
        if type(value) is not str or len(value) not in (0, 2 * size) or not _HEX.fullmatch(value):
            raise WrongError(f"{shown(value)} is not an id of {2 * size} hexadecimal digits")
        return bytes.fromhex(value)

    return identifier


def _binary(value: Any, _: int) -> bytes:
    """Base64 in either alphabet, with or without its padding."""
    if type(value) is not str:
        raise WrongError(f"{shown(value)} is not a text in base64")
    plain = value.rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrongError(f"{shown(value)} is not base64") from error


_URL_SAFE = str.maketrans("-_", "+/")


def shown(value: Any) -> str:
    """The value as JSON has it, short enough for one line."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= SHOWN_MAX else value[:SHOWN_MAX] + "…")
        case _:
            return str(value)
