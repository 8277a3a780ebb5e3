"""The topics, as data and on a real broker."""

import asyncio
import dataclasses

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream import topics
from stream.broker import process
from stream.broker.errors import BrokerError


def test_every_name_carries_the_prefix_and_no_two_are_alike() -> None:
    bare = dataclasses.astuple(topics.names())
    assert tuple(f"t1.{name}" for name in bare) == dataclasses.astuple(topics.names("t1."))
    assert len(set(bare)) == len(bare) == 11


def test_the_two_tables_hold_every_name_once() -> None:
    every = topics.names("t1.")
    made = [topic.name for topic in topics.table(every) + topics.source_table(every, 4)]
    assert sorted(made) == sorted(dataclasses.astuple(every))


def test_no_broker_is_one_clear_line_after_the_named_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="aiokafka")
    (port,) = process.free_ports(1)
    with pytest.raises(BrokerError, match=rf"no broker answered at 127\.0\.0\.1:{port} within 0\.3 s"):
        asyncio.run(topics.create(f"127.0.0.1:{port}", wait_s=0.3))


async def settings(bootstrap: str, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return {entry[0]: entry[1] for entry in response.resources[0][4]}
    finally:
        await admin.close()


async def make_bare(bootstrap: str, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1)])
    await admin.close()


@pytest.mark.broker
def test_a_second_creation_changes_nothing(bootstrap: str, prefix: str) -> None:
    first = asyncio.run(topics.create(bootstrap, prefix, shards=2))
    second = asyncio.run(topics.create(bootstrap, prefix, shards=2, sources=True))
    assert {type(each) for each in first} == {topics.Created}
    assert [type(each) for each in second] == [topics.Exists] * 8 + [topics.Created] * 3


@pytest.mark.broker
def test_of_two_creations_at_once_each_topic_is_made_by_one(bootstrap: str, prefix: str) -> None:
    async def both() -> list[list[topics.Created | topics.Exists]]:
        return list(await asyncio.gather(*(topics.create(bootstrap, prefix, shards=2) for _ in range(2))))

    for one, other in zip(*asyncio.run(both()), strict=True):
        assert {type(one), type(other)} == {topics.Created, topics.Exists}


@pytest.mark.broker
def test_the_journal_has_the_brokers_clock_and_room_for_8_mb(bootstrap: str, prefix: str) -> None:
    asyncio.run(topics.create(bootstrap, prefix, shards=2))
    found = asyncio.run(settings(bootstrap, topics.names(prefix).journal))
    assert (found["message.timestamp.type"], found["max.message.bytes"]) == ("LogAppendTime", str(8 << 20))
    assert found["retention.ms"] == str(3 * 86_400_000)
    assert asyncio.run(settings(bootstrap, topics.names(prefix).state))["cleanup.policy"] == "compact"


@pytest.mark.broker
def test_another_number_of_shards_is_refused_with_both_numbers(bootstrap: str, prefix: str) -> None:
    asyncio.run(topics.create(bootstrap, prefix, shards=2))
    with pytest.raises(BrokerError, match="has 2 partitions, the settings say 3 shards"):
        asyncio.run(topics.create(bootstrap, prefix, shards=3))


@pytest.mark.broker
def test_a_journal_with_the_producers_clock_is_refused(bootstrap: str, prefix: str) -> None:
    asyncio.run(make_bare(bootstrap, topics.names(prefix).journal, 2))
    with pytest.raises(BrokerError, match=r"message\.timestamp.type=CreateTime"):
        asyncio.run(topics.create(bootstrap, prefix, shards=2))
