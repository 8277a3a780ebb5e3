"""The fleet's word in one shard's decisions: a storm, a shard that nobody hears of, and tenants that recover alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from schemas.fleet import STORM_TYPE, Alarm, Control, Group
from tests.beginnings import BURN, burning
from tests.timeline import ENVIRONMENT, SERVICE, START_MS, Timeline

RATE, HELD_S = 200, 90


@dataclass
class World(Timeline):
    """Two untouched tenants of other shards that burn as well, from the victim's onset until `cured_s`."""

    share: float = 0.0
    cured_s: int = 1 << 40

    def tick(self) -> None:
        onset_s, end_s = START_MS // 1000 + 60, self.now_ms // 1000 - 1
        seconds = np.arange(end_s - HELD_S, end_s)
        errors = np.where((seconds >= onset_s) & (seconds < self.cured_s), round(RATE * self.share), 0)
        group = Group(environment=ENVIRONMENT, service=SERVICE, slo="availability")
        texts = {"errors": " ".join(map(str, errors.tolist())), "total": " ".join([str(RATE)] * HELD_S)}
        assert self.fleet is not None
        controls = tuple(Control(group=group, who=who, start_s=int(seconds[0]), **texts) for who in ("a", "b"))
        self.fleet = self.fleet.model_copy(update={"controls": controls})
        super().tick()


def verdicts(world: Timeline) -> list[dict[str, Any]]:
    return world.told("verdict")


def cured(world: World) -> World:
    """The change is live and the victim is well at once."""
    burning(world)
    (command,) = world.commands("apply")
    world.outcome(command, "live", live_ms=world.now_ms)
    return world


@pytest.mark.parametrize(
    ("told", "reason"),
    [({"alarming": 6, "tenants": 10}, "storm"), ({"unknown": (3,), "shards": 4}, "fleet_unknown")],
    ids=["storm", "unknown shard"],
)
def test_nobody_is_touched_while_many_alarm_or_nobody_knows(told: dict[str, Any], reason: str) -> None:
    world = Timeline()
    assert world.fleet is not None
    world.fleet = world.fleet.model_copy(update=told)
    burning(world)
    assert not world.commands()
    assert world.told("refused")[-1]["reason"] == reason


def test_without_a_word_of_the_fleet_nothing_is_done() -> None:
    world = burning(Timeline(fleet=None))
    assert [one["reason"] for one in world.told("refused")] == ["fleet_unknown"]


def test_healthy_tenants_stand_beside_a_claim() -> None:
    world = cured(World())
    world.run(40)
    (told,) = verdicts(world)
    assert told["verdict"] == "effective"
    assert told["control"] == "2 untouched tenants, healthy before and after"


def test_tenants_that_go_on_burning_stand_beside_a_claim() -> None:
    world = cured(World(share=0.4))
    world.run(40)
    assert [one["verdict"] for one in verdicts(world)] == ["effective"]
    assert world.commands("confirm")


def test_a_recovery_that_came_to_everybody_is_no_success() -> None:
    world = cured(World(share=0.4))
    world.cured_s = world.now_ms // 1000
    world.run(60)
    assert {one["verdict"] for one in verdicts(world)} == {"inconclusive"}
    assert [one["follows"] for one in verdicts(world)] == ["watch", "confirm"]
    assert [one["reason"] for one in world.told("handed_over")] == ["inconclusive"]


def test_tenants_that_recover_a_little_later_are_seen_before_the_confirmation() -> None:
    world = cured(World(share=0.4))
    world.cured_s = world.now_ms // 1000 + 8
    world.run(60)
    assert verdicts(world)[0]["verdict"] == "effective"
    (handed,) = world.told("handed_over")
    assert "recovered without a change" in handed["detail"]


def test_a_burn_goes_on_being_refused_in_a_storm() -> None:
    world = Timeline()
    assert world.fleet is not None
    world.fleet = world.fleet.model_copy(update={"alarming": 6, "tenants": 10})
    burning(world)
    world.run(30, **BURN)
    assert not world.commands()
    world.fleet = world.fleet.model_copy(update={"alarming": 1})
    world.run(5, **BURN)
    assert world.commands("apply"), "one tenant alone is its own fault again"


def storms(world: Timeline) -> list[dict[str, Any]]:
    return [dict(effect.data) for effect in world.effects if effect.type == STORM_TYPE]


def test_a_storm_is_told_once_with_its_tenants_and_the_plan_that_would_fit_and_when_it_is_over() -> None:
    world = Timeline()
    since_s = START_MS // 1000
    alarms = tuple(
        Alarm(environment=ENVIRONMENT, tenant=f"t{n}", service=SERVICE, since_s=since_s + n) for n in range(6)
    )
    assert world.fleet is not None
    calm = world.fleet
    world.fleet = calm.model_copy(update={"alarming": 6, "tenants": 10, "alarms": alarms, "speaker": 0})
    burning(world)
    world.run(10, **BURN)
    began, planned = storms(world)
    assert (began["state"], planned["state"]) == ("began", "planned")
    assert began["storm"] == planned["storm"]
    assert [one["tenant"] for one in planned["alarms"]] == [f"t{n}" for n in range(6)]
    assert (planned["since_s"], planned["services"]) == (since_s, [f"{ENVIRONMENT}/{SERVICE}"])
    assert planned["observer_healthy"]
    assert planned["steps"] == ["more-connections"]
    world.fleet = calm
    world.run(35, **BURN)
    assert [one["state"] for one in storms(world)] == ["began", "planned", "over"]


@pytest.mark.parametrize(
    "told", [{"speaker": 1}, {"speaker": 0, "storm": "another's"}], ids=["not ours", "told already"]
)
def test_one_shard_speaks_of_a_storm(told: dict[str, Any]) -> None:
    world = Timeline()
    assert world.fleet is not None
    world.fleet = world.fleet.model_copy(update={"alarming": 6, "tenants": 10, **told})
    burning(world)
    assert not storms(world)
