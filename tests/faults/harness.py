"""What the fault tests share: settings and keys, a worker as a process, a journal, and readers of what came out."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas import envelope, journal
from stream import keys, topics
from stream.effects import Publish
from tests.faults import counting

ROOT = Path(__file__).parents[2]
SESSION_S = 6
TELEMETRY = [("kind", b"telemetry"), ("version", b"1")]


@dataclass(frozen=True)
class World:
    """One test's topics, keys and settings; `shards` partitions of the journal."""

    bootstrap: str
    prefix: str
    folder: Path
    shards: int

    @property
    def topics(self) -> topics.Topics:
        return topics.names(self.prefix)


def world(bootstrap: str, prefix: str, folder: Path, shards: int = 2, **more: Any) -> World:
    """Creates the topics, keys and the settings file; `more` are further settings."""
    keys.init(folder / "keys")
    values = {
        "bootstrap": bootstrap, "topic_prefix": prefix, "group_prefix": prefix + "g", "shards": shards, "snapshot_s": 1,
        "session_s": SESSION_S, "heartbeat_s": 1, "rebalance_s": 6, "log_level": "info", **more,
    }  # fmt: skip
    (folder / "douse.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    asyncio.run(topics.create(bootstrap, prefix, shards))
    return World(bootstrap, prefix, folder, shards)


def start(world: World, *arguments: str, engine: str = "tests.faults.counting") -> subprocess.Popen[bytes]:
    """A detect worker in its own process, with the product's engine if none is named; its log goes to the folder."""
    chosen = ["--engine", engine] if engine else []
    command = [sys.executable, "-m", "tests.faults.entry", "detect", *chosen, *arguments]
    environment = {**os.environ, "DOUSE_CONFIG": str(world.folder / "douse.toml")}
    with (world.folder / "detect.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


@contextmanager
def running(world: World, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """As `start`, and gone at the end whatever happens."""
    process = start(world, *arguments, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stop(world: World, process: subprocess.Popen[bytes], within_s: float = 30) -> int:
    """The exit code after a SIGTERM to a worker that has loaded a shard; before that it may not listen yet."""
    loaded = f"[{process.pid}] [INFO] shard "
    until(lambda: loaded in log(world) or process.poll() is not None, "the worker has loaded")
    process.send_signal(signal.SIGTERM)
    return process.wait(within_s)


def log(world: World) -> str:
    return (world.folder / "detect.log").read_text(errors="replace")


def feed(world: World, records: Mapping[int, list[bytes]]) -> None:
    """Appends telemetry records to the journal, by shard."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=world.bootstrap, enable_idempotence=True)
        await producer.start()
        try:
            sent = [
                await producer.send(world.topics.journal, value, partition=shard, headers=TELEMETRY)
                for shard, values in records.items()
                for value in values
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    asyncio.run(send())


def forget(world: World, shard: int) -> None:
    """Deletes all records of a journal partition, as retention does."""

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(world.topics.journal, shard): RecordsToDelete(before_offset=-1)})
        finally:
            await admin.close()

    asyncio.run(delete())


def read(world: World, topic: str, partitions: int) -> list[Any]:
    """All committed records of a topic, partition by partition in offset order."""

    async def all_of() -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=world.bootstrap, isolation_level="read_committed")
        await consumer.start()
        try:
            parts = [TopicPartition(topic, number) for number in range(partitions)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            found: list[Any] = []
            for part in parts:
                while await consumer.position(part) < ends[part]:
                    for records in (await consumer.getmany(part, timeout_ms=200)).values():
                        found += [record for record in records if record.offset < ends[part]]
            return found
        finally:
            await consumer.stop()

    return asyncio.run(all_of())


def segments(world: World) -> dict[int, dict[str, bytes]]:
    """What each shard's last snapshot holds, by key."""
    values: dict[int, dict[str, bytes]] = {}
    for record in read(world, world.topics.state, world.shards):
        values.setdefault(record.partition, {})[record.key.decode()] = record.value
    return {shard: held for shard, held in values.items() if "manifest" in held}


def snapshots(world: World) -> dict[int, counting.State]:
    """The state of each shard's last snapshot, of the counting engine."""
    return {shard: counting.restore(shard, world.shards, held) for shard, held in segments(world).items()}


def journal_records(world: World) -> dict[int, list[journal.Record]]:
    found: dict[int, list[journal.Record]] = {shard: [] for shard in range(world.shards)}
    for each in read(world, world.topics.journal, world.shards):
        kind = dict(each.headers)["kind"].decode()
        found[each.partition].append(journal.Record(each.partition, each.offset, each.timestamp, kind, 1, each.value))
    return found


def truth(records: list[journal.Record], mark: int) -> Counter[str]:
    """Counts by key up to a mark, by a loop that shares nothing with the engine: each source position once."""
    positions = {}
    for record in records:
        if record.kind == "telemetry" and record.offset <= mark:
            source, offset, key = json.loads(record.value)
            positions[source, offset] = str(key)
    return Counter(positions.values())


def offline(records: list[journal.Record], mark: int) -> list[Publish]:
    """What the engine decides when the same journal is folded in one loop, without Faust and without faults."""
    state = counting.fresh(records[0].shard, 1)
    return [effect for record in records if record.offset <= mark for effect in counting.fold(state, record)]


def incidents(world: World) -> dict[str, set[bytes]]:
    """The different contents of each incident event by its id: one each if nobody contradicts another."""
    contents: dict[str, set[bytes]] = {}
    for record in read(world, world.topics.incidents, 4):
        event = envelope.decode(record.headers, record.value)
        contents.setdefault(event.id, set()).add(record.value)
    return contents


def check(world: World) -> dict[int, counting.State]:
    """The last snapshots equal an independent loop, and the events an offline fold of the same journal."""
    states = snapshots(world)
    records = journal_records(world)
    said = incidents(world)
    assert sorted(states) == list(range(world.shards))
    for shard, state in states.items():
        assert state.totals() == dict(truth(records[shard], state.mark))
        for effect in offline(records[shard], state.mark):
            assert len(said.get(effect.id, ())) == 1, f"{effect.id} is missing or has two contents"
    assert all(len(contents) == 1 for contents in said.values())
    return states


def until(holds: Callable[[], bool], what: str, within_s: float = 40, pause_s: float = 0.3) -> None:
    """Waits for something of the outside world."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(pause_s)
