"""JSON, also with comments and trailing commas: where its values stand, and how they are written.

Comments and trailing commas become spaces of the same length before both parsers read, so every place stays.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import tree_sitter
import tree_sitter_json

from actuators.edits import layout, spans
from actuators.edits.layout import Layout, Pair
from actuators.edits.spans import Path, Refused, Span, Value

NAME = "JSON"
BYTES_MAX = spans.CONTENT_BYTES_MAX
INTEGER_MAX = 2**53 - 1  # JavaScript and many others read every number as a double (RFC 8259, section 6)

LANGUAGE = tree_sitter.Language(tree_sitter_json.language())
SCALARS = frozenset({"number", "string", "true", "false"})

_STRING = rb'"(?:[^"\\]|\\.)*"'
_COMMENTED = re.compile(_STRING + rb"|(?P<comment>//[^\r\n]*|/\*.*?\*/)", re.DOTALL)
_TRAILING = re.compile(_STRING + rb"|(?P<comma>,)(?=[ \t\r\n]*[}\]])", re.DOTALL)
_NOT_BREAK = re.compile(rb"[^\r\n]")
_SPACE = b" \t\r\n"
_NOTHING_BEFORE = b"{[,:"  # a comma after one of these ends no value


class _UnreadError(ValueError):
    """Python's parser would take it; others do not, or not alike."""


def read(body: bytes) -> Layout | Refused:
    """The file, without its byte order mark, as two parsers agree on it."""
    uncommented, comments = plain(body)
    try:
        tree = json.loads(uncommented.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except _UnreadError as error:
        return spans.refused(f"not JSON: {error}")
    except json.JSONDecodeError as error:
        return spans.refused(f"not JSON: line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError) as error:
        return spans.refused(f"not JSON: {type(error).__name__}")
    if layout.too_deep(tree):
        return spans.refused(f"nested deeper than {layout.DEPTH_MAX} levels")
    root = tree_sitter.Parser(LANGUAGE).parse(uncommented).root_node
    if root.has_error:
        return spans.refused(layout.DISAGREE)
    pairs = tuple(pair for node in root.named_children for pair in _pairs(node, (), False))
    return Layout((tree,), pairs, (*layout.leaves(root, frozenset({"string"})), *comments))


def written(value: Value, raw: bytes) -> tuple[bytes, ...] | Refused:
    """How `value` is written in the place of `raw`; where that has escapes instead of letters, with escapes too."""
    if not isinstance(value, str):
        return (spans.text(value).encode(),)
    return (json.dumps(value, ensure_ascii=raw.isascii() and b"\\u" in raw).encode(),)


def plain(body: bytes) -> tuple[bytes, tuple[Span, ...]]:
    """`body` with spaces for comments and trailing commas, and where the comments stand."""
    comments: list[Span] = []

    def blank(found: re.Match[bytes]) -> bytes:
        if found["comment"] is None:
            return found[0]
        comments.append(Span(*found.span()))
        return _NOT_BREAK.sub(b" ", found[0])

    uncommented = _COMMENTED.sub(blank, body)

    def drop(found: re.Match[bytes]) -> bytes:
        place = found.start() - 1
        while place >= 0 and uncommented[place] in _SPACE:
            place -= 1
        after_value = place >= 0 and uncommented[place] not in _NOTHING_BEFORE
        return b" " if found["comma"] is not None and after_value else found[0]

    return _TRAILING.sub(drop, uncommented), tuple(comments)


def _pairs(node: tree_sitter.Node, path: Path, in_array: bool) -> Iterator[Pair]:
    """Every key with a value at or below `node`, which stands at `path`."""
    for child in node.named_children:
        if node.type == "array":
            yield from _pairs(child, path, True)
        elif node.type == "object" and child.type == "pair":
            key, value = child.named_children
            inner = (*path, json.loads(key.text or b""))
            settable = value.type in SCALARS and not in_array
            yield Pair(inner, 0, Span(value.start_byte, value.end_byte), node.start_byte, settable)
            yield from _pairs(value, inner, in_array)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise _UnreadError("a key stands twice in one object, and readers differ in which they take")
    return tree


def _constant(name: str) -> NoReturn:
    raise _UnreadError(f"{name} is no number of JSON")
