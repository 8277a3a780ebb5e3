"""What spans, logs and metrics have in common: the table of strings, resources and attributes."""

from collections.abc import Iterable, Sequence

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from schemas.otlp.columns import Attributes, Resource, Scalar, ValueKind

_KINDS = {
    None: ValueKind.NONE,
    "string_value": ValueKind.STRING,
    "bool_value": ValueKind.BOOL,
    "int_value": ValueKind.INT,
    "double_value": ValueKind.DOUBLE,
    "array_value": ValueKind.ARRAY,
    "kvlist_value": ValueKind.KVLIST,
    "bytes_value": ValueKind.BYTES,
}


class Codes(dict[str, int]):
    """Strings of one record in the order of their first use: `codes[text]` is the place of a text, 0 that of ""."""

    def __init__(self) -> None:
        super().__init__({"": 0})

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code


def resource(pairs: Iterable[KeyValue]) -> Resource:
    """Keep the scalar attributes of one resource and count the rest."""
    kept: dict[str, Scalar] = {}
    contradicted: set[str] = set()
    given = 0
    for pair in pairs:
        given += 1
        value = _scalar(pair.value)
        if value is None:
            continue
        first = kept.setdefault(pair.key, value)
        if (type(first), first) != (type(value), value):
            contradicted.add(pair.key)
    for key in contradicted:
        del kept[key]
    return Resource(kept, given - len(kept))


def _scalar(value: AnyValue) -> Scalar | None:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case _:
            return None


def kind(value: AnyValue) -> ValueKind:
    """Which member of AnyValue is set; NONE for one that this version does not know."""
    return _KINDS.get(value.WhichOneof("value"), ValueKind.NONE)


def attributes(codes: Codes, owners: Sequence[Iterable[KeyValue]]) -> Attributes:
    """Lay the attributes of n owners in one flat table of m rows; strings enter `codes`."""
    owner: list[int] = []
    key: list[int] = []
    kind: list[int] = []
    text: list[int] = []
    number: list[float] = []
    for row, pairs in enumerate(owners):
        for pair in pairs:
            value = pair.value
            which = value.WhichOneof("value")
            owner.append(row)
            key.append(codes[pair.key])
            kind.append(_KINDS.get(which, ValueKind.NONE))
            match which:
                case "string_value":
                    text.append(codes[value.string_value])
                    number.append(np.nan)
                case "int_value":
                    text.append(0)
                    number.append(value.int_value)
                case "double_value":
                    text.append(0)
                    number.append(value.double_value)
                case "bool_value":
                    text.append(0)
                    number.append(value.bool_value)
                case _:
                    text.append(0)
                    number.append(np.nan)
    return Attributes(
        owner=np.array(owner, np.int32),
        key=np.array(key, np.int32),
        kind=np.array(kind, np.uint8),
        text=np.array(text, np.int32),
        number=np.array(number, np.float64),
    )
