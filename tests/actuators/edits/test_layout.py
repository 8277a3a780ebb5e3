"""What one parser has seen and the other has not is found out before anything is edited or shown."""

from typing import Any

import pytest

from actuators.edits import layout
from actuators.edits.layout import Layout, Obstacle, Pair
from actuators.edits.spans import Path, Span

TREE = {"a": {"b": 1, "c": [{"d": 2}, []]}, "on": {}, True: {3: None}}
PATHS: list[Path] = [("a", "b"), ("a", "c", "d"), ("true", "3")]


def seen(tree: Any, paths: list[Path], *closed: Path) -> Layout:
    pairs = tuple(Pair(path, 0, Span(0, 1), 0, True) for path in paths)
    return Layout((tree,), pairs, (), tuple(Obstacle(path, 0, "is an alias") for path in closed))


def test_both_parsers_saw_the_same_values() -> None:
    assert layout.agree(seen(TREE, PATHS))


@pytest.mark.parametrize("missing", PATHS)
def test_a_value_that_one_parser_has_not_seen_is_noticed(missing: Path) -> None:
    assert not layout.agree(seen(TREE, [path for path in PATHS if path != missing]))


def test_a_value_of_another_document_does_not_stand_for_it() -> None:
    one = seen(TREE, PATHS)
    assert not layout.agree(Layout((TREE, TREE), one.pairs, ()))


@pytest.mark.parametrize("closed", [(), ("a",), ("a", "c")])
def test_below_an_obstacle_nothing_is_compared(closed: Path) -> None:
    assert layout.agree(seen(TREE, [path for path in PATHS if path != ("a", "c", "d")], closed))


def test_depth_counts_mappings_and_arrays() -> None:
    tree: Any = 1
    for level in range(layout.DEPTH_MAX):
        tree = {"a": tree} if level % 2 else [tree]
    assert not layout.too_deep(tree)
    assert layout.too_deep([tree])
