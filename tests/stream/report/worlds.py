"""What the public topics would hold of an engine's timeline: what it told and ordered, and what its actuators said."""

from typing import Any

from schemas import journal
from schemas.envelope import Event
from schemas.journal import Kind, Signed
from schemas.specs import SpecSet
from stream.effects import Outlet
from stream.report import build as report
from stream.report.model import Change, Report
from tests.beginnings import burning
from tests.stream.test_engine_plans import NAMES, plan_specs
from tests.timeline import TICK_MS, Timeline

VALUES = {"pool_size": ("32", "64"), "backoff": ("linear", "exponential"), "endpoint": ("true", "false")}


def events(world: Timeline) -> list[Event]:
    told = [
        Event(one.type, one.id, one.source, one.time_ms, one.data)
        for one in world.effects
        if one.outlet is not Outlet.STATUS
    ]
    for record in world.records:
        said = journal.decode(record) if record.kind == Kind.OUTCOME.value else None
        if isinstance(said, Signed):
            told.append(Event(said.ce_type, said.ce_id, said.ce_source, record.timestamp_ms, said.data))
    return told


def built(world: Timeline) -> Report:
    """The report of the one incident that may act."""
    return report.build(events(world), world.told("opened")[0]["incident"])


def values(command: dict[str, Any]) -> dict[str, str]:
    """What an outcome says of the values that the command changes."""
    before, after = VALUES[command["parameter"]]
    parameter = command["parameter"]
    return {"before": before, "after": after, "diff": f"-{parameter} = {before}\n+{parameter} = {after}\n"}


def change(told: Report, mitigation: str, again: bool = False) -> Change:
    return next(one for one in told.changes if one.mitigation == mitigation and (one.again is not None) is again)


def answer(world: Timeline, status: str = "live", kind: str = "apply", number: int = -1, **fields: Any) -> None:
    """The actuator answers an order of this kind, the newest one, and a tick hears of it."""
    command = world.commands(kind)[number]
    if status == "live":
        fields = {"live_ms": world.now_ms, "confirm_by_ms": world.now_ms + 100_000, **values(command), **fields}
    world.outcome(command, status, **fields)
    world.now_ms += TICK_MS
    world.tick()


def planned(spec_set: SpecSet | None = None) -> Timeline:
    """A plan of three steps; the first one is ordered."""
    return burning(Timeline(spec_set=spec_set or plan_specs()))


def applied(spec_set: SpecSet | None = None) -> Timeline:
    world = planned(spec_set)
    for _ in NAMES:
        answer(world)
    return world


def confirmed(spec_set: SpecSet | None = None) -> Timeline:
    """Proven, and its actuator has heard that all of it is to stand."""
    world = applied(spec_set)
    world.run(15, rate=270)
    while not world.commands("confirm"):
        world.run(1, rate=270)
    for number in range(len(NAMES)):
        answer(world, "confirmed", "confirm", number)
    return world
