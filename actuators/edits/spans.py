"""One value of a file is replaced where it stands: what an edit is, and the proof that it changed nothing else.

Formats differ in how a value is found and written (see `layout`); the splice and the comparison of the two parsed trees
are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.commands import OutcomeReason

CONTENT_BYTES_MAX = 1 << 20  # a larger configuration file is none; it is kept whole in memory and in the ledger

Value = int | str | bool
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value stands in the bytes: `start` is its first byte, `stop` the one after its last."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A finished edit: the whole new content, and the value before and after as value and as bytes of the file."""

    before: Value
    after: Value
    raw_before: bytes
    raw_after: bytes
    content: bytes
    diff: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No edit was made, for this reason."""

    reason: OutcomeReason
    detail: str


def refused(detail: str) -> Refused:
    """The file or the value does not allow the edit."""
    return Refused(OutcomeReason.EDIT_REFUSED, detail)


def splice(content: bytes, span: Span, raw: bytes) -> bytes:
    """`content` with `raw` in place of the span."""
    return content[: span.start] + raw + content[span.stop :]


def differ_only_at(before: Any, after: Any, path: Path, value: Value) -> bool:
    """True if `after` is `before` with exactly the value at `path` replaced by `value`, and that one was another."""
    if not path:
        return same(after, value) and not same(before, value)
    if not isinstance(before, Mapping) or not isinstance(after, Mapping) or list(before) != list(after):
        return False
    head, rest = path[0], path[1:]
    if head not in before:
        return False
    return all(
        differ_only_at(before[key], after[key], rest, value) if key == head else same(before[key], after[key])
        for key in before
    )


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, deeply: 1 is not true, 1 is not 1.0, NaN is NaN, and the order of keys counts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def text(value: Value) -> str:
    """How a value is written in events and compared with what a process reports: `true`, `64`, `linear`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
