"""Files of a real Collector, and of public data, become archives whose counts an independent reader agrees with."""

import io
import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from stream.archive import importing
from stream.archive.importing import Imported
from stream.archive.payload import Signal
from stream.archive.reading import Archive, open_archive
from stream.archive.record import Damage, Stored
from stream.archive.writing import Writer

SPANS = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":"%d000000"}]}]}]}'
JANUARY_MS = (1_674_900_000_000, 1_675_200_000_000)  # 28 to 31 January 2023
SAMPLES = "data/collector-samples"
NAMES = {"spans": "spans", "log_records": "logs", "metrics": "metrics"}


def load(source: Path, out: Path, signal: Signal | None = None) -> tuple[Archive, Imported]:
    files = importing.sources(source)
    with Writer(out, "test") as writer:
        done = importing.run(source, files, writer, signal, lambda _: None)
    return open_archive(out), done


def counts(records: list[Stored]) -> Counter[str]:
    """Spans, log records, metrics and records, by protobuf's own reader or plain json."""
    found: Counter[str] = Counter()
    for record in records:
        value = record.value or b""
        found["records"] += 1
        found["value_bytes"] += len(value)
        if value.startswith(b"{"):
            page: Any = json.loads(value)
            items = (
                ("spans", "Spans", "spans"),
                ("log_records", "Logs", "logRecords"),
                ("metrics", "Metrics", "metrics"),
            )
            for name, top, inner in items:
                for block in page.get(f"resource{top}", ()):
                    found[name] += sum(len(scope.get(inner, ())) for scope in block.get(f"scope{top}", ()))
        else:
            signal = record.topic.removeprefix("otlp_").split(".")[0]
            message: Any = {"spans": TracesData, "logs": LogsData, "metrics": MetricsData}[signal].FromString(value)
            inner = "log_records" if signal == "logs" else signal
            for block in getattr(message, f"resource_{signal}"):
                found[inner] += sum(len(getattr(scope, inner)) for scope in getattr(block, f"scope_{signal}"))
    return found


FILES = [
    *(f"{signal}.{form}" for signal in ("spans", "logs", "metrics") for form in ("json", "proto", "proto.zstd")),
    *("spans.json.zstd", "spans.native.json.zst", "spans.native.proto.zst", "mixed.json", "rotated.json"),
    *("rotated-2026-11-24T04-25-24.743-size.json", "by-tenant/acme.json", "by-tenant/edge.json"),
]


@pytest.mark.parametrize("name", FILES)
def test_every_form_of_the_file_exporter_has_the_counts_of_the_truth(
    shared_folder: Path, tmp_path: Path, name: str
) -> None:
    truth = json.loads((shared_folder / SAMPLES / "truth.json").read_text())["file"][name]
    archive, done = load(shared_folder / SAMPLES / "file" / name, tmp_path / "out")
    assert done.damages == archive.damages == []
    found = counts(list(archive.records()))
    # a file of several signals has one truth for each of them
    truths = [truth] if "records" in truth else [one for one in truth.values() if isinstance(one, dict)]
    for key in ("records", "value_bytes", *NAMES):
        wanted = sum(one.get(key, 0) for one in truths)
        assert found[key] == wanted, (key, truth.keys())


def test_a_saved_topic_keeps_where_and_when_each_record_stood(shared_folder: Path, tmp_path: Path) -> None:
    folder = shared_folder / SAMPLES / "kafka"
    archive, done = load(folder, tmp_path / "out")
    assert done.damages == archive.damages == []
    truth = json.loads((shared_folder / SAMPLES / "truth.json").read_text())["kafka"]
    for topic in archive.topics:
        records = list(archive.records([topic]))
        found = counts(records)
        assert {key: found[key] for key in ("records", "value_bytes", *NAMES)} == {
            key: truth[topic].get(key, 0) for key in ("records", "value_bytes", *NAMES)
        }
        lines = [json.loads(line) for line in (folder / f"{topic}.jsonl").read_text().splitlines()]
        places = sorted((line["partition"], line["offset"], line["timestamp"]) for line in lines)
        assert sorted((each.partition, each.offset, each.timestamp_ms) for each in records) == places
    assert set(archive.topics) == {path.stem for path in folder.glob("*.bin")}
    assert dict(next(archive.records(["spans.tenant"])).headers)["source"] == b"gateway-1"


def test_a_case_of_public_data_is_taken_whole_and_in_the_order_of_time(shared_folder: Path, tmp_path: Path) -> None:
    case = min(path for path in (shared_folder / "data/trainticket-faults").iterdir() if path.is_dir())
    check_case(case, tmp_path / "out")


@pytest.mark.proof
def test_all_cases_of_public_data_are_taken_whole(shared_folder: Path, tmp_path: Path) -> None:
    cases = sorted(path for path in (shared_folder / "data/trainticket-faults").iterdir() if path.is_dir())
    assert len(cases) == 20
    for case in cases:
        check_case(case, tmp_path / case.name)


def check_case(case: Path, out: Path) -> None:
    archive, done = load(case, out)
    assert done.damages == archive.damages == []
    assert archive.topics == ("otlp_logs", "otlp_metrics", "otlp_spans")
    for topic in archive.topics:
        path = case / f"{topic.removeprefix('otlp_')}.otlp.zst"
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
        values, at = [], 0
        while at < len(content):
            (size,) = struct.unpack_from(">I", content, at)
            values.append(content[at + 4 : at + 4 + size])
            at += 4 + size
        records = sorted(archive.records([topic]), key=lambda each: each.offset)
        assert [each.value for each in records] == values
        assert {each.headers for each in records} == {(("encoding", b"otlp_proto"),)}
    times = [each.timestamp_ms for each in archive.records()]
    assert times == sorted(times)
    assert JANUARY_MS[0] < min(times) < max(times) < JANUARY_MS[1]


def test_rotated_files_are_one_partition_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    names = (
        "spans-2026-11-24T04-00-00.000.json",
        "spans-2026-11-24T05-00-00.000-size.json",
        "spans.json",
        "trace.json",
    )
    for number, name in enumerate(names):
        (source / name).write_bytes(SPANS % number + b"\n")
    (source / "README.md").write_text("no telemetry")
    archive, done = load(source, tmp_path / "out")
    assert done.damages == []
    found = [(each.partition, each.offset, (each.value or b"")[-24:]) for each in archive.records()]
    assert sorted(found)[:3] == [(0, number, (SPANS % number)[-24:]) for number in range(3)]
    assert len(found) == 4 and found[-1][0] == 1


def test_broken_places_are_named_with_file_and_byte_and_the_rest_is_used(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    good = SPANS % 5
    framed = struct.pack(">I", len(good)) + good
    zipped = zstandard.ZstdCompressor().compress(good)
    native = zstandard.ZstdCompressor().compress(good + b"\n" + good + b"\n")
    files = {
        "a.json": good + b"\n{no json}\n" + good + b'\n{"other": 1}\n{"resourceSpans": 3}\n' + good[:30],
        "b.proto": framed + framed[:-1],
        "c.bin": framed + b"\xff\xff\xff\xff" + framed,
        "d.zstd": struct.pack(">I", len(zipped)) + zipped + struct.pack(">I", 8) + zipped[:8] + framed,
        "e.zst": native[:-3],
        "nameless.proto": struct.pack(">I", 2) + b"\x0a\x00" + framed,
        "spans.proto": struct.pack(">I", 3) + b"\x0a\xff\x01" + framed,
    }
    for name, content in files.items():
        (source / name).write_bytes(content)
    archive, done = load(source, tmp_path / "out")
    size = len(good) + 1
    assert [(each.file, each.offset) for each in done.damages if each.file == "a.json"] == [
        ("a.json", size),
        ("a.json", 2 * size + len(b"{no json}\n")),
        ("a.json", 2 * size + len(b'{no json}\n{"other": 1}\n')),
        ("a.json", 2 * size + len(b'{no json}\n{"other": 1}\n{"resourceSpans": 3}\n')),
    ]
    others = {(each.file, each.offset) for each in done.damages if each.file != "a.json"}
    assert others - {each for each in others if each[0] == "e.zst"} == {
        ("b.proto", len(framed)),
        ("c.bin", len(framed)),
        ("d.zstd", 4 + len(zipped)),
        ("nameless.proto", 0),
        ("spans.proto", 0),
    }
    assert "e.zst" in {each[0] for each in others}
    assert {each.file for each in done.damages if "--signal" in each.what} == {"nameless.proto"}
    assert archive.whole
    assert archive.count >= 2 + 1 + 1 + 2 + 1 + 1
    assert all(each.value == good for each in archive.records())
    broken = json.loads((tmp_path / "out" / "manifest.json").read_text())["broken"]
    assert [Damage(**each) for each in broken] == done.damages


def test_a_file_of_another_kind_is_one_broken_place(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps([{"service": "a"}], indent=2))
    (tmp_path / "spans.json").write_bytes(SPANS % 7)
    archive, done = load(tmp_path, tmp_path / "out")
    assert [(each.file, each.offset) for each in done.damages] == [("labels.json", 0)]
    assert "nothing in this file" in done.damages[0].what
    assert archive.count == 1


def test_a_record_without_a_time_takes_that_of_the_record_before(tmp_path: Path) -> None:
    (tmp_path / "spans.json").write_bytes(SPANS % 7 + b'\n{"resourceSpans":[]}\n' + SPANS % 6)
    archive, _ = load(tmp_path / "spans.json", tmp_path / "out")
    found = sorted(archive.records(), key=lambda each: each.offset)
    assert [each.timestamp_ms for each in found] == [7, 7, 6]
    assert [each.headers for each in found] == [(("encoding", b"otlp_json"),)] * 3


def test_a_source_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    for source, words in ((tmp_path / "none", "is not there"), (tmp_path, "holds no file")):
        with pytest.raises(importing.NothingToImportError, match=words):
            importing.sources(source)
