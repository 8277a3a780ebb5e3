"""An operator's answers on a real broker: shown, asked, signed, sent, and what came of them."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from schemas import envelope
from schemas.commands import CommandKind, OutcomeStatus
from schemas.control import ChangeReverted, PlanDecided
from schemas.envelope import Event
from schemas.events import Word
from schemas.runbook import Autonomy, Scale
from stream import cli, commands_people, control, keys, reach, topics
from tests.stream.report.timelines import Timeline, burning

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme" / "specs"
ANSWER_S = 20.0  # a shared machine


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@dataclass(frozen=True, slots=True)
class World:
    """A broker with the topics of one test, and the keys of all who write to them."""

    bootstrap: str
    prefix: str

    def douse(self, *arguments: str) -> Result:
        at = {"DOUSE_BOOTSTRAP": self.bootstrap, "DOUSE_TOPIC_PREFIX": self.prefix, "DOUSE_SHARDS": "2"}
        return CliRunner().invoke(cli.app, list(arguments), env=at)

    def publish(self, events: list[Event]) -> None:
        names = topics.names(self.prefix)
        for event in events:
            topic = names.incidents if ".incident." in event.type else names.commands
            file = "keys/command.key"
            if event.type == "dev.douse.outcome":
                topic, file = names.outcomes, "keys/actuator-local.key"
            keyid, key = keys.load_private(Path(file))
            asyncio.run(reach.send(self.bootstrap, topic, [("k", envelope.signed(event, keyid, key))]))

    def words(self) -> list[control.Word]:
        trusted = keys.trusted([Path("keys/operator.pub")])
        found = asyncio.run(control.read(self.bootstrap, topics.names(self.prefix).control, trusted))
        assert not found.rejected
        return list(found.words.values())

    @contextmanager
    def answering(self, story: Timeline, answer: str) -> Iterator[None]:
        """Publishes what `answer` adds to the story as soon as a new word is on the control topic."""
        known, ended = len(self.words()), threading.Event()

        def work() -> None:
            deadline_s = time.monotonic() + ANSWER_S
            while not ended.is_set() and time.monotonic() < deadline_s:
                if len(self.words()) > known:
                    told = len(story.events)
                    _answer(story, answer)
                    self.publish(story.events[told:])
                    return
                time.sleep(0.1)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _answer(story: Timeline, answer: str) -> None:
    fields = {"by": "ann", "said": "", "taken": True}
    if answer == "approve":
        story.told("decided", plan=_plan(story), word=Word.APPROVE, **fields).planned()
    elif answer == "reject":
        story.told("decided", plan=_plan(story), word=Word.REJECT, **fields)
    else:
        story.told("decided", plan=story.plan, word=Word.REVERT, **fields).ordered(CommandKind.REVERT)
        story.outcome(OutcomeStatus.REVERTED, CommandKind.REVERT)


def _suggested(story: Timeline) -> Timeline:
    story.plans += 1
    steps = (story.step("raise_pool", Scale(numerator=2)),)
    fields = {"plan": story.plan, "cause": "pool_exhausted", "autonomy": Autonomy.APPROVE, "steps": steps}
    story.told("suggested", tenants=2, **fields)
    story.plans -= 1
    return story


def _plan(story: Timeline) -> str:
    return str(next(one for one in reversed(story.events) if one.type.endswith("suggested")).data["plan"])


@pytest.fixture
def world(bootstrap: str, prefix: str) -> World:
    keys.init(Path("keys"))
    found = World(bootstrap, prefix)
    assert found.douse("topics", "create").exit_code == 0
    assert found.douse("specs", "apply", str(EXAMPLE)).exit_code == 0
    return found


@pytest.mark.broker
def test_a_plan_is_approved_seen_to_stand_and_taken_back(world: World) -> None:
    story = _suggested(burning())
    world.publish(story.events)
    (waiting,) = json.loads(world.douse("suggestions", "--json").stdout)
    assert (waiting["plan"], waiting["tenants"], waiting["approvable"]) == (_plan(story), 2, True)
    assert "shared: 2" in world.douse("suggestions").stdout

    piped = world.douse("approve", _plan(story)[:6])
    assert piped.exit_code == 2
    assert "--yes answers" in piped.stderr
    assert "step 1 of 1: raise_pool: pool_size x 2" in piped.stdout
    assert not world.words()

    with world.answering(story, "approve"):
        approved = world.douse("approve", _plan(story)[:6], "--for", "5m", "--yes", "--wait", str(ANSWER_S))
    assert approved.exit_code == 0, approved.output
    assert "carried out now: raise_pool on local/acme-pool" in approved.stdout
    (word,) = world.words()
    assert isinstance(word, PlanDecided)
    assert (word.plan, word.approve, word.expires_ms - word.time_ms) == (_plan(story), True, 300_000)
    again = world.douse("approve", _plan(story)[:6], "--yes")
    assert again.exit_code == 78
    assert "no suggestion waits" in again.stderr

    told = len(story.events)
    story.ordered(CommandKind.APPLY).outcome(OutcomeStatus.LIVE)
    world.publish(story.events[told:])
    (change,) = json.loads(world.douse("changes", "--json").stdout)
    assert (change["command"], change["before"], change["after"]) == (story.command, "32", "64")
    frame = json.loads(world.douse("watch", "--once", "--json").stdout)
    assert frame["incidents"][0]["now"] == "1 of 1 steps live, their effect is counted"
    assert "open incidents" in world.douse("watch", "--once").stdout

    silent = world.douse("revert", story.command[:8], "--reason", "over", "--wait", "0.3")
    assert silent.exit_code == 1
    assert "no answer yet" in silent.stdout
    assert [type(one) for one in world.words()] == [PlanDecided, ChangeReverted]


@pytest.mark.broker
def test_a_no_and_a_revert_are_answered(world: World) -> None:
    story = _suggested(burning())
    world.publish(story.events)
    with world.answering(story, "reject"):
        rejected = world.douse("reject", story.incident[:6], "--reason", "not tonight", "--wait", str(ANSWER_S))
    assert (rejected.exit_code, rejected.stdout) == (0, "rejected\n"), rejected.output
    (word,) = world.words()
    assert isinstance(word, PlanDecided)
    assert (word.approve, word.reason) == (False, "not tonight")
    other = Timeline("ffff", "globex").opened().planned().ordered(CommandKind.APPLY).outcome(OutcomeStatus.LIVE)
    world.publish(other.events)
    with world.answering(other, "revert"):
        back = world.douse("revert", other.plan[:8], "--reason", "x", "--json", "--wait", str(ANSWER_S))
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["well"] is True
    assert world.douse("changes").stdout == "no change stands\n"


@pytest.mark.broker
def test_what_nobody_trusted_has_signed_is_not_shown(world: World) -> None:
    story = _suggested(burning())
    world.publish(story.events)
    keyid, key = keys.load_private(Path("keys/actuator-local.key"))
    forged = [envelope.signed(event, keyid, key) for event in _suggested(Timeline("ffff").opened()).events]
    names = topics.names(world.prefix)
    asyncio.run(reach.send(world.bootstrap, names.incidents, [("k", event) for event in forged]))
    shown = world.douse("suggestions", "--json")
    assert [one["incident"] for one in json.loads(shown.stdout)] == [story.incident]
    assert shown.stderr.count("not signed by a trusted command key") == 2


class Terminal(io.StringIO):
    """A person who types this."""

    def isatty(self) -> bool:
        return True


def asked(typed: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a question that is answered like this; 0 is a yes."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    try:
        commands_people.ask("Carry this out?", yes=False)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def test_only_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [asked(typed, monkeypatch) for typed in ("y\n", "yes\n", "n\n", "\n")] == [0, 0, 1, 1]


@pytest.mark.parametrize(("text", "ms"), [("90s", 90_000), ("10m", 600_000), ("1h", 3_600_000)])
def test_a_duration_is_a_number_with_its_unit(text: str, ms: int) -> None:
    assert commands_people.duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "10", "m", "0s", "-1m", "1.5h", "10 m", "٣m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        commands_people.duration_ms(text)
