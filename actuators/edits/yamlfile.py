"""YAML: where its values stand. PyYAML says what they mean, so `yes` is a boolean and `0x1F` a number (YAML 1.1).

What can be read in two ways or blow up is refused: a key twice, tags, aliases beyond a size, depth. Aliases, anchors
and merge keys are read where they do not touch the edited value.
"""

from dataclasses import dataclass, field
from typing import Any

import tree_sitter
import tree_sitter_yaml
import yaml

from actuators.edits import layout, spans, yamlscalar
from actuators.edits.layout import Layout, Obstacle, Pair
from actuators.edits.spans import Path, Refused, Span, Value

NAME = "YAML"
BYTES_MAX = 128 << 10  # PyYAML takes half a second for it, and an edit reads before and after
INTEGER_MAX = 2**63 - 1  # libraries in Go and Java take no more
NODES_MAX = 100_000  # values with every alias written out: a file of BYTES_MAX without aliases has fewer

LANGUAGE = tree_sitter.Language(tree_sitter_yaml.language())
SCALARS = frozenset({"plain_scalar", "single_quote_scalar", "double_quote_scalar", "block_scalar"})
MAPPINGS = frozenset({"block_mapping", "flow_mapping"})
SEQUENCES = frozenset({"block_sequence", "flow_sequence"})
PAIRS = frozenset({"block_mapping_pair", "flow_pair"})


class _UnreadError(ValueError):
    """PyYAML would take it, or never end; the text has nothing of the file."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the limits that it lacks."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.depth = 0
        self.nodes = 0
        self.sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        parser: Any = self  # the stubs leave this method untyped
        event = parser.peek_event()
        line = event.start_mark.line + 1
        if self.depth == 0:
            self.sizes.clear()
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.sizes:
                raise _UnreadError(f"line {line}: an alias of what is not there, or not yet at its end")
            self.nodes += self.sizes[event.anchor]
        elif event.tag is not None:
            raise _UnreadError(f"line {line}: tags are not read")
        before, self.nodes = self.nodes, self.nodes + 1
        if self.nodes > NODES_MAX:
            raise _UnreadError(f"line {line}: more than {NODES_MAX} values when its aliases are written out")
        if self.depth > layout.DEPTH_MAX:
            raise _UnreadError(f"line {line}: nested deeper than {layout.DEPTH_MAX} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self.sizes[event.anchor] = self.nodes - before
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(node.value):
            line = node.start_mark.line + 1
            raise _UnreadError(f"line {line}: in the mapping that begins here a key stands twice, or is no single word")
        return node


def read(body: bytes) -> Layout | Refused:
    """The file, without its byte order mark, as two parsers agree on it."""
    try:
        loader: Any = _Loader(body.decode())
        trees: list[Any] = []
        while loader.check_data():
            trees.append(loader.get_data())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return spans.refused(f"not YAML: line {mark.line + 1}, column {mark.column + 1}" if mark else "not YAML")
    except _UnreadError as error:
        return spans.refused(f"not read: {error}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return spans.refused(f"not YAML: {type(error).__name__}")
    root = tree_sitter.Parser(LANGUAGE).parse(body).root_node
    parts = [node for node in root.children if node.type == "document"]
    if root.has_error or len(parts) != len(trees):
        return spans.refused(layout.DISAGREE)
    walks = [_Walk(part) for part in range(len(parts))]
    try:
        for walk, part in zip(walks, parts, strict=True):
            for child in part.named_children:
                walk.node(child, (), False)
    except _UnreadError as error:
        return spans.refused(f"not read: {error}")
    pairs = tuple(pair for walk in walks for pair in walk.pairs)
    obstacles = tuple(obstacle for walk in walks for obstacle in walk.obstacles)
    return Layout(tuple(trees), pairs, tuple(layout.leaves(root, SCALARS | {"comment"})), obstacles)


def written(value: Value, raw: bytes) -> tuple[bytes, ...] | Refused:
    """How `value` may be written in the place of `raw`, nearest to its style first."""
    return yamlscalar.written(value, raw.decode())


@dataclass(slots=True)
class _Walk:
    """Gathers what stands in one document of a file."""

    part: int
    pairs: list[Pair] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    anchored: dict[bytes, Span] = field(default_factory=dict)

    def node(self, node: tree_sitter.Node, path: Path, in_array: bool) -> None:
        """`node` stands at `path`: its properties, then whatever is below it."""
        for child in node.named_children:
            match child.type:
                case "anchor":
                    self.obstacles.append(Obstacle(path, self.part, "is anchored, and may be used elsewhere"))
                    self.anchored[child.named_children[0].text or b""] = Span(node.start_byte, node.end_byte)
                case "alias":
                    self.obstacles.append(Obstacle(path, self.part, "is an alias"))
                    used = self.anchored.get(child.named_children[0].text or b"")
                    if used is not None:  # the anchored value once more, at this path: a secret here is one there
                        self.pairs.append(Pair(path, self.part, used, used.start, False))
                case kind if kind in MAPPINGS:
                    for inner in child.named_children:
                        self.entry(inner, child, path, in_array)
                case kind if kind in SEQUENCES:
                    for inner in child.named_children:
                        if inner.type in PAIRS:
                            self.entry(inner, child, path, True)
                        elif inner.type == "block_sequence_item":
                            for item in inner.named_children:
                                self.node(item, path, True)
                        else:
                            self.node(inner, path, True)

    def entry(self, entry: tree_sitter.Node, table: tree_sitter.Node, path: Path, in_array: bool) -> None:
        """A key with its value, or without one, in the mapping `table` that stands at `path`."""
        if entry.type == "comment":
            return
        key = entry.child_by_field_name("key") if entry.type in PAIRS else entry
        value = entry.child_by_field_name("value")
        name = yamlscalar.key((key.text or b"").decode()) if key is not None else layout.segment(None)
        if name is None:
            raise _UnreadError(f"line {entry.start_point.row + 1}: a key is an alias, anchored or a block of lines")
        if name == yamlscalar.MERGE:
            self.obstacles.append(Obstacle(path, self.part, "is merged from another mapping (<<)"))
        inner = (*path, name)
        if value is None:
            self.pairs.append(Pair(inner, self.part, Span(entry.end_byte, entry.end_byte), table.start_byte, False))
            return
        scalars = [child for child in value.named_children if child.type in SCALARS]
        place = scalars[0] if scalars else value
        span = Span(place.start_byte, place.end_byte)
        self.pairs.append(Pair(inner, self.part, span, table.start_byte, bool(scalars) and not in_array))
        self.node(value, inner, in_array)
