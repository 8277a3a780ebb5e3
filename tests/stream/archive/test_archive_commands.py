"""`douse archive` on a real broker and on files: what it copies, what it says, and how it ends."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.archive import times
from stream.archive.reading import open_archive

ROOT = Path(__file__).parents[3]
NOON_MS = 1_795_521_600_000  # 2026-11-24T12:00:00Z


def douse(*arguments: str, bootstrap: str = "127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DOUSE_BOOTSTRAP": bootstrap}
    command = [sys.executable, "-m", "stream.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


def test_moments_are_words_times_or_so_long_ago() -> None:
    assert times.parse("earliest", 5) == "earliest"
    assert times.parse("2026-11-24T12:00:00Z", 0) == times.parse("2026-11-24T12:00", 0) == NOON_MS
    assert times.parse("2026-11-24T13:00:00+01:00", 0) == NOON_MS
    assert times.parse("-90s", NOON_MS) == NOON_MS - 90_000
    with pytest.raises(times.BadTimeError, match="'yesterday' is no moment; write earliest"):
        times.parse("yesterday", 0)


def test_files_are_imported_and_checked_by_command(tmp_path: Path) -> None:
    (tmp_path / "spans.json").write_text('{"resourceSpans":[]}\n{"resourceSpans":[]}\nbroken\n')
    out = tmp_path / "out"
    done = douse("archive", "import", str(tmp_path / "spans.json"), "--out", str(out))
    assert done.returncode == 78
    assert "spans.json: byte 42: " in done.stderr
    assert "1 place" in done.stderr
    again = douse("archive", "import", str(tmp_path / "spans.json"), "--out", str(out))
    assert (again.returncode, "is not empty" in again.stderr) == (78, True)
    checked = douse("archive", "check", str(out), "--json")
    assert (checked.returncode, json.loads(checked.stdout)["topics"]) == (0, {"otlp_spans": 2})
    (out / "otlp_spans" / "0.zst").write_bytes(b"")
    checked = douse("archive", "check", str(out))
    assert (checked.returncode, "otlp_spans/0.zst: byte 0: " in checked.stderr) == (78, True)
    wrong = douse("archive", "check", str(tmp_path))
    assert (wrong.returncode, "is no archive" in wrong.stderr, "Traceback" in wrong.stderr) == (78, True, False)


async def fill(bootstrap: str, topic: str) -> None:
    """Two partitions of ten records, a minute apart; in the first also an aborted transaction and its mark."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="zstd")
    await producer.start()
    for number in range(10):
        for partition in range(2):
            headers = [("h", b"\x00\xff"), ("number", str(number).encode())]
            at_ms = NOON_MS + number * 60_000
            value = None if number == 3 else f"{partition}/{number}".encode()
            await producer.send_and_wait(topic, value, b"k", partition, at_ms, headers)
    await producer.stop()
    writer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{topic}-x")
    await writer.start()
    await writer.begin_transaction()
    await writer.send_and_wait(topic, b"never", partition=0)
    await writer.abort_transaction()
    await writer.stop()


@pytest.mark.broker
def test_a_topic_is_archived_between_two_moments(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    topic = f"{prefix}source"
    asyncio.run(fill(bootstrap, topic))
    everything = douse("archive", topic, "--out", str(tmp_path / "all"), bootstrap=bootstrap)
    assert (everything.returncode, everything.stderr) == (0, "")
    found = list(open_archive(tmp_path / "all").records())
    assert [(each.timestamp_ms, each.partition, each.offset, each.value, each.key) for each in found] == [
        (NOON_MS + number * 60_000, partition, number, None if number == 3 else f"{partition}/{number}".encode(), b"k")
        for number in range(10)
        for partition in range(2)
    ]
    assert found[0].headers == (("h", b"\x00\xff"), ("number", b"0"))
    times_ = ("--from", "2026-11-24T12:02:30Z", "--to", "2026-11-24T12:07:00Z")
    part = douse("archive", "topics", topic, *times_, "--out", str(tmp_path / "part"), "--json", bootstrap=bootstrap)
    assert (part.returncode, json.loads(part.stdout)["records"]) == (0, 8)
    assert {each.offset for each in open_archive(tmp_path / "part").records()} == {3, 4, 5, 6}
    none = douse("archive", topic, "--from", "latest", "--out", str(tmp_path / "none"), bootstrap=bootstrap)
    assert (none.returncode, open_archive(tmp_path / "none").count) == (0, 0)
    missing = douse("archive", f"{topic}s", "--out", str(tmp_path / "missing"), bootstrap=bootstrap)
    assert missing.returncode == 78
    assert f"topic {topic}s is not there" in missing.stderr
    assert f"did you mean '{topic}'" in missing.stderr
    assert not (tmp_path / "missing").exists()


def test_without_a_broker_no_folder_is_made(tmp_path: Path) -> None:
    done = douse("archive", "otlp_spans", "--out", str(tmp_path / "out"), "--wait", "0")
    assert (done.returncode, "no broker answered" in done.stderr) == (69, True)
    assert not (tmp_path / "out").exists()
