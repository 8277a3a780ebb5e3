"""What is read from the engine's own events can be answered, and the engine takes the answer up."""

from schemas.control import ChangeReverted, PlanDecided
from schemas.envelope import Event
from schemas.runbook import Autonomy
from stream import control
from stream.people import book, speaking, standing, waiting
from stream.people.book import Book
from stream.people.waiting import Waiting
from tests.beginnings import burning, confirmed
from tests.timeline import Timeline, specs

MINUTE_MS = 60_000


def read(world: Timeline) -> Book:
    """What the public topics would hold."""
    told = (Event(one.type, one.id, one.source, one.time_ms, one.data) for one in world.effects)
    return book.of(one for one in told if one.type != "dev.douse.status")


def open_plans(world: Timeline, *words: PlanDecided) -> list[Waiting]:
    return waiting.waiting(read(world), {word.plan: word for word in words}, world.now_ms)


def say(world: Timeline, word: PlanDecided | ChangeReverted) -> None:
    _, event = control.word_event(word)
    world.control(event.type, dict(event.data))
    world.tick()
    world.run(1, rate=270, bad=0.35, latency_ms=600)


def asking() -> tuple[Timeline, Waiting]:
    world = burning(Timeline(spec_set=specs(Autonomy.APPROVE)))
    (one,) = open_plans(world)
    assert world.commands() == []
    return world, one


def heard(world: Timeline, one: Waiting, approve: bool) -> speaking.PlanHeard:
    found = speaking.PlanHeard(one.told.plan, one.told.incident, approve)
    for event in read(world).chapters[one.told.incident].events:
        if event.journal_offset > one.told.journal_offset:
            found.take(event)
    return found


def test_nothing_happens_until_a_yes_and_then_the_plan_that_was_shown() -> None:
    world, one = asking()
    assert one.approvable
    say(world, speaking.decision(one, "ann", True, "", world.now_ms, 10 * MINUTE_MS))
    (command,) = world.commands("apply")
    assert (command["plan"], command["command"]) == (one.told.plan, one.told.steps[0].command)
    answer = heard(world, one, True)
    assert (answer.done, answer.well) == (True, True)
    assert answer.planned is not None
    assert answer.planned.approved_by == "ann"
    assert open_plans(world) == []


def test_a_no_ends_it_with_its_reason() -> None:
    world, one = asking()
    say(world, speaking.decision(one, "ann", False, "not tonight", world.now_ms, speaking.REJECTION_MS))
    answer = heard(world, one, False)
    assert (answer.done, answer.well) == (True, True)
    assert world.commands() == []
    assert open_plans(world) == []


def test_a_yes_that_expired_before_it_was_read_changes_nothing() -> None:
    world, one = asking()
    said = speaking.decision(one, "ann", True, "", world.now_ms - 2 * MINUTE_MS, MINUTE_MS)
    say(world, said)
    assert heard(world, one, True).lines()[0].startswith("not taken: ")
    assert world.commands() == []
    assert [each.told.plan for each in open_plans(world, said)] == [one.told.plan]


def test_a_confirmed_change_is_taken_back_by_a_word() -> None:
    world = Timeline(spec_set=specs())
    command = confirmed(world)
    (change,) = standing.changes(read(world))
    assert (change.command, change.plan) == (command["command"], command["plan"])
    say(world, speaking.reversal(change, "ann", "over", world.now_ms))
    (back,) = world.commands("revert")
    assert back["applies"] == command["command"]
