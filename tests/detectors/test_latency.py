"""Latency quantiles: upper bounds with the published error, over the seconds that were asked for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors import latency
from detectors.series import Series

NOW_S = 10_000


def table() -> Series:
    series = Series(latency.SHAPES, {"heard_s": ("i8", -1)}, NOW_S)
    series.rows([("live", "north", "basket"), ("live", "south", "basket")])
    return series


def index(seconds: float) -> int:
    """OTLP's exponential histogram at scale 3: bucket i holds (2^(i/8), 2^((i+1)/8)]."""
    return int(np.ceil(np.log2(seconds) * 8)) - 1


def add(series: Series, durations: list[float], second: int = NOW_S, row: int = 0) -> None:
    k = len(durations)
    latency.add(
        series,
        np.full(k, row),
        np.full(k, second),
        np.array([index(d) for d in durations], np.int64),
        np.ones(k, np.int64),
    )


DURATIONS = st.lists(st.floats(0.001, 120.0), min_size=1, max_size=200)


@given(DURATIONS, st.sampled_from([500_000, 900_000, 990_000, 999_000, 1_000_000]))
def test_a_quantile_is_at_most_nine_per_cent_above_the_truth_and_never_below(durations: list[float], ppm: int) -> None:
    series = table()
    add(series, durations)
    truth_us = sorted(durations)[-(-ppm * len(durations) // 1_000_000) - 1] * 1e6
    found = latency.quantile_us(series, 0, NOW_S, NOW_S, ppm)
    assert found is not None
    assert truth_us * (1 - 1e-9) - 1 <= found <= truth_us * (1 + latency.ERROR_PPM / 1e6) + 1


def test_the_error_named_is_the_width_of_a_bucket() -> None:
    assert round((2 ** (1 / 8) - 1) * 1e6) == latency.ERROR_PPM
    assert latency.upper_us(-1) == 1_000_000


def test_without_spans_there_is_no_quantile() -> None:
    series = table()
    add(series, [0.2], row=1)
    assert latency.quantile_us(series, 0, NOW_S - 5, NOW_S, 990_000) is None
    assert latency.quantile_us(series, 0, 10, 20, 990_000) is None, "older than both rings"


def test_only_the_seconds_asked_for_count() -> None:
    series = table()
    for age_s, seconds in ((0, 8.0), (1, 0.1), (5, 0.1), (6, 8.0)):
        add(series, [seconds], NOW_S - age_s)
    found = latency.quantile_us(series, 0, NOW_S - 5, NOW_S - 1, 1_000_000)
    assert found is not None and found < 110_000


def test_older_seconds_are_read_from_ten_second_buckets() -> None:
    series = table()
    add(series, [0.5], NOW_S - 300)
    found = latency.quantile_us(series, 0, NOW_S - 302, NOW_S - 298, 990_000)
    assert found is not None and 500_000 <= found <= 546_000
    assert latency.quantile_us(series, 0, NOW_S - 350, NOW_S - 340, 990_000) is None


def test_what_is_beyond_the_scale_counts_at_its_ends() -> None:
    series = table()
    k = np.array([latency.INDEX_MIN - 500, latency.INDEX_MAX + 500])
    latency.add(series, np.zeros(2, np.int64), np.full(2, NOW_S), k, np.array([1, 1]))
    assert latency.quantile_us(series, 0, NOW_S, NOW_S, 500_000) == latency.upper_us(latency.INDEX_MIN)
    assert latency.quantile_us(series, 0, NOW_S, NOW_S, 1_000_000) == latency.upper_us(latency.INDEX_MAX) == 128_000_000


def test_late_and_future_spans_leave_the_others_alone() -> None:
    series = table()
    add(series, [0.1])
    for second in (NOW_S - 100_000, NOW_S + 1, NOW_S + 60, NOW_S + 600):
        add(series, [9.0], second)
    found = latency.quantile_us(series, 0, NOW_S - 59, NOW_S + 100, 1_000_000)
    assert found is not None and found < 110_000
