"""OTLP's JSON door: a JSON document to the message that the protobuf door gives, or a reason in words."""

import re
from collections import Counter
from typing import Any, cast

import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from schemas.otlp import jsonfields, wire
from schemas.otlp.columns import Rejected

_BOM = b"\xef\xbb\xbf"
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"(\s*+:)?', re.DOTALL)
_READERS = {kind: jsonfields.readers(cast("Descriptor", kind.DESCRIPTOR)) for kind in wire.NAMES}


def parse(payload: bytes, kind: type[wire.Request]) -> wire.Request | Rejected:
    """Read `payload` as one whole JSON request of this kind; an empty payload is a request without resources."""
    if not payload:
        return kind()
    start = len(_BOM) if payload.startswith(_BOM) else 0
    try:
        tree = orjson.loads(memoryview(payload)[start:])
    except orjson.JSONDecodeError as error:
        # Its place counts characters up to the fault; the bytes of those are the place in the record.
        at = start + len(error.doc[: error.pos].encode(errors="surrogatepass"))
        return refused(kind, error.msg, min(at, len(payload)))
    fault = _outer_fault(tree, kind) or _repeated_key(payload, tree)
    if fault:
        return refused(kind, fault)
    try:
        return kind(**_READERS[kind](tree, 1))
    except jsonfields.WrongError as wrong:
        return refused(kind, f"{wrong.place()}: {wrong}")


def refused(kind: type[Message], found: str, offset: int = -1) -> Rejected:
    """The reason for a person why this document is not a request of this kind."""
    return Rejected(f"not an OTLP {wire.NAMES[kind]} request (JSON, encoding otlp_json): {found}", offset)


def _outer_fault(tree: Any, kind: type[Message]) -> str:
    """Say what shows that this is no request of this signal: unknown fields are ignored, but not all there is."""
    if not isinstance(tree, dict):
        return f"{jsonfields.shown(tree)}, not an object"
    for other, name in wire.NAMES.items():
        foreign = [key for key in _READERS[other].fields if key in tree]
        if other is not kind and foreign:
            return f"it holds {foreign[0]}: send it to the topic of the {name} (otlp_{name} by default)"
    if tree and not any(key in tree for key in _READERS[kind].fields):
        wanted = kind.DESCRIPTOR.fields[0].json_name
        return f"it has no {wanted}, but {jsonfields.shown(next(iter(tree)))}"
    return ""


def _repeated_key(payload: bytes, tree: Any) -> str:
    """Name a key that an object has twice. Readers disagree on which value counts, and the parser keeps one silently.

    So the keys in the bytes are counted, and those of the tree, which are its keys once it is written again.
    """
    try:
        kept = orjson.dumps(tree)
    except orjson.JSONEncodeError:  # the tree holds nothing but JSON, so only its depth can be wrong
        return f"objects and lists stand too deep within one another; {jsonfields.NESTING_MAX} values are read"
    if _key_count(payload) == _key_count(kept):
        return ""
    twice = next(iter(_keys(payload) - _keys(kept)), b"")
    return f"an object has the key {twice[: jsonfields.SHOWN_MAX].decode(errors='replace')} twice"


def _key_count(text: bytes) -> int:
    colons = _TEXTS.findall(text)
    return len(colons) - colons.count(b"")


def _keys(text: bytes) -> Counter[bytes]:
    return Counter(match[0].rstrip(b" \t\r\n:") for match in _TEXTS.finditer(text) if match[1])
