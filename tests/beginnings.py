"""How most timelines of the engine's tests begin: a burn, a change that is live, one that was proven."""

from typing import Any

from schemas.specs import SpecSet
from tests.timeline import Pool, Timeline

EXHAUSTED = Pool(used=32, pending=200, wait_s=0.45, timeouts=90)
SLOW_DATABASE = Pool(used=32, pending=200, wait_s=0.45, use_s=0.9, timeouts=90)
BURN: dict[str, Any] = {"rate": 270, "bad": 0.35, "latency_ms": 600, "pool": EXHAUSTED}


def burning(world: Timeline, seconds: int = 14, pool: Pool | None = EXHAUSTED) -> Timeline:
    """A calm minute, then a third of the requests fails, until something is ordered."""
    world.run(60)
    for _ in range(seconds):
        if not world.commands():
            world.run(1, **{**BURN, "pool": pool})
    return world


def live(world: Timeline) -> dict[str, Any]:
    """The actuator says that the change is live; the apply command."""
    (command,) = world.commands("apply")
    world.outcome(command, "live", live_ms=world.now_ms)
    return command


def confirmed(world: Timeline) -> dict[str, Any]:
    """A change that was proven and whose incident is closed; its apply command."""
    command = live(burning(world))
    world.run(35)
    assert world.told("closed")[-1]["ending"] == "confirmed"
    return command


def put_in_force(world: Timeline, changed: SpecSet) -> None:
    world.control("dev.douse.control.specs", {"specs": changed.fields(), "revision": changed.revision})
