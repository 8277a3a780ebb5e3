"""What an archive was given it gives back, in order, whatever was cut off or broken around it."""

import json
import subprocess
import tempfile
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.archive import blocks, manifest
from stream.archive.manifest import BadArchiveError
from stream.archive.reading import UnknownTopicError, open_archive
from stream.archive.record import Gap, Stored
from stream.archive.writing import CannotWriteError, FolderInUseError, Writer
from tests.stream.archive import made


def flat(parts: list[list[Stored]]) -> list[Stored]:
    return [record for part in parts for record in part]


@given(made.partitions(), st.sampled_from((1, 60, 1 << 20)))
def test_records_come_back_each_partition_in_order(parts: list[list[Stored]], block_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        made.write(Path(folder), flat(parts))
        archive = open_archive(Path(folder))
        found = list(archive.records())
        archive.verify()
    for part in parts:
        assert [each for each in found if (each.topic, each.partition) == (part[0].topic, part[0].partition)] == part
    assert archive.count == len(found) == len(flat(parts))
    assert archive.whole
    assert archive.damages == []
    assert archive.topics == tuple(sorted({part[0].topic for part in parts}))


@given(made.partitions(), st.sampled_from((1, 60, 1 << 20)))
def test_gaps_are_the_offsets_that_were_left_out(parts: list[list[Stored]], block_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        made.write(Path(folder), flat(parts))
        found = open_archive(Path(folder)).gaps
    wanted = {
        Gap(left.topic, left.partition, left.offset + 1, right.offset - 1)
        for part in parts
        for left, right in pairwise(part)
        if right.offset > left.offset + 1
    }
    assert set(found) == wanted
    assert len(found) == len(wanted)


@given(made.partitions(), st.integers(0, 20), st.integers(0, 20))
def test_a_stretch_of_time_is_that_of_all_records(parts: list[list[Stored]], from_ms: int, to_ms: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", 60)
        made.write(Path(folder), flat(parts))
        found = list(open_archive(Path(folder)).records(None, from_ms, to_ms))
    assert sorted(map(repr, found)) == sorted(
        repr(each) for each in flat(parts) if from_ms <= each.timestamp_ms < to_ms
    )


def test_partitions_are_merged_by_time_then_topic_and_partition(tmp_path: Path) -> None:
    made.write(
        tmp_path,
        [
            *(made.stored("b", 0, offset, ms) for offset, ms in enumerate((1, 5, 9))),
            *(made.stored("a", 1, offset, ms) for offset, ms in enumerate((5, 6))),
            *(made.stored("a", 0, offset, ms) for offset, ms in enumerate((5, 7))),
        ],
    )
    found = [(each.timestamp_ms, each.topic, each.partition) for each in open_archive(tmp_path).records()]
    assert found == [(1, "b", 0), (5, "a", 0), (5, "a", 1), (5, "b", 0), (6, "a", 1), (7, "a", 0), (9, "b", 0)]
    assert {each.topic for each in open_archive(tmp_path).records(["a"])} == {"a"}
    with pytest.raises(UnknownTopicError, match="has no topic c; it has a, b"):
        open_archive(tmp_path).records(["c"])


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Stored]]:
    """Two partitions of three blocks each."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    records = [made.stored("t", part, offset, offset, b"x" * offset) for part in range(2) for offset in range(3)]
    made.write(tmp_path / "small", records)
    return tmp_path / "small", records


@pytest.mark.parametrize("whole", [True, False])
def test_a_segment_cut_at_any_byte_gives_the_blocks_before(small: tuple[Path, list[Stored]], whole: bool) -> None:
    folder, records = small
    if not whole:
        page = json.loads((folder / manifest.NAME).read_text())
        (folder / manifest.NAME).write_text(json.dumps(page | {"whole": False, "partitions": []}))
    path = folder / "t" / "0.zst"
    content = path.read_bytes()
    ends = [place.at + place.head.size_bytes for place in blocks.from_index((folder / "t" / "0.index").read_bytes())]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        archive = open_archive(folder)
        kept = sum(end <= cut for end in ends)
        assert [each for each in archive.records() if each.partition == 0] == records[:kept]
        assert [each for each in archive.records() if each.partition == 1] == records[3:]
        assert archive.whole == whole
        if whole or cut not in (0, *ends):
            assert archive.damages
            assert all(each.file == "t/0.zst" and each.offset <= cut for each in archive.damages)


@pytest.mark.parametrize("name", ["t/0.index", manifest.NAME])
def test_an_index_or_manifest_cut_at_any_byte_loses_no_record(small: tuple[Path, list[Stored]], name: str) -> None:
    folder, records = small
    content = (folder / name).read_bytes().rstrip()
    for cut in range(len(content)):
        (folder / name).write_bytes(content[:cut])
        archive = open_archive(folder)
        assert sorted(archive.records(), key=lambda each: (each.partition, each.offset)) == records
        assert [each.file for each in archive.damages] == [name]


def test_a_wrong_byte_costs_one_block_and_is_named(small: tuple[Path, list[Stored]]) -> None:
    folder, records = small
    path = folder / "t" / "0.zst"
    content = path.read_bytes()
    second = blocks.head(content).size_bytes
    third = second + blocks.head(content, second).size_bytes
    for at in range(second, third):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
        for index in (True, False):
            (folder / "t" / "0.index").rename(folder / "hidden") if not index else None
            archive = open_archive(folder)
            found = [each for each in archive.records() if each.partition == 0]
            # a head's own damage is only seen without the index, which has a copy of it
            assert found in ([records[0], records[2]], records[:3] if index else None)
            assert archive.gaps == ()
            if not index:
                assert ("t/0.zst", second) in [(each.file, each.offset) for each in archive.damages]
                (folder / "hidden").rename(folder / "t" / "0.index")
        archive = open_archive(folder)
        archive.verify()
        assert "t/0.zst" in [each.file for each in archive.damages]


def test_an_interrupted_writing_can_be_read_and_does_not_look_whole(tmp_path: Path) -> None:
    def records() -> Iterator[Stored]:
        yield from (made.stored("t", 0, offset, offset, bytes(blocks.BLOCK_BYTES)) for offset in range(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.write(tmp_path, records())
    archive = open_archive(tmp_path)
    assert (archive.whole, archive.count, len(list(archive.records()))) == (False, 3, 3)


def test_a_full_disk_ends_the_writing_with_one_line_and_an_archive_that_is_not_whole(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "test")
    writer.add(made.stored("a", 0, 0, 0, bytes(blocks.BLOCK_BYTES)))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "0.zst").symlink_to("/dev/full")
    with pytest.raises(CannotWriteError, match=r"t/0.zst: No space left on device; .*not whole"):
        writer.add(made.stored("t", 0, 0, 0, bytes(blocks.BLOCK_BYTES)))
    (tmp_path / "t" / "0.zst").unlink()
    archive = open_archive(tmp_path)
    assert (archive.whole, archive.count) == (False, 1)


def test_other_folders_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadArchiveError, match=r"there is no manifest\.json"):
        open_archive(tmp_path)
    with pytest.raises(BadArchiveError, match="is no folder"):
        open_archive(tmp_path / "none")
    page = {"format": "douse-archive", "version": 2, "whole": True}
    for change, words in (
        ({}, "version 2 of the format"),
        ({"format": "x"}, "format is 'x'"),
        ({"version": "z"}, "ver"),
    ):
        (tmp_path / manifest.NAME).write_text(json.dumps(page | change))
        with pytest.raises(BadArchiveError, match=words):
            open_archive(tmp_path)
    (tmp_path / manifest.NAME).write_text("{")
    with pytest.raises(BadArchiveError, match="no manifest of an archive"):
        open_archive(tmp_path)
    with pytest.raises(FolderInUseError, match="not empty"):
        Writer(tmp_path, "test")


def test_a_segment_is_an_ordinary_zst_file(small: tuple[Path, list[Stored]]) -> None:
    try:
        done = subprocess.run(["zstd", "-dcq", small[0] / "t" / "0.zst"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("zstd is not on this machine")
    assert done.stdout == b"".join(blocks.pack_record(each) for each in small[1][:3])


def test_reading_holds_a_block_of_each_partition_however_long_the_archive_is(tmp_path: Path) -> None:
    value = bytes(100_000)
    made.write(tmp_path, (made.stored("t", part, offset, offset, value) for part in range(2) for offset in range(400)))
    archive = open_archive(tmp_path)
    tracemalloc.start()
    assert sum(len(each.value or b"") for each in archive.records()) == 80_000_000
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8 * blocks.BLOCK_BYTES
