"""What the ingest tests share: a world with an ingest worker, records of every kind, and readers of the journal."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from schemas import commands, envelope, journal
from schemas.envelope import Event
from stream import control, keys, topics
from tests.detectors import observe_loop, otlp_made
from tests.faults import harness

SHARDS = 3
PARTITIONS = 2


@dataclass(frozen=True)
class Sent:
    """One record of a source topic as a test produces it."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def world(bootstrap: str, prefix: str, folder: Path, sources: bool = True, **more: Any) -> harness.World:
    made = harness.world(bootstrap, prefix, folder, SHARDS, **more)
    if sources:
        asyncio.run(topics.create(bootstrap, prefix, SHARDS, PARTITIONS, sources=True))
    return made


async def create_sources(world: harness.World, but: tuple[str, ...]) -> None:
    """The OTLP topics without some of them, which `douse topics create` never leaves out."""
    wanted = [topic for topic in topics.source_table(world.topics, PARTITIONS) if topic.name not in but]
    admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic.name, topic.partitions, 1) for topic in wanted])
    finally:
        await admin.close()


def apply_specs(world: harness.World, specs: Any = otlp_made.SPECS) -> None:
    keyid, key = keys.load_private(world.folder / "keys" / "operator.key")
    asyncio.run(control.publish(world.bootstrap, world.topics.control, control.specs_event(specs, 1), keyid, key))


@contextmanager
def running(world: harness.World, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.faults.entry", "ingest", *arguments]
    environment = {**os.environ, "DOUSE_CONFIG": str(world.folder / "douse.toml")}
    with (world.folder / "ingest.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=harness.ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


def said(world: harness.World) -> str:
    return (world.folder / "ingest.log").read_text(errors="replace")


def produce(world: harness.World, records: list[Sent]) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=world.bootstrap, enable_idempotence=True)
        await producer.start()
        try:
            sent = [
                await producer.send(r.topic, r.value, key=r.key, partition=r.partition, headers=list(r.headers))
                for r in records
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    asyncio.run(send())


def traces(draw: random.Random, spans: int = 12) -> TracesData:
    """A record of two or three tenants, one of them nobody."""
    blocks = []
    for tenant in draw.sample(("acme", "globex", "initech", ""), 3):
        named = {"service.name": "shop"} | ({"tenant.id": tenant} if tenant else {})
        made = []
        for _ in range(draw.randint(0, spans)):
            end_ns = otlp_made.START_NS + draw.randrange(5 * 10**9)
            code = draw.choice([200, 200, 200, 503])
            made.append(
                Span(
                    trace_id=draw.randbytes(16),
                    span_id=draw.randbytes(8),
                    name=draw.choice(otlp_made.NAMES),
                    kind=draw.choice([1, 2, 2, 3, 5]),
                    start_time_unix_nano=end_ns - draw.randrange(10**9),
                    end_time_unix_nano=end_ns,
                    status=Status(code=2 if code == 503 else 0),
                    attributes=[otlp_made.attribute("http.response.status_code", code)],
                )
            )
        attributes = [otlp_made.attribute(key, value) for key, value in named.items()]
        blocks.append(ResourceSpans(resource={"attributes": attributes}, scope_spans=[ScopeSpans(spans=made)]))
    return TracesData(resource_spans=blocks)


def pool_metrics(tenant: str, used: int) -> bytes:
    named = {"service.name": "shop", "tenant.id": tenant}
    point = {"as_int": used, "time_unix_nano": otlp_made.START_NS}
    metric = Metric(name="db.client.connection.max", gauge={"data_points": [point]})
    owner = {"attributes": [otlp_made.attribute(key, value) for key, value in named.items()]}
    block = ResourceMetrics(resource=owner, scope_metrics=[ScopeMetrics(metrics=[metric])])
    return MetricsData(resource_metrics=[block]).SerializeToString()


def log_lines(tenant: str, number: int) -> bytes:
    request = LogsData()
    block = request.resource_logs.add()
    named = {"service.name": "shop", "tenant.id": tenant}
    block.resource.attributes.extend(otlp_made.attribute(key, value) for key, value in named.items())
    line = block.scope_logs.add().log_records.add(time_unix_nano=otlp_made.START_NS, severity_number=17)
    line.body.string_value = f"order {number} failed"
    return request.SerializeToString()


def outcome(world: harness.World, shard: int, key_file: str = "actuator-local.key", command: str = "c1") -> Sent:
    told = commands.Outcome(
        command=command, kind=commands.CommandKind.APPLY, applies=command, status=commands.OutcomeStatus.LIVE,
        actuator="local", target="t", environment="prod", tenant="acme", incident="i", shard=shard, mitigation="m",
        parameter="pool_size", accepted_ms=1,
    )  # fmt: skip
    keyid, key = keys.load_private(world.folder / "keys" / key_file)
    event = Event("dev.douse.outcome", f"o-{command}-{shard}", "/douse/act/local", 5, told.fields())
    headers, value = envelope.encode(envelope.signed(event, keyid, key))
    return Sent(world.topics.outcomes, 0, value, command.encode(), tuple(headers))


@dataclass
class Read:
    """What the journal holds when a mark per source partition drops repeats, as the fold does."""

    counted: observe_loop.Read
    pools: list[tuple[Any, ...]]
    lines: list[tuple[Any, ...]]
    signed: list[tuple[int, journal.Signed]]
    marks: dict[tuple[int, str, int], int]
    repeated: int = 0


def read(world: harness.World) -> Read:
    """Folds the journal; asserts that positions rise within a record and that none is missing between two."""
    found = Read(observe_loop.Read(), [], [], [], {})
    for shard, records in harness.journal_records(world).items():
        for record in records:
            body = journal.decode(record)
            if isinstance(body, journal.Signed):
                key = (shard, body.topic, body.partition)
                assert body.previous <= found.marks.get(key, -1)
                if body.offset > found.marks.get(key, -1):
                    found.marks[key] = body.offset
                    found.signed.append((shard, body))
            elif isinstance(body, journal.Telemetry):
                _fold(found, shard, body)
    return found


def _fold(found: Read, shard: int, body: journal.Telemetry) -> None:
    marks = [found.marks.get((shard, p.topic, p.partition), -1) for p in body.positions]
    newest = list(marks)
    assert all(p.previous <= mark for p, mark in zip(body.positions, marks, strict=True))
    tables = {}
    for name, table in body.tables.items():
        where = observe_loop.listed(table, "source", "offset")
        for number in range(len(body.positions)):
            offsets = [offset for source, offset in where if source == number]
            assert offsets == sorted(offsets)
            newest[number] = max([newest[number], *offsets])
        keep = [row for row, (source, offset) in enumerate(where) if offset > marks[source]]
        found.repeated += len(where) - len(keep)
        tables[name] = {
            column: values.take(keep) if isinstance(values, journal.Strings) else values[keep]
            for column, values in table.items()
        }
    found.counted.read(tables)
    found.pools += observe_loop.listed(tables.get("pools"), "tenant", "quantity", "value")
    found.lines += observe_loop.listed(tables.get("logs"), "tenant", "template", "count")
    for number, position in enumerate(body.positions):
        found.marks[shard, position.topic, position.partition] = newest[number]


def progress(world: harness.World) -> dict[tuple[str, int], journal.SourceProgress]:
    """The last progress of every source partition, which every shard must have heard."""
    heard: dict[int, dict[tuple[str, int], journal.SourceProgress]] = {}
    for shard, records in harness.journal_records(world).items():
        for record in records:
            body = journal.decode(record)
            if isinstance(body, journal.Progress):
                heard.setdefault(shard, {}).update({(s.topic, s.partition): s for s in body.sources})
    if len(heard) < SHARDS:
        return {}
    assert all(set(each) == set(heard[0]) for each in heard.values())
    return heard[0]


def done(world: harness.World, ends: Mapping[tuple[str, int], int]) -> bool:
    seen = progress(world)
    return all(key in seen and seen[key].position + 1 == end == seen[key].high_watermark for key, end in ends.items())


def ends(records: list[Sent]) -> dict[tuple[str, int], int]:
    counted: dict[tuple[str, int], int] = {}
    for record in records:
        counted[record.topic, record.partition] = counted.get((record.topic, record.partition), 0) + 1
    return counted
