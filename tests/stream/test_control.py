"""Only what a trusted operator signed, in the place that its content names, decides anything."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import canonical, envelope
from schemas.control import ChangeReverted, PlanDecided, TargetThawed
from schemas.envelope import Event
from stream import control, keys, specs, topics
from stream.control import Control, Kill, NotControlError, Word
from stream.reach import Stored

OPERATOR = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
KEYID = keys.keyid(OPERATOR.public_key())
TRUSTED = {KEYID: OPERATOR.public_key()}
SPECS = specs.load(Path(__file__).parents[2] / "examples" / "acme" / "specs").specs
ON = Kill(control.tenant_scope("acme-corp"), True, "ann", "migration", 1_000)
WHOSE = {"incident": "i1", "environment": "default", "tenant": "acme-corp", "by": "ann", "time_ms": 1_000}
YES = PlanDecided(plan="p1", approve=True, reason="", expires_ms=601_000, **WHOSE)
NO = PlanDecided(plan="p1", approve=False, reason="not tonight", expires_ms=1_000, **WHOSE)
BACK = ChangeReverted(command="c1", reason="it is over", **WHOSE)
THAW = TargetThawed(target="acme-pool", by="ann", reason="looked at it", time_ms=1_000)


def stored(keyed: tuple[str, Event], offset: int = 0, keyid: str = KEYID, key: Ed25519PrivateKey = OPERATOR) -> Stored:
    headers, value = envelope.encode(envelope.signed(keyed[1], keyid, key))
    return Stored(0, offset, 0, keyed[0], headers, value)


def fold(*records: Stored) -> Control:
    async def stream() -> AsyncIterator[Stored]:
        for record in records:
            yield record

    return asyncio.run(control.fold(stream(), TRUSTED))


def test_specs_and_switches_come_back_as_they_were_written() -> None:
    found = fold(stored(control.specs_event(SPECS, 5)), stored(control.kill_event(ON), 1))
    assert found == Control(SPECS, {"tenant:default:acme-corp": ON}, [], 2)


def test_the_last_specs_and_the_newest_switch_count() -> None:
    off = replace(ON, on=False, time_ms=2_000)
    found = fold(stored(control.kill_event(ON)), stored(control.kill_event(off), 1))
    assert found.kills == {ON.scope: off}
    other = SPECS.model_copy(update={"autonomy": ()})
    found = fold(stored(control.specs_event(SPECS, 5)), stored(control.specs_event(other, 5)))
    assert found.specs == other


def test_an_old_switch_that_somebody_writes_again_does_not_count() -> None:
    off = replace(ON, on=False, time_ms=500)
    found = fold(stored(control.kill_event(ON)), stored(control.kill_event(off), 1))
    assert found.kills == {ON.scope: ON}
    assert found.rejected == ["offset 1 (kill/tenant:default:acme-corp): older than what is in force"]


def test_an_event_has_the_same_id_whenever_the_same_is_decided() -> None:
    assert control.specs_event(SPECS, 1)[1].id == control.specs_event(SPECS, 2)[1].id
    assert control.kill_event(ON)[1].id != control.kill_event(replace(ON, on=False))[1].id


@pytest.mark.parametrize(
    ("word", "key"), [(YES, "plan/p1"), (NO, "plan/p1"), (BACK, "revert/c1"), (THAW, "thaw/acme-pool")]
)
def test_a_word_comes_back_as_it_was_written_under_its_own_key(word: Word, key: str) -> None:
    record = stored(control.word_event(word))
    assert record.key == key
    assert control.accept(record, TRUSTED) == word
    assert fold(record) == Control(words={key: word}, next_offset=1)


def test_the_newest_word_on_a_plan_counts() -> None:
    later = NO.model_copy(update={"time_ms": 2_000, "expires_ms": 2_000})
    first, last = stored(control.word_event(YES)), stored(control.word_event(later), 1)
    assert fold(first, last).words == {"plan/p1": later}
    again = fold(last, replace(first, offset=2))
    assert again.words == {"plan/p1": later}
    assert again.rejected == ["offset 2 (plan/p1): older than what is in force"]


def test_a_word_of_a_stranger_or_under_another_key_is_not_accepted() -> None:
    record = stored(control.word_event(YES))
    for wrong in (
        stored(control.word_event(YES), 0, keys.keyid(STRANGER.public_key()), STRANGER),
        stored(control.word_event(YES), 0, KEYID, STRANGER),
        replace(record, key="plan/p2"),
        replace(record, key="revert/p1"),
    ):
        with pytest.raises(NotControlError):
            control.accept(wrong, TRUSTED)


def test_a_word_cannot_be_changed_under_its_signature() -> None:
    """Every field, one at a time: another value of its own kind."""
    for word in (YES, BACK, THAW):
        key, event = control.word_event(word)
        record = stored((key, event))
        for name, value in word.fields().items():
            other = (not value) if isinstance(value, bool) else value + (1 if isinstance(value, int) else "x")
            forged = replace(record, value=canonical.dumps({**event.data, name: other}))
            with pytest.raises(NotControlError, match="the signature does not fit the content"):
                control.accept(forged, TRUSTED)


@pytest.mark.parametrize(
    ("word", "wrong", "said"),
    [
        (YES, {"expires_ms": 999}, "expires_ms 999 is before time_ms 1000"),
        (YES, {"expires_ms": 10**15}, "is not within 0 to"),
        (YES, {"time_ms": -1}, "time_ms -1 is not within 0 to"),
        (YES, {"by": " "}, "by is empty"),
        (YES, {"reason": "x" * 1_001}, "reason has 1001 characters, more than 1000"),
        (YES, {"approve": "yes"}, "cannot be read"),
        (YES, {"more": 1}, "cannot be read"),
        (NO, {"reason": ""}, "reason is empty"),
        (BACK, {"reason": ""}, "reason is empty"),
        (BACK, {"time_ms": True}, "cannot be read"),
        (THAW, {"target": ""}, "target is empty"),
    ],
)
def test_a_signed_word_that_is_no_word_is_refused(word: Word, wrong: dict[str, Any], said: str) -> None:
    key, event = control.word_event(word)
    with pytest.raises(NotControlError, match=said):
        control.accept(stored((key, replace(event, data={**event.data, **wrong}))), TRUSTED)


def test_a_type_that_nobody_knows_is_refused() -> None:
    key, event = control.word_event(YES)
    for kind in ("dev.douse.control.plans", "dev.douse.incident.planned"):
        with pytest.raises(NotControlError, match="is not known"):
            control.accept(stored((key, replace(event, type=kind))), TRUSTED)


def test_a_strangers_key_decides_nothing() -> None:
    keyed = control.kill_event(ON)
    stranger = keys.keyid(STRANGER.public_key())
    found = fold(stored(keyed, 0, stranger, STRANGER), stored(keyed, 1, KEYID, STRANGER))
    assert not found.kills
    assert found.rejected == [
        f"offset 0 (kill/tenant:default:acme-corp): signed by {stranger}, which is not a trusted operator's key",
        "offset 1 (kill/tenant:default:acme-corp): the signature does not fit the content",
    ]


def test_content_cannot_be_exchanged_under_a_signature() -> None:
    record = stored(control.kill_event(ON))
    assert record.value is not None
    forged = replace(record, value=record.value.replace(b"acme-corp", b"globex-co"))
    unsigned = replace(record, headers=[pair for pair in record.headers if not pair[0].startswith("ce_sig")])
    elsewhere = replace(record, key="kill/global")
    assert [line.partition("): ")[2] for line in fold(forged, unsigned, elsewhere).rejected] == [
        "the signature does not fit the content",
        "the signature does not fit the content",
        "stands under the key 'kill/global', and its content belongs under 'kill/tenant:default:acme-corp'",
    ]


def test_a_signed_spec_set_must_be_what_its_revision_names() -> None:
    key, event = control.specs_event(SPECS, 5)
    other = replace(event, data={**event.data, "revision": "0" * 32})
    assert "names the revision" in fold(stored((key, other))).rejected[0]


@pytest.mark.parametrize("value", [b"", b"garbage", b"[]", b"{}"])
def test_garbage_is_named_and_passed_over(value: bytes) -> None:
    record = stored(control.kill_event(ON))
    found = fold(replace(record, value=value), replace(record, headers=[]), record)
    assert len(found.rejected) == 2
    assert found.kills == {ON.scope: ON}


@pytest.mark.broker
def test_what_is_published_is_read_from_a_real_broker(bootstrap: str, prefix: str) -> None:
    async def work() -> tuple[Control, Control]:
        await topics.create(bootstrap, prefix, shards=1)
        topic = topics.names(prefix).control
        empty = await control.read(bootstrap, topic, TRUSTED)
        for keyed in (control.specs_event(SPECS, 5), control.kill_event(ON)):
            await control.publish(bootstrap, topic, keyed, KEYID, OPERATOR)
        await control.publish(bootstrap, topic, control.kill_event(replace(ON, on=False)), KEYID, STRANGER)
        return empty, await control.read(bootstrap, topic, TRUSTED)

    empty, found = asyncio.run(work())
    assert empty == Control()
    assert (found.specs, found.kills, found.next_offset) == (SPECS, {ON.scope: ON}, 3)
    assert len(found.rejected) == 1
