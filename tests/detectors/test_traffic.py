"""Requests, errors and missing answers, second by second."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors import traffic
from detectors.series import Series

NOW_S = 10_000


def table() -> Series:
    series = Series(traffic.SHAPES, {"heard_s": ("i8", -1)}, NOW_S)
    series.rows([("live", "north", str(number)) for number in range(2)])
    return series


AGE = st.one_of(st.integers(-3, 9), st.integers(170, 190))
ENTRY = st.tuples(st.integers(0, 1), AGE, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))


@given(
    st.lists(ENTRY, max_size=60),
    st.one_of(st.just(0), st.integers(0, 179)),
    st.one_of(st.just(179), st.integers(0, 179)),
)
def test_each_second_holds_the_sum_of_what_was_counted_into_it(
    entries: list[tuple[int, int, int, int, int]], one_age_s: int, other_age_s: int
) -> None:
    series = table()
    columns = np.array(entries, np.int64).reshape(-1, 5).T
    traffic.add(series, columns[0], NOW_S - columns[1], columns[2:])
    first_s, last_s = NOW_S - max(one_age_s, other_age_s), NOW_S - min(one_age_s, other_age_s)
    expected = np.zeros((3, last_s - first_s + 1), np.int64)
    for row, age_s, *counts in entries:
        if row == 1 and first_s <= NOW_S - age_s <= last_s:
            expected[:, NOW_S - age_s - first_s] += counts
    np.testing.assert_array_equal(traffic.seconds(series, 1, first_s, last_s), expected)


def test_what_the_ring_no_longer_or_not_yet_holds_is_left_out() -> None:
    series = table()
    assert traffic.seconds(series, 0, NOW_S - 1000, NOW_S).shape == (3, 180)
    assert traffic.seconds(series, 0, NOW_S - 1, NOW_S + 9).shape == (3, 2)
    assert traffic.seconds(series, 0, NOW_S - 900, NOW_S - 800).shape == (3, 0)
    assert traffic.seconds(series, 0, NOW_S + 1, NOW_S + 9).shape == (3, 0)


def test_silence_is_zero_and_not_missing() -> None:
    series = table()
    traffic.add(series, np.array([0]), np.array([NOW_S]), np.array([[7], [1], [0]]))
    series.advance(NOW_S + 3)
    assert traffic.seconds(series, 0, NOW_S, NOW_S + 3)[traffic.REQUESTS].tolist() == [7, 0, 0, 0]
