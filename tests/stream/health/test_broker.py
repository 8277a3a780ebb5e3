"""The workers on a real broker: what they say of themselves is true, and they say it on Kafka too."""

import asyncio
import json
from pathlib import Path

import pytest

from schemas import envelope
from schemas.commands import OutcomeStatus
from schemas.events import HEARTBEAT_TYPE, Heartbeat
from stream import settings
from stream.people.follow import Follower
from stream.people.trust import Trust
from tests.actuators import commands
from tests.faults import harness, pipeline
from tests.stream.act.rig import rigged
from tests.stream.health.exposition import free_address, get, names, value

pytestmark = pytest.mark.broker


def test_ingest_and_detect_tell_how_they_are(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = pipeline.world(bootstrap, prefix, tmp_path)
    ingest, detect = free_address(), free_address()
    with (tmp_path / "douse.toml").open("a") as file:
        file.write(f'ingest_metrics_address = "{ingest}"\ndetect_metrics_address = "{detect}"\nlog_format = "json"\n')
    with pipeline.workers(made, 1) as kept:
        kept.start("detect", 0)
        kept.start("ingest", 0)
        for address in (ingest, detect):
            harness.until(lambda address=address: get(address, "/readyz")[0] == 200, f"{address} is ready")
        with pipeline.load(made, "health"):
            harness.until(lambda: "douse_snapshot_size_bytes" in get(detect, "/metrics")[1], "a snapshot", 60)
            harness.until(lambda: "opened" in get(detect, "/metrics")[1], "an incident", 60)
            harness.until(lambda: _dead_letters(ingest, made) > 0, "a dead letter", 60)
        assert get(ingest, "/healthz") == get(detect, "/healthz") == (200, "ok\n")
        seen = get(detect, "/metrics")[1]
        assert value(seen, "douse_shards", state="at_work") == pipeline.SHARDS
        assert value(seen, "douse_journal_records_folded_total", kind="tick") > 0
        assert value(seen, "douse_decisions_total", kind="opened", reason="act") > 0
        assert {"douse_recovery_duration_seconds", "douse_shard_lag_seconds"} <= names(seen)
        fresh = get(ingest, "/metrics")[1]
        newest = "douse_source_newest_event_timestamp_seconds"
        assert value(fresh, newest, topic=made.topics.spans, partition="0") > 1.7e9
        assert not any(tenant in fresh + seen for tenant in pipeline.TENANTS)
        beats = [_heartbeat(record) for record in harness.read(made, made.topics.status, 1)]
        assert {beat.app for beat in beats if beat} == {"ingest", "detect"}
        assert asyncio.run(_not_counted(tmp_path / "douse.toml")) == 0
        assert kept.stop() == [0, 0]
    lines = (tmp_path / "detect-0.log").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert {one["app"] for one in told} == {"detect"}
    assert any("incident" in one and "shard" in one for one in told)


async def _not_counted(config: Path) -> int:
    """How many records the live screen would call untrusted."""
    found = settings.load({}, config)
    async with Follower(found, Trust.of(found), status=True) as follower:
        while not await follower.caught_up():
            await follower.next()
    return follower.rejected


def _dead_letters(address: str, made: harness.World) -> float:
    return value(get(address, "/metrics")[1], "douse_dead_letters_total", topic=made.topics.spans)


def _heartbeat(record: object) -> Heartbeat | None:
    event = envelope.decode(record.headers, record.value)  # type: ignore[attr-defined]
    return Heartbeat.read(event.data) if event.type == HEARTBEAT_TYPE else None


def test_act_tells_how_it_is_and_what_came_of_its_orders(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    with rigged(bootstrap, prefix, tmp_path) as rig:
        address = rig.environment["DOUSE_ACT_METRICS_ADDRESS"] = free_address()
        rig.start()
        harness.until(lambda: get(address, "/readyz")[0] == 200, "act is ready")
        rig.send(commands.command())
        assert rig.outcome("c1").status is OutcomeStatus.LIVE
        seen = get(address, "/metrics")[1]
        assert value(seen, "douse_outcomes_total", kind="apply", status="live") == 1
        assert value(seen, "douse_heartbeat_timestamp_seconds", app="act") > 1.7e9
        assert get(address, "/healthz")[0] == 200
