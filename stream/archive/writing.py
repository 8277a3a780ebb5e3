"""Writes an archive: blocks as they fill, and at the very end the page that calls it whole."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.archive import blocks, manifest
from stream.archive.blocks import Head
from stream.archive.manifest import Broken, Manifest, Part, Sum
from stream.archive.record import Damage, Stored
from stream.trouble import OperatorNeededError

PENDING_BYTES_MAX = 64 << 20  # over all partitions: a thousand of them must not take a thousand blocks
BROKEN_MAX = 1_000  # places named in the manifest; a file of noise has one for each of its lines


class FolderInUseError(OperatorNeededError):
    """An archive is never written over something else."""


class CannotWriteError(OperatorNeededError):
    """The disk is full, or will not take what is written."""


@dataclass(slots=True)
class _Open:
    """A partition while it is written: its block so far, and the heads of those that are in the file."""

    source: str
    raw: bytearray = field(default_factory=bytearray)
    count: int = 0
    first_offset: int = 0
    last_offset: int = -1
    first_ms: int = 0
    last_ms: int = 0
    heads: list[Head] = field(default_factory=list)
    encodings: set[str] = field(default_factory=set)
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class Writer:
    """Takes records, each partition in the order of its offsets. As a context it finishes where nothing was raised.

    Whatever ends it early leaves a folder that can be read as far as it came, and whose manifest says `whole: false`.
    """

    def __init__(self, folder: Path, origin: str) -> None:
        """The folder must be new or empty. Raises FolderInUseError."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FolderInUseError(f"{folder} is not empty; name a new folder with --out")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._origin = origin
        self._parts: dict[tuple[str, int], _Open] = {}
        self._pending_bytes = 0
        self._broken: list[Broken] = []
        self.count = 0
        with self._writing(manifest.NAME):
            manifest.write(folder, self._page(whole=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.finish()

    def add(self, record: Stored, *, encoding: str = "", source: str = "") -> None:
        """Takes one record. Raises CannotWriteError."""
        name = (record.topic, record.partition)
        part = self._parts.get(name)
        if part is None:
            assert manifest.valid_topic(record.topic), record.topic
            part = self._parts[name] = _Open(source)
        assert record.offset > part.last_offset, f"{name}: offset {record.offset} after {part.last_offset}"
        packed = blocks.pack_record(record)
        if part.count == 0:
            part.first_offset, part.first_ms, part.last_ms = record.offset, record.timestamp_ms, record.timestamp_ms
        part.raw += packed
        part.count += 1
        part.last_offset = record.offset
        part.first_ms = min(part.first_ms, record.timestamp_ms)
        part.last_ms = max(part.last_ms, record.timestamp_ms)
        part.encodings |= {encoding} - {""}
        self.count += 1
        self._pending_bytes += len(packed)
        if len(part.raw) >= blocks.BLOCK_BYTES:
            self._flush(name, part)
        elif self._pending_bytes > PENDING_BYTES_MAX:
            self._flush_all()

    def note(self, damage: Damage) -> None:
        """Keep in the manifest what of the source could not be taken."""
        if len(self._broken) < BROKEN_MAX:
            self._broken.append(Broken(file=damage.file, offset=damage.offset, what=damage.what))

    def finish(self) -> Manifest:
        """Write the indexes, wait for the disk, and only then call the archive whole. Raises CannotWriteError."""
        self._flush_all()
        parts = [self._close(name, part) for name, part in sorted(self._parts.items())]
        page = self._page(whole=True, parts=tuple(parts))
        with self._writing(manifest.NAME):
            manifest.write(self._folder, page)
        return page

    def _flush_all(self) -> None:
        for name, part in self._parts.items():
            self._flush(name, part)

    def _flush(self, name: tuple[str, int], part: _Open) -> None:
        if part.count == 0:
            return
        offsets, times_ms = (part.first_offset, part.last_offset), (part.first_ms, part.last_ms)
        block = blocks.seal(bytes(part.raw), part.count, offsets, times_ms)
        path = self._folder / manifest.segment_name(*name)
        with self._writing(manifest.segment_name(*name)):
            path.parent.mkdir(exist_ok=True)
            with path.open("ab", buffering=0) as file:
                start = file.tell()
                try:
                    _write_all(file, block)
                except OSError:
                    with contextlib.suppress(OSError):
                        file.truncate(start)  # half a block helps nobody
                    raise
        part.sha256.update(block)
        part.heads.append(blocks.head(block))
        self._pending_bytes -= len(part.raw)
        part.raw.clear()
        part.count = 0

    def _close(self, name: tuple[str, int], part: _Open) -> Part:
        index = blocks.to_index(part.heads)
        segment_path, index_path = (self._folder / one(*name) for one in (manifest.segment_name, manifest.index_name))
        with self._writing(manifest.index_name(*name)):
            index_path.write_bytes(index)
            for path in (segment_path, index_path, segment_path.parent):
                manifest.sync(path)
        return Part(
            topic=name[0],
            partition=name[1],
            records=sum(each.count for each in part.heads),
            first_offset=part.heads[0].first_offset,
            last_offset=part.last_offset,
            first_ms=min(each.first_ms for each in part.heads),
            last_ms=max(each.last_ms for each in part.heads),
            encodings=tuple(sorted(part.encodings)),
            source=part.source,
            segment=Sum(bytes=sum(each.size_bytes for each in part.heads), sha256=part.sha256.hexdigest()),
            index=Sum(bytes=len(index), sha256=hashlib.sha256(index).hexdigest()),
        )

    def _page(self, *, whole: bool, parts: tuple[Part, ...] = ()) -> Manifest:
        return Manifest(
            format=manifest.FORMAT,
            version=manifest.VERSION,
            whole=whole,
            origin=self._origin,
            partitions=parts,
            broken=tuple(self._broken),
        )

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotWriteError(
                f"{self._folder / name}: {error.strerror or error}; what is in {self._folder} can be read and is "
                "marked as not whole. Make room, or name another disk with --out, and start again with a new folder"
            ) from error


def _write_all(file: FileIO, data: bytes) -> None:
    """An unbuffered file may take less than it is given when the disk is nearly full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
