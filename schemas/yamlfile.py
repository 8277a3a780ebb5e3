"""YAML as people write it: trees that know their lines, and problems that a person can mend.

Scalars stay text until somebody asks for a number or a name, so `tenant: no` is a tenant and `1.10` keeps its zero.
What can hurt or mislead is refused where it stands: anchors and aliases (they can blow up), tags, a key twice, depth.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

FILE_BYTES_MAX = 500_000  # half a second to read; more than that is better kept in several files
NO_MAPPING = "a document must be a mapping that begins with apiVersion and kind"
DEPTH_MAX = 24  # OpenSLO needs 10; beyond this a file is a mistake or an attack


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file, where it is, and what would be right."""

    file: str
    line: int
    field: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.text}" if self.field else f"{place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as text; `plain` is false where it stood in quotes or in a block."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    values: tuple["Node", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; `lines` tells where each key stands."""

    values: Mapping[str, "Node"]
    lines: Mapping[str, int]
    line: int


Node = Scalar | Items | Table


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    file: str
    root: Table


class _RefusedError(Exception):
    def __init__(self, line: int, field: str, text: str) -> None:
        super().__init__(text)
        self.line, self.field, self.text = line, field, text


def read(text: str, file: str) -> tuple[tuple[Document, ...], tuple[Problem, ...]]:
    """The documents of a file, or what is wrong with it; empty documents are left out.

    A file whose YAML is broken yields no document, since nobody knows what the rest of it means.
    """
    if len(text.encode()) > FILE_BYTES_MAX:
        return (), (Problem(file, 1, "", f"longer than {FILE_BYTES_MAX} bytes; split it into several files"),)
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                root = _node(next(events), events, "", 0)
                if isinstance(root, Table):
                    documents.append(Document(file, root))
                elif not (isinstance(root, Scalar) and is_null(root)):
                    problems.append(Problem(file, root.line, "", NO_MAPPING))
    except _RefusedError as refusal:
        return (), (Problem(file, refusal.line, refusal.field, refusal.text),)
    except yaml.MarkedYAMLError as error:
        mark: yaml.Mark | None = error.problem_mark or error.context_mark
        said = "; ".join(part for part in (error.context, error.problem) if part)
        return (), (Problem(file, mark.line + 1 if mark else 1, "", f"not YAML: {said}"),)
    except yaml.YAMLError as error:
        return (), (Problem(file, 1, "", f"not YAML: {' '.join(str(error).split())}"),)
    return tuple(documents), tuple(problems)


def is_null(node: Scalar) -> bool:
    """True for an empty value, `null` and `~`."""
    return node.plain and node.text in ("", "~", "null", "Null", "NULL")


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: str, depth: int) -> Node:
    assert event.start_mark is not None, "the parser marks every event"
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        raise _RefusedError(line, path, f"*{event.anchor} is an alias, which is not read; write the value out")
    assert isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent)
    if event.anchor is not None:
        raise _RefusedError(line, path, f"&{event.anchor} is an anchor, which is not read; write the value out")
    if event.tag is not None:
        raise _RefusedError(line, path, f"the tag {event.tag} is not read; write a plain value")
    if depth > DEPTH_MAX:
        raise _RefusedError(line, path, f"nested deeper than {DEPTH_MAX} levels")
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(event.value, event.style is None, line)
    if isinstance(event, yaml.SequenceStartEvent):
        return _items(line, events, path, depth)
    return _table(line, events, path, depth)


def _items(line: int, events: Iterator[yaml.Event], path: str, depth: int) -> Items:
    values: list[Node] = []
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        values.append(_node(event, events, f"{path}[{len(values)}]", depth + 1))
    return Items(tuple(values), line)


def _table(line: int, events: Iterator[yaml.Event], path: str, depth: int) -> Table:
    values: dict[str, Node] = {}
    lines: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _node(event, events, path, depth + 1)
        if not isinstance(key, Scalar):
            raise _RefusedError(key.line, path, "a key must be a single word")
        inner = f"{path}.{key.text}" if path else key.text
        if key.text in values:
            raise _RefusedError(key.line, inner, f"is written twice, first in line {lines[key.text]}; keep one of them")
        values[key.text] = _node(next(events), events, inner, depth + 1)
        lines[key.text] = key.line
    return Table(values, lines, line)
