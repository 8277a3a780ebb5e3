"""Cuts a file into OTLP payloads: JSON lines, lengths before protobuf or zstd frames, or one zstd stream over either.

The form is told by the bytes, not by the name. Each payload comes with its byte in the file, or in the stream that the
file decompresses to; what cannot be cut ends the file with a Damage.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, cast

import zstandard

from stream.archive.record import RECORD_BYTES_MAX, Damage

ZSTD = b"\x28\xb5\x2f\xfd"
CHUNK_BYTES = 1 << 17
PACKED_BYTES = 4096  # at once: at zstd's densest, 128 KiB for 4 bytes, that is 128 MiB
_LENGTH = struct.Struct(">I")

Piece = tuple[int, bytes] | Damage


def payloads(file: BinaryIO, name: str) -> Iterator[Piece]:
    """(byte, payload) of each record of the file, which must be seekable; its lines and records are never all held."""
    start = file.read(len(ZSTD))
    file.seek(0)
    if start != ZSTD:
        yield from _plain(file, name)
        return
    with io.BufferedReader(_Inflated(file), CHUNK_BYTES) as stream:
        yield from _plain(cast(BinaryIO, stream), name)


def lengths(file: BinaryIO, name: str) -> Iterator[Piece]:
    """Payloads after a big-endian u32 length each."""
    at = 0
    while True:
        try:
            head = file.read(_LENGTH.size)
            if not head:
                return
            size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
            content = file.read(size) if size <= RECORD_BYTES_MAX else b""
        except zstandard.ZstdError as error:
            yield Damage(name, at, f"in the decompressed stream: {error}")
            return
        if len(head) < _LENGTH.size:
            yield Damage(name, at, f"{len(head)} bytes at the end; a record begins with a length of {_LENGTH.size}")
            return
        if size > RECORD_BYTES_MAX:
            yield Damage(name, at, f"a length of {size} bytes, above {RECORD_BYTES_MAX}; the rest of the file is lost")
            return
        if len(content) < size:
            yield Damage(name, at, f"the record is cut off: {len(content)} of {size} bytes")
            return
        if content.startswith(ZSTD):
            try:
                content = _inflate(content)
            except zstandard.ZstdError as error:
                yield Damage(name, at, f"the record is no zstd frame: {error}")
                at += _LENGTH.size + size
                continue
        yield at, content
        at += _LENGTH.size + size


def _plain(file: BinaryIO, name: str) -> Iterator[Piece]:
    peeked = cast(io.BufferedReader, file)
    try:
        start = peeked.peek(1)[:1]
    except zstandard.ZstdError as error:
        yield Damage(name, 0, f"no zstd stream: {error}")
        return
    yield from _lines(file, name) if start in (b"{", b"\n", b"\r", b" ", b"[") else lengths(file, name)


def _lines(file: BinaryIO, name: str) -> Iterator[Piece]:
    at = 0
    while True:
        try:
            line = file.readline(RECORD_BYTES_MAX + 1)
        except zstandard.ZstdError as error:
            yield Damage(name, at, f"in the decompressed stream: {error}")
            return
        if not line:
            return
        if len(line) > RECORD_BYTES_MAX:
            yield Damage(name, at, f"a line above {RECORD_BYTES_MAX} bytes; the rest of the file is lost")
            return
        if line.strip():
            yield at, line.strip()
        at += len(line)


def _inflate(frame: bytes) -> bytes:
    with io.BufferedReader(_Inflated(io.BytesIO(frame)), CHUNK_BYTES) as stream:
        content = stream.read(RECORD_BYTES_MAX + 1)
    if len(content) > RECORD_BYTES_MAX:
        raise zstandard.ZstdError(f"it holds more than {RECORD_BYTES_MAX} bytes")
    return content


class _Inflated(io.RawIOBase):
    """What a file of zstd frames decompresses to. A file that ends inside a frame raises ZstdError at that place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # what BufferedReader hands over
        while not self._ready:
            chunk = b""
            if self._frame.eof:
                chunk = self._frame.unused_data
                self._frame, self._begun = zstandard.ZstdDecompressor().decompressobj(), False
            chunk = chunk or self._file.read(PACKED_BYTES)
            if not chunk:
                if self._begun:
                    raise zstandard.ZstdError("it ends inside a frame")
                return 0
            self._begun = True
            self._ready = memoryview(self._frame.decompress(chunk))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size
