"""What makes a failure worse, on seconds of the dynamics of pool exhaustion: a pool of 32, queries of 180 ms, clients
that give up after 400 ms and try eight times or twice."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.amplifiers.strengthening import needed
from detectors.diagnosis import diagnose
from detectors.evidence import demand
from detectors.evidence.case import Case
from detectors.evidence.skeletons import Attempts
from schemas.runbook import Amplifier
from tests.detectors import cases
from tests.detectors.cases import ONSET_S, Second, of_seconds

SPIKE, STORM = Amplifier.TRAFFIC_SPIKE, Amplifier.RETRY_STORM
QUIET: list[Second] = [(92, 0, 0, 0), (85, 0, 0, 0), (88, 0, 0, 0), (79, 0, 0, 0), (87, 0, 0, 0)]
BUSIER: list[Second] = [(120, 0, 0, 0), (123, 0, 0, 0), (116, 0, 0, 0), (125, 0, 0, 0)]
SURGE: Second = (169, 0, 0, 0)
"""Tabs have come, the queue fills, nothing fails yet."""
EIGHT_TRIES: list[Second] = [
    (356, 181, 158, 292),
    (579, 399, 498, 655),
    (564, 385, 558, 587),
    (441, 267, 441, 441),
    (428, 244, 428, 428),
    (218, 46, 155, 165),
    (464, 283, 267, 432),
    (563, 390, 508, 630),
    (528, 346, 523, 546),
    (457, 282, 457, 457),
    (357, 177, 350, 350),
    (270, 91, 176, 218),
]
TWO_TRIES: list[Second] = [
    (285, 106, 151, 302),
    (259, 78, 136, 272),
    (285, 111, 138, 276),
    (257, 76, 133, 266),
    (282, 108, 134, 268),
    (282, 101, 144, 288),
]
SLOW_DATABASE: list[Second] = [
    (52, 27, 5, 10),
    (268, 225, 156, 252),
    (297, 250, 277, 335),
    (241, 209, 241, 242),
    (241, 209, 241, 241),
    (149, 117, 145, 145),
    (133, 101, 83, 107),
    (274, 242, 183, 277),
]
BROKEN_ROUTE: list[Second] = [(88, 9, 0, 0), (84, 8, 0, 0), (90, 10, 0, 0), (86, 9, 0, 0)]
CACHED: Second = (780, 0, 0, 0)
"""Nine in ten requests need no connection."""


def beside(seconds: Sequence[Second], more: Second, times: float = 1.0) -> list[Second]:
    return [(a + round(times * more[0]), b, c, d) for a, b, c, d in seconds]


def present(case: Case) -> set[Amplifier]:
    found = diagnose(case).amplifiers
    assert [one.amplifier for one in found] == list(Amplifier), "all are told, present or not"
    return {one.amplifier for one in found if one.present}


def after_surge(seconds: Sequence[Second], told: bool = True) -> Case:
    return of_seconds(QUIET, [SURGE, *seconds], told, ONSET_S + 1)


@pytest.mark.parametrize("until", range(2, len(EIGHT_TRIES) + 1))
def test_tabs_that_come_and_try_eight_times_are_a_spike_and_a_storm(until: int) -> None:
    assert present(after_surge(EIGHT_TRIES[:until])) == {SPIKE, STORM}


@pytest.mark.parametrize("until", range(1, len(TWO_TRIES) + 1))
def test_tabs_that_come_and_try_twice_are_a_spike_and_no_storm(until: int) -> None:
    assert present(after_surge(TWO_TRIES[:until])) == {SPIKE}


@pytest.mark.parametrize("until", range(3, len(SLOW_DATABASE) + 1))
def test_retries_alone_are_a_storm_and_no_spike(until: int) -> None:
    assert present(of_seconds(BUSIER, SLOW_DATABASE[:until])) == {STORM}


def test_more_people_who_are_all_served_are_a_spike_alone() -> None:
    assert present(of_seconds(QUIET, [(175, 0, 0, 0)] * 8)) == {SPIKE}


def test_a_broken_route_and_a_calm_service_have_neither() -> None:
    assert present(of_seconds(QUIET, BROKEN_ROUTE)) == set()
    assert present(of_seconds(QUIET, QUIET)) == set()


def test_a_storm_on_one_request_in_ten_is_seen_beside_the_others() -> None:
    case = of_seconds(beside(QUIET, CACHED), beside([SURGE, *EIGHT_TRIES], CACHED, 320 / 120), onset_s=ONSET_S + 1)
    assert case.errors_per_s < 0.15 * case.requests_per_s
    assert present(case) == {SPIKE, STORM}


def test_one_client_that_hangs_is_no_storm() -> None:
    assert present(of_seconds(beside(QUIET, CACHED), beside([(95, 8, 7, 8)] * 6, CACHED))) == set()


def test_retries_that_were_as_many_before_are_no_storm() -> None:
    stubborn: list[Second] = [(90, 30, 40, 60), (92, 31, 41, 61)]
    assert present(of_seconds(stubborn, [(91, 31, 41, 61)] * 5)) == set()


def test_retries_that_all_end_well_are_no_storm() -> None:
    assert STORM not in present(of_seconds(QUIET, [(200, 0, 110, 160)] * 6))


def test_where_nobody_tells_resends_a_storm_is_not_claimed_and_a_spike_counts_only_what_did_not_fail() -> None:
    assert present(of_seconds(BUSIER, SLOW_DATABASE, told=False)) == set()
    blind, told = after_surge(EIGHT_TRIES, told=False), after_surge(EIGHT_TRIES)
    assert present(blind) == {SPIKE}
    assert diagnose(blind).amplifiers[0].log_odds < diagnose(told).amplifiers[0].log_odds


def test_traces_that_one_operation_enters_many_times_tell_of_a_storm_too() -> None:
    once = [Attempts("GET /", 200, 200, 1), Attempts("GET /a", 50, 50, 1)]
    many = [Attempts("GET /", 50, 50, 1), Attempts("GET /a", 40, 200, 8)]
    blind = of_seconds(BUSIER, SLOW_DATABASE, told=False)
    for now, before, expected in ((many, once, {STORM}), (many, many, set()), (once, once, set()), ([], [], set())):
        assert present(replace(blind, resent=demand.repeated(now, before))) == expected, (now, before)


def test_a_surge_is_remembered_while_its_people_wait_for_their_retries() -> None:
    hanging = [second for second in EIGHT_TRIES if second[0] == second[2]]
    asked = after_surge([*EIGHT_TRIES[:2], *hanging * 6]).asked
    assert (asked.first, asked.first_before) == ((169 + 198) / 2, 87.0)
    assert asked.deviation == pytest.approx((183.5 - 87) / 8.7)


def test_people_who_come_back_after_a_failure_are_no_surge() -> None:
    back = [(40, 40, 40, 45), (40, 40, 40, 45), (260, 0, 0, 0), (190, 0, 60, 60)]
    late = [*SLOW_DATABASE[2:5], *back, *BUSIER, *BUSIER]
    assert SPIKE not in present(of_seconds(BUSIER, late))


def test_without_a_baseline_nothing_is_claimed() -> None:
    seconds = [(0, 0, 0, 0)] * (cases.QUIET_S - 5) + QUIET
    young = of_seconds(seconds, EIGHT_TRIES)
    assert present(young) == set()
    assert not young.asked.offered_before >= 0


SECONDS = st.lists(
    st.tuples(st.integers(40, 400), st.integers(0, 40), st.integers(0, 30), st.integers(0, 10)).map(
        lambda s: (s[0], s[1], s[2], s[2] + min(s[2], s[3]))
    ),
    min_size=3,
    max_size=12,
)


@given(SECONDS, SECONDS, st.integers(2, 50), st.booleans())
@settings(max_examples=60, deadline=None)
def test_ten_times_as_much_of_everything_changes_no_weight(
    quiet: list[Second], burning: list[Second], times: int, told: bool
) -> None:
    larger = [[tuple(times * count for count in second) for second in part] for part in (quiet, burning)]
    one, other = (diagnose(of_seconds(*parts, told=told)).amplifiers for parts in ((quiet, burning), larger))  # type: ignore[arg-type]
    assert [a.log_odds for a in one] == pytest.approx([a.log_odds for a in other])


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, -2.0), (0.5, -1.0), (1.0, 0.0), (1.5, 2.0), (9.0, 4.0), (float("nan"), -2.0)]
)
def test_what_has_to_be_there_speaks_against_where_it_is_missing(value: float, expected: float) -> None:
    assert needed(value, 0.0, 1.0, 2.0, 4.0) == pytest.approx(expected)
