"""The ledger remembers over restarts, and lets one process in."""

import multiprocessing
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from actuators import ledger
from actuators.deadline import Instant
from actuators.drivers.files import Change
from actuators.ledger import TRANSITIONS, UNSETTLED, InUse, Ledger, State, Unusable
from schemas.commands import Command, CommandKind, Outcome, OutcomeReason, OutcomeStatus
from tests.actuators import commands

NOW = Instant(5_000_000, 700_000, "boot")
CHANGE = Change(32, 64, b"32", b"size = 32\xff", b"size = 64\xff", "a diff")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger"


@pytest.fixture
def book(path: Path) -> Iterator[Ledger]:
    opened = Ledger(path)
    yield opened
    opened.close()


def outcome(order: Command, status: OutcomeStatus, reason: OutcomeReason = OutcomeReason.NONE) -> Outcome:
    fields = (
        "command",
        "kind",
        "applies",
        "actuator",
        "target",
        "environment",
        "tenant",
        "incident",
        "shard",
        "mitigation",
    )
    named = {field: getattr(order, field) for field in fields}
    return Outcome(**named, parameter=order.parameter, status=status, reason=reason, accepted_ms=NOW.wall_ms)


def test_an_intent_survives_with_everything_that_takes_it_back(path: Path) -> None:
    first = Ledger(path)
    entry = first.intend(commands.command(), commands.target(), CHANGE, NOW)
    salt = first.salt
    first.close()
    again = Ledger(path)
    assert again.entries(State.OPEN) == [entry]
    assert again.salt == salt
    assert entry.deadline.boot_ms == 790_000
    again.close()


def test_a_second_process_is_kept_out(path: Path, book: Ledger) -> None:
    assert book
    with pytest.raises(InUse, match="another process acts with this ledger"):
        Ledger(path)


def test_only_the_owner_can_read_it(path: Path, book: Ledger) -> None:
    book.intend(commands.command(), commands.target(), CHANGE, NOW)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes
    assert not {name for name, mode in modes.items() if mode & 0o077}, modes


def test_a_known_id_is_answered_with_its_last_outcome(book: Ledger) -> None:
    order = commands.command()
    entry = book.intend(order, commands.target(), CHANGE, NOW)
    assert book.recorded("c1") is None
    live = outcome(order, OutcomeStatus.LIVE)
    book.settle(entry, State.STANDING, live, 1)
    assert book.recorded("c1") == live
    book.begin_taking_back("c1", None)
    reverted = outcome(order, OutcomeStatus.REVERTED, OutcomeReason.CONFIRM_DEADLINE)
    book.settle(entry, State.REVERTED, reverted, 2)
    assert book.recorded("c1") == reverted


def test_outcomes_wait_in_order_until_they_are_acknowledged(book: Ledger) -> None:
    orders = [commands.command(name) for name in ("a", "b")]
    for order in orders:
        book.answer(outcome(order, OutcomeStatus.REFUSED, OutcomeReason.KILL_SWITCH), 1)
    unsent = book.unsent()
    assert [each.outcome.command for each in unsent] == ["a", "b"]
    assert unsent[0].id == ledger.outcome_id("a", OutcomeStatus.REFUSED, OutcomeReason.KILL_SWITCH)
    book.acknowledged(unsent[0].number)
    assert [each.outcome.command for each in book.unsent()] == ["b"]
    book.repeat("a")
    assert [each.outcome.command for each in book.unsent()] == ["a", "b"]


def test_a_forgery_does_not_use_up_the_id_that_it_names(book: Ledger) -> None:
    forged = outcome(commands.command(), OutcomeStatus.REFUSED, OutcomeReason.BAD_SIGNATURE)
    book.answer(forged, 1, known=False)
    assert book.recorded("c1") is None
    assert [each.outcome for each in book.unsent()] == [forged]


def test_one_id_is_meant_once(book: Ledger) -> None:
    book.intend(commands.command(), commands.target(), CHANGE, NOW)
    with pytest.raises(Exception, match="UNIQUE"):
        book.intend(commands.command(), commands.target(), CHANGE, NOW)


@pytest.mark.parametrize("state", UNSETTLED)
def test_a_target_is_busy_until_its_change_is_settled(book: Ledger, state: State) -> None:
    order = commands.command()
    entry = book.intend(order, commands.target(), CHANGE, NOW)
    if state is not State.OPEN:
        book.settle(entry, state, outcome(order, OutcomeStatus.LIVE), 1)
    assert book.unconfirmed("pool") == "c1"
    assert book.unconfirmed("other") is None


def test_an_unknown_end_freezes_the_target_until_it_is_reverted_or_thawed(book: Ledger) -> None:
    order = commands.command()
    entry = book.intend(order, commands.target(), CHANGE, NOW)
    book.settle(entry, State.UNKNOWN, outcome(order, OutcomeStatus.UNKNOWN, OutcomeReason.NOT_LIVE), 1)
    assert book.frozen("pool") == "not_live: "
    assert not book.thaw("pool", 1), "a word that is as old as the freeze says nothing about it"
    book.begin_taking_back("c1", commands.command("r1", CommandKind.REVERT))
    word = book.entries(State.TAKING_BACK)[0].word
    assert word is not None
    assert word.command == "r1"
    book.settle(entry, State.REVERTED, outcome(word, OutcomeStatus.REVERTED), 2)
    assert book.frozen("pool") is None
    assert not book.thaw("pool", 9)


def test_a_way_that_is_not_in_the_table_is_our_own_mistake(book: Ledger) -> None:
    order = commands.command()
    entry = book.intend(order, commands.target(), CHANGE, NOW)
    book.settle(entry, State.FAILED, outcome(order, OutcomeStatus.FAILED), 1)
    with pytest.raises(AssertionError, match="failed -> standing is not a way"):
        book.settle(entry, State.STANDING, outcome(order, OutcomeStatus.LIVE), 2)
    assert book.recorded("c1") == outcome(order, OutcomeStatus.FAILED), "nothing of a broken transaction stays"


def test_every_state_has_its_row_and_every_open_end_can_be_closed() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(TRANSITIONS[state] for state in UNSETTLED)


def test_applies_are_counted_for_an_hour(book: Ledger) -> None:
    for number, wall_ms in enumerate((1_000, 2_000, 9_000_000)):
        book.intend(commands.command(f"c{number}"), commands.target(), CHANGE, Instant(wall_ms, 0, "boot"))
    assert book.applies_last_hour(1_500 + ledger.HOUR_MS) == 2
    assert book.applies_last_hour(2_500 + ledger.HOUR_MS) == 1, "the one from the future still counts"


def test_a_target_remembers_its_last_change_for_longer_than_it_counts_them(book: Ledger) -> None:
    book.intend(commands.command(), commands.target(), CHANGE, NOW)
    assert book.applies_of("pool", NOW.wall_ms + ledger.HOUR_MS) == (0, NOW.wall_ms)
    assert book.applies_of("other", NOW.wall_ms) == (0, None)


def test_an_old_switch_that_is_written_again_stays_old(book: Ledger) -> None:
    book.note_kill("global", True, 100, b"{}")
    book.note_kill("global", False, 90, b"{}")
    book.note_kill("global", False, 100, b"{}")
    assert book.kills() == {"global"}
    book.note_kill("global", False, 101, b"{}")
    assert book.kills() == frozenset()


def test_what_is_old_settled_and_sent_is_forgotten(book: Ledger) -> None:
    old = Instant(0, 0, "boot")
    for name, state in (("done", State.FAILED), ("stands", State.STANDING)):
        order = commands.command(name)
        entry = book.intend(order, commands.target(id=name), CHANGE, old)
        book.settle(entry, state, outcome(order, OutcomeStatus.LIVE), 0)
    book.acknowledged(book.unsent()[0].number)
    book.prune(ledger.KEEP_MS + 1)
    assert book.entry("done") is None
    assert book.entry("stands") is not None
    assert [each.outcome.command for each in book.unsent()] == ["stands"]


def test_a_ledger_of_another_version_or_a_broken_one_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(path).close()
    monkeypatch.setattr(ledger, "VERSION", "2")
    with pytest.raises(Unusable, match="version 1"):
        Ledger(path)
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(Unusable, match="file is not a database"):
        Ledger(path)


def _die_after_intent(path: Path) -> None:
    book = Ledger(path)
    book.intend(commands.command(), commands.target(), CHANGE, NOW)
    os._exit(9)


def test_what_was_written_before_a_kill_is_there_and_the_lock_is_free(path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_die_after_intent, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == 9
    book = Ledger(path)
    assert [entry.command.command for entry in book.entries(State.OPEN)] == ["c1"]
    book.close()
