"""Starts one shard anew from what its journal partition still holds, where detect stops with exit code 78.

What is forgotten: the counts of before the journal's beginning, and the incidents that were open (their unconfirmed
changes are taken back by their actuators). What is kept: the spec set and the kill switches, which stand on the control
topic, and the place in each source that the journal goes on from.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, UnknownMemberIdError

from schemas import journal
from stream import kafka, shard
from stream.broker.errors import BrokerError
from stream.control import Control
from stream.detect.checkpoint import Checkpoint
from stream.kafka import Address
from stream.topics import Topics
from stream.trouble import OperatorNeededError

POLL_MS = 500
READ_STALL_S = 30.0  # a partition that gives nothing for so long before its end has lost its leader

Marks = dict[tuple[str, int], int]


class GroupAtWorkError(OperatorNeededError):
    """The group has members: a shard is made anew only while nobody folds it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a shard begins with: its journal partition from `first` to before `end`, the marks of its sources there."""

    number: int
    first: int
    end: int
    marks: Marks
    revision: str
    switches: Mapping[str, tuple[bool, int]]


async def plan(bootstrap: Address, topics: Topics, number: int, control: Control) -> Plan:
    """Reads the shard's whole journal partition for the place in each source that it goes on from. Writes nothing."""
    part = TopicPartition(topics.journal, number)
    async with _consumer(bootstrap, None) as consumer:
        consumer.assign([part])
        first = (await consumer.beginning_offsets([part]))[part]
        end = (await consumer.end_offsets([part]))[part]
        await consumer.seek_to_beginning(part)
        marks: Marks = {}
        heard_s = time.monotonic()
        while await consumer.position(part) < end:
            records = (await consumer.getmany(part, timeout_ms=POLL_MS)).get(part, ())
            heard_s = time.monotonic() if records else heard_s
            if time.monotonic() - heard_s > READ_STALL_S:
                raise BrokerError(f"journal partition {number} gave nothing for {READ_STALL_S:g} s before its end")
            for record in records:
                headers = dict(record.headers)
                kind, version = headers["kind"].decode(), int(headers["version"])
                entry = journal.Record(number, record.offset, record.timestamp, kind, version, record.value)
                follow(marks, journal.decode(entry))
    switches = {scope: (kill.on, kill.time_ms) for scope, kill in control.kills.items()}
    return Plan(number, first, end, marks, control.specs.revision if control.specs else "", switches)


def follow(marks: Marks, body: journal.Body) -> None:
    """Keep, for each source, the position that its first record here follows: what came before is not here."""
    match body:
        case journal.Telemetry():
            for position in body.positions:
                marks.setdefault((position.topic, position.partition), position.previous)
        case journal.Signed():
            marks.setdefault((body.topic, body.partition), body.previous)
        case _:
            pass  # ticks and progress have no position


async def carry_out(
    bootstrap: Address, group: str, topics: Topics, shards: int, planned: Plan, control: Control
) -> None:
    """Writes the new beginning as a snapshot, and sends the group to it. Raises GroupAtWorkError, BrokerError."""
    state = shard.fresh(planned.number, shards)
    state.mark = planned.first - 1
    state.marks = dict(planned.marks)
    state.specs = control.specs
    state.spec_revision = planned.revision
    state.switches = dict(planned.switches)
    await _send_group(bootstrap, group, TopicPartition(topics.journal, planned.number), planned.first)
    checkpoint = Checkpoint(bootstrap, group, topics.state, topics.journal, planned.number, asyncio.Semaphore(1))
    try:
        await checkpoint.open()
        await checkpoint.write(shard.dirty_segments(state), shard.manifest(state))
    except KafkaError as error:
        raise BrokerError(f"the new beginning of shard {planned.number} was not written: {error}") from error
    finally:
        await checkpoint.close()


async def _send_group(bootstrap: Address, group: str, part: TopicPartition, offset: int) -> None:
    """Commits the offset from outside the group, which the broker allows only while the group is empty."""
    async with _consumer(bootstrap, group) as consumer:
        consumer.assign([part])
        try:
            await consumer.commit({part: offset})
        except (CommitFailedError, IllegalGenerationError, UnknownMemberIdError) as error:
            raise GroupAtWorkError(f"group {group} is at work; stop every `douse detect` of it first") from error


@asynccontextmanager
async def _consumer(bootstrap: Address, group: str | None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **kafka.client(bootstrap), group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, bootstrap) from error
    finally:
        await consumer.stop()
