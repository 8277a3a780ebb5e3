"""What ingest holds for a moment, and the journal records and dead letters that it becomes. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.rows import Reduced
from schemas import journal
from schemas.journal import NO_POSITION, Position, Strings, Table
from stream.ingest.doors import Addressed, Content, Nothing, Refused

DEAD_LETTER_BYTES_MAX = 8_000_000  # the topic takes 8 MiB; the rest is room for the headers
REASON_CHARS_MAX = 500
ORIGINAL = "original."  # before the names of the headers that the record came with
HEADERS_BYTES_MAX = 100_000  # what 8 MiB leave beside the value; more are left out, and that is told
FUTURE_MS_MAX = 60_000  # an event time later than this after its record says nothing about freshness

Partition = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True)
class Held:
    """One record of a source between the door and its acknowledgement; `value` is kept for a dead letter only."""

    partition: Partition
    offset: int
    content: Content
    newest_ms: int
    ack: Callable[[], Any]
    value: bytes | None = None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    written: str = ""
    """The encoding, where it is another than its topic's."""


@dataclass(frozen=True, slots=True)
class ToJournal:
    shard: int
    kind: journal.Kind
    value: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    key: bytes | None = None


Outgoing = ToJournal | DeadLetter


class Chain:
    """The last position that this stream sent to each shard, by source partition; a stream begins with none."""

    def __init__(self) -> None:
        self._last: dict[tuple[Partition, int], int] = {}

    def next(self, partition: Partition, shard: int, position: int) -> int:
        """The position before, and notes this one."""
        before = self._last.get((partition, shard), NO_POSITION)
        assert position > before, f"positions of {partition} for shard {shard} must rise: {before}, {position}"
        self._last[partition, shard] = position
        return before


def compose(held: Sequence[Held], partitions: Sequence[Partition], chain: Chain) -> list[Outgoing]:
    """One telemetry record for each shard with rows, one record for each signed event and shard, and the dead letters.

    `partitions[number]` is the source partition that a row's `source` number stands for. The caller keeps the sum of
    `rows.bytes_max` of what is held within journal.RECORD_BYTES_MAX for each shard.
    """
    outgoing: list[Outgoing] = []
    reduced = [each.content for each in held if isinstance(each.content, Reduced)]
    for shard, tables in sorted(rows.split(reduced).items()):
        value = _telemetry(shard, tables, partitions, chain)
        assert len(value) <= journal.RECORD_BYTES_MAX, f"{len(value)} bytes for shard {shard}"
        outgoing.append(ToJournal(shard, journal.Kind.TELEMETRY, value))
    for each in held:
        match each.content:
            case Addressed():
                outgoing += _signed(each, each.content, chain)
            case Refused():
                outgoing.append(_dead_letter(each, each.content.reason))
            case Reduced() | Nothing():
                pass
            case _:
                assert_never(each.content)
    return outgoing


def newest_ms(content: Content, timestamp_ms: int) -> int:
    """The newest event time in a record that the broker stamped `timestamp_ms`; -1 where it tells none."""
    match content:
        case Reduced():
            told_ms = content.newest_ms
        case Addressed():
            told_ms = content.event.time_ms
        case Refused() | Nothing():
            return NO_POSITION
        case _:
            assert_never(content)
    return told_ms if told_ms <= timestamp_ms + FUTURE_MS_MAX else NO_POSITION


def _telemetry(shard: int, tables: Mapping[str, Table], partitions: Sequence[Partition], chain: Chain) -> bytes:
    numbers = np.concatenate([_numbers(table, "source") for table in tables.values()])
    offsets = np.concatenate([_numbers(table, "offset") for table in tables.values()])
    present = np.unique(numbers)
    positions = []
    for number in present.tolist():
        topic, partition = partitions[number]
        last = int(offsets[numbers == number].max())
        positions.append(Position(topic, partition, chain.next((topic, partition), shard, last)))
    placed = {
        name: {**table, "source": np.searchsorted(present, _numbers(table, "source")).astype(np.uint16)}
        for name, table in tables.items()
    }
    return journal.encode_telemetry(tuple(positions), placed)


def _signed(held: Held, content: Addressed, chain: Chain) -> list[Outgoing]:
    event = content.event
    topic, partition = held.partition
    return [
        ToJournal(
            shard,
            content.kind,
            journal.encode_signed(
                journal.Signed(
                    topic=topic,
                    partition=partition,
                    offset=held.offset,
                    previous=chain.next(held.partition, shard, held.offset),
                    ce_type=event.type,
                    ce_id=event.id,
                    ce_source=event.source,
                    keyid=event.keyid,
                    data=event.data,
                )
            ),
        )
        for shard in content.shards
    ]


def _dead_letter(held: Held, reason: str) -> DeadLetter:
    value = held.value or b""
    topic, partition = held.partition
    headers = [
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(held.offset).encode()),
        ("reason", reason[:REASON_CHARS_MAX].encode(errors="replace")),
    ]
    if len(value) > DEAD_LETTER_BYTES_MAX:
        headers.append(("cut_from_bytes", str(len(value)).encode()))
    brought = [(f"{ORIGINAL}{name}", content or b"") for name, content in held.headers]
    size = sum(len(name) + len(content) for name, content in brought) + len(held.key or b"")
    if size > HEADERS_BYTES_MAX:
        return DeadLetter(value[:DEAD_LETTER_BYTES_MAX], (*headers, ("left_out_bytes", str(size).encode())))
    return DeadLetter(value[:DEAD_LETTER_BYTES_MAX], (*headers, *brought), held.key)


def _numbers(table: Table, column: str) -> NDArray[Any]:
    values = table[column]
    assert not isinstance(values, Strings)
    return values
