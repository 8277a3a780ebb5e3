"""The whole way on a real broker, for fault tests: a load of spans, workers that are killed, and two ways to count.

What is compared: the buckets of the last snapshots, and an independent loop over the source topic that shares no code
with the product.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from schemas import envelope, signing, tiers
from schemas.slo import DAY_S, Slo, SpanSli
from schemas.specs import SpecSet
from stream import control, engine, keys, shard, topics
from stream.effects import Outlet
from stream.shard import ShardState
from tests.detectors.otlp_made import attribute
from tests.faults import harness
from tests.faults.harness import World

SERVICE, SHARDS, PARTITIONS = "shop", 4, 4
TENANTS = tuple(f"tenant-{number}" for number in range(12))
SPECS = SpecSet(
    slos=(
        Slo(
            name="availability",
            sli=SpanSli(service=SERVICE),
            target_ppm=999_000,
            tiers=tiers.defaults(999_000, 30 * DAY_S)[0],
        ),
    )
)
RECORDS_PER_S = 40
LATE_S_MAX = 20
ERROR_SHARE = 0.01
BURNING = TENANTS[:3]  # of more than one shard
BURNING_SHARE = 0.3  # far above every tier's factor, so that there are decisions to compare
UNSENT_MAX = 4  # what the last records decide may not leave before detect is stopped
GARBAGE = (b"\x00garbage", b'{"took": 3}', b"\xff" * 40, bytes(range(200)))  # `{}` is an empty request

Bucket = tuple[str, int]  # tenant, start of the bucket in seconds


def world(bootstrap: str, prefix: str, folder: Path) -> World:
    """Topics, keys and settings; the spec set is in force."""
    made = harness.world(bootstrap, prefix, folder, SHARDS, start_from="earliest")
    asyncio.run(topics.create(bootstrap, prefix, SHARDS, PARTITIONS, sources=True))
    keyid, key = keys.load_private(folder / "keys" / "operator.key")
    asyncio.run(control.publish(bootstrap, made.topics.control, control.specs_event(SPECS, 1), keyid, key))
    return made


@dataclass
class Workers:
    """`count` workers of each kind, started again whenever one ends; `codes` are their exit codes so far."""

    world: World
    count: int
    codes: list[tuple[str, int]] = field(default_factory=list)
    running: dict[tuple[str, int], subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, kind: str, number: int, *arguments: str) -> None:
        """A worker, armed with a kill point if `arguments` name one."""
        command = [sys.executable, "-m", "tests.faults.entry", kind, *arguments]
        environment = {**os.environ, "DOUSE_CONFIG": str(self.world.folder / "douse.toml")}
        with (self.world.folder / f"{kind}-{number}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=harness.ROOT, env=environment, stdout=log, stderr=log)
        self.running[kind, number] = process

    def tend(self) -> None:
        """Starts what has ended, without a kill point."""
        for (kind, number), process in list(self.running.items()):
            if process.poll() is not None:
                self.codes.append((kind, process.returncode))
                self.start(kind, number)

    def stop(self) -> list[int]:
        """Ends all by SIGTERM, ingest first, so that nothing is left to fold; their exit codes."""
        codes = []
        for kind in ("ingest", "detect"):
            group = [process for (name, _), process in self.running.items() if name == kind]
            for process in group:
                process.terminate()
            codes += [process.wait(40) for process in group]
            time.sleep(2 if kind == "ingest" else 0)
        return codes

    def kill(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@contextmanager
def workers(made: World, count: int) -> Iterator[Workers]:
    """Workers that are gone at the end, whatever happens."""
    kept = Workers(made, count)
    try:
        yield kept
    finally:
        kept.kill()


@contextmanager
def load(made: World, seed: str) -> Iterator[threading.Event]:
    """Sends spans of all tenants, and garbage among them, until the block ends."""
    done = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_feed(made, random.Random(seed), done)), daemon=True)
    thread.start()
    try:
        yield done
    finally:
        done.set()
        thread.join()


async def _feed(made: World, draw: random.Random, done: threading.Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=made.bootstrap, enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        started, sent = time.monotonic(), 0
        while not done.is_set():
            while sent < (time.monotonic() - started) * RECORDS_PER_S:
                garbage = sent % 50 == 49
                value = draw.choice(GARBAGE) if garbage else record(draw, time.time_ns())
                await producer.send(made.topics.spans, value, partition=sent % PARTITIONS)
                sent += 1
            await asyncio.sleep(0.02)
        await producer.flush()
    finally:
        await producer.stop()


def record(draw: random.Random, now_ns: int) -> bytes:
    """One OTLP record: a few tenants, a few spans each, most of them of this second, some of them late."""
    blocks = []
    for tenant in draw.sample(TENANTS, 3):
        spans = []
        errors = BURNING_SHARE if tenant in BURNING else ERROR_SHARE
        for _ in range(draw.randint(1, 6)):
            late_ns = draw.randrange(LATE_S_MAX * 10**9) if draw.random() < 0.05 else draw.randrange(10**9)
            code = 503 if draw.random() < errors else 200
            spans.append(
                Span(
                    trace_id=draw.randbytes(16),
                    span_id=draw.randbytes(8),
                    name="GET /",
                    kind=Span.SPAN_KIND_SERVER if draw.random() < 0.8 else Span.SPAN_KIND_CLIENT,
                    start_time_unix_nano=now_ns - late_ns - 10**8,
                    end_time_unix_nano=now_ns - late_ns,
                    status=Status(code=Status.STATUS_CODE_ERROR if code == 503 else Status.STATUS_CODE_UNSET),
                    attributes=[
                        attribute("http.request.method", "GET"),
                        attribute("http.response.status_code", code),
                    ],
                )
            )
        named = [attribute("service.name", SERVICE), attribute("tenant.id", tenant)]
        blocks.append(ResourceSpans(resource={"attributes": named}, scope_spans=[ScopeSpans(spans=spans)]))
    return bytes(TracesData(resource_spans=blocks).SerializeToString())


def truth(made: World, width_s: int) -> tuple[Counter[Bucket], Counter[Bucket]]:
    """Good and all requests of each bucket, counted by a loop over the source topic."""
    good: Counter[Bucket] = Counter()
    total: Counter[Bucket] = Counter()
    for stored in harness.read(made, made.topics.spans, PARTITIONS):
        if stored.value in GARBAGE:
            continue
        for block in TracesData.FromString(stored.value).resource_spans:
            tenant = next(one.value.string_value for one in block.resource.attributes if one.key == "tenant.id")
            for span in block.scope_spans[0].spans:
                if span.kind == Span.SPAN_KIND_SERVER:
                    bucket = (tenant, span.end_time_unix_nano // 10**9 // width_s * width_s)
                    total[bucket] += 1
                    good[bucket] += span.status.code != Status.STATUS_CODE_ERROR
    return good, total


def states(made: World) -> dict[int, ShardState]:
    """The last snapshot of each shard."""
    return {number: shard.restore(number, SHARDS, held) for number, held in harness.segments(made).items()}


def counted(found: dict[int, ShardState], level: str) -> tuple[Counter[Bucket], Counter[Bucket]]:
    """Good and all requests of each bucket that one level of the snapshots' rings holds."""
    good: Counter[Bucket] = Counter()
    total: Counter[Bucket] = Counter()
    for state in found.values():
        ring = state.rows.rings[level]
        slots = ring.slots(ring.oldest, ring.head)
        for row, key in enumerate(state.rows.keys):
            steps = np.diff(ring.values[slots, :, row].astype(np.int64), axis=0)
            for place in np.flatnonzero(steps[:, 1]).tolist():
                bucket = (key[1], (ring.oldest + 1 + place) * ring.shape.width_s)
                good[bucket], total[bucket] = int(steps[place, 0]), int(steps[place, 1])
    return +good, +total


def behind(made: World) -> str:
    """What the last snapshots still lack of the source topic; empty when they have all."""
    ends: dict[int, int] = {}
    for stored in harness.read(made, made.topics.spans, PARTITIONS):
        ends[stored.partition] = stored.offset
    found = states(made)
    if len(found) < SHARDS:
        return f"snapshots of {sorted(found)} only"
    for number, state in found.items():
        for partition, end in ends.items():
            seen = state.progress.get((made.topics.spans, partition))
            if seen is None or seen.position < end:
                return f"shard {number} knows {made.topics.spans}[{partition}] up to {seen and seen.position} of {end}"
    return ""


def dead_letters(made: World) -> Counter[bytes]:
    return Counter(stored.value for stored in harness.read(made, made.topics.dead_letter, 1))


def garbage_sent(made: World) -> Counter[bytes]:
    stored = harness.read(made, made.topics.spans, PARTITIONS)
    return Counter(each.value for each in stored if each.value in GARBAGE)


def published(made: World) -> dict[str, bytes]:
    """Every incident event by its id, as its signature covers it. Asserts that no two copies of one differ."""
    found: dict[str, bytes] = {}
    for stored in harness.read(made, made.topics.incidents, PARTITIONS):
        event = envelope.decode(stored.headers, stored.value)
        text = signing.signed_bytes(event.type, event.id, event.source, event.data)
        assert found.setdefault(event.id, text) == text, f"two copies of {event.type} {event.id} differ"
    return found


def folded(made: World) -> dict[str, bytes]:
    """As `published`, of the same journal folded in one loop, without faults."""
    found: dict[str, bytes] = {}
    for number, records in harness.journal_records(made).items():
        state = shard.fresh(number, SHARDS)
        for record in records:
            for effect in engine.fold(state, record):
                if effect.outlet is Outlet.INCIDENTS:
                    text = signing.signed_bytes(effect.type, effect.id, effect.source, effect.data)
                    assert found.setdefault(effect.id, text) == text, f"{effect.type} {effect.id} is told twice"
    return found


def check_decisions(made: World) -> int:
    """Asserts that what was published is what the journal says, and that it is something; how many events."""
    seen, expected = published(made), folded(made)
    assert seen, "no incident opened: there is nothing to compare"
    assert {name: expected.get(name) for name in seen} == seen
    assert len(expected) - len(seen) <= UNSENT_MAX, expected.keys() - seen.keys()
    return len(seen)


def check(made: World) -> dict[str, Any]:
    """Asserts that every level of every row equals the loop's count, and that nothing was late; gives the counters."""
    found = states(made)
    counters = Counter[str]()
    for state in found.values():
        counters.update(state.counters)
    assert counters["late"] == 0, counters
    for level, width_s in (("1s", 1), ("10s", 10), ("5min", 300)):
        good, total = truth(made, width_s)
        seen_good, seen_total = counted(found, level)
        missing = {
            bucket: (total[bucket], seen_total[bucket]) for bucket in total if total[bucket] != seen_total[bucket]
        }
        assert not missing, (
            f"{level}: (sent, counted) of {len(missing)} buckets: {json.dumps(list(missing.items())[:5])}"
        )
        assert seen_total == +total
        assert seen_good == +good
    return dict(counters)
