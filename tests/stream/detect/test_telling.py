"""The log of detect says what an engineer on call wants to know, one line an event, and nothing of the status."""

import re

from stream.detect import telling
from stream.effects import Outlet, Publish
from tests.timeline import Pool, Timeline

EXHAUSTED = Pool(used=32, pending=200, wait_s=0.45, timeouts=90)


def told(world: Timeline) -> list[str]:
    return [line for effect in world.effects if (line := telling.line(effect))]


def test_an_incident_is_told_from_its_opening_to_its_end() -> None:
    world = Timeline()
    world.run(60)
    while not world.commands():
        world.run(1, rate=270, bad=0.35, latency_ms=600, pool=EXHAUSTED)
    world.outcome(world.commands("apply")[0], "live", live_ms=world.now_ms)
    world.run(60, rate=270, pool=EXHAUSTED)
    lines = [re.sub(r" \[\w{12}\]$", "", line) for line in told(world)]
    wanted = (
        r"^\S+ availability opened: act-1m, \d+x; onset \d\d:\d\d:\d\d UTC$",
        r"^\S+ availability diagnosed pool_exhausted \d+ %$",
        r"^\S+ availability planned \S+ on \S+/\S+$",
        r"^\S+ order to apply \S+ on \S+/\S+$",
        r"^\S+ availability verdict effective: 0 errors in \d+ requests over \d+ s; wait_quiet$",
        r"^\S+ order to confirm \S+ on \S+/\S+$",
        r"^\S+ availability closed confirmed$",
    )
    places = [next(n for n, line in enumerate(lines) if re.search(pattern, line)) for pattern in wanted]
    assert places == sorted(places)


def test_a_refusal_is_told_with_its_reason() -> None:
    world = Timeline()
    world.run(60)
    world.run(14, rate=270, bad=0.35, latency_ms=600, pool=None)
    assert any(" refused: cause_unknown: " in line for line in told(world))
    assert any(" handed over cause_unknown" in line for line in told(world))


def test_the_status_and_foreign_events_are_not_told() -> None:
    world = Timeline()
    world.run(5)
    assert world.effects
    assert told(world) == []
    assert telling.line(Publish(Outlet.INCIDENTS, "k", "t", "1", "s", 0, {})) == ""


def test_an_event_that_cannot_be_read_is_told_by_its_name() -> None:
    kind = "dev.douse.incident.opened"
    assert telling.line(Publish(Outlet.INCIDENTS, "k", kind, "1", "s", 0, {"mark": 1})) == f"{kind} 1"
    assert telling.line(Publish(Outlet.COMMANDS, "k", "dev.douse.command.apply", "2", "s", 0, {})).endswith(" 2")
