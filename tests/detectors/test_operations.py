"""Calls that a service makes: sums over the seconds asked for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.evidence import operations
from detectors.series import Series

HEAD_S = 10_000
AGE = st.one_of(st.integers(-9, 9), st.integers(170, 190))
ENTRY = st.tuples(st.integers(0, 1), AGE, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**40))


EDGE = st.one_of(st.just(0), st.just(179), st.integers(0, 179))


def table() -> Series:
    series = operations.table(HEAD_S)
    series.rows([("live", "north", "basket", "3", name) for name in ("SELECT", "GET")])
    return series


@given(st.lists(ENTRY, max_size=50), EDGE, EDGE)
def test_totals_are_the_sums_of_their_seconds(
    entries: list[tuple[int, int, int, int, int]], one_s: int, other_s: int
) -> None:
    series = table()
    columns = np.array(entries, np.int64).reshape(-1, 5).T
    operations.add(series, columns[0], HEAD_S - columns[1], columns[2:])
    first_s, last_s = HEAD_S - max(one_s, other_s), HEAD_S - min(one_s, other_s)
    expected = [0, 0, 0]
    for row, age_s, *counts in entries:
        if row == 0 and first_s <= HEAD_S - age_s <= last_s:
            expected = [sum(pair) for pair in zip(expected, counts, strict=True)]
    assert operations.totals(series, 0, first_s, last_s).tolist() == expected


def test_a_range_that_the_ring_does_not_hold_is_empty() -> None:
    assert operations.totals(table(), 0, 10, 20).tolist() == [0, 0, 0]
    assert operations.totals(table(), 0, HEAD_S + 1, HEAD_S + 9).tolist() == [0, 0, 0]
