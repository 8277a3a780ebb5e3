"""The dead letters: what could not be read, listed, shown, and sent to its source once more.

A second record in the topic marks a letter as requeued, so that a second time is seen and has to be asked for.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream import kafka, reach, topics
from stream.ingest.batch import ORIGINAL
from stream.kafka import Address
from stream.reach import Stored
from stream.topics import Topics
from stream.trouble import OperatorNeededError

REQUEST_MS = 10_000
REQUEUED, BY, FROM = "requeued", "by", "requeued_from"
SHOWN_BYTES_MAX = 4096  # a screen or two; --bytes asks for more


class NotRequeuedError(OperatorNeededError):
    """A letter cannot be sent again as it stands; the message says why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `partition` and `at` are the source's; `offset` names it in the topic of dead letters."""

    offset: int
    time_ms: int
    topic: str
    partition: int
    at: int
    reason: str
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    cut_from_bytes: int = 0
    incomplete: bool = False
    requeued: list[tuple[int, str]] = field(default_factory=list)
    """When and by whom it was sent again, ms."""

    def fields(self) -> dict[str, object]:
        """For a program, without the bytes."""
        return {
            "bytes": len(self.value),
            "offset": self.offset,
            "reason": self.reason,
            "requeued_ms": [moment for moment, _ in self.requeued],
            "source": {"offset": self.at, "partition": self.partition, "topic": self.topic},
            "time_ms": self.time_ms,
        }


async def read(at: Address, names: Topics) -> dict[int, Letter]:
    """All dead letters by their offset. Raises BrokerError, DeniedError, MissingTopicsError."""
    letters: dict[int, Letter] = {}
    async for stored in reach.read(at, names.dead_letter):
        headers = {name: value or b"" for name, value in stored.headers}
        if REQUEUED in headers:
            marked = letters.get(_number(headers, REQUEUED))
            if marked is not None:
                marked.requeued.append((stored.timestamp_ms, headers.get(BY, b"").decode(errors="replace")))
        else:
            letters[stored.offset] = _letter(stored, headers)
    return letters


async def requeue(at: Address, names: Topics, letters: Sequence[Letter], person: str) -> None:
    """Sends each to its source partition with the bytes, key and headers that it came with, then marks it.

    Raises NotRequeuedError before anything is sent, DeniedError, BrokerError.
    """
    for letter in letters:
        _check(letter, names)
    producer = AIOKafkaProducer(
        **kafka.client(at),
        enable_idempotence=True,
        acks="all",
        request_timeout_ms=REQUEST_MS,
        max_request_size=topics.RECORD_BYTES_MAX,
    )
    try:
        await producer.start()
        for letter in letters:
            mark = (FROM, f"{names.dead_letter}/0/{letter.offset}".encode())
            headers = [*(one for one in letter.headers if one[0] != FROM), mark]
            await producer.send_and_wait(
                letter.topic, letter.value, key=letter.key, partition=letter.partition, headers=headers
            )
            marks = [(REQUEUED, str(letter.offset).encode()), (BY, person.encode())]
            await producer.send_and_wait(names.dead_letter, b"", partition=0, headers=marks)
            letter.requeued.append((time.time_ns() // 1_000_000, person))
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, at, "requeueing dead letters") from error
    finally:
        await producer.stop()


def shown(value: bytes, limit: int = SHOWN_BYTES_MAX) -> list[str]:
    """The bytes as rows of 16: place, hexadecimal, text with everything unprintable as a dot."""
    rows = []
    for start in range(0, min(len(value), limit), 16):
        part = value[start : min(start + 16, limit)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        rows.append(f"{start:08x}  {part.hex(' '):<47}  {text}")
    if len(value) > limit:
        rows.append(f"... {len(value) - limit} more bytes")
    return rows


def _check(letter: Letter, names: Topics) -> None:
    own = (names.journal, names.state, names.status, names.incidents, names.commands, names.dead_letter)
    wrong = ""
    if not letter.topic or letter.partition < 0:
        wrong = "does not say which topic it came from"
    elif letter.topic in own:
        wrong = f"says that it came from {letter.topic}, which is no source"
    elif letter.cut_from_bytes:
        wrong = f"was cut: {len(letter.value)} of {letter.cut_from_bytes} bytes are left"
    elif letter.incomplete:
        wrong = "came with more key and headers than could be kept"
    if wrong:
        raise NotRequeuedError(f"dead letter {letter.offset} {wrong}; send the record again from where it was made")


def _letter(stored: Stored, headers: Mapping[str, bytes]) -> Letter:
    return Letter(
        offset=stored.offset,
        time_ms=stored.timestamp_ms,
        topic=headers.get("topic", b"").decode(errors="replace"),
        partition=_number(headers, "partition"),
        at=_number(headers, "offset"),
        reason=headers.get("reason", b"").decode(errors="replace"),
        key=stored.raw_key,
        value=stored.value or b"",
        headers=[
            (name.removeprefix(ORIGINAL), value or b"") for name, value in stored.headers if name.startswith(ORIGINAL)
        ],
        cut_from_bytes=max(0, _number(headers, "cut_from_bytes")),
        incomplete="left_out_bytes" in headers,
    )


def _number(headers: Mapping[str, bytes], name: str) -> int:
    text = headers.get(name, b"")
    return int(text) if text.isdigit() and len(text) <= 18 else -1
