"""Only what a trusted operator signed, in the place that its content names, decides anything."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope
from schemas.envelope import Event
from stream import control, keys, specs, topics
from stream.control import Control, Kill
from stream.reach import Stored

OPERATOR = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
KEYID = keys.keyid(OPERATOR.public_key())
TRUSTED = {KEYID: OPERATOR.public_key()}
SPECS = specs.load(Path(__file__).parents[2] / "examples" / "acme" / "specs").specs
ON = Kill(control.tenant_scope("acme-corp"), True, "ann", "migration", 1_000)


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
    assert found.rejected == ["offset 1 (kill/tenant:default:acme-corp): older than the switch that is in force"]


def test_an_event_has_the_same_id_whenever_the_same_is_decided() -> None:
    assert control.specs_event(SPECS, 1)[1].id == control.specs_event(SPECS, 2)[1].id
    assert control.kill_event(ON)[1].id != control.kill_event(replace(ON, on=False))[1].id


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
