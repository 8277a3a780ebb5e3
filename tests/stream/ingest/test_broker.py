"""ingest on a real broker: every position once, whatever is killed; dead letters are what cannot be read, alone."""

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from stream.faustlib import exits
from tests import seeds
from tests.detectors import observe_loop, otlp_made
from tests.faults import harness
from tests.stream.ingest import rig

pytestmark = pytest.mark.broker


def test_every_record_is_counted_or_a_dead_letter(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest")
    names, draw = made.topics, random.Random(5)
    loop, good, bad = observe_loop.Counted(), [], []
    for number in range(200):
        record = rig.traces(draw)
        loop.add(record, otlp_made.SPECS)
        good.append(rig.Sent(names.spans, number % rig.PARTITIONS, record.SerializeToString()))
    good += [rig.Sent(names.metrics, number % rig.PARTITIONS, rig.pool_metrics("acme", number)) for number in range(20)]
    good += [rig.Sent(names.logs, number % rig.PARTITIONS, rig.log_lines("acme", number)) for number in range(20)]
    good += [rig.outcome(made, shard) for shard in range(rig.SHARDS)]
    whole = rig.traces(draw, 50).SerializeToString()
    bad += [rig.Sent(names.spans, 0, draw.randbytes(200)), rig.Sent(names.spans, 1, whole[:-7])]
    pools = rig.pool_metrics("acme", 1)
    bad += [rig.Sent(names.metrics, 0, draw.randbytes(200)), rig.Sent(names.metrics, 1, pools[:-7])]
    said = rig.log_lines("acme", 1)
    bad += [rig.Sent(names.logs, 0, draw.randbytes(200)), rig.Sent(names.logs, 1, said[:-7])]
    bad += [rig.Sent(names.logs, 0, pools), rig.Sent(names.spans, 1, said), rig.Sent(names.metrics, 1, said)]
    bad += [rig.Sent(names.spans, 0, pools), rig.Sent(names.metrics, 1, whole)]
    bad += [
        rig.Sent(names.outcomes, 0, b"{}"),
        rig.outcome(made, 0, "command.key", "c2"),
        rig.outcome(made, rig.SHARDS, command="c3"),
    ]
    bad += [rig.Sent(names.control, 0, b"not signed", b"specs/all")]
    mixed = good + bad
    draw.shuffle(mixed)
    rig.produce(made, mixed)
    with rig.running(made) as worker:
        harness.until(lambda: "no spec set" in rig.said(made), "it waits for a spec set")
        rig.apply_specs(made)
        expected = rig.ends(mixed)
        expected[names.control, 0] += 1
        harness.until(lambda: rig.done(made, expected), "progress to the ends")
        assert rig.stop(worker) == 0, rig.said(made)
    found = rig.read(made)
    assert found.counted.same(loop)
    assert sorted(found.pools) == sorted(("acme", 3, float(number)) for number in range(20))
    assert sorted(found.lines) == [("acme", "order <n> failed", 1)] * 20
    told = sorted((shard, body.data["shard"]) for shard, body in found.signed if body.ce_type == "dev.douse.outcome")
    assert told == [(shard, shard) for shard in range(rig.SHARDS)]
    assert sorted(s for s, body in found.signed if body.ce_type == "dev.douse.control.specs") == list(range(rig.SHARDS))
    letters = harness.read(made, names.dead_letter, 1)
    assert sorted(letter.value for letter in letters) == sorted(record.value or b"" for record in bad)
    assert all(dict(letter.headers)["reason"] for letter in letters)
    assert found.repeated == 0


@pytest.mark.parametrize("point", ["send", "ack", "late"])
def test_a_killed_worker_loses_and_repeats_nothing(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path, point: str
) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest")
    rig.apply_specs(made)
    draw, loop = seeds.draw(request), observe_loop.Counted()
    records = []
    for number in range(400):
        record = rig.traces(draw, 4)
        loop.add(record, otlp_made.SPECS)
        records.append(rig.Sent(made.topics.spans, number % rig.PARTITIONS, record.SerializeToString()))
    rig.produce(made, records[:300])
    kill = {"send": ("--point", "send", "--nth", "5"), "ack": ("--point", "ack", "--nth", "90"), "late": ()}[point]
    with rig.running(made, *kill) as worker:
        if point == "late":
            harness.until(lambda: bool(rig.read(made).marks), "first rows")
            time.sleep(draw.uniform(0, 1))
            worker.kill()
        assert worker.wait(40) == -signal.SIGKILL, rig.said(made)
    rig.produce(made, records[300:])
    with rig.running(made) as worker:
        harness.until(lambda: rig.done(made, rig.ends(records)), "progress to the ends")
        assert rig.stop(worker) == 0, rig.said(made)
    found = rig.read(made)
    assert found.counted.same(loop)
    if point == "ack":
        assert found.repeated > 0, "the kill came too late to show anything"


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_workers_that_join_die_and_stand_still_lose_and_repeat_nothing(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path, fault: signal.Signals
) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest")
    rig.apply_specs(made)
    draw, loop = seeds.draw(request), observe_loop.Counted()
    records: list[rig.Sent] = []

    def feed(count: int) -> None:
        fresh = [rig.traces(draw, 4) for _ in range(count)]
        for record in fresh:
            loop.add(record, otlp_made.SPECS)
        first = len(records)
        records.extend(
            rig.Sent(made.topics.spans, (first + number) % rig.PARTITIONS, record.SerializeToString())
            for number, record in enumerate(fresh)
        )
        rig.produce(made, records[first:])

    feed(60)
    with rig.running(made) as stays, rig.running(made) as faulty:
        harness.until(lambda: rig.done(made, rig.ends(records)), "both together read to the ends")
        for _ in range(10):
            feed(10)
            time.sleep(draw.uniform(0, 0.2))
        faulty.send_signal(fault)
        for _ in range(10):
            feed(10)
            time.sleep(draw.uniform(0, 0.2))
        if fault == signal.SIGSTOP:
            time.sleep(harness.SESSION_S + 3)
            faulty.send_signal(signal.SIGCONT)
            assert faulty.wait(20) == exits.AGAIN, rig.said(made)
        harness.until(lambda: rig.done(made, rig.ends(records)), "the other reads on")
        assert rig.stop(stays) == 0, rig.said(made)
    assert rig.read(made).counted.same(loop)


def test_a_newer_spec_set_starts_the_worker_again(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = rig.world(bootstrap, prefix, tmp_path)
    rig.apply_specs(made)
    with rig.running(made) as worker:
        harness.until(lambda: bool(rig.progress(made)), "first progress")
        rig.apply_specs(made)  # the same again is no reason
        time.sleep(3)
        assert worker.poll() is None
        rig.apply_specs(made, otlp_made.SPECS.model_copy(update={"slos": otlp_made.SLOS[:1]}))
        assert worker.wait(30) == exits.AGAIN, rig.said(made)


def test_latest_is_the_end_at_the_first_start_only(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = rig.world(bootstrap, prefix, tmp_path)
    draw, loop = random.Random(3), observe_loop.Counted()
    before = [rig.Sent(made.topics.spans, 0, rig.traces(draw).SerializeToString()) for _ in range(5)]
    rig.produce(made, [*before, rig.outcome(made, 1)])
    rig.apply_specs(made)
    with rig.running(made) as worker:
        harness.until(lambda: bool(rig.progress(made)), "first progress")
        assert rig.stop(worker) == 0, rig.said(made)
    after = []
    for _ in range(5):
        record = rig.traces(draw)
        loop.add(record, otlp_made.SPECS)
        after.append(rig.Sent(made.topics.spans, 0, record.SerializeToString()))
    rig.produce(made, after)
    with rig.running(made) as worker:
        harness.until(lambda: rig.done(made, rig.ends([*before, *after, rig.outcome(made, 1)])), "progress to the ends")
        assert rig.stop(worker) == 0, rig.said(made)
    found = rig.read(made)
    assert found.counted.same(loop)
    assert [body.ce_id for _, body in found.signed if body.ce_type == "dev.douse.outcome"] == ["o-c1-1"]


def test_markers_of_transactions_are_no_loss_and_no_lag(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest")
    rig.apply_specs(made)
    draw, loop = random.Random(6), observe_loop.Counted()
    records = [rig.traces(draw) for _ in range(6)]
    for record in records:
        loop.add(record, otlp_made.SPECS)

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{prefix}other")
        await producer.start()
        try:
            for number in range(0, 6, 2):
                async with producer.transaction():
                    for record in records[number : number + 2]:
                        await producer.send(made.topics.spans, record.SerializeToString(), partition=0)
        finally:
            await producer.stop()

    asyncio.run(send())
    with rig.running(made) as worker:
        harness.until(
            lambda: rig.done(made, {(made.topics.spans, 0): 9}), "progress to the end, beyond the last marker"
        )
        assert rig.stop(worker) == 0, rig.said(made)
    seen = rig.progress(made)[made.topics.spans, 0]
    assert (seen.lost_from, seen.lost_to) == (-1, -1)
    assert rig.read(made).counted.same(loop)


def test_what_retention_took_is_reported_as_lost(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest")
    rig.apply_specs(made)
    draw = random.Random(4)
    records = [rig.Sent(made.topics.spans, 0, rig.traces(draw).SerializeToString()) for _ in range(30)]
    rig.produce(made, records[:10])
    with rig.running(made) as worker:
        harness.until(lambda: rig.done(made, rig.ends(records[:10])), "progress to the ends")
        assert rig.stop(worker) == 0, rig.said(made)
    rig.produce(made, records[10:])
    delete(made, TopicPartition(made.topics.spans, 0), 25)
    with rig.running(made) as worker:
        harness.until(lambda: rig.done(made, rig.ends(records)), "progress to the ends")
        assert rig.stop(worker) == 0, rig.said(made)
    seen = rig.progress(made)[made.topics.spans, 0]
    assert (seen.lost_from, seen.lost_to) == (10, 24)
    assert "15 records are lost" in rig.said(made)


def delete(world: harness.World, part: TopicPartition, before: int) -> None:
    async def gone() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap)
        await admin.start()
        try:
            await admin.delete_records({part: RecordsToDelete(before_offset=before)})
        finally:
            await admin.close()

    asyncio.run(gone())


def test_an_offset_beyond_the_end_needs_an_operator(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest")
    rig.apply_specs(made)
    asyncio.run(commit(made, f"{prefix}g-ingest", TopicPartition(made.topics.spans, 1), 50))
    with rig.running(made) as worker:
        assert worker.wait(40) == exits.OPERATOR
    assert f"{made.topics.spans}[1] ends at 0, 50 was read" in rig.said(made)
    assert "douse state rebase" in rig.said(made)


async def commit(world: harness.World, group: str, part: TopicPartition, offset: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=world.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([part])
        await consumer.commit({part: offset})
    finally:
        await consumer.stop()


def test_a_source_that_is_not_there_needs_an_operator(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    made = harness.world(bootstrap, prefix, tmp_path, rig.SHARDS)
    with rig.running(made) as worker:
        assert worker.wait(40) == exits.OPERATOR
    assert made.topics.spans in rig.said(made)


def test_a_topic_of_logs_that_is_not_there_stops_the_worker_and_names_the_switch(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, sources=False)
    asyncio.run(rig.create_sources(made, but=(made.topics.logs,)))
    rig.apply_specs(made)
    with rig.running(made) as worker:
        assert worker.wait(30) == exits.OPERATOR, rig.said(made)
    assert f"topic {made.topics.logs} is not there" in rig.said(made)
    assert "without logs, set `logs = false` (DOUSE_LOGS)" in rig.said(made)


def test_without_logs_a_worker_needs_no_topic_of_them_and_says_so_to_the_shards(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    made = rig.world(bootstrap, prefix, tmp_path, sources=False, logs=False, start_from="earliest")
    asyncio.run(rig.create_sources(made, but=(made.topics.logs,)))
    rig.apply_specs(made)
    records = [rig.Sent(made.topics.spans, 0, rig.traces(random.Random(1)).SerializeToString())]
    rig.produce(made, records)
    with rig.running(made) as worker:
        harness.until(lambda: rig.done(made, rig.ends(records)), "progress to the ends")
        assert rig.stop(worker) == 0, rig.said(made)
    assert rig.progress(made)[made.topics.logs, 0].partitions == 0
