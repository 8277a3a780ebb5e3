"""The onset of a burn: its first bad second after the last calm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import onset

START_S, SHARE = 1000, 0.0144


def of(bad: str) -> int:
    """Seconds as signs: `x` half of 200 requests failed, `.` none did, ` ` nobody called."""
    total = np.array([0 if sign == " " else 200 for sign in bad], np.int64)
    good = np.array([100 if sign == "x" else count for sign, count in zip(bad, total, strict=True)], np.int64)
    return onset.onset_s(START_S, good, total, SHARE) - START_S


@pytest.mark.parametrize(
    ("bad", "second"),
    [
        (".....xxxx", 5),
        ("..x..xxx", 2),
        ("..x...xxx", 6),
        ("..x   xxx", 6),
        ("xx....x.xx..x", 6),
        ("xxxx", 0),
        ("xx..........", 0),
        ("....", 4),
        ("    ", 4),
        ("", 0),
    ],
)
def test_three_clean_seconds_running_end_a_burn_and_fewer_do_not(bad: str, second: int) -> None:
    assert of(bad) == second


def test_a_second_is_bad_only_above_the_share() -> None:
    total = np.full(4, 10_000)
    bad = np.array([144, 144, 145, 144])
    assert onset.onset_s(0, total - bad, total, SHARE) == 2


@given(st.text("x.", max_size=60))
def test_the_onset_is_a_bad_second_with_no_calm_after_it_and_calm_before_it(bad: str) -> None:
    second = of(bad)
    if "x" not in bad:
        assert second == len(bad)
        return
    assert bad[second] == "x"
    assert "..." not in bad[second:].rstrip(".")
    before = bad[:second]
    assert before.endswith("...") or "x" not in before
