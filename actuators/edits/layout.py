"""What a format tells about a file: its parsed trees, and where in the bytes each value stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import tree_sitter

from actuators.edits import spans
from actuators.edits.spans import Path, Refused, Span, Value

DEPTH_MAX = 64  # configuration nests about ten deep; both walks over the trees recurse, and Python's stack ends
DISAGREE = "the two parsers do not agree on this file"


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its value: the key's whole path, in which document of the file, and the bytes of the value."""

    path: Path
    part: int
    span: Span
    table: int
    """First byte of the mapping that the key stands in: pairs of one mapping share it."""
    settable: bool
    """A single value, and not inside an array."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Nothing at this path or below it is edited, for this reason."""

    path: Path
    part: int
    why: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A file that both parsers have read. Only YAML has several documents, and obstacles."""

    trees: tuple[Any, ...]
    pairs: tuple[Pair, ...]
    texts: tuple[Span, ...]
    """Strings, keys and comments: whatever can look like a secret by itself."""
    obstacles: tuple[Obstacle, ...] = ()


class Format(Protocol):
    """One way to write a configuration file; each is a module of its own."""

    NAME: str
    BYTES_MAX: int
    INTEGER_MAX: int
    """What every reader of the format takes exactly."""

    def read(self, body: bytes) -> Layout | Refused:
        """The file, without its byte order mark, as two parsers agree on it."""

    def written(self, value: Value, raw: bytes) -> tuple[bytes, ...] | Refused:
        """How `value` may be written in the place of `raw`, nearest to its style first."""


def leaves(root: tree_sitter.Node, kinds: frozenset[str]) -> Iterator[Span]:
    """Where the outermost nodes of these kinds stand, in no order."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in kinds:
            yield Span(node.start_byte, node.end_byte)
        else:
            waiting += node.children


def too_deep(tree: Any) -> bool:
    """True if mappings and arrays nest deeper than DEPTH_MAX."""
    level = [tree]
    for _ in range(DEPTH_MAX + 1):
        level = [inner for each in level for inner in _children(each)]
        if not level:
            return False
    return True


def agree(layout: Layout) -> bool:
    """True if the pairs are those of the parsed trees: what one parser has not seen, nobody would hide in a diff."""
    seen = {(pair.part, pair.path) for pair in layout.pairs}
    closed = {(obstacle.part, obstacle.path) for obstacle in layout.obstacles}
    return all(
        (part, path) in seen or any((part, path[:length]) in closed for length in range(len(path) + 1))
        for part, tree in enumerate(layout.trees)
        for path in _paths(tree, ())
    )


def segment(key: Any) -> str:
    """A key as a step of a path; YAML has keys that are no text."""
    return spans.text(key) if isinstance(key, int | str) else str(key)


def _children(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        yield from tree.values()
    elif isinstance(tree, list):
        yield from tree


def _paths(tree: Any, above: Path) -> Iterator[Path]:
    """Paths of all single values; arrays do not count as a step."""
    if isinstance(tree, Mapping):
        for key, inner in tree.items():
            yield from _paths(inner, (*above, segment(key)))
    elif isinstance(tree, list):
        for inner in tree:
            yield from _paths(inner, above)
    elif above:
        yield above
