"""Three workers, three shards, one target between their tenants: each tick brings the fleet, and silence is named."""

import asyncio
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas import journal
from schemas.fleet import Fleet
from schemas.journal import Kind, Tick
from stream import shard
from stream.core import fleet
from tests import timeline
from tests.faults import harness
from tests.timeline import TENANT, Timeline

pytestmark = pytest.mark.broker

SHARDS = 3


class Feed(Timeline):
    """A timeline that is sent and not folded."""

    def __post_init__(self) -> None:
        self.outbox: list[tuple[str, bytes]] = []
        super().__post_init__()

    def _append(self, kind: str, value: bytes) -> None:
        self.outbox.append((kind, value))


class Traffic(threading.Thread):
    """A second of telemetry and progress for each shard, every second, until it is told to stop."""

    def __init__(self, world: harness.World) -> None:
        super().__init__(daemon=True)
        self.world, self.stopped, self.bad = world, threading.Event(), 0.0
        self.feeds = [Feed(state=shard.fresh(number, SHARDS), tenant=f"{TENANT}{number}") for number in range(SHARDS)]

    def run(self) -> None:
        asyncio.run(self._send())

    async def _send(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.world.bootstrap)
        await producer.start()
        while not self.stopped.is_set():
            second = int(time.time()) - 1
            for number, feed in enumerate(self.feeds):
                bad = round(200 * self.bad) if number == 0 else 0
                feed.requests(second, 200, bad, 180, timeline.Pool())
                feed.progress(second)
                for kind, value in feed.outbox:
                    headers = [("kind", kind.encode()), ("version", b"1")]
                    await producer.send_and_wait(self.world.topics.journal, value, partition=number, headers=headers)
                feed.outbox.clear()
            await asyncio.sleep(1 - time.time() % 1)
        await producer.stop()


def told(world: harness.World) -> dict[int, list[Fleet]]:
    """What the ticks of each shard said of the fleet, oldest first."""
    found = {}
    for number, records in harness.journal_records(world).items():
        ticks = [journal.decode(record) for record in records if record.kind == Kind.TICK]
        found[number] = [tick.fleet for tick in ticks if isinstance(tick, Tick) and tick.fleet is not None]
    return found


def last(world: harness.World) -> list[Fleet]:
    return [seen[-1] for seen in told(world).values() if seen]


def test_each_shard_hears_of_the_others_and_of_their_silence(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    world = harness.world(bootstrap, prefix, tmp_path, SHARDS)
    traffic = Traffic(world)
    traffic.start()
    with ExitStack() as stack:
        stack.callback(traffic.stopped.set)
        workers = [stack.enter_context(harness.running(world, engine="")) for _ in range(SHARDS)]
        harness.until(lambda: len(last(world)) == SHARDS and all(not one.unknown for one in last(world)), "all known")
        assert [one.tenants for one in last(world)] == [SHARDS] * SHARDS

        traffic.bad = 0.3
        harness.until(lambda: all(one.alarming == 1 for one in last(world)), "the alarm of shard 0 in every tick")
        assert {alarm.tenant for one in last(world) for alarm in one.alarms} == {f"{TENANT}0"}
        assert told(world)[0][-1].controls, "the others are there to be compared with"
        assert not told(world)[1][-1].controls

        workers[0].kill()
        harness.until(lambda: any(one.unknown for one in last(world)), "the silence of the killed worker")
        harness.until(lambda: all(not one.unknown for one in last(world)), "its shards with their new owner")
    for records in harness.journal_records(world).values():
        _is_fresh_when_it_comes(records)


def _is_fresh_when_it_comes(records: list[journal.Record]) -> None:
    """The broker's clock says so, which stamps the tick and the digests; and once told, a tick finds it known."""
    known: Fleet | None = None
    ages_ms = []
    for record in records:
        body = journal.decode(record)
        if isinstance(body, Tick):
            known = fleet.keep(known, body.fleet, record.timestamp_ms)
            ages_ms += [] if known is None else [record.timestamp_ms - known.at_ms]
    print(f"age of the fleet at a tick: median {sorted(ages_ms)[len(ages_ms) // 2]} ms, most {max(ages_ms)} ms")
    assert sum(age <= fleet.FRESH_MS_MAX for age in ages_ms) > len(ages_ms) // 2
