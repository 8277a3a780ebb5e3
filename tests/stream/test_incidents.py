"""The list of incidents: every event once, only what detect signed, each incident at its latest event."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope
from schemas.envelope import Event
from schemas.events import incident_type
from stream import incidents, keys
from stream.incidents import Board
from stream.reach import Stored

KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
KEYID = keys.keyid(KEY.public_key())
PLACE = {"shard": 3, "journal_offset": 9, "index": 0, "environment": "default", "service": "shop-api", "slo": "shop"}
HAND_OVER = {"reason": "cause_unknown", "detail": "", "stands": False}
REFUSED: dict[str, Any] = {"reason": "lag", "permanent": False, "numbers": {}, "detail": ""}


def event(kind: str, incident: str, at_ms: int, more: dict[str, Any], tenant: str = "acme-corp") -> Event:
    data = {"incident": incident, "sequence": 0, "tenant": tenant, "at_ms": at_ms, **PLACE, **more}
    return Event(incident_type(kind), f"{kind}-{incident}", "/douse/detect/3", at_ms, data)


def stored(one: Event, offset: int, keyid: str = KEYID, key: Ed25519PrivateKey = KEY) -> Stored:
    headers, value = envelope.encode(envelope.signed(one, keyid, key))
    return Stored(0, offset, 0, one.data["tenant"], headers, value)


def fold(*records: Stored) -> Board:
    async def stream() -> AsyncIterator[Stored]:
        for record in records:
            yield record

    return asyncio.run(incidents.fold(stream(), {KEYID: KEY.public_key()}))


def test_an_incident_stands_at_its_latest_event_and_keeps_its_first_time() -> None:
    board = fold(
        stored(event("refused", "i1", 1_000, REFUSED), 0),
        stored(event("refused", "i2", 1_500, REFUSED, "globex"), 1),
        stored(event("handed_over", "i1", 2_000, HAND_OVER), 2),
    )
    assert not board.rejected
    assert list(board.lines) == ["i1", "i2"]
    line = board.lines["i1"]
    assert (line.state, line.said, line.opened_ms, line.changed_ms) == ("handed_over", "cause_unknown", 1_000, 2_000)
    assert board.lines["i2"].tenant == "globex"


def test_a_line_is_short_where_it_can_be() -> None:
    day_ms, incident = 86_400_000, "0123456789abcdef0123"
    (line,) = fold(stored(event("refused", incident, 3_723_000, REFUSED), 0)).lines.values()
    assert line.wide(day_ms - 1) == (
        *("0123456789ab", "acme-corp", "shop-api", "shop", "01:02:03", "refused", "01:02:03", "", "", "lag"),
    )
    assert line.wide(day_ms)[4] == "1970-01-01 01:02:03"
    assert len(line.wide(0)) == len(incidents.WIDE)
    assert len(line.narrow(0)) == len(incidents.NARROW)
    assert max(len(part) for cell in line.narrow(day_ms) for part in cell.split("\n")) <= 19


def test_a_repeat_changes_nothing() -> None:
    first, last = (
        stored(event("refused", "i1", 1_000, REFUSED), 0),
        stored(event("handed_over", "i1", 2_000, HAND_OVER), 1),
    )
    assert fold(first, last, first) == fold(first, last)


def test_what_detect_did_not_sign_is_not_shown() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    one = event("refused", "i1", 1_000, REFUSED)
    board = fold(stored(one, 0, KEYID, stranger), Stored(1, 5, 0, "", [], b"garbage"))
    assert not board.lines
    assert board.rejected == [
        "partition 0 offset 0: not signed by a trusted command key",
        "partition 1 offset 5: header ce_specversion is None, expected '1.0'",
    ]


def test_a_forged_copy_does_not_hide_the_true_event() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    one = event("refused", "i1", 1_000, REFUSED)
    assert fold(stored(one, 0, KEYID, stranger), stored(one, 1)).lines["i1"].state == "refused"


def test_a_persons_word_and_a_shared_target_are_told() -> None:
    step = {"command": "c", "mitigation": "raise-pool", "actuator": "a", "target": "pool", "parameter": "pool_size"}
    steps = [{**step, "action": {"op": "scale", "numerator": 2, "denominator": 1}, "minimum": 8, "maximum": 64}]
    plan = {"plan": "p", "cause": "pool_exhausted", "autonomy": "approve", "steps": steps, "tenants": 2}
    board = fold(stored(event("suggested", "i1", 1_000, plan), 0))
    assert board.lines["i1"].said == "raise-pool on pool; shared by 2 tenants"
    word = {"plan": "p", "word": "approve", "by": "ann", "said": "", "taken": False, "detail": "it came too late"}
    board = fold(stored(event("suggested", "i1", 1_000, plan), 0), stored(event("decided", "i1", 2_000, word), 1))
    assert board.lines["i1"].said == "ann said approve, not taken: it came too late"
