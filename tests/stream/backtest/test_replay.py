"""Replays of archives on disk: the same answers however often, what would have been done, and a journal to the byte."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas import signing
from schemas.journal import Record
from stream import cli
from stream.archive import reading
from stream.archive.record import Stored
from stream.archive.writing import Writer
from stream.backtest import journals, written
from stream.backtest.journals import JournalUnusableError
from stream.backtest.sources import Names, Replay
from stream.backtest.telemetry import Exporter
from stream.backtest.timeline import Timeline
from stream.effects import Publish
from tests import timeline
from tests.beginnings import confirmed

ACME = Path(__file__).parents[3] / "examples" / "acme"
JOURNAL = "douse.journal"


def archived(folder: Path, records: Iterable[Stored]) -> Path:
    with Writer(folder, "test") as writer:
        for record in records:
            writer.add(record)
        writer.finish()
    return folder


def exhausted() -> Timeline:
    (found,) = written.read([ACME / "timelines" / "pool-exhausted.yaml"])
    return found


def as_stored(record: Record) -> Stored:
    headers = (("kind", record.kind.encode()), ("version", str(record.version).encode()))
    return Stored(
        topic=JOURNAL,
        partition=record.shard,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=None,
        headers=headers,
        value=record.value,
    )


def as_signed(effect: Publish) -> bytes:
    return signing.signed_bytes(effect.type, effect.id, effect.source, effect.data)


def test_an_archive_tells_what_would_have_been_done_to_whom(tmp_path: Path) -> None:
    folder, answers = archived(tmp_path / "archive", Exporter(exhausted()).records()), tmp_path / "answers.json"
    told = CliRunner().invoke(cli.app, ["replay", str(folder), "--specs", str(ACME / "specs"), "--json", str(answers)])
    assert told.exit_code == 0, told.output
    (incident,) = json.loads(answers.read_text())["answers"]["incidents"]
    assert (incident["tenant"], incident["cause"], incident["ending"]) == ("acme-corp", "pool_exhausted", "recovered")
    (step,) = incident["plans"][0]["steps"]
    assert (step["mitigation"], step["target"]) == ("resize-pool", "acme-corp-pool")
    assert "resize-pool on acme-corp-pool" in told.output


def test_the_comparison_shows_what_another_spec_set_refuses(tmp_path: Path) -> None:
    folder = archived(tmp_path / "archive", Exporter(exhausted()).records())
    other = tmp_path / "other"
    other.mkdir()
    for path in (ACME / "specs").glob("*.yaml"):
        (other / path.name).write_text(path.read_text().replace("level: auto", "level: observe"))
    told = CliRunner().invoke(cli.app, ["replay", str(folder), "--specs", str(ACME / "specs"), "--compare", str(other)])
    assert told.exit_code == 0, told.output
    assert "not_allowed" in told.output.split("configuration 2:")[1]


def test_a_record_that_is_no_otlp_is_counted_with_its_place() -> None:
    told = exhausted()
    replay = Replay(told.specs, Names())
    for record in Exporter(told).records():
        replay.take(replace(record, value=b"\x00junk") if record.offset == 3 and "spans" in record.topic else record)
    answers = replay.finish()
    assert answers.rejected_total == 1
    assert list(answers.rejected_first.values()) == [(0, 3)]


def test_the_same_archive_gives_the_same_answers_in_any_number_of_shards() -> None:
    told = exhausted()
    found = []
    for shards in (1, 1, 3):
        replay = Replay(told.specs, Names(), shards)
        for record in Exporter(told).records():
            replay.take(record)
        found.append(replay.finish().fields())
    assert found[0] == found[1]
    assert [one["plans"] for one in found[0]["incidents"]] == [one["plans"] for one in found[2]["incidents"]]


def test_offsets_that_the_archive_lacks_count_as_lost() -> None:
    told = exhausted()
    replay = Replay(told.specs, Names())
    for record in Exporter(told).records():
        if not (record.topic == Names().spans and 10 <= record.offset < 14):
            replay.take(record)
    assert replay.finish().counters["records_lost"] == 4


def test_an_archived_journal_decides_what_the_live_shard_decided_to_the_byte(tmp_path: Path) -> None:
    live = timeline.Timeline()
    confirmed(live)
    archive = reading.open_archive(archived(tmp_path / "archive", map(as_stored, live.records)))
    again = list(journals.effects(archive.records([JOURNAL]), 1))
    assert live.commands("apply")
    assert [as_signed(one) for one in again] == [as_signed(one) for one in live.effects]


def test_a_journal_with_a_hole_or_without_its_beginning_is_named(tmp_path: Path) -> None:
    live = timeline.Timeline()
    live.run(3)
    stored = list(map(as_stored, live.records))
    with pytest.raises(JournalUnusableError, match=r"offset 5 to 6 are missing"):
        list(journals.effects([*stored[:5], *stored[7:]], 1))
    with pytest.raises(JournalUnusableError, match="begins at offset 4"):
        list(journals.effects(stored[4:], 1))
    folder = archived(tmp_path / "archive", stored[4:])
    told = CliRunner().invoke(cli.app, ["replay", str(folder), "--shards", "1"])
    assert told.exit_code == 78
    assert "archive the whole journal" in told.output


def test_an_archive_without_what_is_asked_for_says_what_it_holds(tmp_path: Path) -> None:
    folder = archived(tmp_path / "archive", Exporter(exhausted()).records())
    told = CliRunner().invoke(cli.app, ["replay", str(folder)])
    assert told.exit_code == 78
    assert "otlp_metrics, otlp_spans" in told.output
