"""detect is killed in the middle of a plan of three steps: its successor goes on where it was, each command once."""

import contextlib
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import seeds, timeline
from tests.faults import harness, plans
from tests.faults.plans import Fed, Played
from tests.stream.test_engine_plans import NAMES, plan_specs
from tests.timeline import Pool

pytestmark = [pytest.mark.broker, pytest.mark.proof]


def drawn_kill(draw: random.Random) -> tuple[str, list[str]]:
    """When it dies: at the order of the second or third step, or from outside between the first step and its answer."""
    if draw.random() < 0.25:
        return "from outside, before the first step's answer", []
    nth, after = draw.choice([2, 3]), draw.random() < 0.5
    arms = ["--point", "send", "--topic", "douse.commands", "--nth", str(nth), *(["--after"] if after else [])]
    return f"{'after' if after else 'before'} step {nth} was sent", arms


@pytest.mark.parametrize("ending", ["confirmed", "taken back"])
def test_a_plan_goes_on_where_it_was_when_detect_is_killed(
    request: pytest.FixtureRequest,
    bootstrap: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    ending: str,
) -> None:
    when, arms = drawn_kill(seeds.draw(request))
    print(f"killed {when}")
    fails = ending == "taken back"

    def status(command: dict[str, Any]) -> str:
        if command["kind"] == "apply":
            return "failed" if fails and command["mitigation"] == NAMES[-1] else "live"
        return {"confirm": "confirmed", "revert": "reverted"}[command["kind"]]

    monkeypatch.setattr(timeline, "START_MS", time.time_ns() // 10**6 - (plans.BEFORE_S + 2) * 1000)
    world = harness.world(bootstrap, prefix, tmp_path, shards=1)
    fed = Fed(spec_set=plan_specs())
    played = Played(world, fed, {**plans.CALM, "pool": Pool()}, status)
    played.begin()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(harness.running(world, *arms, engine=""))
        played.until(lambda: "shard 0" in harness.log(world), "detect has loaded")
        played.burn()
        if not arms:
            played.answering = False
            played.until(lambda: bool(played.commands()), "the first step is ordered")
            first.kill()
        played.until(lambda: first.poll() is not None, "detect is dead")
        assert first.returncode == -signal.SIGKILL, harness.log(world)
        assert len(played.commands()) < len(NAMES) + 1, "in the middle of the plan"
        played.answering = True
        second = stack.enter_context(harness.running(world, engine=""))
        played.until(lambda: len(applies(played)) == len(NAMES), "every step is ordered")
        if not fails:
            played.mood = played.calm
        last = "handed_over" if fails else "closed"
        played.until(lambda: bool(played.told(last)), "the plan has ended", within_s=90)
        assert harness.stop(world, second) == 0, harness.log(world)

    _check(played, fails)
    seen = f"{len(played.commands())} commands, {played.copies()} sent twice with the same id; killed {when}"
    record_property("claim", (f"detect killed in the middle of a plan: it goes on, and is {ending}", seen, True))


def applies(played: Played) -> list[dict[str, Any]]:
    return [one for one in played.commands() if one["kind"] == "apply"]


def _check(played: Played, fails: bool) -> None:
    """Each step was ordered once, in its order, under one plan; nothing stands unconfirmed; a faultless fold agrees."""
    ordered = applies(played)
    assert [(one["mitigation"], one["step"]) for one in ordered] == [(name, at) for at, name in enumerate(NAMES)]
    assert len({one["plan"] for one in ordered}) == 1
    words = [(one["kind"], one["mitigation"]) for one in played.commands() if one["kind"] != "apply"]
    if fails:
        assert words == [("revert", name) for name in reversed(NAMES[:-1])]
        assert [one["stands"] for one in played.told("handed_over")] == [False]
    else:
        assert words == [("confirm", name) for name in NAMES]
        assert [one["ending"] for one in played.told("closed")] == ["confirmed"]
    folded = {one["command"]: one for one in played.folded()}
    assert {one["command"]: one for one in played.commands()} == folded
