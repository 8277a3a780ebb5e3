"""What the engine does at its limits, and with records that it cannot work with."""

from typing import Any

import numpy as np
import pytest

from schemas import journal
from schemas.journal import Kind, Position, Strings
from schemas.runbook import Autonomy
from stream import engine, shard
from stream.core import intake, opening, people, settle
from tests.beginnings import BURN, burning, confirmed, put_in_force
from tests.timeline import TENANT, Timeline, specs


def test_an_outcome_that_cannot_be_read_is_counted_and_the_shard_goes_on() -> None:
    world = burning(Timeline())
    world._signed(Kind.OUTCOME, "outcomes", "dev.douse.outcome", {"status": "live"})
    world.run(1, **BURN)
    assert world.state.counters["outcomes_unreadable"] == 1
    assert world.phase() == "applying"


def test_a_control_record_of_a_later_version_is_counted() -> None:
    world = Timeline()
    world.control("dev.douse.control.approval", {"plan": "p"})
    assert world.state.counters["control_unknown"] == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"runbooks": specs().runbooks, "mitigations": ()}, "names the mitigation more-connections"),
        ({"slos": (specs().slos[0].model_copy(update={"tiers": ()}),)}, "has no tier"),
        ({"slos": (specs().slos[0].model_copy(update={"target_ppm": 1_000_000}),)}, "leaves no budget"),
        ({"slos": (specs().slos[0].model_copy(update={"period_s": 10**9}),)}, "windows reach"),
    ],
)
def test_a_spec_set_that_cannot_be_in_force_stops_the_shard_and_names_the_place(
    changed: dict[str, Any], says: str
) -> None:
    world = Timeline()
    with pytest.raises(engine.Malformed, match=f"journal partition 0 offset 1: .*{says}"):
        put_in_force(world, world.spec_set.model_copy(update=changed))


def test_the_end_of_a_kill_switch_from_the_far_future_ends_nothing() -> None:
    world = Timeline()
    world.tick()
    world.kill("global", True, world.now_ms)
    world.kill("global", False, world.now_ms + people.FUTURE_MS_MAX + 60_000)
    assert world.state.switches["global"] == (True, world.now_ms)
    assert world.state.counters["switches_ahead"] == 1


def test_a_kill_switch_of_the_same_time_stays_on() -> None:
    world = Timeline()
    world.kill("global", True, 5)
    world.kill("global", False, 5)
    assert world.state.switches["global"] == (True, 5)


def test_an_objective_without_an_act_tier_opens_nothing_on_windows_that_are_still_hot() -> None:
    pages = tuple(tier for tier in specs().slos[0].tiers if tier.severity == "page")
    slos = (specs().slos[0].model_copy(update={"tiers": pages, "page_acts": True}), specs().slos[1])
    world = Timeline(spec_set=specs().model_copy(update={"slos": slos}))
    world.run(60)
    world.run(90, rate=270, bad=1.0, pool=None)
    world.run(60, pool=None)
    assert len(world.told("opened")) == len(world.told("closed")) == 1


def test_telemetry_that_comes_ever_later_right_after_the_opening_stops_nothing() -> None:
    """The end of the complete seconds may then lie before the onset."""
    world = Timeline()
    world.run(60)
    while not world.told("opened"):
        world.run(1, **{**BURN, "pool": None})
    incident = next(iter(world.state.incidents.values()))
    incident.onset_s = world.now_ms // 1000
    world.run(2, **{**BURN, "pool": None})
    assert world.told("opened")


def test_a_row_that_names_no_source_stops_the_shard() -> None:
    world = Timeline()
    rows = world._rows(1, source=np.array([1], np.uint16))
    names = {"trace_id": "t", "span_id": "s", "name": "n"}
    texts = {name: Strings(np.zeros(1, np.int32), (text,)) for name, text in names.items()}
    numbers = {"bucket_s": np.array([1]), "duration_us": np.array([1], np.uint64), "error": np.array([True])}
    value = journal.encode_telemetry((Position("spans", 0, -1),), {"exemplars": {**rows, **texts, **numbers}})
    with pytest.raises(engine.Malformed, match="offset 1: table exemplars names no such source"):
        world._append(Kind.TELEMETRY, value)


def test_beyond_the_limits_new_rows_and_services_are_counted_and_known_ones_count_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "ROWS_MAX", 2)
    monkeypatch.setattr(intake, "ENTITIES_MAX", 1)
    world = Timeline()
    world.run(2)
    world.tenant = "south"
    world.run(2)
    world.tenant = TENANT
    world.run(2)
    state = world.state
    assert (len(state.rows), len(state.entities), len(state.exemplars)) == (2, 1, 1)
    assert state.counters["rows_left_out"] == 4
    assert state.counters["entities_left_out"] > 0 and state.counters["exemplars_left_out"] == 2
    assert world.status()["rows"][0]["requests"] == 600


def test_more_incidents_at_once_than_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "INCIDENTS_MAX", 1)
    world = Timeline(spec_set=specs(Autonomy.SUGGEST))
    world.run(60)
    world.run(40, **{**BURN, "bad": 1.0})
    assert len(world.state.incidents) == 1
    assert world.state.counters["incidents_left_out"] > 0


def test_the_memory_of_incidents_that_are_over_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "CLOSED_MAX", 0)
    world = Timeline()
    confirmed(world)
    assert not world.state.closed
    assert world.state.counters["closed_left_out"] == 1


def test_outcomes_before_the_first_tick_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = burning(Timeline())
    monkeypatch.setattr(engine, "INBOX_MAX", 1)
    for _ in range(3):
        world.outcome(world.commands()[0], "live")
    assert (len(world.state.inbox), world.state.counters["outcomes_left_out"]) == (1, 2)


def test_a_snapshot_of_an_older_version_is_refused() -> None:
    world = Timeline()
    segments = dict(shard.dirty_segments(world.state)) | {"manifest": shard.manifest(world.state)}
    segments["manifest"] = segments["manifest"].replace(b'"version":3', b'"version":2')
    with pytest.raises(shard.Mismatch, match="version 2, this build reads 3"):
        shard.restore(0, 1, segments)


def test_a_known_cause_is_looked_at_anew_seldom_and_only_where_a_plan_depends_on_it() -> None:
    world = burning(Timeline(spec_set=specs(Autonomy.SUGGEST)), 30)
    looks: dict[str, set[int]] = {"availability": set(), "latency": set()}
    for _ in range(120):
        world.run(1, **BURN)
        for one in world.state.incidents.values():
            assert one.cause == "pool_exhausted"
            looks[one.slo].add(one.refreshed_ms)
    assert 4 <= len(looks["availability"]) <= 6, "every thirty seconds"
    assert looks["latency"] == {0}, "it only reports"
