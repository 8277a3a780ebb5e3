"""Reaching the broker: waits for one that is not there yet, reads a topic to its end, sends and awaits."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from schemas import envelope
from schemas.envelope import Event
from stream import kafka
from stream.broker.errors import BrokerError
from stream.kafka import Address
from stream.stored import Stored as Stored
from stream.trouble import OperatorNeededError

WAIT_S = 30.0  # a broker that starts beside us is there within 10 s
BACKOFF_S = (0.5, 5.0)  # first and longest pause between two tries
REQUEST_MS = 10_000
POLL_MS = 500
RECORD_BYTES_MAX = 8 << 20  # what the control topic takes
READ_STALL_S = 30.0  # a topic that gives nothing for so long before its end has lost its leader


async def broker(bootstrap: Address, wait_s: float, say: Callable[[str], None]) -> None:
    """Returns when a broker answers. Says once that it waits; raises BrokerError after `wait_s`, DeniedError soon."""
    deadline_s = time.monotonic() + wait_s
    pause_s, pause_s_max = BACKOFF_S
    waiting = False
    logger = logging.getLogger("aiokafka")
    level_before = logger.level
    logger.setLevel(logging.CRITICAL)  # it writes a traceback a try, which says no more than our one line
    try:
        while not await _answers(bootstrap):
            denied = await kafka.refusal(bootstrap)
            if denied is not None:
                raise denied
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise BrokerError(
                    f"no broker answered at {bootstrap} within {wait_s:g} s; start one (`douse broker` for a laptop) "
                    f"or set `bootstrap` (DOUSE_BOOTSTRAP) to where yours is{kafka.hint(bootstrap)}"
                )
            if not waiting:
                say(f"no broker at {bootstrap} yet; trying again for {wait_s:g} s")
                waiting = True
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, pause_s_max)
    finally:
        logger.setLevel(level_before)


async def require(
    bootstrap: Address, names: Sequence[str], instead: Mapping[str, str] = MappingProxyType({})
) -> dict[str, int]:
    """The partitions of each topic. Raises MissingTopicsError, naming the command that makes them, or BrokerError.

    `instead` says by topic what else a person can do where it is not there.
    """
    admin = AIOKafkaAdminClient(**kafka.client(bootstrap), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        described = await admin.describe_topics(list(names))
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, bootstrap) from error
    finally:
        await admin.close()
    denied = [each["topic"] for each in described if each["error_code"] == TopicAuthorizationFailedError.errno]
    if denied:
        raise kafka.failed(TopicAuthorizationFailedError(denied), bootstrap)
    there = {each["topic"]: len(each["partitions"]) for each in described if each["error_code"] == 0}
    absent = [name for name in names if not there.get(name)]
    if absent:
        raise MissingTopicsError(
            f"topic {', '.join(absent)} is not there at {bootstrap}; `douse topics create` makes ours, with --sources "
            f"the OTLP ones as well{''.join(f'; {instead[name]}' for name in absent if name in instead)}"
        )
    return there


async def topic_names(bootstrap: Address) -> frozenset[str]:
    """The names of all topics that this client may see. Raises BrokerError."""
    admin = AIOKafkaAdminClient(**kafka.client(bootstrap), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        return frozenset(await admin.list_topics())
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, bootstrap) from error
    finally:
        await admin.close()


class MissingTopicsError(OperatorNeededError):
    """The broker answers, but has not the topics: a person has to create them."""


async def read(bootstrap: Address, topic: str) -> AsyncIterator[Stored]:
    """Every record of the topic, from its beginning to the end that it had when the reading began."""
    partitions = (await require(bootstrap, [topic]))[topic]
    parts = [TopicPartition(topic, number) for number in range(partitions)]
    async with _consumer(bootstrap) as consumer:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        for part in parts:
            await consumer.seek_to_beginning(part)
        heard_s = time.monotonic()
        while True:
            open_parts = [part for part in parts if await consumer.position(part) < ends[part]]
            if not open_parts:
                return
            batches = await consumer.getmany(*open_parts, timeout_ms=POLL_MS)
            for part, records in batches.items():
                for record in records:
                    if record.offset < ends[part]:
                        yield _stored(record)
            if batches:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > READ_STALL_S:
                raise BrokerError(f"topic {topic} at {bootstrap} gave nothing for {READ_STALL_S:g} s before its end")


async def send(bootstrap: Address, topic: str, events: Sequence[tuple[str, Event]]) -> None:
    """Sends (key, event) pairs in order and returns when the broker has all of them. Raises BrokerError."""
    producer = AIOKafkaProducer(
        **kafka.client(bootstrap),
        enable_idempotence=True,
        acks="all",
        request_timeout_ms=REQUEST_MS,
        max_request_size=RECORD_BYTES_MAX,
    )
    try:
        await producer.start()
        for key, event in events:
            headers, value = envelope.encode(event)
            await producer.send_and_wait(topic, value, key=key.encode(), headers=headers)
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, bootstrap, f"writing to topic {topic}", topic) from error
    finally:
        await producer.stop()


@asynccontextmanager
async def _consumer(bootstrap: Address) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **kafka.client(bootstrap),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=REQUEST_MS,
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, bootstrap) from error
    finally:
        await consumer.stop()


async def _answers(bootstrap: Address) -> bool:
    admin = AIOKafkaAdminClient(**kafka.client(bootstrap), request_timeout_ms=2_000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()


def _stored(record: Any) -> Stored:
    key = record.key.decode(errors="replace") if record.key else ""
    return Stored(record.partition, record.offset, record.timestamp, key, record.headers, record.value, record.key)
