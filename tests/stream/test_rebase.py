"""A shard that cannot go on begins anew where its journal does, and its sources are not mistaken for torn."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas import journal
from schemas.journal import Position, Progress, Signed, Telemetry, Tick
from stream import rebase, shard, specs, topics
from stream.control import Control, Kill
from stream.detect.checkpoint import Checkpoint, Found

SPECS = specs.load(Path(__file__).parents[2] / "examples" / "acme" / "specs").specs
KILL = Kill("global", True, "ann", "storm", 1)


def telemetry(partition: int, previous: int) -> Telemetry:
    return Telemetry((Position("otlp_spans", partition, previous),), {})


def test_each_source_goes_on_from_what_its_first_record_follows() -> None:
    marks: rebase.Marks = {}
    signed = Signed("douse.control", 0, 9, 4, "t", "i", "s", "k", {})
    for body in (Tick(250, 3), telemetry(0, 7), telemetry(1, -1), telemetry(0, 12), Progress("b", ()), signed):
        rebase.follow(marks, body)
    assert marks == {("otlp_spans", 0): 7, ("otlp_spans", 1): -1, ("douse.control", 0): 4}


async def write_journal(bootstrap: str, topic: str) -> None:
    """Ten records whose first five are lost to retention."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    headers = [("kind", b"telemetry"), ("version", b"1")]
    for previous in range(9, 19):
        value = journal.encode_telemetry(telemetry(0, previous).positions, {})
        await producer.send_and_wait(topic, value, partition=1, headers=headers)
    await producer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 1): RecordsToDelete(5)})
    await admin.close()


@pytest.mark.broker
def test_a_shard_begins_anew_only_while_nobody_is_at_work(bootstrap: str, prefix: str) -> None:
    names = topics.names(prefix)
    group = f"{prefix}detect"
    control = Control(SPECS, {KILL.scope: KILL})

    async def work() -> tuple[rebase.Plan, Found]:
        await topics.create(bootstrap, prefix, shards=2)
        await write_journal(bootstrap, names.journal)
        planned = await rebase.plan(bootstrap, names, 1, control)
        member = AIOKafkaConsumer(names.journal, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
        await member.start()
        with pytest.raises(rebase.GroupAtWorkError):
            await rebase.carry_out(bootstrap, group, names, 2, planned, control)
        await member.stop()
        await rebase.carry_out(bootstrap, group, names, 2, planned, control)
        checkpoint = Checkpoint(bootstrap, group, names.state, names.journal, 1, asyncio.Semaphore(1))
        found = await checkpoint.open()
        await checkpoint.close()
        return planned, found

    planned, found = asyncio.run(work())
    assert (planned.first, planned.end, planned.marks) == (5, 10, {("otlp_spans", 0): 14})
    assert found.journal.committed == 5
    state = shard.restore(1, 2, found.values)
    assert (state.mark, state.marks) == (4, {("otlp_spans", 0): 14})
    assert (state.specs, state.spec_revision, state.switches) == (SPECS, SPECS.revision, {"global": (True, 1)})
