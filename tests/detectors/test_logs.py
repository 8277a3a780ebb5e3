"""Templates of each service by second: bounded, first seen at the right time, and found when they rise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import rows
from detectors.evidence import logs
from detectors.evidence.logs import Risen
from detectors.series import Key, Series
from schemas.identity import Entity
from schemas.otlp.columns import Severity

SHOP = Entity("live", "north", "shop")
NOW_S = 100_000
ERROR = str(int(Severity.ERROR))
WINDOW, BASELINE = (NOW_S - 9, NOW_S), (NOW_S - 71, NOW_S - 12)


def table() -> Series:
    return logs.table(NOW_S)


def key(template: str, severity: str = ERROR, entity: Entity = SHOP) -> Key:
    return (*entity, severity, template)


def say(series: Series, template: str, at_s: list[int], count: int = 1, severity: str = ERROR) -> None:
    places = np.repeat(logs.place(series, [key(template, severity)]), len(at_s))
    logs.add(series, places, np.array(at_s, np.int64), np.full(len(at_s), count, np.int64))


def risen(series: Series, signal: np.ndarray | None = None, most: int = 10) -> tuple[Risen, ...]:
    if signal is None:
        signal = np.concatenate([np.zeros(62), np.full(10, 50.0)])
    return logs.correlate(series, SHOP, WINDOW, BASELINE, signal, most)


def test_rates_are_the_lines_of_the_seconds_asked_for() -> None:
    series = table()
    say(series, "a", [NOW_S - 3, NOW_S - 3, NOW_S], 2)
    say(series, "b", [NOW_S - 4], 10)
    say(series, "old", [NOW_S - 50], 10)
    assert logs.rates(series, SHOP, NOW_S - 4, NOW_S) == (("b", Severity.ERROR, 2.0), ("a", Severity.ERROR, 1.2))


@given(st.lists(st.integers(-5, 200), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_template_is_first_seen_at_its_earliest_second_that_the_ring_still_held(ages: list[int]) -> None:
    series = table()
    for age in ages:
        say(series, "a", [NOW_S - age])
    held = [NOW_S - age for age in ages if 0 <= age < logs.SLOTS]
    assert int(series.columns["first_s"][0]) == min(held, default=logs.NEVER)


def test_counts_too_late_or_ahead_of_the_clock_are_left_out() -> None:
    series = table()
    say(series, "a", [NOW_S - 500, NOW_S + 1])
    assert logs.rates(series, SHOP, NOW_S - 179, NOW_S) == ()


def test_beyond_the_limit_of_an_entity_new_templates_share_a_row_of_their_severity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "TEMPLATES_PER_ENTITY_MAX", len(Severity) + 2)
    series = table()
    for template in "abcd":
        say(series, template, [NOW_S])
    say(series, "e", [NOW_S], severity="4")
    found = {(template, severity): rate for template, severity, rate in logs.rates(series, SHOP, NOW_S, NOW_S)}
    assert found == {
        ("a", Severity.ERROR): 1.0,
        ("b", Severity.ERROR): 1.0,
        (rows.OVERFLOW, Severity.ERROR): 2.0,
        (rows.OVERFLOW, Severity.WARN): 1.0,
    }


def test_another_entity_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TEMPLATES_PER_ENTITY_MAX", len(Severity) + 1)
    series = table()
    places = logs.place(series, [key("a"), key("b"), key("b", entity=SHOP._replace(tenant="south"))])
    assert [series.keys[place][4] for place in places] == ["a", rows.OVERFLOW, "b"]


def test_a_template_that_the_ring_has_forgotten_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TEMPLATES_PER_ENTITY_MAX", len(Severity) + 2)
    series = table()
    say(series, "a", [NOW_S])
    say(series, "b", [NOW_S + 0])
    series.advance(NOW_S + 100)
    say(series, "b", [NOW_S + 100])
    series.advance(NOW_S + logs.SLOTS)
    say(series, "c", [NOW_S + 150], 7)
    assert [found[4] for found in series.keys] == ["c", "b"]
    assert int(series.columns["first_s"][0]) == NOW_S + 150
    assert logs.rates(series, SHOP, NOW_S, NOW_S + logs.SLOTS)[0][0] == "c"


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True), min_size=1, max_size=12))
@settings(deadline=None, max_examples=60)
def test_names_that_come_together_never_share_a_row_and_no_line_is_lost(steps: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "TEMPLATES_PER_ENTITY_MAX", len(Severity) + 3)
        series, now_s = table(), NOW_S
        for names in steps:
            now_s += 120
            series.advance(now_s)
            places = logs.place(series, [key(name) for name in names])
            named = [place for place in places.tolist() if series.keys[place][4] != rows.OVERFLOW]
            assert len(set(named)) == len(named)
            for name, place in zip(names, places.tolist(), strict=True):
                assert series.keys[place][4] in (name, rows.OVERFLOW)
            logs.add(series, places, np.full(len(names), now_s), np.ones(len(names), np.int64))
            assert sum(rate for _, _, rate in logs.rates(series, SHOP, now_s, now_s)) == len(names)
        assert len(series) <= logs.TEMPLATES_PER_ENTITY_MAX
        assert {key: row for row, key in enumerate(series.keys)} == series.index


def test_a_shard_without_room_gives_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TEMPLATES_PER_SHARD_MAX", 1)
    series = table()
    assert logs.place(series, [key("a"), key("b"), key("a")]).tolist() == [0, -1, 0]


def test_a_renamed_row_is_in_the_next_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TEMPLATES_PER_ENTITY_MAX", len(Severity) + 1)
    series = table()
    say(series, "a", [NOW_S])
    series.dirty_segments()
    series.advance(NOW_S + 500)
    logs.place(series, [key("b")])
    [(number, data)] = series.dirty_segments()
    read = logs.table()
    read.advance(NOW_S + 500)
    read.load(number, data)
    assert read.keys == [key("b")]


BEFORE = list(range(BASELINE[0], BASELINE[1] + 1))
NOW = list(range(WINDOW[0], WINDOW[1] + 1))


def test_the_template_that_rose_with_the_errors_comes_first() -> None:
    series = table()
    say(series, "request done", [*BEFORE, *NOW], 100)
    say(series, "call to api.example failed", NOW, 40)
    say(series, "cache miss", [*BEFORE, *NOW[::3]], 5)
    [first] = risen(series)
    assert first.template == "call to api.example failed"
    assert (first.severity, first.now_per_s, first.before_per_s) == (Severity.ERROR, 40.0, 0.0)
    assert (first.lag_s, first.first_seen_s) == (0, WINDOW[0])
    assert first.correlation == pytest.approx(1.0)
    assert first.deviation == pytest.approx(40 / 0.3)


def test_what_is_as_loud_as_before_has_not_risen() -> None:
    series = table()
    draw = np.random.default_rng(1)
    for second in [*BEFORE, *NOW]:
        say(series, "noise", [second], int(draw.poisson(20)))
    assert risen(series) == ()


def test_a_few_stray_lines_are_no_rise() -> None:
    series = table()
    say(series, "stray", NOW[:3])
    assert risen(series) == ()


@pytest.mark.parametrize("lag_s", [-2, -1, 0, 1, 5])
def test_the_lag_is_how_long_the_lines_follow_the_signal(lag_s: int) -> None:
    series = table()
    say(series, "late", [second for second in range(WINDOW[0] + lag_s, WINDOW[0] + lag_s + 4) if second <= NOW_S], 30)
    signal = np.zeros(72)
    signal[62:66] = 50.0
    [found] = risen(series, signal)
    assert found.lag_s == lag_s
    assert found.correlation > 0.9


def test_a_rise_that_follows_the_signal_comes_before_a_greater_one_that_does_not() -> None:
    series = table()
    say(series, "batch started", [NOW_S - 9], 2000)
    say(series, "call failed", [NOW_S - 5, NOW_S - 4, NOW_S - 1], 60)
    signal = np.zeros(72)
    signal[[66, 67, 70]] = 10.0
    found = [one.template for one in risen(series, signal)]
    assert found == ["call failed", "batch started"]
    assert [one.template for one in risen(series, signal, most=1)] == ["call failed"]


def test_the_shared_row_names_nothing_and_is_left_out() -> None:
    series = table()
    say(series, rows.OVERFLOW, NOW, 500)
    assert risen(series) == ()


def test_another_services_lines_are_not_looked_at() -> None:
    series = table()
    place = logs.place(series, [key("a", entity=SHOP._replace(service="cart"))])
    logs.add(series, np.repeat(place, 10), np.array(NOW), np.full(10, 90))
    assert risen(series) == ()


def test_a_baseline_older_than_the_ring_is_taken_as_far_as_it_is_held() -> None:
    series = table()
    say(series, "new", NOW, 30)
    baseline = (NOW_S - 400, NOW_S - 20)
    signal = np.zeros(401)
    signal[-10:] = 5.0
    [found] = logs.correlate(series, SHOP, WINDOW, baseline, signal)
    assert (found.template, found.lag_s) == ("new", 0)


def test_many_templates_are_correlated_within_an_incidents_budget_of_work() -> None:
    series = table()
    for number in range(logs.TEMPLATES_PER_ENTITY_MAX - len(Severity)):
        say(series, f"template {number}", NOW, 10 + number)
    found = risen(series)
    assert len(found) == 10
    assert [one.deviation for one in found] == sorted((one.deviation for one in found), reverse=True)
