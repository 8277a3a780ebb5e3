"""The control group: untouched tenants that recover alike take a claim away, and nothing they do ever adds one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import verdict, verdict_control
from detectors import verdict_question as ask
from detectors.verdict import Judgement, Reason, Verdict
from detectors.verdict_control import Likeness, Untouched

ONSET_S, DECIDED_S, AT_S = 100, 130, 140
BEFORE = ask.Before(ONSET_S, DECIDED_S, 3_000, 6_000, 200_000, 200_000, 0)
QUESTION = ask.Question(
    target_ppm=999_000, tier_factor_milli=43_200, live_ms=131_000, deadline_ms=160_000, before=BEFORE
)
EFFECTIVE = Judgement(
    verdict=Verdict.EFFECTIVE,
    reason=Reason.BELOW_FAST_PAGE,
    at_s=AT_S,
    window_s=5,
    errors=1,
    n=1_000,
    residual_ppm=1_000,
    before_ppm=500_000,
    p0_ppm=14_400,
    p_value=0.0,
    p_value_ppm=0,
    traffic_ratio_milli=1_000,
    window_s_min=3,
)


def tenant(name: str, before: float, after: float, cured_s: int = 132, end_s: int = AT_S, rate: int = 100) -> Untouched:
    """A tenant that fails with these shares from the onset on, and from its recovery on."""
    seconds = np.arange(60, end_s)
    share = np.where(seconds < ONSET_S, 0.0, np.where(seconds < cured_s, before, after))
    total = np.full(len(seconds), rate)
    return Untouched(name, ask.Counts(60, total - np.rint(total * share).astype(np.int64), total))


def found(*group: Untouched, seen: Judgement = EFFECTIVE) -> verdict_control.Comparison:
    before = verdict_control.freeze(group, ONSET_S, DECIDED_S)
    return verdict_control.compare(QUESTION, seen, before, group)


def test_two_that_recover_without_a_change_leave_nothing_proven() -> None:
    made = found(tenant("a", 0.5, 0.0), tenant("b", 0.3, 0.01))
    assert (made.likeness, made.burned, made.recovered) == (Likeness.ALIKE, 2, 2)
    lowered = verdict_control.lowered(EFFECTIVE, made)
    assert (lowered.verdict, lowered.reason) == (Verdict.INCONCLUSIVE, Reason.CONTROL_ALIKE)
    assert lowered.control == "2 untouched tenants, 2 burned before, 2 of them recovered without a change"


def test_two_that_go_on_burning_let_the_claim_stand() -> None:
    made = found(tenant("a", 0.5, 0.5), tenant("b", 0.3, 0.3))
    assert made.likeness is Likeness.APART
    assert verdict_control.lowered(EFFECTIVE, made).verdict is Verdict.EFFECTIVE


def test_healthy_neighbours_let_the_claim_stand_and_are_told() -> None:
    made = found(tenant("a", 0.0, 0.0), tenant("b", 0.001, 0.0))
    assert made.likeness is Likeness.HEALTHY
    lowered = verdict_control.lowered(EFFECTIVE, made)
    assert lowered.verdict is Verdict.EFFECTIVE
    assert lowered.control == "2 untouched tenants, healthy before and after"


@pytest.mark.parametrize("group", [(), (tenant("a", 0.5, 0.0),)])
def test_fewer_than_two_are_no_control(group: tuple[Untouched, ...]) -> None:
    made = found(*group)
    assert made.likeness is Likeness.NONE
    assert verdict_control.lowered(EFFECTIVE, made) == EFFECTIVE
    assert made.text == verdict.NO_CONTROL


def test_one_recovery_among_healthy_tenants_is_a_coincidence() -> None:
    made = found(tenant("a", 0.5, 0.0), tenant("b", 0.0, 0.0), tenant("c", 0.0, 0.0))
    assert (made.likeness, made.burned) == (Likeness.HEALTHY, 1)


def test_one_recovery_of_two_is_a_coincidence_as_well() -> None:
    assert found(tenant("a", 0.5, 0.0), tenant("b", 0.5, 0.5)).likeness is Likeness.APART


def test_recoveries_of_fewer_than_half_of_the_burning_prove_nothing_against_the_change() -> None:
    burning = [tenant(f"b{n}", 0.5, 0.5) for n in range(3)]
    assert found(tenant("a", 0.5, 0.0), tenant("c", 0.5, 0.0), *burning).likeness is Likeness.APART
    assert found(tenant("a", 0.5, 0.0), tenant("c", 0.5, 0.0), *burning[:2]).likeness is Likeness.ALIKE


def test_a_partial_claim_falls_where_the_group_fell_as_far() -> None:
    partial = replace(EFFECTIVE, verdict=Verdict.PARTIAL, residual_ppm=100_000)
    alike = found(tenant("a", 0.5, 0.1), tenant("b", 0.4, 0.08), seen=partial)
    assert verdict_control.lowered(partial, alike).verdict is Verdict.INCONCLUSIVE
    apart = found(tenant("a", 0.5, 0.2), tenant("b", 0.4, 0.2), seen=partial)
    assert verdict_control.lowered(partial, apart).verdict is Verdict.PARTIAL


def test_silence_is_no_recovery() -> None:
    gone = [
        Untouched(
            one.who,
            ask.Counts(60, *(np.where(np.arange(60, AT_S) < 132, x, 0) for x in (one.counts.good, one.counts.total))),
        )
        for one in (tenant("a", 0.5, 0.5), tenant("b", 0.5, 0.5))
    ]
    assert found(*gone).likeness is Likeness.APART


def test_what_drained_before_the_window_is_not_held_against_a_recovery() -> None:
    late = [tenant(name, 0.5, 0.0, cured_s=AT_S - EFFECTIVE.window_s) for name in "ab"]
    assert found(*late).likeness is Likeness.ALIKE


def test_a_long_window_looks_at_its_last_ten_seconds() -> None:
    long = replace(EFFECTIVE, window_s=60)
    late = [tenant(name, 0.5, 0.0, cured_s=AT_S - 10) for name in "ab"]
    assert found(*late, seen=long).likeness is Likeness.ALIKE


def test_seconds_that_have_not_come_yet_are_waited_for() -> None:
    group = [tenant(name, 0.5, 0.0, end_s=AT_S - 1) for name in "ab"]
    made = found(*group)
    assert made.likeness is Likeness.PENDING
    assert verdict_control.lowered(EFFECTIVE, made) == EFFECTIVE
    assert found(*group, tenant("c", 0.5, 0.0)).likeness is Likeness.PENDING
    assert found(*group, tenant("c", 0.5, 0.0), tenant("d", 0.5, 0.0)).likeness is Likeness.ALIKE


def test_who_was_touched_since_the_decision_drops_out() -> None:
    group = [tenant(name, 0.5, 0.0) for name in "abc"]
    before = verdict_control.freeze(group, ONSET_S, DECIDED_S)
    assert verdict_control.compare(QUESTION, EFFECTIVE, before, group[:1]).likeness is Likeness.NONE


def test_who_was_not_seen_before_the_decision_is_not_compared() -> None:
    new = Untouched("n", tenant("n", 0.5, 0.0).counts.between(DECIDED_S - 2, AT_S))
    assert set(verdict_control.freeze([new, tenant("a", 0.5, 0.0)], ONSET_S, DECIDED_S)) == {"a"}


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 50)), max_size=5),
    st.sampled_from([*Verdict]),
)
def test_a_control_group_never_raises_a_claim(shares: list[tuple[float, float, int]], claim: Verdict) -> None:
    group = [tenant(str(n), before, after, rate=rate) for n, (before, after, rate) in enumerate(shares)]
    judged = replace(EFFECTIVE, verdict=claim)
    lowered = verdict_control.lowered(judged, found(*group, seen=judged))
    assert lowered.verdict in (claim, Verdict.INCONCLUSIVE)
    if claim not in verdict_control.CLAIMS:
        assert lowered.verdict is claim
