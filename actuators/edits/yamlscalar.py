"""Single values of YAML: what a key says, and how a value is written so that PyYAML reads back that very value."""

import re
from typing import Any

import yaml

from actuators.edits import integers, layout, spans
from actuators.edits.spans import Refused, Value

MERGE = "<<"

_BASES = {"0x": "x", "0b": "b"}
_OCTAL = {"0": "o"}
_OPPOSITE = {"true": "false", "false": "true", "yes": "no", "no": "yes", "on": "off", "off": "on"}
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./-]|(?<=[^ ]) (?=[A-Za-z0-9]))*")
_WORDS = re.compile(r"y|n|yes|no|on|off|true|false|null|nan|inf", re.IGNORECASE)  # in one reader or another no text
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def written(value: Value, old: str) -> tuple[bytes, ...] | Refused:
    """How `value` may be written in the place of `old`, nearest to its style first."""
    if isinstance(value, bool):
        return (_boolean(old).encode(),)
    if isinstance(value, int):
        if ":" in old:
            return spans.refused("the number is written in base 60 (1:30), which is not written again")
        octal = re.fullmatch("[+-]?0[0-7_]+", old) is not None
        return (integers.written(value, old, _OCTAL if octal else _BASES).encode(),)
    if old[:1] in "|>":
        return spans.refused("the value is a block of lines (| or >), whose place in its lines is not written again")
    printable = value.isprintable()
    double = '"' + "".join(map(_escaped, value)) + '"'
    ways = [double]
    if printable and not old.startswith('"'):
        ways.insert(0, "'" + value.replace("'", "''") + "'")
        if old[:1] != "'" and _PLAIN.fullmatch(value) and not _WORDS.fullmatch(value):
            ways.insert(0, value)
    return tuple(way.encode() for way in ways)


def key(raw: str) -> str | None:
    """The key that is written as `raw`, as a step of a path; None if it is not a single value."""
    if _SIMPLE_KEY.fullmatch(raw) and raw.lower() not in _OPPOSITE and raw.lower() != "null":
        return raw
    if raw == MERGE:
        return MERGE
    if raw[:1] in "&*!?[{|>":
        return None
    try:
        read: Any = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return None if isinstance(read, dict | list) else layout.segment(read)


def _boolean(old: str) -> str:
    """The other of the pair that `old` is one of, in its case: a reader that knows `yes` knows `no`."""
    word = _OPPOSITE[old.lower()]
    return word.upper() if old.isupper() else word.title() if old.istitle() else word


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
