"""Set one value of a TOML, JSON or YAML file, given as bytes, and leave every other byte as it is.

A concrete syntax tree finds the bytes of the value; a strict parser reads the file before and after, and its two
trees must differ in that one value, else the edit is refused. The format goes by the suffix of the file's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from actuators.edits import jsonfile, layout, masking, secrets, spans, toml, yamlfile
from actuators.edits.layout import Format, Layout, Pair
from actuators.edits.spans import Edit, Path, Refused, Value
from schemas import keypath
from schemas.commands import OutcomeReason

BOM = b"\xef\xbb\xbf"
FORMATS: Mapping[str, Format] = {
    ".toml": toml,
    ".json": jsonfile,
    ".jsonc": jsonfile,
    ".yaml": yamlfile,
    ".yml": yamlfile,
}


@dataclass(frozen=True, slots=True)
class _Document:
    """A file that both parsers have read. `lead` is the length of the byte order mark before `body`."""

    form: Format
    lead: int
    body: bytes
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Found:
    """The one place of a value in a file."""

    document: _Document
    pair: Pair
    before: Value

    @property
    def raw(self) -> bytes:
        return self.document.body[self.pair.span.start : self.pair.span.stop]


def read_value(content: bytes, key: str, name: str) -> Value | Refused:
    """The value in force at the dotted path `key` of the file called `name`."""
    found = _find(content, key, name)
    return found if isinstance(found, Refused) else found.before


def set_value(content: bytes, key: str, value: Value, salt: bytes, name: str) -> Edit | Refused:
    """`content` with `value` at the dotted path `key`, written in the style of the old one.

    The type must stay. `name` is the file's, and stands in the diff; secrets in it are hashed with `salt`.
    """
    found = _find(content, key, name)
    if isinstance(found, Refused):
        return found
    before, form = found.before, found.document.form
    if type(value) is not type(before):
        return spans.refused(f"{key} is {_kind(before)}, the new value is {_kind(value)}; the type must stay")
    if isinstance(value, int) and abs(value) > form.INTEGER_MAX:
        return spans.refused(f"{value} is beyond {form.INTEGER_MAX}, the most that every reader of {form.NAME} takes")
    if value == before:
        return Refused(OutcomeReason.NO_CHANGE, f"{key} is {spans.text(before)} already")
    if not _encodes(value):
        return spans.refused("the new value is not Unicode text")
    ways = form.written(value, found.raw)
    if isinstance(ways, Refused):
        return Refused(ways.reason, f"{key}: {ways.detail}")
    for raw in ways[:-1]:
        edit = _replaced(found, key, value, raw, salt, name)
        if isinstance(edit, Edit):
            return edit
    return _replaced(found, key, value, ways[-1], salt, name)


def put_back(content: bytes, key: str, ours: Value, value: Value, raw: bytes, salt: bytes, name: str) -> Edit | Refused:
    """`content` with the very bytes `raw` of the old `value` at `key`, if our own value `ours` still stands there."""
    found = _find(content, key, name)
    if isinstance(found, Refused):
        return found
    if not spans.same(found.before, ours):
        return Refused(OutcomeReason.PRE_IMAGE_CHANGED, f"somebody else has changed {key} since")
    return _replaced(found, key, value, raw, salt, name)


def looks_secret(key: str, value: Value) -> bool:
    """True if the value at this dotted path must appear as a hash only."""
    return secrets.hides(keypath.read(key) or (key,), spans.text(value))


def _find(content: bytes, key: str, name: str) -> _Found | Refused:
    form = FORMATS.get(PurePath(name).suffix.lower())
    if form is None:
        return spans.refused(f"{name} ends in none of {', '.join(FORMATS)}")
    document = _read(content, form)
    if isinstance(document, Refused):
        return document
    path = keypath.read(key)
    if not path:
        return spans.refused(f"{key!r} is not a dotted path like database.pool_size")
    place = _place(document.layout, path)
    if isinstance(place, Refused):
        return place
    part, value = place
    for obstacle in document.layout.obstacles:
        if obstacle.part == part and path[: len(obstacle.path)] == obstacle.path:
            return spans.refused(f"{'.'.join(obstacle.path) or 'the document'} {obstacle.why}; nothing in it is edited")
    if not isinstance(value, int | str):
        return spans.refused(f"{key} is {_kind(value)}; only integers, strings and booleans are set")
    if not _encodes(value):
        return spans.refused(f"{key} is not Unicode text")
    pairs = [pair for pair in document.layout.pairs if (pair.part, pair.path) == (part, path) and pair.settable]
    if len(pairs) != 1:
        return spans.refused(f"the place of {key} in the file cannot be told")
    return _Found(document, pairs[0], value)


def _read(content: bytes, form: Format) -> _Document | Refused:
    if len(content) > form.BYTES_MAX:
        return spans.refused(f"the file has {len(content)} bytes, more than {form.BYTES_MAX}")
    lead = len(BOM) if content.startswith(BOM) else 0
    body = content[lead:]
    found = form.read(body)
    if isinstance(found, Refused):
        return found
    return _Document(form, lead, body, found) if layout.agree(found) else spans.refused(layout.DISAGREE)


def _place(found: Layout, path: Path) -> tuple[int, Any] | Refused:
    """In which document of the file the path leads to a value, and to which."""
    ways = [_followed(tree, path) for tree in found.trees]
    held = [part for part, way in enumerate(ways) if not isinstance(way, Refused)]
    if len(held) == 1:
        return held[0], ways[held[0]]
    if held:
        return spans.refused(f"{'.'.join(path)} stands in {len(held)} documents of the file")
    failed = [way for way in ways if isinstance(way, Refused)]
    if len(failed) == 1:
        return failed[0]
    return Refused(OutcomeReason.KEY_MISSING, f"there is no {'.'.join(path)} in any document of the file")


def _followed(tree: Any, path: Path) -> Any | Refused:
    for place, segment in enumerate(path):
        if isinstance(tree, list):
            above = ".".join(path[:place]) or "the document"
            return spans.refused(f"{above} is an array; a path through an array is not followed")
        if not isinstance(tree, dict) or segment not in tree:
            return Refused(OutcomeReason.KEY_MISSING, f"there is no {'.'.join(path[: place + 1])}")
        tree = tree[segment]
    return tree


def _replaced(found: _Found, key: str, value: Value, raw: bytes, salt: bytes, name: str) -> Edit | Refused:
    old = found.document
    body = spans.splice(old.body, found.pair.span, raw)
    new = _read(body, old.form)
    if isinstance(new, Refused):
        return spans.refused(f"the file would not be {old.form.NAME} any more: {new.detail}")
    if not _only(old.layout, new.layout, found.pair, value):
        return spans.refused(f"more than {key} would change")
    lines = [masking.lines(each.body, each.layout, salt) for each in (old, new)]
    lead = BOM[: old.lead]
    return Edit(found.before, value, found.raw, raw, lead + body, masking.diff(lines[0], lines[1], name))


def _only(before: Layout, after: Layout, pair: Pair, value: Value) -> bool:
    return len(before.trees) == len(after.trees) and all(
        spans.differ_only_at(old, new, pair.path, value) if part == pair.part else spans.same(old, new)
        for part, (old, new) in enumerate(zip(before.trees, after.trees, strict=True))
    )


def _encodes(value: Value) -> bool:
    """False for a text with half of a surrogate pair, which no file in UTF-8 holds."""
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", str: "a string", float: "a float", list: "an array", dict: "a table"}
    return "null" if value is None else names.get(type(value), "a date or time")
