"""The diff of an edit as others may see it: whatever is or looks like a secret is a salted hash."""

import difflib
from collections import defaultdict

from actuators.edits import secrets
from actuators.edits.layout import Layout, Pair
from actuators.edits.spans import Path, Span

CONTEXT_LINES = 3
NAMES = frozenset({"name", "key", "id", "variable", "env", "field", "header"})  # {name: DB_PASSWORD, value: ...}
VALUES = frozenset({"value", "val", "default", "content", "data", "text"})


def diff(old: list[str], new: list[str], name: str) -> str:
    """A unified diff of two lists of masked lines; the file is called `name`."""
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=CONTEXT_LINES, lineterm="")
    return "\n".join(lines) + "\n"


def lines(body: bytes, layout: Layout, salt: bytes) -> list[str]:
    """The lines of a file with a hash in place of every secret; their numbers are those of the file."""
    parts, place = [], 0
    for span in sorted(_hidden(body, layout), key=lambda span: (span.start, -span.stop)):
        if span.start < place:
            continue  # inside one that is hidden already
        raw = body[span.start : span.stop]
        parts += [body[place : span.start].decode(), secrets.hashed(raw.decode(), salt), "\n" * raw.count(b"\n")]
        place = span.stop
    parts.append(body[place:].decode())
    found = [line.rstrip("\r") for line in "".join(parts).split("\n")]
    return found[:-1] if found[-1] == "" else found


def _hidden(body: bytes, layout: Layout) -> set[Span]:
    named = {pair.span for pair in layout.pairs if any(map(secrets.named_like_one, pair.path))}
    looking = {span for span in layout.texts if secrets.in_text(body[span.start : span.stop].decode())}
    beside = _named_beside(body, layout) | _after_flags(body, layout)
    return {span for span in named | looking | beside if span.stop > span.start}


def _named_beside(body: bytes, layout: Layout) -> set[Span]:
    """Values whose name is not their key but stands beside them: `name: DB_PASSWORD`, `value: ...`."""
    mappings: defaultdict[tuple[int, int, Path], list[Pair]] = defaultdict(list)
    for pair in layout.pairs:
        mappings[pair.part, pair.table, pair.path[:-1]].append(pair)
    return {
        value.span
        for pairs in mappings.values()
        if any(
            pair.path[-1].lower() in NAMES
            and secrets.named_like_one(body[pair.span.start : pair.span.stop].decode().strip("\"'"))
            for pair in pairs
        )
        for value in pairs
        if value.path[-1].lower() in VALUES
    }


def _after_flags(body: bytes, layout: Layout) -> set[Span]:
    """What follows an argument that is named like a secret: `["--password", "..."]`."""
    found, awaited = set(), False
    for span in sorted(layout.texts, key=lambda span: span.start):
        text = body[span.start : span.stop].decode()
        if text.startswith(("#", "//", "/*")):
            continue
        if awaited:
            found.add(span)
        word = text.strip("\"'")
        awaited = word.startswith("-") and secrets.named_like_one(word)
    return found
