"""Two trees differ in one value: nothing else is a proof that an edit changed nothing else."""

from typing import Any

import pytest

from actuators.edits import spans
from actuators.edits.spans import Span

NAN = float("nan")
TREE: dict[str, Any] = {"a": {"b": 1, "c": [1, {"d": NAN}]}, "e": True}


def test_a_splice_replaces_the_span_alone() -> None:
    assert spans.splice(b"a = 32 # c", Span(4, 6), b"128") == b"a = 128 # c"


def test_the_wanted_difference_is_seen() -> None:
    assert spans.differ_only_at(TREE, {**TREE, "a": {"b": 2, "c": [1, {"d": NAN}]}}, ("a", "b"), 2)


@pytest.mark.parametrize(
    "after",
    [
        TREE,
        {"a": {"b": 3, "c": [1, {"d": NAN}]}, "e": True},
        {"a": {"b": 2, "c": [1, {"d": 0.0}]}, "e": True},
        {"a": {"b": 2, "c": [1, {"d": NAN}]}, "e": 1},
        {"a": {"b": 2, "c": [True, {"d": NAN}]}, "e": True},
        {"a": {"b": 2, "c": [1, {"d": NAN}]}},
        {"a": {"b": 2, "c": [1, {"d": NAN}]}, "e": True, "f": 0},
        {"e": True, "a": {"b": 2, "c": [1, {"d": NAN}]}},
        {"a": {"b": 2.0, "c": [1, {"d": NAN}]}, "e": True},
        {"a": 2, "e": True},
    ],
)
def test_any_other_difference_is_refused(after: dict[str, Any]) -> None:
    assert not spans.differ_only_at(TREE, after, ("a", "b"), 2)


def test_a_place_that_is_not_there_is_no_difference() -> None:
    assert not spans.differ_only_at(TREE, TREE, ("x",), 2)


def test_values_are_written_as_processes_report_them() -> None:
    assert [spans.text(value) for value in (True, False, 64, "linear")] == ["true", "false", "64", "linear"]
