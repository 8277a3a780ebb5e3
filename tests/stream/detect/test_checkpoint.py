"""Snapshots on a real broker: all of one or nothing, and only by the shard's present owner."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced

from stream import topics
from stream.detect import checkpoint

pytestmark = pytest.mark.broker

Opened = tuple[checkpoint.Checkpoint, checkpoint.Found]


def scenario(bootstrap: str, prefix: str, body: Callable[[Callable[[], Awaitable[Opened]]], Awaitable[Any]]) -> None:
    """Runs `body` with a function that makes one more owner of shard 1."""

    async def run() -> None:
        await topics.create(bootstrap, prefix, shards=2)
        names = topics.names(prefix)
        gate = asyncio.Semaphore(1)
        async with AsyncExitStack() as stack:

            async def owner() -> Opened:
                each = checkpoint.Checkpoint(bootstrap, prefix + "detect", names.state, names.journal, 1, gate)
                stack.push_async_callback(each.close)
                return each, await each.open()

            await body(owner)

    asyncio.run(run())


def test_a_zombies_snapshot_is_refused_and_the_new_owners_stands(bootstrap: str, prefix: str) -> None:
    async def body(owner: Callable[[], Awaitable[Opened]]) -> None:
        first, empty = await owner()
        assert empty.values == {}
        await first.write([("a", b"1"), ("b", b"1")], b"first")
        second, found = await owner()
        assert found.values == {"a": b"1", "b": b"1", "manifest": b"first"}
        with pytest.raises(ProducerFenced):
            await first.write([("a", b"zombie")], b"zombie")
        await second.write([("b", b"2")], b"second")
        _, found = await owner()
        assert found.values == {"a": b"1", "b": b"2", "manifest": b"second"}

    scenario(bootstrap, prefix, body)


def test_a_half_written_snapshot_is_never_seen(bootstrap: str, prefix: str) -> None:
    async def body(owner: Callable[[], Awaitable[Opened]]) -> None:
        first, _ = await owner()
        await first.write([("a", b"1")], b"whole")
        producer = first._producer
        assert producer is not None
        await producer.begin_transaction()
        await producer.send_and_wait(first._state.topic, b"half", b"a", first._state.partition)
        second, found = await owner()  # aborts it, and reading does not wait for it
        assert found.values == {"a": b"1", "manifest": b"whole"}
        await second.write([], b"next")
        _, found = await owner()
        assert found.values == {"a": b"1", "manifest": b"next"}

    scenario(bootstrap, prefix, body)


def test_a_log_that_ends_in_transaction_markers_is_read_to_its_end(bootstrap: str, prefix: str) -> None:
    async def body(owner: Callable[[], Awaitable[Opened]]) -> None:
        for _ in range(2):
            each, _ = await owner()
            assert each._producer is not None
            await each._producer.begin_transaction()
            await each._producer.send_and_wait(each._state.topic, b"dropped", b"a", each._state.partition)
            await each._producer.abort_transaction()
        _, found = await owner()
        assert found.values == {}
        assert found.journal == checkpoint.Journal(0, 0, None)

    scenario(bootstrap, prefix, body)


def test_a_segment_too_large_for_the_topic_stops_before_it_is_sent(bootstrap: str, prefix: str) -> None:
    async def body(owner: Callable[[], Awaitable[Opened]]) -> None:
        first, _ = await owner()
        with pytest.raises(AssertionError, match="a of shard 1 has 500001 bytes"):
            await first.write([("a", bytes(checkpoint.SEGMENT_BYTES_MAX + 1))], b"m")

    scenario(bootstrap, prefix, body)
