"""Requests as a Collector's otlp_json has them, made by protobuf's own json_format: only the ids are written anew."""

import base64
import json
import random
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
ID_KEYS = {*IDS, "traceId", "spanId", "parentSpanId"}
TEXTS = ("", "a", 'q"uo\\te":', "ключ\n", "tab\t\u2028", "service.name", "ot=th:8", "{}[],:", "x" * 80)


def document(message: Message, own_names: bool = False, enum_numbers: bool = True) -> bytes:
    """The message as JSON; by the names of the .proto file or in camelCase."""
    tree = json_format.MessageToDict(
        message, preserving_proto_field_name=own_names, use_integers_for_enums=enum_numbers
    )
    return json.dumps(_in_hexadecimal(tree)).encode()


def _in_hexadecimal(node: Any) -> Any:
    match node:
        case dict():
            return {
                key: base64.b64decode(value).hex() if key in ID_KEYS else _in_hexadecimal(value)
                for key, value in node.items()
            }
        case list():
            return [_in_hexadecimal(value) for value in node]
        case _:
            return node


def drawn(kind: type[Message], draw: random.Random, depth: int = 0) -> Any:
    """A sound message of this kind with any of its fields."""
    message = kind()
    chosen: dict[str, FieldDescriptor] = {}
    for each in message.DESCRIPTOR.fields:
        choice = each.containing_oneof
        slot = choice.name if choice is not None else each.name
        if draw.random() < 0.7 and (slot not in chosen or draw.random() < 0.3):
            chosen[slot] = each
    for each in chosen.values():
        if each.is_repeated:
            size = draw.randint(0, 3 if depth < 5 else 1)
            if each.type == FieldDescriptor.TYPE_MESSAGE:
                if depth < 9:
                    getattr(message, each.name).extend(_child(message, each, draw, depth) for _ in range(size))
            else:
                getattr(message, each.name).extend(_scalar(each, draw) for _ in range(size))
        elif each.type == FieldDescriptor.TYPE_MESSAGE:
            if depth < 9:
                getattr(message, each.name).CopyFrom(_child(message, each, draw, depth))
                getattr(message, each.name).SetInParent()
        else:
            setattr(message, each.name, _scalar(each, draw))
    return _sound(message, draw)


def _child(message: Message, each: FieldDescriptor, draw: random.Random, depth: int) -> Any:
    empty: Any = getattr(message, each.name)
    kind = type(empty.add()) if each.is_repeated else type(empty)
    if each.is_repeated:
        del empty[-1]
    return drawn(kind, draw, depth + 1)


def _sound(message: Any, draw: random.Random) -> Any:
    names = {each.name for each in message.DESCRIPTOR.fields}
    if message.DESCRIPTOR.name == "Span":
        message.trace_id, message.span_id = draw.randbytes(16), draw.randbytes(8)
        message.end_time_unix_nano = max(message.end_time_unix_nano, 1)  # a span without end has to look like one
    if message.DESCRIPTOR.name == "Metric" and message.WhichOneof("data") is None:
        message.name = "idle"  # one with neither data nor a readable name is refused as no metric
    if "explicit_bounds" in names:
        bounds = sorted({float(bound) for bound in draw.sample(range(100), 2)})
        message.explicit_bounds[:] = bounds
        message.bucket_counts[:] = [draw.randrange(2**63) for _ in range(3)] if draw.random() < 0.8 else []
    return message


def _scalar(each: FieldDescriptor, draw: random.Random) -> Any:
    match each.type:
        case FieldDescriptor.TYPE_STRING:
            return draw.choice(TEXTS)
        case FieldDescriptor.TYPE_BOOL:
            return draw.random() < 0.5
        case FieldDescriptor.TYPE_BYTES:
            size = draw.choice((0, IDS[each.name])) if each.name in IDS else draw.randrange(5)
            return draw.randbytes(size)
        case FieldDescriptor.TYPE_DOUBLE:
            return draw.choice((0.0, -1.5, 1e300, 5e-324, float("nan"), float("inf"), float("-inf"), 3.0))
        case FieldDescriptor.TYPE_ENUM:
            return draw.choice(list(each.enum_type.values_by_number))
        case FieldDescriptor.TYPE_INT32 | FieldDescriptor.TYPE_SINT32:
            return draw.randint(-30, 30)
        case FieldDescriptor.TYPE_INT64 | FieldDescriptor.TYPE_SFIXED64:
            return draw.choice((-(2**63), -1, 0, 2**53 + 1, 2**63 - 1))
        case FieldDescriptor.TYPE_UINT64 | FieldDescriptor.TYPE_FIXED64:
            return draw.choice((0, 7, 2**53 + 1, 2**63 - 1, *((2**64 - 1,) if "time" not in each.name else ())))
        case _:
            return draw.choice((0, 1, 2**31 - 1))
