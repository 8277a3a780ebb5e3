"""What an order leaves behind: the guard's memory of earlier changes."""

import pytest

from stream.shard import TargetState
from tests.timeline import START_MS, Pool, Timeline, specs

EXHAUSTED = Pool(used=32, pending=200, wait_s=0.45, timeouts=90)
MINUTE_MS = 60_000


@pytest.mark.parametrize(("cooldown_s", "remembered"), [(600, 1), (7_200, 2)])
def test_a_change_is_remembered_for_an_hour_or_for_as_long_as_its_cooldown_lasts(
    cooldown_s: int, remembered: int
) -> None:
    world = Timeline(spec_set=specs(cooldown_s=cooldown_s))
    world.state.targets["other"] = TargetState([START_MS - one * MINUTE_MS for one in (130, 90, 30)])
    world.run(60)
    for _ in range(14):
        if not world.commands():
            world.run(1, rate=270, bad=0.35, latency_ms=600, pool=EXHAUSTED)
    assert len(world.commands("apply")) == 1
    assert len(world.state.targets["other"].applied_ms) == remembered
