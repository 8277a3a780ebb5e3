"""The bytes of a segment: blocks of records, each a head that can be found again and one zstd frame.

The head is a skippable frame of zstd, so a segment is an ordinary .zst file for every other tool. It says what the
block holds, so an index is the heads alone, and one that is lost is made again by reading them.
"""

import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import zstandard

from stream.archive.record import RECORD_BYTES_MAX, Stored

BLOCK_BYTES = 1 << 20  # what a reader holds for each partition; larger ones shrink by less than 2 % more
LEVEL = 3  # zstd's own default
_RECORD = struct.Struct("<qqiiI")  # offset, timestamp_ms, bytes of key and value (-1: none), number of headers
_SIZE = struct.Struct("<I")
_HEAD = struct.Struct("<4sIqqqqIII")
_PREFIX = struct.pack("<II", 0x184D2A5D, _HEAD.size + _SIZE.size)  # one of the 16 magics that zstd skips
MAGIC = b"DARC"
MARK = _PREFIX + MAGIC
HEAD_BYTES = len(_PREFIX) + _HEAD.size + _SIZE.size
RAW_BYTES_MAX = BLOCK_BYTES + 2 * RECORD_BYTES_MAX  # a block ends with the record that fills it


class BrokenBlockError(Exception):
    """The bytes are not a block."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a block holds; times and offsets are those of its records, both ends included."""

    count: int
    first_offset: int
    last_offset: int
    first_ms: int
    last_ms: int
    raw_bytes: int
    packed_bytes: int
    crc: int

    @property
    def size_bytes(self) -> int:
        """Of the block with its head."""
        return HEAD_BYTES + self.packed_bytes

    @property
    def whole(self) -> bool:
        """Whether every offset between first and last is there."""
        return self.last_offset - self.first_offset + 1 == self.count

    def encode(self) -> bytes:
        """HEAD_BYTES bytes."""
        fields = (self.count, self.first_offset, self.last_offset, self.first_ms, self.last_ms)
        body = _HEAD.pack(MAGIC, *fields, self.raw_bytes, self.packed_bytes, self.crc)
        return _PREFIX + body + _SIZE.pack(zlib.crc32(body))


def head(data: bytes | mmap.mmap, at: int = 0) -> Head:
    """The head at this place. Raises BrokenBlockError."""
    found = data[at : at + HEAD_BYTES]
    if len(found) < HEAD_BYTES:
        raise BrokenBlockError(f"{len(found)} of the {HEAD_BYTES} bytes of a block's head")
    body = found[len(_PREFIX) : -_SIZE.size]
    if not found.startswith(MARK) or zlib.crc32(body) != _SIZE.unpack(found[-_SIZE.size :])[0]:
        raise BrokenBlockError("no head of a block")
    read = Head(*_HEAD.unpack(body)[1:])
    if read.raw_bytes > RAW_BYTES_MAX:
        raise BrokenBlockError(f"a block of {read.raw_bytes} bytes; none is above {RAW_BYTES_MAX}")
    return read


def pack_record(record: Stored) -> bytes:
    """The record's own bytes; topic and partition are those of its file."""
    key, value = record.key, record.value
    parts = [
        _RECORD.pack(
            record.offset,
            record.timestamp_ms,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            len(record.headers),
        )
    ]
    for name, content in record.headers:
        encoded = name.encode()
        parts += (_SIZE.pack(len(encoded)), encoded, _SIZE.pack(len(content)), content)
    return b"".join((*parts, key or b"", value or b""))


def seal(raw: bytes, count: int, offsets: tuple[int, int], times_ms: tuple[int, int], level: int = LEVEL) -> bytes:
    """A block of packed records."""
    packed = zstandard.ZstdCompressor(level=level).compress(raw)
    return Head(count, *offsets, *times_ms, len(raw), len(packed), zlib.crc32(packed)).encode() + packed


def records(found: Head, packed: bytes, topic: str, partition: int) -> Iterator[Stored]:
    """The block's records. Raises BrokenBlockError before the first of them, if at all."""
    if len(packed) != found.packed_bytes:
        raise BrokenBlockError(f"the block is cut off: {len(packed)} of {found.packed_bytes} bytes")
    if zlib.crc32(packed) != found.crc:
        raise BrokenBlockError("the block's checksum does not fit its bytes")
    try:
        raw = zstandard.ZstdDecompressor().decompress(packed, max_output_size=found.raw_bytes)
    except zstandard.ZstdError as error:
        raise BrokenBlockError(f"the block is no zstd frame: {error}") from error
    return _unpack(raw, topic, partition)


def _unpack(raw: bytes, topic: str, partition: int) -> Iterator[Stored]:
    at, end = 0, len(raw)
    while at < end:
        offset, timestamp_ms, key_bytes, value_bytes, headers_count = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        headers = []
        for _ in range(headers_count):
            name, at = _field(raw, at)
            content, at = _field(raw, at)
            headers.append((name.decode(), content))
        key = None if key_bytes < 0 else raw[at : at + key_bytes]
        at += max(key_bytes, 0)
        value = None if value_bytes < 0 else raw[at : at + value_bytes]
        at += max(value_bytes, 0)
        yield Stored(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp_ms=timestamp_ms,
            key=key,
            headers=tuple(headers),
            value=value,
        )


def _field(raw: bytes, at: int) -> tuple[bytes, int]:
    start = at + _SIZE.size
    end = start + int(_SIZE.unpack_from(raw, at)[0])
    return raw[start:end], end


@dataclass(frozen=True, slots=True)
class Place:
    """A block and where it begins in its segment."""

    at: int
    head: Head


def from_index(index: bytes) -> list[Place]:
    """The blocks by their index. Raises BrokenBlockError where it is not one."""
    places, at = [], 0
    for start in range(0, len(index), HEAD_BYTES):
        found = head(index, start)
        places.append(Place(at, found))
        at += found.size_bytes
    return places


def to_index(heads: Iterable[Head]) -> bytes:
    """The heads alone, in the order of their blocks."""
    return b"".join(each.encode() for each in heads)


def scan(segment: mmap.mmap) -> Iterator[Place | tuple[int, str]]:
    """Every block that can be found without an index, and (byte, what is wrong) for what lies between them."""
    at, end = 0, len(segment)
    while at < end:
        try:
            found = head(segment, at)
            if at + found.size_bytes > end:
                left = end - at - HEAD_BYTES
                raise BrokenBlockError(f"the block is cut off: {left} of {found.packed_bytes} bytes")
        except BrokenBlockError as error:
            yield at, str(error)
            at = segment.find(MARK, at + 1)
            if at < 0:
                return
        else:
            yield Place(at, found)
            at += found.size_bytes
