"""CloudEvents on Kafka: what is written reads back, and whatever else lies on a topic is refused by name."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import envelope, signing
from schemas.envelope import Event, NotAnEvent

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
EVENT = Event("dev.douse.outcome", "id-1", "/douse/act/host", 1_800_000_000_123, {"status": "live", "n": 1})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS = -62_167_219_200_000  # year 0
LAST_MS = 253_402_300_799_999  # the last millisecond of year 9999


def written(time_ms: int) -> str:
    """The standard library's own text of a time."""
    text = (EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@given(st.integers(-62_135_596_800_000, LAST_MS))
@settings(max_examples=1000)
def test_times_are_written_as_the_standard_library_writes_them_and_read_back(time_ms: int) -> None:
    assert envelope.rfc3339(time_ms) == written(time_ms)
    assert envelope.from_rfc3339(written(time_ms)) == time_ms


def test_every_day_of_eight_centuries_is_the_calendars() -> None:
    for days in range(-146_097, 146_097):
        time_ms = days * 86_400_000 + (days * 7_919_993) % 86_400_000
        assert envelope.from_rfc3339(envelope.rfc3339(time_ms)) == time_ms
    for day in (datetime(year, month, 28, tzinfo=UTC) for year in range(1600, 2401) for month in range(1, 13)):
        for more in range(5):
            time_ms = round((day + timedelta(days=more) - EPOCH).total_seconds()) * 1000
            assert envelope.rfc3339(time_ms) == written(time_ms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000",
        "2026-01-31T12:00:00.000+",
        "2026-01-31T12:00:00.000z",
        "2026-01-31 12:00:00.000Z",
        "2026/01/31T12:00:00.000Z",
        "2026-13-31T12:00:00.000Z",
        "2026-00-31T12:00:00.000Z",
        "2026-02-30T12:00:00.000Z",
        "2025-02-29T12:00:00.000Z",
        "2026-01-00T12:00:00.000Z",
        "2026-01-31T24:00:00.000Z",
        "2026-01-31T12:60:00.000Z",
        "2026-01-31T12:00:60.000Z",
        "2026-01-31T12:00:-1.000Z",
        "+026-01-31T12:00:00.000Z",
        " 026-01-31T12:00:00.000Z",
        "2_26-01-31T12:00:00.000Z",
        "２026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:00.000Z ",
        "2026-01-31T12:00:00.0000Z",
    ],
)
def test_any_other_form_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(NotAnEvent, match=r"is not like 2026-01-31T12:00:00\.000Z"):
        envelope.from_rfc3339(text)


@given(st.text("0123456789-:.TZ+ ", min_size=24, max_size=24))
@settings(max_examples=300)
def test_what_is_read_as_a_time_is_its_only_text(text: str) -> None:
    try:
        time_ms = envelope.from_rfc3339(text)
    except NotAnEvent:
        return
    assert envelope.rfc3339(time_ms) == text


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
DATA = st.dictionaries(TEXT, st.integers(-(2**60), 2**60) | TEXT | st.none() | st.lists(st.booleans()), max_size=4)


@given(TEXT, TEXT, TEXT, st.integers(FIRST_MS, LAST_MS), DATA, st.booleans())
def test_an_event_reads_back_as_it_was_written(
    kind: str, identity: str, source: str, time_ms: int, data: dict[str, Any], signed: bool
) -> None:
    event = Event(kind, identity, source, time_ms, data)
    event = envelope.signed(event, "key", KEY) if signed else event
    assert envelope.decode(*envelope.encode(event)) == event


def test_headers_are_those_of_the_binary_mode() -> None:
    headers, value = envelope.encode(EVENT)
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_type": b"dev.douse.outcome",
        "ce_id": b"id-1",
        "ce_source": b"/douse/act/host",
        "ce_time": b"2027-01-15T08:00:00.123Z",
        "content-type": b"application/json",
    }
    assert json.loads(value) == EVENT.data


def test_a_signature_covers_what_a_repetition_keeps() -> None:
    signed = envelope.signed(EVENT, "key", KEY)
    again = envelope.decode(*envelope.encode(signed))
    keys = {"key": KEY.public_key()}
    assert signing.signer(keys, again.keyid, again.signature, again.type, again.id, again.source, again.data) == "key"


@pytest.mark.parametrize("name", ["ce_type", "ce_id", "ce_source", "ce_time", "ce_specversion"])
@pytest.mark.parametrize("raw", [b"", b"\xff", None, ...], ids=["empty", "not UTF-8", "null", "missing"])
def test_a_bad_header_is_named(name: str, raw: Any) -> None:
    headers, value = envelope.encode(EVENT)
    changed: list[Any] = [one for one in headers if one[0] != name]
    changed += [] if raw is ... else [(name, raw)]
    with pytest.raises(NotAnEvent, match=name):
        envelope.decode(changed, value)


def test_another_version_is_named() -> None:
    headers, value = envelope.encode(EVENT)
    with pytest.raises(NotAnEvent, match=r"ce_specversion is '2\.0', expected '1\.0'"):
        envelope.decode([("ce_specversion", b"2.0"), *headers[1:]], value)


@pytest.mark.parametrize("raw", [b"\xff\x00", None])
def test_headers_of_others_do_not_matter(raw: Any) -> None:
    headers, value = envelope.encode(EVENT)
    assert envelope.decode([("traceparent-bin", raw), *headers], value) == EVENT


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"1", b'"text"', b"null", b"\xff", b"{}x", b"[" * 5000])
def test_data_that_is_no_object_is_named(value: bytes | None) -> None:
    headers, _ = envelope.encode(EVENT)
    with pytest.raises(NotAnEvent, match=r"^data is not"):
        envelope.decode(headers, value)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ce_type", "ce_id", "ce_time", "ce_specversion", "x"]), st.binary(max_size=30))
    ),
    st.binary(max_size=60) | st.none(),
)
def test_whatever_lies_on_a_topic_is_an_event_or_not_one(headers: list[tuple[str, bytes]], value: bytes | None) -> None:
    full = envelope.encode(EVENT)[0] + headers
    with suppress(NotAnEvent):
        envelope.decode(full, value)
