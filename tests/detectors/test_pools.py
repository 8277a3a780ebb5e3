"""Connection pools: what gauges and cumulative or delta points come to, whatever order and gaps they arrive in."""

from dataclasses import replace
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evidence import pools
from detectors.evidence.pools import Sample
from detectors.series import Series
from schemas.journal import Quantity
from schemas.otlp.columns import Temporality

HEAD_S = 10_000
BOOT_MS = 9_000_000
CUMULATIVE, DELTA = Temporality.CUMULATIVE, Temporality.DELTA


def approx(value: float) -> Any:
    return pytest.approx(value)


class Point:
    """One point, `at_s` seconds of event time."""

    def __init__(
        self,
        quantity: Quantity,
        at_s: float,
        value: float = nan,
        count: int = 0,
        total: float = nan,
        *,
        temporality: Temporality = CUMULATIVE,
        start_ms: int = BOOT_MS,
        row: int = 0,
    ) -> None:
        self.columns = (row, quantity, temporality, start_ms, int(at_s * 1000), value, count, total)


def table() -> Series:
    series = pools.table(HEAD_S)
    series.rows([("live", "north", "basket", "i-1", name) for name in ("main", "spare")])
    return series


def add(series: Series, *points: Point) -> None:
    types = (np.int64, np.uint8, np.uint8, np.int64, np.int64, np.float64, np.uint64, np.float64)
    columns = [np.array([point.columns[place] for point in points], kind) for place, kind in enumerate(types)]
    pools.add(series, *columns)


def read(series: Series, first_s: int = HEAD_S - 100, last_s: int = HEAD_S, row: int = 0) -> Sample:
    return pools.sample(series, row, first_s, last_s)


def timeouts(at_s: float, value: float, **how: object) -> Point:
    return Point(Quantity.TIMEOUTS, at_s, value, **how)  # type: ignore[arg-type]  # keywords of Point


def waits(at_s: float, count: int, total: float, **how: object) -> Point:
    return Point(Quantity.WAIT, at_s, nan, count, total, **how)  # type: ignore[arg-type]  # keywords of Point


def test_the_first_point_of_an_unknown_history_adds_nothing() -> None:
    series = table()
    add(series, timeouts(9_950, 500), waits(9_950, 90, 30.0))
    seen = read(series)
    assert (seen.timeouts, seen.waits) == (0, 0)
    assert isnan(seen.wait_s)


def test_cumulative_points_add_what_they_grew_by() -> None:
    series = table()
    add(series, timeouts(9_950, 500), waits(9_950, 90, 30.0))
    add(series, timeouts(9_951, 507), waits(9_951, 100, 35.0))
    add(series, timeouts(9_960, 508), waits(9_960, 110, 36.0))
    seen = read(series)
    assert (seen.timeouts, seen.waits, seen.wait_s) == (8, 20, approx(0.3))
    assert read(series, 9_955).timeouts == 1


def test_delta_points_add_themselves() -> None:
    series = table()
    add(series, timeouts(9_950, 5, temporality=DELTA), waits(9_950, 4, 2.0, temporality=DELTA))
    add(series, timeouts(9_951, 3, temporality=DELTA), waits(9_951, 6, 1.0, temporality=DELTA))
    seen = read(series)
    assert (seen.timeouts, seen.waits, seen.wait_s) == (8, 10, approx(0.3))


def test_a_count_that_fell_is_a_restart_and_counts_from_nothing() -> None:
    series = table()
    add(series, timeouts(9_950, 500), waits(9_950, 90, 30.0))
    add(series, timeouts(9_960, 3), waits(9_960, 2, 5.0))
    seen = read(series)
    assert (seen.timeouts, seen.waits, seen.wait_s) == (3, 2, approx(2.5))


def test_a_start_after_the_last_point_is_a_restart_even_where_the_count_rose() -> None:
    series = table()
    add(series, timeouts(9_950, 5))
    add(series, timeouts(9_960, 7, start_ms=9_955_000))
    assert read(series).timeouts == 7


def test_a_restart_at_an_unknown_time_adds_nothing_of_its_first_point() -> None:
    """OpenTelemetry: a start equal to the time says that the counter's beginning is not known."""
    series = table()
    add(series, timeouts(9_950, 5))
    add(series, timeouts(9_960, 7, start_ms=9_960_000))
    add(series, timeouts(9_961, 9, start_ms=9_960_000))
    assert read(series).timeouts == 2


def test_a_point_that_comes_late_or_twice_adds_nothing_and_takes_nothing_away() -> None:
    series = table()
    add(series, timeouts(9_950, 100))
    add(series, timeouts(9_960, 130))
    add(series, timeouts(9_955, 110))
    add(series, timeouts(9_960, 130))
    add(series, timeouts(9_970, 135))
    assert read(series).timeouts == 35


def test_a_late_point_beside_a_new_one_counts_nothing_twice() -> None:
    series = table()
    add(series, timeouts(9_950, 100))
    add(series, timeouts(9_960, 130))
    add(series, timeouts(9_955, 110), timeouts(9_970, 135))
    assert read(series).timeouts == 35


@given(st.lists(st.integers(0, 9), min_size=2, max_size=12), st.lists(st.integers(0, 11), max_size=6), st.randoms())
def test_batches_and_repetitions_do_not_change_the_sum(grew: list[int], again: list[int], chance: object) -> None:
    """Points reach us in the order of their records; within one record in any order, and old ones may come again."""
    values = np.cumsum(grew).tolist()
    series = table()
    place = 0
    while place < len(values):
        size = chance.randint(1, 4)  # type: ignore[attr-defined]  # random.Random, drawn by hypothesis
        batch = [timeouts(9_900 + at, values[at]) for at in range(place, min(place + size, len(values)))]
        batch += [timeouts(9_900 + at, values[at]) for at in again if at < place]
        chance.shuffle(batch)  # type: ignore[attr-defined]  # random.Random, drawn by hypothesis
        add(series, *batch)
        place += size
    assert read(series).timeouts == values[-1] - values[0]


def test_a_clock_far_ahead_does_not_silence_the_pool() -> None:
    series = table()
    add(series, timeouts(9_950, 100))
    add(series, timeouts(HEAD_S + 86_400, 101))
    add(series, timeouts(9_960, 130))
    assert read(series).timeouts == 30


def test_a_number_that_is_none_leaves_the_others_alone() -> None:
    series = table()
    add(series, timeouts(9_950, 100), timeouts(9_951, nan), timeouts(9_952, 130))
    add(series, Point(Quantity.USED, 9_950.1, 8.0), Point(Quantity.USED, 9_950.2, nan), Point(Quantity.MAX, 9_950, 8.0))
    seen = read(series)
    assert (seen.timeouts, seen.seconds, seen.used, seen.saturated) == (30, 1, 8.0, 1.0)


def test_a_time_without_a_sum_is_no_time_but_still_an_event() -> None:
    series = table()
    add(series, waits(9_950, 4, nan, temporality=DELTA), waits(9_951, 4, 2.0, temporality=DELTA))
    seen = read(series)
    assert (seen.waits, seen.wait_s) == (8, approx(0.25))


def test_a_gauge_is_the_last_value_of_its_second() -> None:
    series = table()
    add(series, Point(Quantity.USED, 9_950.9, 32.0), Point(Quantity.USED, 9_950.1, 4.0))
    add(series, Point(Quantity.MAX, 9_950.5, 32.0), Point(Quantity.PENDING, 9_950.5, 7.0))
    seen = read(series, 9_950, 9_950)
    assert (seen.seconds, seen.used, seen.maximum, seen.pending) == (1, 32.0, 32.0, 7.0)
    assert (seen.saturated, seen.queued) == (1.0, 1.0)


def test_saturation_is_a_share_of_the_seconds_that_said_something() -> None:
    series = table()
    for second, used in ((9_950, 32.0), (9_960, 32.0), (9_970, 31.0), (9_980, 33.0)):
        add(series, Point(Quantity.USED, second, used), Point(Quantity.MAX, second, 32.0))
    add(series, Point(Quantity.USED, 9_985, 32.0))
    seen = read(series)
    assert (seen.seconds, seen.saturated) == (5, 0.75)
    assert isnan(seen.queued)


def test_what_was_never_said_is_not_zero() -> None:
    seen = read(table())
    assert seen.seconds == 0
    assert all(
        isnan(value) for value in (seen.used, seen.maximum, seen.pending, seen.saturated, seen.wait_s, seen.use_s)
    )
    assert read(table(), 5, 6) == replace(read(table(), 5, 6), seconds=0)


def test_pools_and_quantities_do_not_mix() -> None:
    series = table()
    for at_s, factor in ((9_950, 1), (9_951, 2)):
        add(
            series,
            waits(at_s, 10 * factor, 1.0 * factor),
            waits(at_s, 30 * factor, 90.0 * factor, row=1),
            Point(Quantity.USE, at_s, nan, 50 * factor, 9.0 * factor),
            timeouts(at_s, 4 * factor, row=1),
        )
    main, spare = read(series), read(series, row=1)
    assert (main.waits, main.wait_s, main.uses, main.use_s, main.timeouts) == (10, approx(0.1), 50, 0.18, 0)
    assert (spare.waits, spare.wait_s, spare.uses, spare.timeouts) == (30, 3.0, 0, 4)


def test_points_outside_of_the_ring_move_the_memory_but_count_nowhere() -> None:
    series = table()
    add(series, timeouts(9_000, 100), timeouts(9_500, 400), timeouts(9_990, 410))
    assert read(series, 0).timeouts == 10


def told_at(*seconds: int) -> Series:
    series = table()
    add(series, *(Point(Quantity.USED, second, 1.0) for second in seconds))
    return series


def test_a_pool_that_tells_rarely_is_due_by_its_own_pace() -> None:
    assert pools.next_s(told_at(HEAD_S - 90, HEAD_S - 30), 0, 10, 60) == HEAD_S - 30 + 75
    assert pools.next_s(told_at(HEAD_S - 30), 0, 10, 60) == HEAD_S - 30 + 75, "it may be as slow as the slowest"
    assert pools.next_s(told_at(HEAD_S - 2, HEAD_S - 1), 0, 10, 60) == -1, "what tells often has told by now"
    assert pools.next_s(table(), 0, 10, 60) == -1
