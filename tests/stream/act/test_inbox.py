"""Whose a record is, and whether its signature holds."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope
from schemas.commands import Command
from schemas.envelope import Event, Headers
from stream.act import inbox
from stream.act.inbox import Foreign, Order, Unfit
from tests.actuators import commands

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
TRUSTED = {"k1": KEY.public_key()}


def record(
    command: Command, key: Ed25519PrivateKey | None = KEY, keyid: str = "k1", **more: object
) -> tuple[Headers, bytes]:
    data = {**command.fields(), **more}
    event = Event(f"dev.douse.command.{command.kind.value}", command.command, "/douse/detect/3", 1, data)
    return envelope.encode(event if key is None else envelope.signed(event, keyid, key))


def read(headers: Headers, value: bytes | None, key: bytes = b"host/pool") -> Order | Unfit | Foreign:
    return inbox.command("host", TRUSTED, key, headers, value)


def test_a_signed_command_is_an_order_with_its_signer() -> None:
    assert read(*record(commands.command())) == Order(commands.command(), "k1")


def test_another_actuators_command_is_not_ours() -> None:
    headers, value = record(commands.command(actuator="elsewhere"))
    assert read(headers, value, b"elsewhere/pool") == Foreign()
    assert read(headers, b"garbage", b"elsewhere/pool") == Foreign()
    assert read([], None, b"") == Foreign()


@pytest.mark.parametrize(("key", "keyid"), [(None, ""), (OTHER, "k1"), (KEY, "k2"), (OTHER, "k2")])
def test_without_a_trusted_signature_an_order_has_no_signer(key: Ed25519PrivateKey | None, keyid: str) -> None:
    assert read(*record(commands.command(), key, keyid)) == Order(commands.command(), None)


def test_a_changed_field_breaks_the_signature() -> None:
    headers, _ = record(commands.command())
    _, value = record(commands.command(), maximum=999)
    order = read(headers, value)
    assert isinstance(order, Order)
    assert order.signer is None


def test_a_signature_does_not_hold_for_another_kind_or_id() -> None:
    headers, value = record(commands.command())
    for name, other in ((b"dev.douse.command.revert", "ce_type"), (b"c2", "ce_id")):
        moved = [(header, name if header == other else raw) for header, raw in headers]
        answer = read(moved, value)
        assert isinstance(answer, Unfit)
        assert "different commands" in answer.detail


def test_what_is_broken_and_ours_is_unfit_and_quoted_shortly() -> None:
    garbage = read([], b"\x00")
    assert isinstance(garbage, Unfit)
    assert len(garbage.command) == 32
    headers, value = record(commands.command(), tenant="t" * 5_000, shard=-7, extra=1)
    answer = read(headers, value)
    assert isinstance(answer, Unfit)
    assert (answer.command, answer.shard, answer.named["tenant"]) == ("c1", 0, "t" * 100)
    assert "extra" in answer.detail


def test_a_key_of_ours_over_anothers_command_is_unfit() -> None:
    answer = read(*record(commands.command(actuator="elsewhere")))
    assert isinstance(answer, Unfit)


def test_a_float_in_a_command_is_no_crash() -> None:
    headers, value = record(commands.command())
    assert isinstance(read(headers, value.replace(b'"maximum":100', b'"maximum":100.5')), Unfit)


def test_what_is_too_large_for_a_command_is_not_even_read() -> None:
    headers, value = record(commands.command(incident="i" * inbox.RECORD_BYTES_MAX))
    for bloated in ((headers, value), ([("ce_id", b"x" * inbox.RECORD_BYTES_MAX)], b"{}")):
        answer = read(*bloated)
        assert isinstance(answer, Unfit)
        assert "a command has at most" in answer.detail
    assert read(headers, value, b"elsewhere/pool") == Foreign()


def test_what_is_wrong_with_a_record_is_quoted_shortly() -> None:
    headers, value = record(commands.command())
    answer = read([(name, b"9" * 50_000 if name == "ce_time" else raw) for name, raw in headers], value)
    assert isinstance(answer, Unfit)
    assert len(answer.detail) <= inbox.DETAIL_CHARACTERS_MAX
