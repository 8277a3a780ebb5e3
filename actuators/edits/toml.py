"""TOML: where its values stand, and how they are written. Paths through arrays are not followed: places move."""

import re
import tomllib
from collections.abc import Iterator

import tree_sitter
import tree_sitter_toml

from actuators.edits import integers, layout, spans
from actuators.edits.layout import Layout, Pair
from actuators.edits.spans import Path, Refused, Span, Value
from schemas import keypath

NAME = "TOML"
BYTES_MAX = spans.CONTENT_BYTES_MAX
INTEGER_MAX = 2**63 - 1  # what every reader of TOML must take

LANGUAGE = tree_sitter.Language(tree_sitter_toml.language())
SCALARS = frozenset({"integer", "string", "boolean"})
TEXTS = frozenset({"string", "comment", "bare_key", "quoted_key"})

_BASES = {"0x": "x", "0o": "o", "0b": "b"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def read(body: bytes) -> Layout | Refused:
    """The file, without its byte order mark, as two parsers agree on it."""
    try:
        tree = tomllib.loads(body.decode())
    except (ValueError, RecursionError) as error:
        return spans.refused(f"not TOML: {_without_content(error)}")
    if layout.too_deep(tree):
        return spans.refused(f"nested deeper than {layout.DEPTH_MAX} levels")
    root = tree_sitter.Parser(LANGUAGE).parse(body).root_node
    if root.has_error:
        return spans.refused(layout.DISAGREE)
    return Layout((tree,), tuple(_pairs(root)), tuple(layout.leaves(root, TEXTS)))


def written(value: Value, raw: bytes) -> tuple[bytes, ...] | Refused:
    """How `value` is written in the place of `raw`."""
    if isinstance(value, bool):
        return (spans.text(value).encode(),)
    old = raw.decode()
    text = integers.written(value, old, _BASES) if isinstance(value, int) else _string(value, old)
    return (text.encode(),)


def _pairs(root: tree_sitter.Node) -> Iterator[Pair]:
    """Every key with a value in the file, also those in inline tables, with its whole path."""
    arrays: set[Path] = set()
    for node in root.children:
        match node.type:
            case "pair":
                yield from _unfolded(node, (), root, False)
            case "table" | "table_array_element":
                header = _path(node.named_children[0])
                if node.type == "table_array_element":
                    arrays.add(header)
                in_array = any(header[: len(path)] == path for path in arrays)
                for child in node.named_children[1:]:
                    if child.type == "pair":
                        yield from _unfolded(child, header, node, in_array)


def _unfolded(pair: tree_sitter.Node, above: Path, table: tree_sitter.Node, in_array: bool) -> Iterator[Pair]:
    key, value = (child for child in pair.named_children if child.type != "comment")
    path = above + _path(key)
    span = Span(value.start_byte, value.end_byte)
    yield Pair(path, 0, span, table.start_byte, value.type in SCALARS and not in_array)
    yield from _inner(value, path, in_array)


def _inner(value: tree_sitter.Node, path: Path, in_array: bool) -> Iterator[Pair]:
    for child in value.named_children:
        if value.type == "inline_table" and child.type == "pair":
            yield from _unfolded(child, path, value, in_array)
        elif value.type == "array":
            yield from _inner(child, path, True)


def _path(node: tree_sitter.Node) -> Path:
    return keypath.read((node.text or b"").decode())


def _string(value: str, old: str) -> str:
    printable = all(c == "\t" or (c >= " " and c != "\x7f") for c in value)
    if old.startswith("'''"):
        if printable and "''" not in value and not value.endswith("'"):
            return f"'''{value}'''"
    elif old.startswith("'") and printable and "'" not in value:
        return f"'{value}'"
    quotes = '"""' if old.startswith('"""') else '"'
    return quotes + "".join(_escaped(c) for c in value) + quotes


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\u{ord(character):04X}" if character < " " or character == "\x7f" else character


def _without_content(error: Exception) -> str:
    """The parser's text may quote a key or a value; the place is enough."""
    place = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
    return place.group(1) if place else type(error).__name__
