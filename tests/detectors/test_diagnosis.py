"""Diagnosis by tables of cases: what is named, what is left open, and what must not matter."""

from dataclasses import fields, replace
from math import isfinite, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import freshness, latency, traffic, windows
from detectors.causes import finding
from detectors.diagnosis import KNOWN_PPM_MIN, Diagnosis, diagnose
from detectors.evidence import case as module
from detectors.evidence import operations, pools
from detectors.evidence.case import CallCase, Case, PoolCase
from detectors.evidence.pools import Sample
from detectors.series import Series
from schemas.identity import Entity
from schemas.journal import Quantity
from schemas.otlp.columns import SpanKind, Temporality
from schemas.runbook import Cause

CALM = Sample(
    seconds=60,
    used=8,
    maximum=32,
    pending=0,
    saturated=0.0,
    queued=0.0,
    timeouts=0,
    waits=12_000,
    wait_s=0.0001,
    uses=12_000,
    use_s=0.18,
)
EXHAUSTED = replace(
    CALM, seconds=10, used=32, pending=200, saturated=1.0, queued=1.0, timeouts=900, waits=1780, wait_s=0.4, uses=1780
)
SLOW = replace(EXHAUSTED, use_s=0.9)
SILENT = Sample(0, nan, nan, nan, nan, nan, 0.0, 0.0, nan, 0.0, nan)


def pool(now: Sample, before: Sample = CALM, name: str = "main", instance: str = "i-1") -> PoolCase:
    return PoolCase(instance, name, now, before)


def call(now_s: float, before_s: float = 0.18, name: str = "SELECT", per_s: float = 178, kind: int = 3) -> CallCase:
    return CallCase(SpanKind(kind), name, now_s * 1e6, before_s * 1e6, per_s, per_s)


def of(*pools_: PoolCase, calls: tuple[CallCase, ...] = (), errors_per_s: float = 95.0) -> Case:
    return Case(100, 109, 38, 97, 270.0, errors_per_s, 200.0, 0.0, 900_000, 200_000, pools_, calls)


TABLE = {
    "all in use, callers wait, held as long as ever": (of(pool(EXHAUSTED)), Cause.POOL_EXHAUSTED),
    "the same with calls as fast as ever": (of(pool(EXHAUSTED), calls=(call(0.18),)), Cause.POOL_EXHAUSTED),
    "held a little longer, as under any load": (of(pool(replace(EXHAUSTED, use_s=0.21))), Cause.POOL_EXHAUSTED),
    "one pool of two": (of(pool(CALM, name="spare"), pool(EXHAUSTED)), Cause.POOL_EXHAUSTED),
    "no timeouts told, but full, queued and waited for": (
        of(pool(replace(EXHAUSTED, timeouts=0))),
        Cause.POOL_EXHAUSTED,
    ),
    "held five times as long": (of(pool(SLOW)), Cause.SLOW_DATABASE),
    "held five times as long and calls slower": (of(pool(SLOW), calls=(call(0.9),)), Cause.SLOW_DATABASE),
    "held longer, but calls as fast as ever": (of(pool(SLOW), calls=(call(0.18),)), Cause.UNKNOWN),
    "no pool told, calls slower": (of(calls=(call(0.9),)), Cause.SLOW_DATABASE),
    "calls slower, but only a handful": (of(calls=(call(0.9, per_s=0.5),)), Cause.UNKNOWN),
    "the service's own requests slower": (of(calls=(call(0.9, kind=2),)), Cause.UNKNOWN),
    "a calm pool": (of(pool(CALM)), Cause.UNKNOWN),
    "a calm pool and calls as ever": (of(pool(CALM), calls=(call(0.18),)), Cause.UNKNOWN),
    "full but nobody waits": (of(pool(replace(CALM, used=32, saturated=1.0))), Cause.UNKNOWN),
    "full and waited for, but errors come from elsewhere": (
        of(pool(replace(EXHAUSTED, timeouts=5, wait_s=0.002))),
        Cause.UNKNOWN,
    ),
    "time in use not told": (of(pool(replace(EXHAUSTED, use_s=nan))), Cause.UNKNOWN),
    "time in use not told before": (of(pool(EXHAUSTED, replace(CALM, use_s=nan))), Cause.UNKNOWN),
    "time in use not told, calls as ever": (
        of(pool(replace(EXHAUSTED, use_s=nan)), calls=(call(0.18),)),
        Cause.UNKNOWN,
    ),
    "a pool that fell silent": (of(pool(SILENT)), Cause.UNKNOWN),
    "nothing told at all": (of(), Cause.UNKNOWN),
}


@pytest.mark.parametrize(("seen", "expected"), TABLE.values(), ids=TABLE.keys())
def test_cases_and_their_causes(seen: Case, expected: Cause) -> None:
    assert diagnose(seen).cause is expected


@pytest.mark.parametrize("seen", [seen for seen, _ in TABLE.values()], ids=TABLE.keys())
def test_every_answer_is_a_distribution_with_a_runner_up(seen: Case) -> None:
    found = diagnose(seen)
    ppm = [ranked.probability_ppm for ranked in found.ranked]
    assert abs(sum(ppm) - 1_000_000) <= len(ppm)
    assert ppm == sorted(ppm, reverse=True)
    assert found.runner_up.suspicion.cause is not found.first.suspicion.cause
    assert Cause.UNKNOWN in [ranked.suspicion.cause for ranked in found.ranked]
    assert (found.cause is Cause.UNKNOWN) or found.first.probability_ppm >= KNOWN_PPM_MIN


def test_the_suspect_is_the_exhausted_pool_with_its_instance() -> None:
    found = diagnose(of(pool(CALM, name="spare"), pool(EXHAUSTED, name="replica", instance="i-7")))
    assert found.first.suspicion.suspect == "replica@i-7"


NUMBER = st.one_of(st.just(nan), st.floats(0, 10), st.floats(0, 1e9))
SAMPLE = st.builds(Sample, st.integers(0, 60), *[NUMBER for _ in range(len(fields(Sample)) - 1)])
POOL = st.builds(PoolCase, st.just("i-1"), st.sampled_from(["a", "b", "c"]), SAMPLE, SAMPLE)
CALL = st.builds(CallCase, st.sampled_from(SpanKind), st.sampled_from(["x", "y"]), NUMBER, NUMBER, NUMBER, NUMBER)


def figures(found: Diagnosis) -> list[tuple[Cause, int, int]]:
    return [(one.suspicion.cause, one.probability_ppm, round(1e6 * one.suspicion.log_odds)) for one in found.ranked]


@given(st.lists(POOL, max_size=3), st.lists(CALL, max_size=3), NUMBER, st.permutations(["red", "blue", "grey"]))
@settings(max_examples=200, deadline=None)
def test_other_names_in_another_order_give_the_same_figures(
    seen: list[PoolCase], calls: list[CallCase], errors_per_s: float, names: list[str]
) -> None:
    renamed = [replace(one, pool=names["abc".index(one.pool)], instance=f"{one.instance}-new") for one in seen]
    recalled = [replace(one, name=f"other {one.name}") for one in calls]
    one = diagnose(of(*seen, calls=tuple(calls), errors_per_s=errors_per_s))
    other = diagnose(of(*renamed[::-1], calls=tuple(recalled[::-1]), errors_per_s=errors_per_s))
    assert figures(one) == figures(other)
    assert one.cause is other.cause


@given(st.lists(POOL, max_size=3), st.lists(CALL, max_size=3), NUMBER)
@settings(max_examples=200, deadline=None)
def test_no_numbers_break_it_and_a_full_pool_is_never_blamed_where_the_time_in_use_is_missing(
    seen: list[PoolCase], calls: list[CallCase], errors_per_s: float
) -> None:
    blind = [replace(one, now=replace(one.now, use_s=nan)) for one in seen]
    found = diagnose(of(*blind, calls=tuple(calls), errors_per_s=errors_per_s))
    assert found.cause is not Cause.POOL_EXHAUSTED
    assert all(isfinite(one.suspicion.log_odds) for one in found.ranked)
    assert all(isfinite(f.weight) for one in found.ranked for f in one.suspicion.findings)


def test_a_case_is_collected_from_the_seconds_now_and_the_minute_before_the_onset() -> None:
    head_s, onset_s = 1005, 990
    entity = Entity("live", "north", "basket")
    entities = Series({**traffic.SHAPES, **latency.SHAPES, **freshness.SHAPES}, {"heard_s": ("i8", -1)}, head_s)
    pool_table, calls = pools.table(head_s), operations.table(head_s)
    zero = entities.rows([tuple(entity)])
    pool_table.rows([(*entity, "i-1", "main")])
    calls.rows([(*entity, "3", "SELECT")])
    for second in range(900, 1000):
        bad = 50 if second >= onset_s else 0
        traffic.add(entities, zero, np.array([second]), np.array([[200], [bad], [0]]))
        operations.add(calls, zero, np.array([second]), np.array([[100], [0], [18_000_000]]))
        _gauge(pool_table, second, 32.0 if second >= onset_s else 8.0)
    seen = module.collect(entities, pool_table, calls, entity, onset_s, 1000)
    assert (seen.first_s, seen.last_s, seen.base_first_s, seen.base_last_s) == (990, 999, 928, 987)
    assert (seen.requests_per_s, seen.errors_per_s, seen.before_errors_per_s) == (200.0, 50.0, 0.0)
    assert (seen.pools[0].now.used, seen.pools[0].before.used) == (32.0, 8.0)
    assert seen.calls[0] == CallCase(SpanKind.CLIENT, "SELECT", 180_000.0, 180_000.0, 100.0, 100.0)


def _gauge(table: Series, second: int, used: float) -> None:
    one, time_ms = np.array([Quantity.USED], np.uint8), np.array([second * 1000])
    kind = np.array([Temporality.UNSPECIFIED], np.uint8)
    pools.add(
        table, np.zeros(1, np.int64), one, kind, time_ms, time_ms, np.array([used]), np.zeros(1, np.uint64), np.zeros(1)
    )


@pytest.mark.parametrize(
    ("value", "expected"), [(0.1, 0.0), (0.2, 0.0), (0.5, 0.5), (0.8, 1.0), (9, 1.0), (nan, 0.0), (float("inf"), 0.0)]
)
def test_weights_grow_between_two_bounds_and_the_unknown_weighs_nothing(value: float, expected: float) -> None:
    assert finding.ramp(value, 0.2, 0.8) == pytest.approx(expected)


def test_rings_of_the_evidence_reach_back_before_an_onset_that_is_as_old_as_the_look_back() -> None:
    oldest_s = 110 + module.GAP_S + module.BASELINE_S
    assert min(
        table.rings[name].shape.slots for table, name in ((pools.table(), "gauge"), (operations.table(), "operation"))
    ) >= (oldest_s + windows.AHEAD_S)
