"""Copies topics from a broker into an archive: a stretch of offsets of each partition, fixed when it begins."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.fields import nearest
from stream import kafka
from stream.archive.record import Stored
from stream.archive.times import Moment
from stream.archive.writing import Writer
from stream.broker.errors import BrokerError
from stream.settings import Settings
from stream.trouble import OperatorNeededError

POLL_MS = 500
REQUEST_MS = 10_000
READ_STALL_S = 30.0  # a partition that gives nothing for so long before its end has lost its leader
NOT_ALLOWED = 29  # Kafka's TOPIC_AUTHORIZATION_FAILED

Stretch = dict[TopicPartition, tuple[int, int]]


class TopicError(OperatorNeededError):
    """A topic is not there, or may not be read."""


def connection(settings: Settings) -> dict[str, Any]:
    """How every client of this module reaches the broker."""
    return {**kafka.client(kafka.cluster(settings)), "request_timeout_ms": REQUEST_MS}


async def run(
    settings: Settings,
    topics: Sequence[str],
    begin: Moment,
    end: Moment,
    writer: Writer,
    progress: Callable[[int, int], None],
) -> Stretch:
    """Writes the records that lie between two moments; `progress` hears (offsets done, offsets in all).

    A moment stands for the offset of the first record at or after it, `latest` for the end at the start of the command.
    Raises TopicError, BrokerError, and what the writer raises.
    """
    partitions = await require(settings, topics)
    parts = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
    async with _consumer(settings, topics) as consumer:
        consumer.assign(parts)
        stretch = await _stretch(consumer, parts, begin, end)
        total = sum(last - first for first, last in stretch.values())
        done = dict.fromkeys(stretch, 0)
        consumer.assign([part for part, (first, last) in stretch.items() if first < last])
        for part in consumer.assignment():
            consumer.seek(part, stretch[part][0])
        heard_s = time.monotonic()
        while True:
            open_parts = [part for part in consumer.assignment() if await consumer.position(part) < stretch[part][1]]
            if not open_parts:
                break
            before = sum(done.values())
            for part, records in (await consumer.getmany(*open_parts, timeout_ms=POLL_MS)).items():
                for record in records:
                    if record.offset < stretch[part][1]:
                        writer.add(_stored(record))
            for part in open_parts:
                done[part] = min(await consumer.position(part), stretch[part][1]) - stretch[part][0]
            progress(sum(done.values()), total)
            if sum(done.values()) > before:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > READ_STALL_S:
                names = ", ".join(f"{part.topic}/{part.partition}" for part in open_parts)
                raise BrokerError(f"{names} at {settings.bootstrap} gave nothing for {READ_STALL_S:g} s before its end")
    return stretch


async def require(settings: Settings, topics: Sequence[str]) -> dict[str, int]:
    """The partitions of each topic. Raises TopicError for the first that is not there or may not be read."""
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        described = await admin.describe_topics(list(dict.fromkeys(topics)))
        errors = {each["topic"]: each["error_code"] for each in described}
        known = await admin.list_topics() if any(errors.values()) else []
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, kafka.cluster(settings)) from error
    finally:
        await admin.close()
    for topic in topics:
        if errors.get(topic) == NOT_ALLOWED:
            raise TopicError(_denied(topic))
        if errors.get(topic) != 0:
            raise TopicError(f"topic {topic} is not there at {settings.bootstrap}{nearest(topic, known)}")
    return {each["topic"]: len(each["partitions"]) for each in described}


@asynccontextmanager
async def _consumer(settings: Settings, topics: Sequence[str]) -> AsyncIterator[AIOKafkaConsumer]:
    """In no group: nothing is committed, and nobody else's reading is disturbed."""
    consumer = AIOKafkaConsumer(
        **connection(settings),
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",  # of a transaction that was given up nobody else sees anything either
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, kafka.cluster(settings), topic=", ".join(topics)) from error
    finally:
        await consumer.stop()


async def _stretch(consumer: AIOKafkaConsumer, parts: Sequence[TopicPartition], begin: Moment, end: Moment) -> Stretch:
    firsts, lasts = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)

    async def offsets(moment: Moment) -> dict[TopicPartition, int]:
        if moment == "earliest":
            return dict(firsts)
        if moment == "latest":
            return dict(lasts)
        found = await consumer.offsets_for_times(dict.fromkeys(parts, moment))
        return {part: lasts[part] if found[part] is None else found[part].offset for part in parts}

    begins, ends = await offsets(begin), await offsets(end)
    return {part: (begins[part], max(begins[part], min(ends[part], lasts[part]))) for part in parts}


def _denied(topic: str) -> str:
    return f"topic {topic} may not be read; give this user the ACLs Read and Describe on it"


def _stored(record: Any) -> Stored:
    return Stored(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        headers=tuple((name, content or b"") for name, content in record.headers),
        value=record.value,
    )
