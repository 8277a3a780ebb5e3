"""Reads an archive: all partitions as one stream in the order of time, a block of each in memory at once.

What is broken is left out, named with its file and byte, and everything else is given.
"""

import hashlib
import heapq
import mmap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stream.archive import blocks, manifest
from stream.archive.blocks import BrokenBlockError, Place
from stream.archive.manifest import Manifest, Part
from stream.archive.record import Damage, Gap, Stored
from stream.trouble import OperatorNeededError

CHUNK_BYTES = 1 << 20


class UnknownTopicError(OperatorNeededError):
    """The archive does not have the topic."""


@dataclass(frozen=True, slots=True)
class _Partition:
    topic: str
    partition: int
    path: Path
    places: list[Place]

    @property
    def name(self) -> str:
        return manifest.segment_name(self.topic, self.partition)


class Archive:
    """An opened archive. `damages` grows while it is read; `whole` is False where its writer was interrupted."""

    def __init__(self, folder: Path, page: Manifest | None, damages: list[Damage]) -> None:
        self.folder = folder
        self.whole = page is not None and page.whole
        self.damages = damages
        self._page = page
        known = {(part.topic, part.partition): part for part in page.partitions} if page is not None else {}
        names = sorted(known) if self.whole else _on_disk(folder)
        self._partitions = [self._open(*name, known.get(name)) for name in names]
        self.topics: tuple[str, ...] = tuple(sorted({name[0] for name in names}))
        self.count: int = (
            sum(part.records for part in known.values())
            if self.whole
            else sum(place.head.count for each in self._partitions for place in each.places)
        )

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Offsets that are missing between others of a partition: taken by compaction, retention or a transaction.

        What a damage hides is no gap.
        """
        found = []
        for each in self._partitions:
            last = None
            for offset, end, before in self._runs(each):
                if last is not None and before and offset > last + 1:
                    found.append(Gap(each.topic, each.partition, last + 1, offset - 1))
                last = end
        return tuple(found)

    def records(
        self, topics: Collection[str] | None = None, from_ms: int | None = None, to_ms: int | None = None
    ) -> Iterator[Stored]:
        """Records with from_ms <= timestamp < to_ms, merged by (timestamp, topic, partition, offset).

        Each partition keeps the order of its offsets, also where its timestamps go back. Raises UnknownTopicError.
        """
        unknown = sorted(set(topics or ()) - set(self.topics))
        if unknown:
            raise UnknownTopicError(
                f"{self.folder} has no topic {', '.join(unknown)}; it has {', '.join(self.topics) or 'none'}"
            )
        wanted = [each for each in self._partitions if topics is None or each.topic in topics]
        return heapq.merge(
            *(self._read(each, from_ms, to_ms) for each in wanted),
            key=lambda record: (record.timestamp_ms, record.topic, record.partition, record.offset),
        )

    def verify(self) -> None:
        """Compare every file with its checksum in the manifest; what differs joins `damages`."""
        for part in self._page.partitions if self._page is not None else ():
            for name, wanted in (
                (manifest.segment_name(part.topic, part.partition), part.segment),
                (manifest.index_name(part.topic, part.partition), part.index),
            ):
                path = self.folder / name
                if path.is_file() and _sha256(path) != wanted.sha256:
                    self._damage(name, 0, "the file's SHA-256 is not that of the manifest")

    def _open(self, topic: str, partition: int, part: Part | None) -> _Partition:
        name = manifest.segment_name(topic, partition)
        path = self.folder / name
        if not path.is_file():
            self._damage(name, 0, f"the file is not there; {part.records if part else 0} records are lost")
            return _Partition(topic, partition, path, [])
        places = self._indexed(path, part) if part is not None else None
        if places is None:
            places = self._scan(path, name)
        return _Partition(topic, partition, path, places)

    def _indexed(self, path: Path, part: Part) -> list[Place] | None:
        """The blocks by the index, where it and the segment are as the manifest has them."""
        name = manifest.index_name(part.topic, part.partition)
        size = path.stat().st_size
        if size != part.segment.bytes:
            what = f"the file has {size} bytes and should have {part.segment.bytes}"
            self._damage(manifest.segment_name(part.topic, part.partition), min(size, part.segment.bytes), what)
            return None
        index = self.folder / name
        content = index.read_bytes() if index.is_file() else b""
        if hashlib.sha256(content).hexdigest() != part.index.sha256:
            self._damage(name, min(len(content), part.index.bytes), "not the index that was written; made anew")
            return None
        try:
            return blocks.from_index(content)
        except BrokenBlockError as error:
            self._damage(name, 0, str(error))
            return None

    def _scan(self, path: Path, name: str) -> list[Place]:
        if path.stat().st_size == 0:
            return []  # cannot be mapped
        places = []
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as segment:
            for found in blocks.scan(segment):
                if isinstance(found, Place):
                    places.append(found)
                else:
                    self._damage(name, *found)
        return places

    def _read(self, part: _Partition, from_ms: int | None, to_ms: int | None) -> Iterator[Stored]:
        for place in part.places:
            early = from_ms is not None and place.head.last_ms < from_ms
            if early or (to_ms is not None and place.head.first_ms >= to_ms):
                continue
            for record in self._block(part, place):
                if (from_ms is None or record.timestamp_ms >= from_ms) and (
                    to_ms is None or record.timestamp_ms < to_ms
                ):
                    yield record

    def _block(self, part: _Partition, place: Place) -> Iterator[Stored]:
        """The block's records; none, and a damage, where it is broken."""
        try:
            with part.path.open("rb") as file:
                file.seek(place.at + blocks.HEAD_BYTES)
                packed = file.read(place.head.packed_bytes)
            return blocks.records(place.head, packed, part.topic, part.partition)
        except (BrokenBlockError, OSError) as error:
            lost = (
                f"{place.head.count} records, offsets {place.head.first_offset} to {place.head.last_offset}, are lost"
            )
            self._damage(part.name, place.at, f"{error}; {lost}")
            return iter(())

    def _runs(self, part: _Partition) -> Iterator[tuple[int, int, bool]]:
        """Stretches of offsets: first, last, and whether nothing broken lies right before the stretch."""
        at = 0
        for place in part.places:
            sound = place.at == at
            at = place.at + place.head.size_bytes
            if place.head.whole:
                yield place.head.first_offset, place.head.last_offset, sound
                continue
            for record in self._block(part, place):
                yield record.offset, record.offset, sound
                sound = True

    def _damage(self, file: str, offset: int, what: str) -> None:
        found = Damage(file, offset, what)
        if found not in self.damages:
            self.damages.append(found)


def open_archive(folder: Path) -> Archive:
    """Opens what `douse archive` wrote. Raises BadArchiveError for another folder, format or version."""
    page = manifest.read(folder)
    if isinstance(page, Damage):
        return Archive(folder, None, [page])
    return Archive(folder, page, [])


def _on_disk(folder: Path) -> list[tuple[str, int]]:
    """The partitions that have a segment, whatever the manifest says."""
    return sorted(
        (path.parent.name, int(path.stem))
        for path in folder.glob("*/*.zst")
        if path.stem.isdecimal() and manifest.valid_topic(path.parent.name)
    )


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()
