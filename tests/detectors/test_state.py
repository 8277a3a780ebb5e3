"""Data states: each has its condition, and of several the worst is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import state
from detectors.state import DataState

END_S = 10_000


def of(
    total: int = 100,
    thin: bool = False,
    heard_s: int = END_S,
    sampled_s: int = -1,
    lost_s: int = -1,
    stale: bool = False,
    late: bool = False,
    acting_s: int = 60,
) -> DataState:
    found = state.states(
        np.array([END_S]),
        np.array([total]),
        np.array([thin]),
        np.array([heard_s]),
        np.array([sampled_s]),
        np.array([acting_s]),
        lost_s,
        np.array([late]),
        stale,
    )
    return DataState(int(found[0]))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, DataState.OK),
        ({"thin": True}, DataState.LOW_N),
        ({"total": 0}, DataState.NO_TRAFFIC),
        ({"sampled_s": END_S - 60}, DataState.SAMPLED),
        ({"sampled_s": END_S - 61}, DataState.OK),
        ({"lost_s": END_S - 60}, DataState.PARTIAL),
        ({"lost_s": END_S - 61}, DataState.OK),
        ({"heard_s": END_S - 61}, DataState.NO_DATA),
        ({"heard_s": END_S - 60}, DataState.OK),
        ({"heard_s": -1}, DataState.NO_DATA),
        ({"lost_s": END_S - 61, "acting_s": 3600}, DataState.PARTIAL),
        ({"sampled_s": END_S - 61, "acting_s": 3600}, DataState.SAMPLED),
        ({"late": True}, DataState.STALE),
        ({"stale": True}, DataState.STALE),
    ],
)
def test_each_state_has_its_condition(seen: dict[str, int], expected: DataState) -> None:
    assert of(**seen) is expected  # type: ignore[arg-type]  # a table of keyword arguments


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_of_several_states_the_worst_is_told(
    thin: bool, silent: bool, sampled: bool, lost: bool, unheard: bool, stale: bool
) -> None:
    found = of(
        0 if silent else 100, thin, -1 if unheard else END_S, END_S if sampled else -1, END_S if lost else -1, stale
    )
    flags = (True, thin, silent, sampled, lost, unheard, stale)
    assert found is max(one for one, holds in zip(DataState, flags, strict=True) if holds)


def test_rows_do_not_touch_each_other_and_loss_and_staleness_are_of_all() -> None:
    no = np.array([False] * 2)
    two = (np.array([END_S] * 2), np.array([100, 0]), no, np.array([END_S] * 2), np.array([-1] * 2), np.array([60] * 2))
    assert state.states(*two, -1, no, False).tolist() == [DataState.OK, DataState.NO_TRAFFIC]
    assert state.states(*two, END_S, no, False).tolist() == [DataState.PARTIAL] * 2
    assert state.states(*two, -1, no, True).tolist() == [DataState.STALE] * 2


def test_names_are_as_the_events_carry_them() -> None:
    assert [one.text for one in DataState] == "ok low_n no_traffic sampled partial no_data stale".split()
