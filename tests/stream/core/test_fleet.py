"""What shards tell each other: three shards, one target between their tenants, and what the guard makes of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actuators.policy import guard
from actuators.policy.guard import Facts, Refusal, TargetFacts
from detectors.state import DataState
from schemas import fleet as schemas_fleet
from schemas import journal
from schemas.events import Status
from schemas.fleet import Control, Digest, Fleet, Group, ServiceUse, TargetUse
from schemas.journal import Kind, Record, Tick
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy, Target
from schemas.specs import SpecSet
from stream import shard
from stream.core import alarm, fleet, sight
from stream.shard import TargetState
from tests import timeline
from tests.timeline import ENVIRONMENT, SERVICE, Pool, Timeline

NOW_MS = 1_800_000_000_000
TENANTS = ("north", "south", "east")
GROUP = Group(environment=ENVIRONMENT, service=SERVICE, slo="availability")
SICK = Pool(used=32, maximum=32, pending=200, wait_s=0.45, use_s=0.18, timeouts=90)


def status(number: int, at_ms: int = NOW_MS, stale: bool = False, **digest: Any) -> Status:
    return Status(
        shard=number,
        journal_offset=0,
        at_ms=at_ms,
        stale=stale,
        lag_ms=0,
        act_from_ms=0,
        rows=(),
        rows_left_out=0,
        counters={},
        fleet=Digest(**digest),
    )


def told(seen: Fleet) -> Fleet:
    """The fleet as a fold reads it from its tick."""
    value = journal.encode_tick(Tick(250, 0, seen))
    tick = journal.decode(Record(0, 0, NOW_MS, Kind.TICK, journal.VERSION, value))
    assert isinstance(tick, Tick) and tick.fleet is not None
    return tick.fleet


def worlds(*bad: float, seconds: int = 20) -> list[Timeline]:
    """One tenant a shard, each with its share of failures after 40 s of calm; nobody may act, so that all go on."""
    made = []
    for number, (tenant, share) in enumerate(zip(TENANTS, bad, strict=True)):
        world = Timeline(
            state=shard.fresh(number, len(TENANTS)), spec_set=timeline.specs(Autonomy.SUGGEST), tenant=tenant
        )
        world.run(40)
        world.run(seconds, bad=share, pool=SICK if share else Pool())
        made.append(world)
    return made


def digests(made: list[Timeline]) -> list[Status]:
    return [Status.read(world.status()) for world in made]


def shared(world: Timeline) -> tuple[SpecSet, Target]:
    target = world.spec_set.targets[0].model_copy(update={"tenants": TENANTS})
    return world.spec_set.model_copy(update={"targets": (target,)}), target


def asked(world: Timeline, specs: SpecSet, target: Target, known: Fleet | None, **more: Any) -> Refusal | None:
    facts = Facts(
        now_ms=world.state.clock.now_ms,
        environment=ENVIRONMENT,
        tenant=world.tenant,
        data_state=DataState.OK,
        act_from_ms=0,
        lag_ms=0,
        target=TargetFacts(),
        tenant_applied_ms=(),
        switches={},
        leaves=dict.fromkeys(TENANTS, Autonomy.AUTO),
        fleet=fleet.facts(world.state, specs, known, target),
    )
    return guard.refuses(specs.mitigations[0], target, specs.limits, replace(facts, **more))


def test_a_target_of_three_shards_is_changed_only_with_leave_of_each_and_word_from_each() -> None:
    made = worlds(0.3, 0.0, 0.0)
    first, (specs, target) = made[0], shared(made[0])
    heard = digests(made)
    newest_ms = max(one.at_ms for one in heard)
    whole = told(fleet.summed(heard, newest_ms, 3, about=0))
    assert (whole.tenants, whole.alarming, whole.speaker, whole.unknown) == (3, 1, 0, ())
    assert asked(first, specs, target, whole) is None
    grudging = {**dict.fromkeys(TENANTS, Autonomy.AUTO), "east": Autonomy.SUGGEST}
    refused = asked(first, specs, target, whole, leaves=grudging)
    assert refused is not None and refused.reason is RefusalReason.SHARED_TARGET

    silent = told(fleet.summed(heard[:2], newest_ms, 3, about=0))
    assert silent.unknown == (2,)
    refused = asked(first, specs, target, silent)
    assert refused is not None and refused.reason is RefusalReason.BLAST_RADIUS
    assert dict(refused.numbers) == {"tenants": 3, "shards_unknown": 1}
    own = target.model_copy(update={"tenants": ("north",)})
    refused = asked(first, specs, own, silent)
    assert refused is not None and refused.reason is RefusalReason.FLEET_UNKNOWN


def test_a_change_of_another_shard_on_the_shared_target_is_seen() -> None:
    made = worlds(0.3, 0.0, 0.0)
    first, (specs, target) = made[0], shared(made[0])
    made[1].state.specs = specs
    made[1].state.targets[target.id] = TargetState(applied_ms=[made[1].now_ms - 5_000], standing="c")
    made[1].run(1)
    heard = digests(made)
    newest_ms = max(one.at_ms for one in heard)
    seen = told(fleet.summed(heard, newest_ms, 3, about=0))
    refused = asked(first, specs, target, seen)
    assert refused is not None and refused.reason is RefusalReason.UNCONFIRMED
    assert fleet.summed(heard, newest_ms, 3, about=1).targets == (), "a shard knows its own changes better"
    assert fleet.untouched(first.state, specs, seen, GROUP, ()) == (), "all of them are on the changed target"


def test_when_all_tenants_burn_at_once_nobody_is_touched() -> None:
    made = worlds(0.3, 0.3, 0.3)
    heard = digests(made)
    seen = told(fleet.summed(heard, max(one.at_ms for one in heard), 3, about=2))
    last, (specs, _) = made[2], shared(made[2])
    own = made[2].spec_set.targets[0].model_copy(update={"tenants": ("east",)})
    refused = asked(last, specs, own, seen)
    assert refused is not None and refused.reason is RefusalReason.STORM
    assert dict(refused.numbers) == {"alarming": 3, "tenants": 3, "share_ppm_max": 550_000}
    assert {alarm.tenant for alarm in seen.alarms} == set(TENANTS)
    assert all(alarm.service == SERVICE for alarm in seen.alarms)


def test_an_alarm_is_told_at_once_before_the_act_tier_fires() -> None:
    world = Timeline(spec_set=timeline.specs(Autonomy.SUGGEST))
    world.run(40)
    before = len(world.effects)
    world.run(3, bad=0.3, pool=SICK)
    fresh = [Status.read(one.data) for one in world.effects[before:] if one.type == "dev.douse.status"]
    alarming = [one.at_ms for one in fresh if one.fleet.alarming]
    assert alarming and not world.told("opened"), "the act tier takes longer than three seconds"
    ids = [one.id for one in world.effects if one.type == "dev.douse.status"]
    assert len(ids) == len(set(ids))


def begins(world: Timeline, before_ms: int) -> bool:
    """Whether an alarm begins at a tick now, where the tick before came so long ago."""
    seen = sight.see(world.state, Tick(250, world.state.mark))
    now_ms = world.state.clock.now_ms
    world.state.clock.ticks = [(0, now_ms - before_ms), (1, now_ms)]
    return alarm.begins(world.state, seen)


def test_an_alarm_begins_once() -> None:
    world = Timeline(spec_set=timeline.specs(Autonomy.SUGGEST))
    world.run(40)
    assert not begins(world, 1_000), "all is calm"
    world.run(2, bad=0.3, pool=SICK)
    world.tick()
    assert begins(world, 1_000), "its second has ended since the tick before"
    assert not begins(world, 100), "the tick before has seen it"
    world.run(2, bad=0.3, pool=SICK)
    assert not begins(world, 1_000), "it burned a second ago as well"


def test_a_failure_alone_is_no_alarm() -> None:
    world = Timeline(spec_set=timeline.specs(Autonomy.SUGGEST))
    world.run(40, rate=4)
    world.run(1, rate=4, bad=0.25)
    world.run(2, rate=4)
    assert Status.read(world.status()).fleet.alarming == 0
    world.run(1, rate=4, bad=0.5)
    world.run(2, rate=4)
    assert Status.read(world.status()).fleet.alarming == 1


def test_healthy_shards_tell_once_a_second() -> None:
    world = Timeline()
    world.run(30)
    assert len([one for one in world.effects if one.type == "dev.douse.status"]) <= 31


def test_the_untouched_are_told_second_by_second_and_without_their_names() -> None:
    made = worlds(0.3, 0.2, 0.0, seconds=10)
    heard = digests(made)
    first, (specs, _) = made[0], shared(made[0])
    seen = told(fleet.summed(heard, max(one.at_ms for one in heard), 3, about=0))
    group = fleet.untouched(first.state, specs, seen, GROUP, [(ENVIRONMENT, "north")])
    by = {one.who: one.counts for one in group}
    assert set(by) == {fleet.who(ENVIRONMENT, "south"), fleet.who(ENVIRONMENT, "east")}
    south = by[fleet.who(ENVIRONMENT, "south")]
    onset_s = (made[1].now_ms - 10_000) // 1000
    burning = south.between(onset_s + 1, south.end_s)
    assert len(burning.total) >= 7 and set(burning.errors.tolist()) == {40} and set(burning.total.tolist()) == {200}
    assert int(by[fleet.who(ENVIRONMENT, "east")].errors.sum()) == 0
    assert not any(tenant in str(control.fields()) for control in seen.controls for tenant in TENANTS)


def test_only_a_shard_that_burns_is_told_of_controls() -> None:
    heard = digests(worlds(0.3, 0.0, 0.0))
    newest_ms = max(one.at_ms for one in heard)
    assert fleet.summed(heard, newest_ms, 3, about=0).controls
    assert not fleet.summed(heard, newest_ms, 3, about=1).controls


def test_a_tenant_whose_change_stands_is_no_control() -> None:
    made = worlds(0.3, 0.0, 0.0)
    target = made[0].spec_set.targets[0]
    made[0].state.targets[target.id] = TargetState(applied_ms=[made[0].now_ms - fleet.TOUCHED_MS + 2_000])
    made[0].run(1)
    assert Status.read(made[0].status()).fleet.controls == ()
    made[0].run(3)
    assert len(Status.read(made[0].status()).fleet.controls) == 2, "one for each objective"


@pytest.mark.parametrize(
    ("late", "stale", "left_out", "known"),
    [(3_000, False, 0, True), (3_001, False, 0, False), (0, True, 0, False), (0, False, 1, False)],
)
def test_a_shard_is_known_while_it_was_heard_of_and_is_well(late: int, stale: bool, left_out: int, known: bool) -> None:
    second = status(1, NOW_MS - late, stale, tenants=5, left_out=left_out)
    seen = fleet.summed([status(0, tenants=2), second], NOW_MS, 2, about=0)
    assert seen.unknown == (() if known else (1,))
    assert seen.tenants == (7 if known else 2)


def test_what_a_tick_told_is_forgotten_after_three_seconds() -> None:
    known = Fleet(at_ms=NOW_MS, shards=1)
    assert fleet.lately(known, NOW_MS + 3_000) is known
    assert fleet.lately(known, NOW_MS + 3_001) is None
    assert fleet.lately(known, NOW_MS - 3_001) is None, "the clock was set back"
    assert fleet.lately(None, NOW_MS) is None


def test_a_tick_of_an_earlier_owner_does_not_bring_back_what_was() -> None:
    older, newer = Fleet(at_ms=NOW_MS - 500, shards=1), Fleet(at_ms=NOW_MS, shards=1)
    assert fleet.keep(None, older, NOW_MS) is older
    assert fleet.keep(older, None, NOW_MS) is older
    assert fleet.keep(older, newer, NOW_MS) is newer
    assert fleet.keep(newer, older, NOW_MS) is newer
    back = Fleet(at_ms=NOW_MS - 60_000, shards=1)
    assert fleet.keep(newer, back, NOW_MS - 60_000) is back, "the clock was set back"


def test_changes_of_all_shards_are_summed_by_target_and_service() -> None:
    use = TargetUse(target="pool", applies=1, last_ms=7, standing=1)
    service = ServiceUse(environment=ENVIRONMENT, service=SERVICE, applies=2)
    heard = [status(number, targets=(use,), services=(service,)) for number in range(3)]
    seen = fleet.summed(heard, NOW_MS, 3, about=1)
    assert seen.targets == (TargetUse(target="pool", applies=2, last_ms=7, standing=2),)
    assert seen.services == (service.model_copy(update={"applies": 4}),)
    state = shard.fresh(1, 3)
    state.clock.now_ms = NOW_MS
    target = timeline.specs().targets[0]
    state.targets = {target.id: TargetState(applied_ms=[NOW_MS - 1, NOW_MS - 3_600_000])}
    found = fleet.facts(state, timeline.specs(), seen, target)
    assert (found.applies_service, found.applies_fleet) == (5, 5)


def test_more_changes_than_a_tick_can_name_leave_nobody_known() -> None:
    uses = tuple(TargetUse(target=f"t{n}", applies=1, last_ms=7, standing=0) for n in range(300))
    others = tuple(use.model_copy(update={"target": f"u{use.target}"}) for use in uses)
    seen = fleet.summed([status(0), status(1, targets=uses), status(2, targets=others)], NOW_MS, 3, about=0)
    assert seen.unknown == (0, 1, 2)


def test_a_tick_stays_small_with_all_lists_full() -> None:
    counts = " ".join(["9999"] * schemas_fleet.CONTROL_S)
    groups = [GROUP.model_copy(update={"slo": f"slo-{n}"}) for n in range(10)]
    controls = tuple(
        Control(group=group, who=f"{n:016x}", start_s=NOW_MS // 1000, errors=counts, total=counts)
        for group in groups
        for n in range(100)
    )
    heard = [status(0, asks=tuple(groups), controls=controls), status(1, controls=controls)]
    seen = fleet.summed(heard, NOW_MS, 2, about=0)
    assert len(seen.controls) == schemas_fleet.CONTROLS_MAX
    assert len(journal.encode_tick(Tick(250, 0, seen))) < 80_000


@pytest.mark.parametrize(("errors", "total"), [("1 2", "3"), ("x", "3"), ("4", "3"), ("-1", "3")])
def test_counts_that_cannot_be_counts_are_no_control(errors: str, total: str) -> None:
    state = shard.fresh(0, 1)
    state.clock.now_ms = NOW_MS
    control = Control(group=GROUP, who="a", start_s=0, errors=errors, total=total)
    known = Fleet(at_ms=NOW_MS, shards=1, controls=(control,))
    assert fleet.untouched(state, timeline.specs(), known, GROUP, ()) == ()
    sound = known.model_copy(update={"controls": (control.model_copy(update={"errors": "1", "total": "3"}),)})
    (found,) = fleet.untouched(state, timeline.specs(), sound, GROUP, ())
    assert np.array_equal(found.counts.total, [3])
