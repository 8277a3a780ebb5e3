"""On a real broker: topics by pattern, in every codec and both encodings, from a moment on."""

import asyncio
import random
import re
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.ingest import offsets
from stream.ingest.sights import Sights
from tests.faults import harness
from tests.schemas.otlp import otlp_json
from tests.stream.ingest import rig

pytestmark = pytest.mark.broker

CODECS = ("gzip", "snappy", "lz4", "zstd")


async def make(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def write(bootstrap: str, topic: str, codec: str | None, records: list[tuple[bytes, int | None]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec)
    await producer.start()
    try:
        for value, timestamp_ms in records:
            await producer.send_and_wait(topic, value, partition=0, timestamp_ms=timestamp_ms)
    finally:
        await producer.stop()


def test_every_codec_and_both_encodings_are_read_from_a_topic_that_a_pattern_finds(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    pattern = f"^{re.escape(prefix)}.*traces$"
    made = rig.world(bootstrap, prefix, tmp_path, start_from="earliest", spans_topics=[pattern])
    rig.apply_specs(made)
    topic = f"{prefix}shop-traces"
    asyncio.run(make(bootstrap, topic, 1))
    for seed, codec in enumerate(CODECS):
        request = rig.traces(random.Random(seed))
        both = [(request.SerializeToString(), None), (otlp_json.document(request), None)]
        asyncio.run(write(bootstrap, topic, codec, both))
    with rig.running(made) as worker:
        harness.until(lambda: rig.done(made, {(topic, 0): 2 * len(CODECS)}), "progress to the end")
        assert rig.stop(worker) == 0, rig.said(made)
    assert "dead letters" not in rig.said(made)
    assert f"{topic} has records in otlp_json" in rig.said(made)


def test_the_first_offset_is_that_of_a_moment(bootstrap: str, prefix: str) -> None:
    topic, group = f"{prefix}moments", f"{prefix}group"
    asyncio.run(make(bootstrap, topic, 2))
    hours = [(b"", 3_600_000 * hour) for hour in range(1, 6)]
    asyncio.run(write(bootstrap, topic, None, hours))
    asyncio.run(offsets.settle(bootstrap, group, {topic: 2}, {topic: "1970-01-01T03:30:00+00:00"}))
    assert asyncio.run(Sights(bootstrap, group).committed()) == {(topic, 0): 3, (topic, 1): 0}
