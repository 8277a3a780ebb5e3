"""Nothing forged enters the journal, and each forgery has its reason; what enters and does not fit changes nothing."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas import journal
from schemas.runbook import Autonomy
from stream.effects import Outlet, Publish
from stream.ingest import batch
from stream.ingest.batch import DeadLetter, Held, ToJournal
from stream.ingest.doors import Addressed, Door, Incoming, Refused
from stream.reach import Stored
from tests import beginnings, seeds
from tests.beginnings import BURN
from tests.stream.forgeries import (
    ACTUATOR,
    CONTROLS,
    KINDS,
    OPERATOR,
    OUTCOMES,
    SHARDS,
    TRUE,
    WORDS,
    Forger,
    outcome,
    stored,
)
from tests.timeline import ENVIRONMENT, TENANT, Timeline, specs

CASES = 1_000


def entered(door: Door, record: Stored) -> tuple[Any, list[batch.Outgoing]]:
    """What the door says, and what goes to the journal and the dead letters."""
    content = door(Incoming(record, 0))
    kept = record.value if isinstance(content, Refused) else None
    held = Held(("t", 0), record.offset, content, 0, lambda: None, kept)
    return content, batch.compose([held], [("t", 0)], batch.Chain())


def test_nothing_that_an_attacker_writes_enters_the_journal(request: pytest.FixtureRequest) -> None:
    forger = Forger(seeds.draw(request))
    for _ in range(CASES):
        forged = forger.forged()
        content, sent = entered(forged.door, forged.stored)
        assert isinstance(content, Refused), (forged, content)
        assert content.reason.strip(), forged
        (letter,) = sent
        assert isinstance(letter, DeadLetter), forged
        assert dict(letter.headers)["reason"] == content.reason[: batch.REASON_CHARS_MAX].encode(errors="replace")
    assert len(forger.made) >= len(KINDS), forger.made


def test_what_was_not_forged_does_enter() -> None:
    """Otherwise the doors above could refuse everything."""
    for key, event in TRUE:
        content, sent = entered(CONTROLS, stored(key, event, OPERATOR))
        assert isinstance(content, Addressed)
        assert [each.shard for each in sent if isinstance(each, ToJournal)] == list(range(SHARDS))
    _, sent = entered(OUTCOMES, stored("c1", outcome(), ACTUATOR))
    assert [(each.shard, each.kind) for each in sent if isinstance(each, ToJournal)] == [(2, journal.Kind.OUTCOME)]


def unfit_word(world: Timeline, by: Forger) -> dict[str, Any]:
    """An operator's word on the plan that waits, which does not fit it in one thing at least."""
    plan = world.told("suggested")[-1]
    now_ms, limit_ms = world.now_ms, world.spec_set.limits.approval_ms_max
    word: dict[str, Any] = {
        "plan": plan["plan"], "incident": plan["incident"], "environment": ENVIRONMENT, "tenant": TENANT,
        "approve": by.draw.random() < 0.8, "by": "kim", "reason": "looked at it", "time_ms": now_ms,
        "expires_ms": now_ms + 60_000,
    }  # fmt: skip
    ahead_ms = by.draw.choice([400_000, 86_400_000, 10**14])
    name = by.draw.choice(["plan", "incident", "environment", "tenant"])
    wrong: dict[str, Any] = by.draw.choice(
        [
            {name: by.disguised(word[name])},
            {name: by.draw.choice(["other", "*", word["plan"] + word["incident"]])},
            {"time_ms": now_ms - 60_001, "expires_ms": now_ms - 1},
            {"time_ms": now_ms + ahead_ms, "expires_ms": now_ms + ahead_ms + 60_000},
            {"expires_ms": now_ms + limit_ms + by.draw.choice([1, 10**12])},
        ]
    )
    return word | wrong


def told(effects: Sequence[Publish]) -> list[tuple[str, Any]]:
    """What was said and ordered, without digests, answers to words, and the numbers that answers use up."""
    return [
        (each.type, {name: value for name, value in each.data.items() if name not in ("index", "sequence")})
        for each in effects
        if each.outlet is not Outlet.STATUS and not each.type.endswith(".decided")
    ]


def said(world: Timeline, kind: str, words: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ten words a second while it burns on, beside a world that hears as many of no meaning; the answers to them.

    Asserts that both go on alike, and that each word is answered or counted.
    """
    quiet = copy.deepcopy(world)
    begin, before, unknown = (
        len(world.effects),
        len(world.told("decided")),
        world.state.counters.get("words_unknown", 0),
    )
    for number, word in enumerate(words):
        world.control(f"dev.douse.control.{kind}", word)
        quiet.control("dev.douse.control.of-a-later-version", {})
        if number % 10 == 9:
            world.run(1, **BURN)
            quiet.run(1, **BURN)
    assert told(world.effects[begin:]) == told(quiet.effects[begin:])
    answers = world.told("decided")[before:]
    assert len(answers) + world.state.counters.get("words_unknown", 0) - unknown == len(words)
    return answers


def test_an_approval_that_entered_and_does_not_fit_changes_nothing(request: pytest.FixtureRequest) -> None:
    by = Forger(seeds.draw(request))
    world = beginnings.burning(Timeline(spec_set=specs(Autonomy.APPROVE)))
    answers = said(world, "plan", [unfit_word(world, by) for _ in range(100)])
    assert answers
    assert all(not one["taken"] and one["detail"] for one in answers)
    assert not world.commands()
    assert not world.state.words
    right = {"time_ms": world.now_ms, "expires_ms": world.now_ms + 60_000, "approve": True, "reason": ""}
    plan = world.told("suggested")[-1]
    whose = {"plan": plan["plan"], "incident": plan["incident"], "environment": ENVIRONMENT, "tenant": TENANT}
    world.control("dev.douse.control.plan", {**whose, "by": "kim", **right})
    world.run(1, **BURN)
    assert len(world.commands("apply")) == 1, "the plan waited for its own word all the time"


def test_a_word_on_anothers_change_takes_nothing_back(request: pytest.FixtureRequest) -> None:
    by = Forger(seeds.draw(request))
    world = beginnings.burning(Timeline())
    command = beginnings.live(world)
    world.run(1, rate=270)
    whose = {name: command[name] for name in ("command", "incident", "environment", "tenant")}
    words = []
    for _ in range(20):
        name = by.draw.choice(sorted(whose))
        wrong = {name: by.draw.choice([by.disguised(whose[name]), "other", "*"])}
        words.append({**whose, **wrong, "by": "kim", "reason": "a test", "time_ms": world.now_ms})
    assert not said(world, "revert", words)
    assert not [one for one in world.commands("revert") if one["decided_ms"] <= words[-1]["time_ms"]]


def test_a_word_on_anothers_target_or_from_before_thaws_nothing(request: pytest.FixtureRequest) -> None:
    by = Forger(seeds.draw(request))
    world = beginnings.burning(Timeline())
    world.outcome(world.commands("apply")[0], "unknown", reason="unreadable")
    world.run(1, **BURN)
    frozen_ms = world.state.targets["north-pool"].unknown_ms
    for _ in range(50):
        word: dict[str, Any] = {"target": "north-pool", "by": "kim", "reason": "a test", "time_ms": world.now_ms}
        wrong: list[dict[str, Any]]
        wrong = [{"target": by.disguised("north-pool")}, {"time_ms": by.draw.choice([0, frozen_ms - 1, frozen_ms])}]
        world.control("dev.douse.control.thaw", word | by.draw.choice(wrong))
    world.run(1, **BURN)
    assert world.state.targets["north-pool"].unknown


@pytest.mark.parametrize("wrong", [{"by": 5}, {"reason": None}, {"more": 1}, {"on": 1}], ids=str)
def test_a_switch_or_a_spec_set_that_the_engine_could_not_read_does_not_pass_the_door(wrong: dict[str, Any]) -> None:
    """In the journal it would stop every shard."""
    for key, event in TRUE[len(WORDS) :]:
        content, _ = entered(CONTROLS, stored(key, replace(event, data={**event.data, **wrong}), OPERATOR))
        assert isinstance(content, Refused)


def test_a_word_from_far_ahead_thaws_nothing() -> None:
    world = beginnings.burning(Timeline())
    world.outcome(world.commands("apply")[0], "unknown", reason="unreadable")
    world.run(1, **BURN)
    word = {"target": "north-pool", "by": "kim", "reason": "a test", "time_ms": world.now_ms + 10**10}
    world.control("dev.douse.control.thaw", word)
    world.run(1, **BURN)
    assert world.state.targets["north-pool"].unknown
