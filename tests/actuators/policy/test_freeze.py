"""Freeze windows: each week or once, over midnight, in UTC."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuators.policy import freeze
from schemas.runbook import FreezeWindow

WEEKEND = FreezeWindow(days=(4, 5), from_min=22 * 60, until_min=6 * 60, why="weekend nights")
WEEK_MIN = 7 * 24 * 60


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def end(window: FreezeWindow, text: str) -> int | None:
    found = freeze.ends_ms((window,), at(text))
    return None if found is None else found[1]


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-01-02T21:59:59.999", None),  # a Friday
        ("2026-01-02T22:00", "2026-01-03T06:00"),
        ("2026-01-03T05:59:59.999", "2026-01-03T06:00"),
        ("2026-01-03T06:00", None),
        ("2026-01-03T23:00", "2026-01-04T06:00"),
        ("2026-01-04T22:00", None),
        ("2026-01-02T03:00", None),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, until: str | None) -> None:
    assert end(WEEKEND, moment) == (None if until is None else at(until))


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-12-23T23:59:59", False),
        ("2026-12-24T00:00", True),
        ("2026-12-26T23:59", True),
        ("2026-12-27T00:00", False),
    ],
)
def test_a_window_that_comes_once_ends_before_its_end(moment: str, inside: bool) -> None:
    window = FreezeWindow(from_ms=at("2026-12-24T00:00"), until_ms=at("2026-12-27T00:00"))
    assert (end(window, moment) is not None) is inside


def test_no_days_are_all_days_and_equal_hours_a_whole_day() -> None:
    assert end(FreezeWindow(from_min=60, until_min=120), "2026-01-07T01:30") == at("2026-01-07T02:00")
    whole = FreezeWindow(days=(2,), from_min=60, until_min=60)
    assert end(whole, "2026-01-08T00:59") == at("2026-01-08T01:00")
    assert end(whole, "2026-01-08T01:00") is None


def test_of_two_windows_the_one_that_ends_last_is_told() -> None:
    longer = FreezeWindow(from_min=0, until_min=23 * 60, why="longer")
    found = freeze.ends_ms((FreezeWindow(from_min=0, until_min=60), longer), at("2026-01-07T00:30"))
    assert found == (longer, at("2026-01-07T23:00"))


@given(
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, WEEK_MIN - 1),
)
def test_the_answer_is_that_of_a_calendar(start: int, until: int, days: frozenset[int], minute: int) -> None:
    monday = at("2026-01-05T00:00")
    window = FreezeWindow(days=tuple(sorted(days)), from_min=start, until_min=until)
    length = (until - start) % 1440 or 1440
    inside = any((minute - (day * 1440 + start)) % WEEK_MIN < length for day in days)
    found = freeze.ends_ms((window,), monday + minute * 60_000)
    assert (found is not None) is inside
    if found is not None:
        assert 0 < found[1] - (monday + minute * 60_000) <= 86_400_000
