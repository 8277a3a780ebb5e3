"""How late telemetry is: an upper bound of the p99 of the last minute, entity by entity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import freshness
from detectors.series import Series

ERROR = 2**0.25


def table(entities: int = 1) -> Series:
    series = Series(freshness.SHAPES, {"heard_s": ("i8", -1)}, 1000)
    series.rows([("live", "north", str(number)) for number in range(entities)])
    return series


def add(series: Series, row: int, delay_ms: list[int], spans: int = 1) -> None:
    k = len(delay_ms)
    freshness.add(series, np.full(k, row), np.array(delay_ms), np.full(k, spans))


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=300))
def test_p99_is_never_below_the_truth_and_at_most_a_fifth_above_it(delays: list[int]) -> None:
    series = table()
    add(series, 0, delays)
    truth = sorted(delays)[-(-99 * len(delays) // 100) - 1]
    assert max(truth, freshness.FLOOR_MS) <= freshness.p99_ms(series)[0] <= max(truth * ERROR, freshness.FLOOR_MS) + 1


def test_one_span_in_a_hundred_may_be_late() -> None:
    series = table()
    add(series, 0, [500], spans=99)
    add(series, 0, [60_000], spans=1)
    assert freshness.p99_ms(series)[0] == freshness.FLOOR_MS
    add(series, 0, [60_000], spans=1)
    assert freshness.p99_ms(series)[0] >= 60_000


def test_a_late_entity_delays_no_other_and_a_silent_one_has_the_floor() -> None:
    series = table(3)
    add(series, 1, [20_000] * 10)
    late = freshness.p99_ms(series)
    assert late[[0, 2]].tolist() == [freshness.FLOOR_MS] * 2
    assert late[1] >= 20_000


@pytest.mark.parametrize(("seconds", "remembered"), [(59, True), (62, False)])
def test_a_minute_later_it_is_forgotten(seconds: int, remembered: bool) -> None:
    series = table()
    add(series, 0, [20_000])
    series.advance(1000 + seconds)
    assert bool(freshness.p99_ms(series)[0] > freshness.FLOOR_MS) is remembered


def test_rows_may_repeat_and_order_does_not_matter() -> None:
    one, other = table(2), table(2)
    rows, delays, spans = np.array([0, 1, 0, 0]), np.array([50_000, 10, 10, 50_000]), np.array([1, 5, 97, 1])
    freshness.add(one, rows, delays, spans)
    freshness.add(other, rows[::-1], delays[::-1], spans[::-1])
    np.testing.assert_array_equal(freshness.p99_ms(one), freshness.p99_ms(other))
    assert freshness.p99_ms(one)[0] >= 50_000
