"""One form for all that is signed, hashed or compared: JSON with sorted keys, integers and strings, no floats."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import orjson

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

ID_BYTES = 16  # 128 bits: a repeat by chance is out of reach for any number of incidents
DEPTH_MAX = 64  # a spec set is 8 deep; anyone may send brackets, and they are walked before a signature is checked


def dumps(value: Json) -> bytes:
    """Bytes of `value`: keys sorted, no white space, UTF-8.

    Raises TypeError for a float: its text depends on who writes it, so it has no place in a signed form; and for what
    is nested more than DEPTH_MAX deep.
    """
    _refuse_floats(value, "$", 0)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loads(data: bytes) -> Json:
    """Reads what `dumps` wrote (any JSON is accepted). Raises ValueError with the place of the first bad byte."""
    value: Json = orjson.loads(data)
    return value


def digest(*parts: str | int) -> str:
    """32 hex digits that name `parts`: the same parts give the same id, in any process and at any time."""
    text = "\x00".join(str(part) for part in parts)
    return blake2b(text.encode(), digest_size=ID_BYTES).hexdigest()


def hash64(data: bytes) -> int:
    """First 8 bytes of blake2b, big-endian, as an unsigned integer."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def _refuse_floats(value: Json, path: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise TypeError(f"nested more than {DEPTH_MAX} levels deep")
    if isinstance(value, float):
        raise TypeError(f"{path} is a float ({value}); canonical JSON holds integers: use milli, ppm or ms")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_floats(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for place, inner in enumerate(value):
            _refuse_floats(inner, f"{path}[{place}]", depth + 1)
