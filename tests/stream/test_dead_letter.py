"""A dead letter keeps what its record came with, is shown without harm to a terminal, and is sent again only whole."""

import asyncio
from typing import Any

import pytest

from stream import dead_letter, topics
from stream.dead_letter import Letter
from stream.ingest import batch
from stream.ingest.batch import DeadLetter, Held
from stream.ingest.doors import Refused

NAMES = topics.names("t.")
NOWHERE = "127.0.0.1:1"  # nothing is sent: each is refused before a connection is made


def letter(**more: Any) -> Letter:
    whole = {"offset": 7, "time_ms": 1, "topic": NAMES.spans, "partition": 1, "at": 5, "reason": "no OTLP"}
    return Letter(**{**whole, "key": None, "value": b"x", "headers": (), **more})


def composed(**more: Any) -> DeadLetter:
    held = Held((NAMES.spans, 1), 5, Refused("no OTLP"), 0, lambda: None, b"value", **more)
    [sent] = batch.compose([held], [], batch.Chain())
    assert isinstance(sent, DeadLetter)
    return sent


def test_key_and_headers_of_the_record_are_kept() -> None:
    sent = composed(key=b"k", headers=(("topic", b"theirs"), ("empty", None)))
    assert sent.key == b"k"
    assert sent.headers[0] == ("topic", NAMES.spans.encode())
    assert sent.headers[-2:] == (("original.topic", b"theirs"), ("original.empty", b""))


def test_headers_without_end_are_left_out_and_that_is_told() -> None:
    sent = composed(headers=(("huge", bytes(batch.HEADERS_BYTES_MAX)),))
    assert sent.key is None
    assert sent.headers[-1] == ("left_out_bytes", str(batch.HEADERS_BYTES_MAX + len("original.huge")).encode())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"topic": ""}, "does not say which topic"),
        ({"partition": -1}, "does not say which topic"),
        ({"topic": NAMES.commands}, "which is no source"),
        ({"topic": NAMES.journal}, "which is no source"),
        ({"cut_from_bytes": 9_000_000}, "was cut: 1 of 9000000 bytes are left"),
        ({"incomplete": True}, "more key and headers than could be kept"),
    ],
)
def test_what_is_not_whole_or_from_no_source_is_not_sent(more: dict[str, Any], said: str) -> None:
    with pytest.raises(dead_letter.NotRequeuedError, match=said):
        asyncio.run(dead_letter.requeue(NOWHERE, NAMES, [letter(), letter(**more)], "me"))


def test_bytes_are_shown_harmless_and_no_more_than_asked_for() -> None:
    rows = dead_letter.shown(b"\x1b[2Jdouse" + bytes(40), 20)
    assert rows[0].endswith(".[2Jdouse.......")
    assert len(rows) == 3
    assert rows[2] == "... 29 more bytes"
    assert all(row.isprintable() for row in rows)
