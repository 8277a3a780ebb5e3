"""The report from a real topic: only what a trusted key signed counts, and every ending has its exit code."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope
from schemas.envelope import Event
from stream import console, keys, reach, topics
from stream.reach import Stored
from stream.report import command as report_command
from stream.report import events as archive_reader
from stream.settings import Settings
from tests.stream.report import timelines as made


def stored(offset: int, event: Event) -> Stored:
    headers, value = envelope.encode(event)
    return Stored(0, offset, event.time_ms, "", headers, value)


async def read(records: list[Stored], keyid: str, key: Ed25519PrivateKey) -> archive_reader.Archive:
    async def given() -> AsyncIterator[Stored]:
        for record in records:
            yield record

    return await archive_reader.fold("incidents", given(), {keyid: key.public_key()})


def test_only_what_a_trusted_key_signed_counts() -> None:
    trusted, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    event = made.burning().events[0]
    good = envelope.signed(event, "ours", trusted)
    changed = Event(
        good.type, good.id, good.source, good.time_ms, dict(good.data) | {"tenant": "x"}, good.keyid, good.signature
    )
    records = [
        stored(0, good),
        stored(1, envelope.signed(event, "ours", stranger)),
        stored(2, envelope.signed(event, "theirs", stranger)),
        stored(3, event),
        stored(4, changed),
        Stored(0, 5, 1, "", [], b"noise"),
    ]
    archive = asyncio.run(read(records, "ours", trusted))
    assert archive.events == (good,)
    assert [line.split(":")[0] for line in archive.rejected] == [f"incidents[0] offset {n}" for n in range(1, 6)]


def prepared(bootstrap: str, prefix: str, folder: Path) -> Settings:
    """Topics with one incident that detect and act signed, and a forged confirmation of it."""
    keys.init(folder, ["local"])
    settings = Settings(
        bootstrap=bootstrap,
        topic_prefix=prefix,
        trusted_command_keys=(folder / "command.pub",),
        trusted_actuator_keys=(folder / "actuator-local.pub",),
    )
    detect, act = keys.load_private(folder / "command.key"), keys.load_private(folder / "actuator-local.key")
    story = made.deaf().events
    names = topics.names(prefix)
    by_topic: dict[str, list[tuple[str, Event]]] = {names.incidents: [], names.commands: [], names.outcomes: []}
    for event in (*story, story[0]):
        kind = event.type.split(".")[2]
        signer = act if kind == "outcome" else detect
        topic = {"incident": names.incidents, "command": names.commands, "outcome": names.outcomes}[kind]
        by_topic[topic].append((event.id, envelope.signed(event, *signer)))
    forged = made.pool().events[-1]
    by_topic[names.outcomes].append((forged.id, envelope.signed(forged, *detect)))

    async def fill() -> None:
        await topics.create(bootstrap, prefix, shards=1)
        for topic, events in by_topic.items():
            await reach.send(bootstrap, topic, events)

    asyncio.run(fill())
    return settings


@pytest.mark.broker
def test_the_report_is_written_from_the_public_topics(
    bootstrap: str, prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = prepared(bootstrap, prefix, tmp_path / "keys")
    out = tmp_path / "out"
    assert report_command.main(settings, "latest", out) == console.OK
    shown = capsys.readouterr()
    assert "by raise_pool: failed" in shown.out and str(out / "report.md") in shown.out
    assert "not signed by a trusted key" in shown.err
    written = json.loads((out / "report.json").read_bytes())
    assert written["incident"] == made.INCIDENT and written["changes"][0]["standing"] == "failed"

    assert report_command.main(settings, made.INCIDENT[:8], out, as_json=True) == console.OK
    assert json.loads(capsys.readouterr().out) == written

    assert report_command.main(settings, "zz", tmp_path / "none") == console.USAGE
    assert made.INCIDENT in capsys.readouterr().err and not (tmp_path / "none").exists()
