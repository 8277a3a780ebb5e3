"""Set one value of a TOML file, given as bytes, and leave every other byte as it is.

A concrete syntax tree finds the bytes of the value; the standard library's parser reads the file before and after,
and the two trees must differ in that one value, else the edit is refused. Paths through arrays are refused: their
places move.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tree_sitter
import tree_sitter_toml

from actuators.edits import secrets, spans
from actuators.edits.spans import Edit, Path, Refused, Span, Value
from schemas.commands import OutcomeReason

BOM = b"\xef\xbb\xbf"
LANGUAGE = tree_sitter.Language(tree_sitter_toml.language())
SCALARS = frozenset({"integer", "string", "boolean"})
CONTEXT_LINES = 3

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(_[0-9]{3})+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_BASES = {b"0x": "x", b"0o": "o", b"0b": "b"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class _Document:
    """A file that both parsers have read. `lead` is the length of the byte order mark before `body`."""

    lead: int
    body: bytes
    tree: dict[str, Any]
    root: tree_sitter.Node


@dataclass(frozen=True, slots=True)
class _Pair:
    path: Path
    in_array: bool
    value: tree_sitter.Node


def read_value(content: bytes, key: str) -> Value | Refused:
    """The value in force at the dotted path `key`."""
    found = _find(content, key)
    return found if isinstance(found, Refused) else found[2]


def set_value(content: bytes, key: str, value: Value, salt: bytes, name: str) -> Edit | Refused:
    """`content` with `value` at the dotted path `key`, written in the style of the old one.

    The type must stay. `salt` and `name` are for the diff: secrets in it are hashed, and its file is called `name`.
    """
    found = _find(content, key)
    if isinstance(found, Refused):
        return found
    document, pair, before = found
    if type(value) is not type(before):
        return _refused(f"{key} is {_kind(before)}, the new value is {_kind(value)}; the type must stay")
    if isinstance(value, int) and not -spans.INTEGER_MAX - 1 <= value <= spans.INTEGER_MAX:
        return _refused(f"{value} does not fit the 64 bits of a TOML integer")
    if value == before:
        return Refused(OutcomeReason.NO_CHANGE, f"{key} is {spans.text(before)} already")
    raw = _rendered(value, _raw(document, pair))
    return _replaced(content, key, document, pair, before, value, raw, salt, name)


def put_back(content: bytes, key: str, ours: Value, value: Value, raw: bytes, salt: bytes, name: str) -> Edit | Refused:
    """`content` with the very bytes `raw` of the old `value` at `key`, if our own value `ours` still stands there."""
    found = _find(content, key)
    if isinstance(found, Refused):
        return found
    document, pair, before = found
    if not spans.same(before, ours):
        return Refused(OutcomeReason.PRE_IMAGE_CHANGED, f"somebody else has changed {key} since")
    return _replaced(content, key, document, pair, before, value, raw, salt, name)


def looks_secret(key: str, value: Value) -> bool:
    """True if the value at this dotted path must appear as a hash only."""
    return any(map(secrets.named_like_one, _path(key) or (key,))) or secrets.looks_like_one(spans.text(value))


def is_path(key: str) -> bool:
    """True if `key` is a dotted path as TOML writes it, e.g. `database.replica.pool_size` or `a."b.c"`."""
    return bool(_path(key))


def _find(content: bytes, key: str) -> tuple[_Document, _Pair, Value] | Refused:
    document = _read(content)
    if isinstance(document, Refused):
        return document
    path = _path(key)
    if not path:
        return _refused(f"{key!r} is not a dotted path like database.pool_size")
    value: Any = document.tree
    for place, segment in enumerate(path):
        if isinstance(value, list):
            return _refused(f"{'.'.join(path[:place])} is an array; a path through an array is not followed")
        if not isinstance(value, dict) or segment not in value:
            return Refused(OutcomeReason.KEY_MISSING, f"there is no {'.'.join(path[: place + 1])}")
        value = value[segment]
    if not isinstance(value, int | str):
        return _refused(f"{key} is {_kind(value)}; only integers, strings and booleans are set")
    pairs = [pair for pair in _pairs(document.root) if pair.path == path and not pair.in_array]
    if len(pairs) != 1 or pairs[0].value.type not in SCALARS:
        return _refused(f"the place of {key} in the file cannot be told")
    return document, pairs[0], value


def _read(content: bytes) -> _Document | Refused:
    if len(content) > spans.CONTENT_BYTES_MAX:
        return _refused(f"the file has {len(content)} bytes, more than {spans.CONTENT_BYTES_MAX}")
    lead = len(BOM) if content.startswith(BOM) else 0
    body = content[lead:]
    try:
        tree = tomllib.loads(body.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refused(f"not TOML: {_without_content(error)}")
    root = tree_sitter.Parser(LANGUAGE).parse(body).root_node
    if root.has_error:
        return _refused("the two parsers do not agree on this file")
    return _Document(lead, body, tree, root)


def _replaced(
    content: bytes,
    key: str,
    document: _Document,
    pair: _Pair,
    before: Value,
    value: Value,
    raw: bytes,
    salt: bytes,
    name: str,
) -> Edit | Refused:
    span = Span(document.lead + pair.value.start_byte, document.lead + pair.value.end_byte)
    changed = spans.splice(content, span, raw)
    after = _read(changed)
    if isinstance(after, Refused):
        return _refused(f"the file would not be TOML any more: {after.detail}")
    if not spans.differ_only_at(document.tree, after.tree, _path(key), value):
        return _refused(f"more than {key} would change")
    old, new = _masked(document, salt), _masked(after, salt)
    return Edit(before, value, content[span.start : span.stop], raw, changed, _diff(old, new, name))


def _pairs(root: tree_sitter.Node) -> Iterator[_Pair]:
    """Every key with a value in the file, also those in inline tables, with its whole path."""
    arrays: set[Path] = set()
    for node in root.children:
        match node.type:
            case "pair":
                yield from _unfolded(node, (), False)
            case "table" | "table_array_element":
                header = _node_path(node.named_children[0])
                if node.type == "table_array_element":
                    arrays.add(header)
                in_array = any(header[: len(path)] == path for path in arrays)
                for child in node.named_children[1:]:
                    if child.type == "pair":
                        yield from _unfolded(child, header, in_array)


def _unfolded(pair: tree_sitter.Node, above: Path, in_array: bool) -> Iterator[_Pair]:
    key, value = (child for child in pair.named_children if child.type != "comment")
    path = above + _node_path(key)
    yield _Pair(path, in_array, value)
    yield from _inner(value, path, in_array)


def _inner(value: tree_sitter.Node, path: Path, in_array: bool) -> Iterator[_Pair]:
    for child in value.named_children:
        if value.type == "inline_table" and child.type == "pair":
            yield from _unfolded(child, path, in_array)
        elif value.type == "array":
            yield from _inner(child, path, True)


def _node_path(node: tree_sitter.Node) -> Path:
    return _path((node.text or b"").decode())


def _path(key: str) -> Path:
    """The segments of a dotted key, by the parser itself; empty for what is none."""
    if _BARE.fullmatch(key):
        return (key,)
    if "\n" in key or "\r" in key:
        return ()
    try:
        tree: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(tree, dict):
        if len(tree) != 1:
            return ()
        segment, tree = next(iter(tree.items()))
        path.append(segment)
    unquoted = _QUOTED.sub("", key)
    return () if "=" in unquoted or "#" in unquoted else tuple(path)  # `a = 1 #` would be read as a path too


def _raw(document: _Document, pair: _Pair) -> bytes:
    return document.body[pair.value.start_byte : pair.value.end_byte]


def _rendered(value: Value, old: bytes) -> bytes:
    if isinstance(value, bool):
        return spans.text(value).encode()
    if isinstance(value, int):
        return _rendered_integer(value, old).encode()
    return _rendered_string(value, old).encode()


def _rendered_integer(value: int, old: bytes) -> str:
    if old[:2] in _BASES and value >= 0:
        digits = old[2:]
        if b"_" in digits:
            return f"{old[:2].decode()}{value:{_BASES[old[:2]]}}"
        letter = "X" if old[:2] == b"0x" and digits.upper() == digits and digits.lower() != digits else _BASES[old[:2]]
        return f"{old[:2].decode()}{value:0{len(digits)}{letter}}"
    if _GROUPED.fullmatch(old.decode().lstrip("+-")):
        return f"{value:_}"
    return f"+{value}" if old.startswith(b"+") and value >= 0 else str(value)


def _rendered_string(value: str, old: bytes) -> str:
    printable = all(c == "\t" or (c >= " " and c != "\x7f") for c in value)
    if old.startswith(b"'''"):
        if printable and "''" not in value and not value.endswith("'"):
            return f"'''{value}'''"
    elif old.startswith(b"'") and printable and "'" not in value:
        return f"'{value}'"
    quotes = '"""' if old.startswith(b'"""') else '"'
    return quotes + "".join(_escaped(c) for c in value) + quotes


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\u{ord(character):04X}" if character < " " or character == "\x7f" else character


def _masked(document: _Document, salt: bytes) -> list[str]:
    """The lines of the file with a hash in place of every value that is or looks like a secret."""
    hidden = {
        (pair.value.start_byte, pair.value.end_byte)
        for pair in _pairs(document.root)
        if any(map(secrets.named_like_one, pair.path)) and pair.value.end_byte > pair.value.start_byte
    }
    hidden |= {(node.start_byte, node.end_byte) for node in _leaves(document.root) if _looks_secret_node(node)}
    parts, place = [], 0
    for start, stop in sorted(hidden, key=lambda span: (span[0], -span[1])):
        if start < place:
            continue  # inside one that is hidden already
        raw = document.body[start:stop]
        # The line feeds stay, so that the line numbers of the diff are those of the file.
        parts += [document.body[place:start].decode(), secrets.hashed(raw.decode(), salt), "\n" * raw.count(b"\n")]
        place = stop
    parts.append(document.body[place:].decode())
    lines = [line.rstrip("\r") for line in "".join(parts).split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def _leaves(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.type in ("string", "comment", "bare_key", "quoted_key"):
        yield node
        return
    for child in node.children:
        yield from _leaves(child)


def _looks_secret_node(node: tree_sitter.Node) -> bool:
    text = (node.text or b"").decode()
    return (
        secrets.in_comment(text) if node.type == "comment" else node.type == "string" and secrets.looks_like_one(text)
    )


def _diff(old: list[str], new: list[str], name: str) -> str:
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=CONTEXT_LINES, lineterm="")
    return "\n".join(lines) + "\n"


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", str: "a string", float: "a float", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")


def _without_content(error: Exception) -> str:
    """The parser's text may quote a key or a value; the place is enough."""
    place = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
    return place.group(1) if place else type(error).__name__


def _refused(detail: str) -> Refused:
    return Refused(OutcomeReason.EDIT_REFUSED, detail)
