"""The engine by timelines: what a tenant's telemetry says second by second, and what is decided because of it."""

import pytest

from schemas import journal
from schemas.journal import Kind, Record, Tick
from schemas.runbook import Autonomy
from stream import engine, shard
from stream.effects import Outlet, Publish
from tests.beginnings import EXHAUSTED, SLOW_DATABASE, burning, live
from tests.timeline import START_MS, TICK_MS, Pool, Timeline, specs

HEALTHY = Pool()


def until_verdict(world: Timeline, *, bad: float, rate: int = 270, seconds: int = 40, pool: Pool = EXHAUSTED) -> str:
    for _ in range(seconds):
        if world.told("verdict"):
            break
        world.run(1, rate=rate, bad=bad, pool=pool)
    return str(world.told("verdict")[-1]["verdict"])


def test_an_exhausted_pool_is_grown_proven_and_confirmed() -> None:
    world = burning(Timeline())
    (opened,), (diagnosed,), (planned,) = world.told("opened"), world.told("diagnosed"), world.told("planned")
    assert opened["onset_s"] == START_MS // 1000 + 60
    assert diagnosed["cause"] == "pool_exhausted"
    assert planned["steps"][0]["action"] == {"op": "scale", "numerator": 2, "denominator": 1}
    live(world)
    assert until_verdict(world, bad=0.0) == "effective"
    assert not world.commands("confirm")
    world.run(20)
    assert [command["kind"] for command in world.commands()] == ["apply", "confirm"]
    (closed,) = world.told("closed")
    assert closed["ending"] == "confirmed"
    assert world.phase() is None


def test_after_the_close_hot_alert_windows_open_nothing() -> None:
    world = burning(Timeline())
    live(world)
    until_verdict(world, bad=0.0)
    world.run(300)
    assert len(world.told("opened")) == 1
    world.run(12, rate=270, bad=0.35, pool=EXHAUSTED)
    assert len(world.told("opened")) == 2


def test_a_slow_database_is_named_and_left_to_a_person() -> None:
    world = burning(Timeline(), 20, SLOW_DATABASE)
    assert world.told("diagnosed")[-1]["cause"] == "slow_database"
    assert world.told("diagnosed")[-1]["ranked"][1]["cause"] != "slow_database"
    assert [one["reason"] for one in world.told("refused")] == ["no_mitigation"]
    assert len(world.told("handed_over")) == 1
    assert not world.commands()


@pytest.mark.parametrize("pool", [HEALTHY, None], ids=["healthy pool", "no pool metrics"])
def test_what_no_evidence_explains_is_not_known_and_nothing_is_done(pool: Pool | None) -> None:
    world = burning(Timeline(), 20, pool)
    assert [one["cause"] for one in world.told("diagnosed")] == ["unknown"]
    assert [one["reason"] for one in world.told("refused")] == ["cause_unknown"]
    assert not world.commands()


def test_without_leave_a_change_is_only_suggested() -> None:
    world = burning(Timeline(spec_set=specs(Autonomy.SUGGEST)), 30)
    assert len(world.told("suggested")) == 1
    assert not world.commands()


def test_an_objective_that_may_not_act_only_reports() -> None:
    world = burning(Timeline(spec_set=specs(acts=False)), 30)
    assert len(world.told("opened")) == 1
    assert len(world.told("diagnosed")) == 1
    assert not world.commands()
    assert not world.told("suggested")


def test_a_harmful_change_is_taken_back_at_once_and_a_person_is_told() -> None:
    world = burning(Timeline())
    live(world)
    assert until_verdict(world, bad=0.9) == "harmful"
    (revert,) = world.commands("revert")
    assert revert["applies"] == world.commands("apply")[0]["command"]
    world.outcome(revert, "reverted")
    world.run(2, rate=270, bad=0.35, pool=EXHAUSTED)
    assert world.phase() == "handed"


def test_a_change_that_helps_nothing_is_taken_back_at_its_deadline() -> None:
    world = burning(Timeline())
    live(world)
    assert until_verdict(world, bad=0.35) == "ineffective"
    (revert,) = world.commands("revert")
    world.outcome(revert, "reverted")
    world.run(2, rate=270, bad=0.35, pool=EXHAUSTED)
    assert [one["reason"] for one in world.told("refused")] == ["no_mitigation"]
    assert world.phase() == "handed"


def test_silence_after_a_change_is_never_a_success() -> None:
    world = burning(Timeline())
    live(world)
    assert until_verdict(world, bad=0.0, rate=0) == "no_data"
    assert len(world.commands("revert")) == 1


def test_half_a_cure_is_kept_and_handed_over() -> None:
    world = burning(Timeline())
    live(world)
    assert until_verdict(world, bad=0.1) == "partial"
    assert len(world.commands("confirm")) == 1
    assert world.told("handed_over")[-1]["stands"] is True


def test_a_relapse_before_the_confirmation_takes_the_change_back() -> None:
    world = burning(Timeline())
    live(world)
    assert until_verdict(world, bad=0.0) == "effective"
    world.run(12, rate=270, bad=0.35, pool=EXHAUSTED)
    assert [one["verdict"] for one in world.told("verdict")] == ["effective", "ineffective"]
    assert len(world.commands("revert")) == 1


def test_a_failed_apply_is_handed_over() -> None:
    world = burning(Timeline())
    world.outcome(world.commands()[0], "failed", reason="not_live", detail="pid 7 still says 32")
    world.run(1, rate=270, bad=0.35, pool=EXHAUSTED)
    assert world.told("handed_over")[0]["reason"] == "not_live"
    assert world.phase() == "handed"


def test_an_order_without_answer_freezes_its_target() -> None:
    world = burning(Timeline())
    world.run(35, rate=270, bad=0.35, pool=EXHAUSTED)
    assert world.told("handed_over")[0]["reason"] == "no_answer"
    assert world.state.targets["north-pool"].unknown


def test_a_change_that_its_actuator_took_back_goes_to_a_person() -> None:
    world = burning(Timeline())
    live(world)
    world.run(2, rate=270, bad=0.35, pool=EXHAUSTED)
    world.outcome(world.commands("apply")[0], "reverted", reason="confirm_deadline")
    world.run(1, rate=270, bad=0.35, pool=EXHAUSTED)
    assert world.told("handed_over")[0]["reason"] == "confirm_deadline"


def test_nothing_is_done_while_progress_is_unknown() -> None:
    world = Timeline()
    world.run(60)
    world.run(20, rate=270, bad=0.35, pool=EXHAUSTED, fresh=False)
    assert not world.told("opened")
    world.run(2, rate=270, bad=0.35, pool=EXHAUSTED)
    assert world.told("refused")[-1]["reason"] == "warming_up"
    world.run(6, rate=270, bad=0.35, pool=EXHAUSTED)
    assert len(world.commands()) == 1


def test_nothing_is_done_within_thirty_seconds_of_the_first_start() -> None:
    world = Timeline()
    world.run(5)
    world.run(20, rate=270, bad=0.35, pool=EXHAUSTED)
    assert not world.commands()


def test_the_kill_switch_stops_applies_and_lets_go_again() -> None:
    world = Timeline()
    world.kill("tenant:live:north", True, 1)
    burning(world)
    assert world.told("refused")[-1]["reason"] == "kill_switch"
    world.kill("tenant:live:north", False, 2)
    world.run(1, rate=270, bad=0.35, pool=EXHAUSTED)
    assert len(world.commands("apply")) == 1


def test_a_healthy_tenant_raises_nothing_in_a_quarter_of_an_hour() -> None:
    world = Timeline()
    world.run(900, rate=100, bad=0.001)
    assert {effect.outlet for effect in world.effects} == {Outlet.STATUS}


def replay(records: list[Record], cut: int) -> list[Publish]:
    """Folds with a snapshot and a new owner before record `cut`."""
    effects: list[Publish] = []
    state = shard.fresh(0, 1)
    kept: dict[str, bytes] = {}
    for record in records:
        if record.offset == cut:
            state = shard.restore(0, 1, kept | {"manifest": shard.manifest(state)})
        effects += engine.fold(state, record)
        kept |= dict(shard.dirty_segments(state)) if record.offset in (cut - 1, cut // 2) else {}
    return effects


def test_a_successor_decides_what_its_predecessor_would_have() -> None:
    world = burning(Timeline())
    live(world)
    until_verdict(world, bad=0.0)
    world.run(20)
    assert len(world.effects) > 5
    for cut in range(1, len(world.records), 61):
        assert replay(world.records, cut) == world.effects


def renumbered(records: list[Record]) -> list[Record]:
    """The same records at consecutive offsets, each tick sent by an owner that has folded all before it."""
    return [
        Record(
            0,
            place,
            one.timestamp_ms,
            one.kind,
            one.version,
            journal.encode_tick(Tick(TICK_MS, place - 1)) if one.kind == Kind.TICK else one.value,
        )
        for place, one in enumerate(records)
    ]


def decisions(records: list[Record]) -> list[tuple[str, str]]:
    state = shard.fresh(0, 1)
    return [(effect.type, effect.id) for record in renumbered(records) for effect in engine.fold(state, record)]


def test_repeated_telemetry_and_a_second_owners_ticks_change_nothing() -> None:
    world = burning(Timeline())
    doubled = [copy for record in world.records for copy in (record, record)]
    assert decisions(doubled) == decisions(world.records)


def test_a_record_that_follows_one_we_never_saw_stops_the_shard() -> None:
    world = Timeline()
    world.run(5)
    telemetry = [record for record in world.records if record.kind == Kind.TELEMETRY]
    without = [record for record in world.records if record is not telemetry[2]]
    with pytest.raises(engine.SourceGap, match=r"spans\[0\] follow position 2, but only 1"):
        decisions(without)


def test_a_snapshot_of_another_number_of_shards_is_refused() -> None:
    world = Timeline()
    world.run(2)
    segments = dict(shard.dirty_segments(world.state)) | {"manifest": shard.manifest(world.state)}
    with pytest.raises(shard.Mismatch, match="shard 0 of 1, wanted is 0 of 16"):
        shard.restore(0, 16, segments)


def test_a_loss_to_retention_counts_once_and_leaves_the_windows_partial_for_a_while() -> None:
    world = Timeline()
    world.run(60)
    world.lost = (3, 7)
    world.run(5)
    assert world.state.counters["records_lost"] == 5
    world.run(2, rate=270, bad=0.35, pool=EXHAUSTED)
    burning_now = {row["data_state"] for row in world.status()["rows"]}
    assert burning_now == {"partial"}
    world.run(70)
    assert {row["data_state"] for row in world.status()["rows"]} == {"ok"}


def test_an_outcome_of_an_order_that_is_not_ours_moves_nothing() -> None:
    world = burning(Timeline())
    (apply,) = world.commands("apply")
    world.outcome({**apply, "command": "0" * 32}, "refused", reason="kill_switch")
    world.outcome(apply, "refused", reason="bad_signature")
    world.run(1, rate=270, bad=0.35, pool=EXHAUSTED)
    assert world.phase() == "applying"
