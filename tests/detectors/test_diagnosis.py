"""Diagnosis by tables of cases: what is named, what is left open, and what must not matter."""

from dataclasses import fields, replace
from math import isfinite, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import freshness, latency, traffic, windows
from detectors.calls import TO, Call
from detectors.causes import finding, hosts
from detectors.diagnosis import KNOWN_PPM_MIN, Diagnosis, diagnose
from detectors.evidence import case as module
from detectors.evidence import logs, memory, operations, pools, retries
from detectors.evidence.case import CallCase, Case, MemoryCase, PoolCase
from detectors.evidence.logs import Risen
from detectors.evidence.memory import Trend
from detectors.evidence.pools import Sample
from detectors.series import Series
from schemas.identity import Entity
from schemas.journal import Memory, Quantity
from schemas.otlp.columns import Severity, Temporality
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


def call(
    now_s: float, before_s: float = 0.18, name: str = "SELECT", per_s: float = 178, kind: Call = Call.DATABASE
) -> CallCase:
    return CallCase(kind, name, now_s * 1e6, before_s * 1e6, per_s, per_s)


def edge(now_s: float, before_s: float = 0.08, host: str = "egress", name: str = "GET", per_s: float = 178) -> CallCase:
    """Calls to a peer that is no database."""
    return call(now_s, before_s, name + TO + host, per_s, Call.CLIENT)


def rose(template: str, now_per_s: float = 80.0, before_per_s: float = 0.0, deviation: float = 30.0) -> Risen:
    return Risen(template, Severity.WARN, now_per_s, before_per_s, 90, 0, 0.9, deviation)


MB = 1_000_000.0
LEAKING = Trend(points=180, start=120 * MB, end=480 * MB, slope_per_s=200_000.0, last_quarter_ratio=1.0, leaks=True)
FLAT = Trend(points=390, start=120 * MB, end=121 * MB, slope_per_s=10.0, last_quarter_ratio=0.2, leaks=False)


def held(
    trend: Trend = LEAKING, now: float = 505 * MB, limit: float = 512 * MB, restarts: float = nan, instance: str = "i-1"
) -> MemoryCase:
    return MemoryCase(instance, now, limit, restarts, trend)


def of(
    *pools_: PoolCase,
    calls: tuple[CallCase, ...] = (),
    errors_per_s: float = 95.0,
    memory: tuple[MemoryCase, ...] = (),
    logs: tuple[Risen, ...] = (),
) -> Case:
    return Case(
        100,
        109,
        38,
        97,
        270.0,
        errors_per_s,
        200.0,
        0.0,
        900_000,
        200_000,
        pools_,
        calls,
        memory=memory,
        logs=logs,
    )


SLOW_API = "call to payments.partner.example timed out after <n> ms"
OTHER_API = "call to parcels.carrier.example timed out after <n> ms"


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
    "work inside the service slower": (of(calls=(call(0.9, kind=Call.INTERNAL),)), Cause.UNKNOWN),
    "calls slower of which nobody says whom they call": (of(calls=(call(0.9, kind=Call.CLIENT),)), Cause.UNKNOWN),
    "calls to a host slower, the span names the interface": (
        of(calls=(edge(2.0, name="POST /v1/charges"), edge(0.08, host="mail"))),
        Cause.SLOW_DEPENDENCY,
    ),
    "calls to a host slower, and nothing but the host is known": (
        of(calls=(edge(2.0), edge(0.08, host="mail"))),
        Cause.UNKNOWN,
    ),
    "the same, and lines that name another host rose": (
        of(calls=(edge(2.0), edge(0.08, host="mail")), logs=(rose(SLOW_API),)),
        Cause.SLOW_DEPENDENCY,
    ),
    "lines that name two other hosts rose alike": (
        of(calls=(edge(2.0),), logs=(rose(SLOW_API), rose(OTHER_API, 70.0))),
        Cause.UNKNOWN,
    ),
    "one of two rose far more": (
        of(calls=(edge(2.0),), logs=(rose(SLOW_API), rose(OTHER_API, 7.0))),
        Cause.SLOW_DEPENDENCY,
    ),
    "lines of a healthy peer that grew with its traffic": (
        of(calls=(edge(2.0),), logs=(rose(SLOW_API, 80.0, 50.0),)),
        Cause.UNKNOWN,
    ),
    "lines rose that name nobody": (
        of(calls=(edge(2.0),), logs=(rose("socket.timeout: timed out in client.py"),)),
        Cause.UNKNOWN,
    ),
    "lines that name a host rose, but no call is slower": (
        of(calls=(edge(0.08),), logs=(rose(SLOW_API),)),
        Cause.UNKNOWN,
    ),
    "calls to all hosts slower": (
        of(calls=(edge(2.0), edge(1.9, host="mail")), logs=(rose(SLOW_API),)),
        Cause.UNKNOWN,
    ),
    "calls too few to explain the errors": (
        of(calls=(edge(2.0, per_s=5.0),), logs=(rose(SLOW_API),)),
        Cause.UNKNOWN,
    ),
    "a slow dependency holds connections, the database answers as ever": (
        of(pool(SLOW), calls=(edge(2.0), call(0.18)), logs=(rose(SLOW_API),)),
        Cause.SLOW_DEPENDENCY,
    ),
    "a slow database behind calls to a host as ever": (
        of(pool(SLOW), calls=(edge(0.08), call(0.9))),
        Cause.SLOW_DATABASE,
    ),
    "memory rose for half an hour up to its limit": (of(memory=(held(),)), Cause.MEMORY_LEAK),
    "the same, and the container was killed": (of(memory=(held(restarts=2.0),)), Cause.MEMORY_LEAK),
    "killed again and again, far from the limit now": (
        of(memory=(held(now=90 * MB, restarts=3.0),)),
        Cause.MEMORY_LEAK,
    ),
    "one instance of two": (of(memory=(held(FLAT, 121 * MB), held(instance="i-2"))), Cause.MEMORY_LEAK),
    "no limit told, but twice the memory of the start": (of(memory=(held(limit=nan),)), Cause.MEMORY_LEAK),
    "a leak with room left": (
        of(memory=(held(replace(LEAKING, end=200 * MB), now=201 * MB),)),
        Cause.UNKNOWN,
    ),
    "at the limit as ever": (of(memory=(held(replace(FLAT, start=500 * MB, end=501 * MB)),)), Cause.UNKNOWN),
    "memory grew since the onset alone": (of(memory=(held(FLAT, now=500 * MB),)), Cause.UNKNOWN),
    "restarts without a leak": (of(memory=(held(FLAT, now=120 * MB, restarts=3.0),)), Cause.UNKNOWN),
    "a full pool beside memory that stays": (
        of(pool(EXHAUSTED), memory=(held(FLAT, 150 * MB),)),
        Cause.POOL_EXHAUSTED,
    ),
    "two causes as good as each other": (of(pool(EXHAUSTED), memory=(held(),)), Cause.UNKNOWN),
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


def test_the_suspect_of_a_dependency_is_what_the_lines_name_and_how_it_is_reached() -> None:
    found = diagnose(of(calls=(edge(2.0), edge(0.08, host="mail")), logs=(rose(SLOW_API),)))
    assert found.first.suspicion.suspect == "payments.partner.example by way of egress"
    blind = diagnose(of(calls=(edge(2.0), edge(0.08, host="mail"))))
    assert blind.cause is Cause.UNKNOWN
    assert {one.suspicion.cause for one in blind.ranked[:2]} == {Cause.SLOW_DEPENDENCY, Cause.UNKNOWN}
    assert blind.first.probability_ppm == 500_000


@pytest.mark.parametrize("trend", [FLAT, replace(LEAKING, leaks=False)])
def test_nothing_speaks_for_a_leak_where_memory_does_not_leak(trend: Trend) -> None:
    for one in (held(trend), held(trend, restarts=5.0), held(trend, limit=nan)):
        assert {f.weight for f in diagnose(of(memory=(one,))).runner_up.suspicion.findings} == {0.0}


def test_the_suspect_of_a_leak_is_its_instance() -> None:
    found = diagnose(of(memory=(held(FLAT), held(instance="i-2"))))
    assert found.first.suspicion.suspect == "i-2"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        (SLOW_API, {"payments.partner.example"}),
        ("GET https://payments.partner.example/v1/charge?<query> took <n> ms", {"payments.partner.example"}),
        ("upstream payments.partner.example:<n> answered <n>.", {"payments.partner.example"}),
        ("no answer from payments.partner.example.", {"payments.partner.example"}),
        ("java.net.SocketTimeoutException: read timed out", set()),
        ("socket.timeout: timed out", set()),
        ("at com.acme.Client.call(Client.java:<n>)", set()),
        ("wrote state.json and client.py", set()),
        ("took 1.5 s", set()),
        ("", set()),
    ],
)
def test_hosts_in_masked_lines(template: str, named: set[str]) -> None:
    assert hosts.named_in(template) == named


def test_the_suspect_is_the_exhausted_pool_with_its_instance() -> None:
    found = diagnose(of(pool(CALM, name="spare"), pool(EXHAUSTED, name="replica", instance="i-7")))
    assert found.first.suspicion.suspect == "replica@i-7"


NUMBER = st.one_of(st.just(nan), st.floats(0, 10), st.floats(0, 1e9))
SAMPLE = st.builds(Sample, st.integers(0, 60), *[NUMBER for _ in range(len(fields(Sample)) - 1)])
POOL = st.builds(PoolCase, st.just("i-1"), st.sampled_from(["a", "b", "c"]), SAMPLE, SAMPLE)
CALL = st.builds(
    CallCase,
    st.sampled_from(Call),
    st.sampled_from(["x", "y", "GET -> x", "GET /v1 -> y"]),
    NUMBER,
    NUMBER,
    NUMBER,
    NUMBER,
)


def figures(found: Diagnosis) -> list[tuple[Cause, int, int]]:
    return [(one.suspicion.cause, one.probability_ppm, round(1e6 * one.suspicion.log_odds)) for one in found.ranked]


@given(st.lists(POOL, max_size=3), st.lists(CALL, max_size=3), NUMBER, st.permutations(["red", "blue", "grey"]))
@settings(max_examples=200, deadline=None)
def test_other_names_in_another_order_give_the_same_figures(
    seen: list[PoolCase], calls: list[CallCase], errors_per_s: float, names: list[str]
) -> None:
    renamed = [replace(one, pool=names["abc".index(one.pool)], instance=f"{one.instance}-new") for one in seen]
    recalled = [replace(one, name=one.name.replace("x", "left").replace("y", "right")) for one in calls]
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
    assert (seen.memory, seen.logs, seen.asked.told) == ((), (), False)
    assert seen.calls[0] == CallCase(Call.CLIENT, "SELECT", 180_000.0, 180_000.0, 100.0, 100.0)


def test_memory_and_lines_are_collected_from_their_tables() -> None:
    head_s, onset_s = 1005, 990
    entity = Entity("live", "north", "basket")
    entities = Series({**traffic.SHAPES, **latency.SHAPES, **freshness.SHAPES}, {"heard_s": ("i8", -1)}, head_s)
    zero, lines, held_bytes = entities.rows([tuple(entity)]), logs.table(head_s), memory.table(head_s)
    line = logs.place(lines, [(*entity, str(int(Severity.WARN)), SLOW_API)])
    instances = held_bytes.rows([(*entity, "i-1"), (*entity, "i-1" + memory.HEAP)])
    for second in range(900, 1000):
        late = second >= onset_s
        traffic.add(entities, zero, np.array([second]), np.array([[200], [50 if late else 0], [0]]))
        if late:
            logs.add(lines, line, np.array([second]), np.array([40]))
        level = np.array([1e8 + 1e6 * (second - 900), 5e7])
        memory.add(held_bytes, instances, np.array([1, 1], np.uint8), np.full(2, second * 1000), level)
    limit = np.array([Memory.LIMIT, Memory.RESTARTS, Memory.RESTARTS], np.uint8)
    when, value = np.array([900_000, 900_000, 980_000]), np.array([2e8, 3.0, 5.0])
    memory.add(held_bytes, instances[:1].repeat(3), limit, when, value)
    seen = module.collect(
        entities,
        pools.table(),
        operations.table(),
        entity,
        onset_s,
        1000,
        memory_table=held_bytes,
        log_table=lines,
    )
    assert [(one.template, one.now_per_s, one.before_per_s) for one in seen.logs] == [(SLOW_API, 40.0, 0.0)]
    process, heap = seen.memory
    assert (process.instance, process.now, process.limit, process.restarts) == ("i-1", 1.99e8, 2e8, 2.0)
    assert (process.trend.leaks, process.trend.points, process.trend.end) == (True, 8, 1.79e8)
    assert (heap.instance, heap.limit, heap.restarts, heap.trend.leaks) == ("i-1#heap", 2e8, 2.0, False)


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
        table.rings[name].shape.slots
        for table, name in (
            (pools.table(), "gauge"),
            (operations.table(), "operation"),
            (retries.table(), "retries"),
            (logs.table(), "logs"),
        )
    ) >= (oldest_s + windows.AHEAD_S)
