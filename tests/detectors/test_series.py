"""Rows, rings and segments: names stay where they are, and only what was counted into is written again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import series as module
from detectors import windows
from detectors.ring import Fill, Ring, Shape
from detectors.series import Series

SHAPES = {
    fill.value: Shape(width, 7, 2, dtype, fill)
    for fill, width, dtype in (
        (Fill.HOLD, 1, "u4"),
        (Fill.ZERO, 10, "u4"),
        (Fill.NAN, 3, "f8"),
    )
}
COLUMNS = {"heard_s": ("i8", -1.0), "level": ("f8", np.nan)}


def key(number: int) -> tuple[str, ...]:
    return ("live", f"tenant-{number % 3}", "basket", str(number))


def mark(series: Series, row: int, value: float) -> None:
    """Writes into the newest bucket of every ring and into the columns of one row."""
    for ring in series.rings.values():
        ring.values[ring.head % ring.shape.slots, :, row] = value
    series.columns["heard_s"][row] = series.columns["level"][row] = value
    series.touch(np.array([row]))


def equal(one: Series, other: Series) -> None:
    assert (one.keys, one.index, one.groups) == (other.keys, other.index, other.groups)
    for name, ring in other.rings.items():
        assert one.rings[name].head == ring.head
        np.testing.assert_array_equal(one.rings[name].values[:, :, : len(one)], ring.values[:, :, : len(one)], name)
    for name, column in other.columns.items():
        np.testing.assert_array_equal(one.columns[name][: len(one)], column[: len(one)], name)


STEP = st.tuples(st.integers(0, 90), st.integers(0, 40), st.booleans())


@given(st.lists(STEP, min_size=1, max_size=40), st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_segments_written_at_different_times_read_back_as_one_table(
    steps: list[tuple[int, int, bool]], segment_rows: int
) -> None:
    kept: dict[int, bytes] = {}
    table, head_s = Series(SHAPES, COLUMNS), 0
    table.segment_rows = segment_rows
    for place, (seconds, number, dump) in enumerate(steps):
        head_s += seconds
        table.advance(head_s)
        mark(table, int(table.rows([key(number)])[0]), place + 1)
        kept |= dict(table.dirty_segments()) if dump else {}
    kept |= dict(table.dirty_segments())
    table.advance(head_s + 17)
    fresh = Series(SHAPES, COLUMNS)
    fresh.segment_rows = segment_rows
    fresh.advance(head_s + 17)
    for number, data in sorted(kept.items()):
        fresh.load(number, data)
    equal(fresh, table)
    assert not fresh.dirty_segments()


def test_what_only_the_clock_has_moved_is_not_written_again() -> None:
    table = Series(SHAPES, COLUMNS)
    table.segment_rows = 2
    table.rows([key(number) for number in range(6)])
    assert [number for number, _ in table.dirty_segments()] == [0, 1, 2]
    table.advance(1000)
    assert not table.dirty_segments()
    mark(table, 3, 5)
    assert [number for number, _ in table.dirty_segments()] == [1]


def test_rows_keep_their_place_and_their_counts_while_the_table_grows() -> None:
    table = Series(SHAPES, COLUMNS)
    first = table.rows([key(0), key(1), key(0)])
    assert first.tolist() == [0, 1, 0]
    mark(table, 1, 9)
    table.rows([key(number) for number in range(200)])
    assert table.rows([key(1), key(199)]).tolist() == [1, 199]
    for ring in table.rings.values():
        assert ring.values[ring.head % 7, :, 1].tolist() == [9, 9]
    assert table.columns["heard_s"][[0, 1, 199]].tolist() == [-1, 9, -1]
    assert table.groups[("live", "tenant-1", "basket")] == list(range(1, 200, 3))


def test_a_full_segment_is_below_the_house_limit() -> None:
    table = Series(SHAPES, COLUMNS)
    table.rows([key(number) for number in range(2 * table.segment_rows)])
    assert max(len(data) for _, data in table.dirty_segments()) <= 500_000


def test_a_segment_out_of_its_order_is_refused() -> None:
    table = Series(SHAPES, COLUMNS)
    table.segment_rows = 1
    table.rows([key(0), key(1)])
    (_, second) = table.dirty_segments()[1]
    fresh = Series(SHAPES, COLUMNS)
    fresh.segment_rows = 1
    with pytest.raises(AssertionError, match="segment 1 follows row 0"):
        fresh.load(1, second)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=10), st.sampled_from(list(Fill)))
def test_many_small_steps_of_the_clock_are_one_large_one(steps: list[int], fill: Fill) -> None:
    shape = Shape(1, 7, 1, "f8", fill)
    small, large = Ring(shape, 2, 100), Ring(shape, 2, 100)
    for ring in (small, large):
        ring.values[100 % 7] = 3.0
    at_s = 100
    for step in steps:
        at_s += step
        small.advance(at_s)
    large.advance(at_s)
    assert small.head == large.head
    np.testing.assert_array_equal(small.values, large.values)


def test_a_new_bucket_holds_zero_the_value_before_it_or_nothing() -> None:
    for fill, expected in ((Fill.HOLD, 3.0), (Fill.ZERO, 0.0), (Fill.NAN, np.nan)):
        ring = Ring(Shape(10, 4, 1, "f8", fill), 1, 100)
        ring.values[ring.head % 4] = 3.0
        ring.advance(129)
        np.testing.assert_array_equal(ring.values[ring.slots(10, 12), 0, 0], [3.0, expected, expected])


def test_a_ring_holds_its_slots_and_no_bucket_before_or_after() -> None:
    ring = Ring(Shape(1, 4, 1, "u4", Fill.ZERO), 1, 100)
    assert ring.holds(np.arange(95, 103)).tolist() == [False, False, True, True, True, True, False, False]
    ring.add(np.array([99, 99]), 0, np.array([0, 0]), np.array([2, 3]))
    assert ring.values[99 % 4, 0, 0] == 5


def test_the_windows_rows_are_as_small_as_the_design_promises() -> None:
    assert sum(shape.row_bytes for shape in windows.LEVELS.values()) == 2112 * 8 <= 20_000
    assert windows.table().segment_rows * 2112 * 8 <= module.SEGMENT_BYTES_MAX
