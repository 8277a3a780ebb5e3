"""What act makes of an operator's words: it needs nobody else to check them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actuators.deadline import Instant
from actuators.drivers.files import Change
from actuators.ledger import Ledger, State
from schemas import envelope
from schemas.commands import Outcome, OutcomeReason, OutcomeStatus
from schemas.control import TargetThawed
from stream import control
from stream.act import words
from stream.control import Kill
from stream.core import people
from stream.reach import Stored
from tests.actuators import commands

KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
TRUSTED = {"k1": KEY.public_key()}
NOW_MS = 1_800_000_000_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger in which the target `pool` is frozen."""
    opened = Ledger(tmp_path / "ledger")
    order = commands.command()
    change = Change(32, 64, b"32", b"size = 32", b"size = 64", "a diff")
    entry = opened.intend(order, commands.target(), change, Instant(NOW_MS, 1, "boot"))
    named = {name: getattr(order, name) for name in Outcome.model_fields if name in type(order).model_fields}
    outcome = Outcome(**named, status=OutcomeStatus.UNKNOWN, reason=OutcomeReason.NOT_LIVE, accepted_ms=NOW_MS)
    opened.settle(entry, State.UNKNOWN, outcome, NOW_MS)
    yield opened
    opened.close()


def thaw(time_ms: int, written_ms: int, key: Ed25519PrivateKey = KEY) -> Stored:
    name, event = control.word_event(TargetThawed(target="pool", by="a person", reason="seen", time_ms=time_ms))
    headers, value = envelope.encode(envelope.signed(event, "k1", key))
    return Stored(0, 7, written_ms, name, headers, value)


def kill(on: bool, time_ms: int) -> Stored:
    switch = Kill(scope="global", on=on, by="a person", reason="seen", time_ms=time_ms)
    name, event = control.kill_event(switch)
    headers, value = envelope.encode(envelope.signed(event, "k1", KEY))
    return Stored(0, 7, NOW_MS, name, headers, value)


def test_the_end_of_a_kill_switch_from_the_far_future_ends_nothing(book: Ledger) -> None:
    words.heed(book, kill(True, NOW_MS), TRUSTED, NOW_MS)
    words.heed(book, kill(False, NOW_MS + words.FUTURE_MS_MAX + 1), TRUSTED, NOW_MS)
    assert book.kills() == {"global"}
    words.heed(book, kill(False, NOW_MS + words.FUTURE_MS_MAX), TRUSTED, NOW_MS)
    assert not book.kills()


def test_a_kill_switch_counts_whatever_its_date(book: Ledger) -> None:
    words.heed(book, kill(True, NOW_MS + 10 * words.FUTURE_MS_MAX), TRUSTED, NOW_MS)
    assert book.kills() == {"global"}


def test_act_and_detect_take_the_same_clocks_for_wrong() -> None:
    assert words.FUTURE_MS_MAX == people.FUTURE_MS_MAX


def test_a_person_who_has_looked_thaws_also_with_a_clock_that_is_a_little_ahead(book: Ledger) -> None:
    words.heed(book, thaw(NOW_MS + words.FUTURE_MS_MAX, NOW_MS), TRUSTED, NOW_MS)
    assert book.frozen("pool") is None


@pytest.mark.parametrize("ahead_ms", [1, 86_400_000])
def test_a_thaw_from_the_far_future_thaws_nothing_not_even_once_its_day_has_come(
    book: Ledger, caplog: pytest.LogCaptureFixture, ahead_ms: int
) -> None:
    word = thaw(NOW_MS + words.FUTURE_MS_MAX + ahead_ms, NOW_MS)
    with caplog.at_level(logging.WARNING):
        words.heed(book, word, TRUSTED, NOW_MS)
        words.heed(book, word, TRUSTED, NOW_MS + 30 * 86_400_000)
    assert book.frozen("pool") is not None
    assert [record.message.split(":")[0] for record in caplog.records] == ["thaw of target pool does not count"] * 2


def test_a_time_that_the_record_itself_claims_does_not_help_it(book: Ledger) -> None:
    words.heed(book, thaw(NOW_MS + 86_400_000, NOW_MS + 86_400_000), TRUSTED, NOW_MS)
    assert book.frozen("pool") is not None


def test_a_strangers_word_counts_for_nothing(book: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    words.heed(book, thaw(NOW_MS + 1, NOW_MS, STRANGER), TRUSTED, NOW_MS)
    assert book.frozen("pool") is not None
    assert "does not count" in caplog.text


def test_a_kill_switch_is_kept(book: Ledger) -> None:
    name, event = control.kill_event(Kill("global", True, "a person", "a test", NOW_MS))
    headers, value = envelope.encode(envelope.signed(event, "k1", KEY))
    words.heed(book, Stored(0, 8, NOW_MS, name, headers, value), TRUSTED, NOW_MS)
    assert book.kills() == {"global"}
