"""Windows against a slow oracle: a dictionary of seconds that knows nothing of rings, levels or wrap-around."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import windows
from detectors.series import Series
from schemas.slo import DAY_S, HOUR_S

START_S = 1_800_000_007  # on no level's boundary
STEP_S = {
    5: 1,
    60: 1,
    300: 10,
    1800: 10,
    3600: 10,
    7200: 300,
    21_600: 300,
    DAY_S: 300,
    3 * DAY_S: 300,
    30 * DAY_S: HOUR_S,
}
"""Length of each window of the tiers and of the budget, and the step to which its start is rounded down."""
KEPT_S = 725 * HOUR_S  # whole hours before the newest one that the coarsest level remembers
ROWS = 3


@dataclass
class Oracle:
    """Every event that was ever counted, by row and second."""

    clock_s: int
    seconds: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    late: int = 0
    future: int = 0

    @property
    def head_s(self) -> int:
        return self.clock_s + 5

    def add(self, row: int, second: int, good: int, total: int) -> None:
        if second > self.head_s:
            self.future += total
        elif second < self.head_s // HOUR_S * HOUR_S - KEPT_S:
            self.late += total
        else:
            self.seconds[row, second][0] += good
            self.seconds[row, second][1] += total

    def counts(self, row: int, end_s: int, window_s: int) -> list[int]:
        start_s = (end_s - window_s) // STEP_S[window_s] * STEP_S[window_s]
        inside = [n for (of, second), n in self.seconds.items() if of == row and start_s <= second < end_s]
        return [sum(good for good, _ in inside), sum(total for _, total in inside)]


def table(clock_s: int = START_S, filled: int = 0) -> Series:
    """Three rows whose counters stand at `filled`."""
    series = windows.table()
    windows.advance(series, clock_s)
    series.rows([("live", "t", "s", "availability", str(row)) for row in range(ROWS)])
    for ring in series.rings.values():
        ring.values[:] = filled
    return series


def add(series: Series, entries: list[tuple[int, int, int, int]]) -> windows.Counted:
    row, second, good, total = np.array(entries, np.int64).reshape(-1, 4).T
    return windows.add(series, row, second, good, total)


def same(series: Series, oracle: Oracle, lag_s: int) -> None:
    rows, end_s = np.arange(ROWS), oracle.clock_s - lag_s
    for window_s in STEP_S:
        good, total = windows.counts(series, rows, np.full(ROWS, end_s), window_s).tolist()
        assert [list(pair) for pair in zip(good, total, strict=True)] == [
            oracle.counts(row, end_s, window_s) for row in range(ROWS)
        ], f"window of {window_s} s"


# Ages are drawn around every boundary: the clock's margin, each level's length, and beyond all of them.
AGES = st.one_of(
    st.integers(-8, 70),
    st.integers(100, 130),
    st.integers(3_850, 3_950),
    st.integers(72 * HOUR_S, 74 * HOUR_S),
    st.integers(30 * DAY_S - 5, 30 * DAY_S + 8 * HOUR_S),
    st.integers(-DAY_S, 40 * DAY_S),
)
ENTRY = st.tuples(st.integers(0, ROWS - 1), AGES, st.integers(0, 9), st.integers(0, 9))
JUMPS = st.one_of(
    st.integers(0, 12),
    st.integers(100, 130),
    st.integers(3_000, 5_000),
    st.integers(0, 80 * HOUR_S),
    st.just(31 * DAY_S),
)
BASES = st.one_of(st.just(0), st.integers(2**32 - 60, 2**32 - 1))
STEPS = st.lists(st.tuples(JUMPS, st.lists(ENTRY, max_size=12)), min_size=1, max_size=6)


@given(STEPS, BASES, st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_every_window_counts_what_a_dictionary_of_seconds_counts(steps: Any, base: int, lag_s: int) -> None:
    series, oracle = table(filled=base), Oracle(START_S)
    for jump_s, entries in steps:
        oracle.clock_s += jump_s
        windows.advance(series, oracle.clock_s)
        placed = [(row, oracle.clock_s - age, min(good, total), total) for row, age, good, total in entries]
        counted = add(series, placed)
        before = (oracle.late, oracle.future)
        for entry in placed:
            oracle.add(*entry)
        assert (counted.late, counted.future) == (oracle.late - before[0], oracle.future - before[1])
        same(series, oracle, lag_s)


@given(STEPS, st.integers(0, 5), JUMPS)
@settings(max_examples=60, deadline=None)
def test_a_table_read_back_from_its_segments_goes_on_like_the_one_that_never_stopped(
    steps: Any, cut: int, away_s: int
) -> None:
    series, clock_s = table(), START_S
    kept = dict(series.dirty_segments())
    for number, (jump_s, entries) in enumerate(steps):
        clock_s += jump_s
        windows.advance(series, clock_s)
        if number == cut:
            kept |= dict(series.dirty_segments())
            clock_s += away_s
            windows.advance(series, clock_s)
            fresh = windows.table()
            fresh.advance(series.head_s)
            for segment, data in sorted(kept.items()):
                fresh.load(segment, data)
            equal(fresh, series)
            series = fresh
        add(series, [(row, clock_s - age, min(good, total), total) for row, age, good, total in entries])
        kept |= dict(series.dirty_segments()) if number % 2 else {}
    again = windows.table()
    again.advance(series.head_s)
    for segment, data in sorted((kept | dict(series.dirty_segments())).items()):
        again.load(segment, data)
    equal(again, series)


def equal(one: Series, other: Series) -> None:
    assert one.keys == other.keys
    for name in other.rings:
        assert one.rings[name].head == other.rings[name].head
        np.testing.assert_array_equal(
            one.rings[name].values[:, :, : len(one)], other.rings[name].values[:, :, : len(one)], name
        )
    for name, column in other.columns.items():
        np.testing.assert_array_equal(one.columns[name][: len(one)], column[: len(one)], name)


@pytest.mark.parametrize("window_s", STEP_S)
def test_a_count_is_inside_from_the_windows_first_second_to_its_last(window_s: int) -> None:
    series, step = table(), STEP_S[window_s]
    end_s = START_S - 1
    first_s = (end_s - window_s) // step * step
    add(series, [(0, first_s - 1, 0, 1), (1, first_s, 0, 10), (1, end_s - 1, 0, 100), (2, end_s, 0, 1000)])
    assert windows.counts(series, np.arange(3), np.full(3, end_s), window_s)[windows.TOTAL].tolist() == [0, 110, 0]


def test_the_order_of_entries_and_their_batching_change_nothing() -> None:
    generator = np.random.default_rng(5)
    entries = [
        (int(r), START_S - int(a), int(g), int(g) + 1) for r, a, g in generator.integers(0, [3, 4000, 9], (200, 3))
    ]
    one, other = table(), table()
    add(one, entries)
    for place in generator.permutation(200).tolist():
        add(other, [entries[place]])
    equal(one, other)


def test_what_is_ahead_of_the_clock_by_five_seconds_counts_and_by_six_does_not() -> None:
    series = table()
    assert add(series, [(0, START_S + 5, 1, 2)]) == windows.Counted(late=0, future=0)
    assert add(series, [(0, START_S + 6, 1, 2)]) == windows.Counted(late=0, future=2)
    windows.advance(series, START_S + 10)
    assert windows.counts(series, np.arange(1), np.array([START_S + 10]), 60).tolist() == [[1], [2]]


def test_a_clock_in_the_past_moves_nothing() -> None:
    series = table()
    add(series, [(0, START_S - 3, 1, 2)])
    windows.advance(series, START_S - 500)
    assert windows.counts(series, np.arange(1), np.array([START_S]), 60).tolist() == [[1], [2]]


def test_the_longest_window_named_is_held_at_the_longest_lag_and_a_longer_one_is_refused() -> None:
    series, longest = table(), windows.WINDOW_S_MAX
    end_s = START_S - windows.LAG_S_MAX
    add(series, [(0, end_s - longest, 0, 7)])
    assert windows.counts(series, np.arange(1), np.array([end_s]), longest)[windows.TOTAL].tolist() == [7]
    with pytest.raises(AssertionError, match=f"the longest is {longest} s"):
        windows.counts(series, np.arange(1), np.array([end_s]), longest + 1)


@pytest.mark.parametrize("window_s", [63, 3_825, 262_145, windows.WINDOW_S_MAX])
def test_what_a_level_has_forgotten_changes_no_window_of_it(window_s: int) -> None:
    """Each level's longest window, at the longest lag, wherever the clock stands in the level's buckets."""
    for clock_s in range(START_S, START_S + 2 * HOUR_S, 599):
        series, end_s = table(clock_s), clock_s - windows.LAG_S_MAX
        add(series, [(0, (end_s - window_s) // HOUR_S * HOUR_S - 1, 3, 7)])
        assert windows.counts(series, np.arange(1), np.array([end_s]), window_s).tolist() == [[0], [0]]


def test_a_source_slower_than_fifty_seconds_does_not_hold_the_end_back_further() -> None:
    ends = windows.complete_end(table(), START_S * 1000 + 900, np.array([1000, 900, 20_000, 500_000]))
    assert (ends - START_S).tolist() == [-1, 0, -20, -windows.LAG_S_MAX]


def test_coverage_is_the_share_of_the_window_since_the_first_event() -> None:
    series = table()
    add(series, [(0, START_S - 15, 1, 1), (1, START_S - 900, 1, 1)])
    add(series, [(0, START_S - 5, 1, 1), (1, START_S - 1, 1, 1)])
    known = windows.coverage(series, np.arange(3), np.full(3, START_S), 60)
    assert known.tolist() == [0.25, 1.0, 0.0]


@given(st.lists(st.tuples(st.just(0), st.integers(0, 110), st.integers(0, 9), st.integers(0, 9)), max_size=30), BASES)
@settings(max_examples=40, deadline=None)
def test_seconds_tell_each_second_on_its_own(entries: Any, base: int) -> None:
    series, oracle = table(filled=base), Oracle(START_S)
    for row, age, good, total in entries:
        add(series, [(row, START_S - age, min(good, total), total)])
        oracle.add(row, START_S - age, min(good, total), total)
    good, total = windows.seconds(series, 0, START_S - 110, START_S).tolist()
    expected = [oracle.seconds[0, second] for second in range(START_S - 110, START_S + 1)]
    assert [list(pair) for pair in zip(good, total, strict=True)] == expected
    assert windows.seconds(series, 0, START_S, START_S - 1).shape == (2, 0)
