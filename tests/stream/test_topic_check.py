"""`douse topics check` names each topic that is not as it has to be, and what to do; it changes nothing."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream import topic_check, topics

pytestmark = pytest.mark.broker


def check(bootstrap: str, prefix: str, shards: int = 2) -> list[topic_check.Difference]:
    return asyncio.run(topic_check.check(bootstrap, prefix, shards))


async def make(bootstrap: str, name: str, partitions: int, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
    while (await admin.describe_topics([name]))[0]["error_code"]:  # the broker answers before it knows of it itself
        await asyncio.sleep(0.05)
    await admin.close()


def test_what_create_made_is_as_it_has_to_be(bootstrap: str, prefix: str) -> None:
    missing = check(bootstrap, prefix)
    assert [one.topic for one in missing] == [topic.name for topic in topics.table(topics.names(prefix), 2)]
    assert {(one.found, one.wrong) for one in missing} == {("not there", False)}
    asyncio.run(topics.create(bootstrap, prefix, shards=2))
    assert check(bootstrap, prefix) == []


def test_another_number_of_partitions_says_which_setting_fits(bootstrap: str, prefix: str) -> None:
    asyncio.run(topics.create(bootstrap, prefix, shards=2))
    found = check(bootstrap, prefix, shards=4)
    assert {one.topic for one in found} == {f"{prefix}douse.journal", f"{prefix}douse.state"}
    assert all(one.wrong and "set `shards = 2`" in one.to_do for one in found)


def test_a_longer_retention_may_be_meant_and_another_clock_may_not(bootstrap: str, prefix: str) -> None:
    names = topics.names(prefix)
    (journal,) = [topic for topic in topics.table(names, 2) if topic.name == names.journal]
    config = {**journal.config, "retention.ms": "1000000000", "max.message.bytes": str(9 << 20)}
    asyncio.run(make(bootstrap, names.journal, 2, {**config, "message.timestamp.type": "CreateTime"}))
    found = {one.what: one for one in check(bootstrap, prefix) if one.topic == names.journal}
    assert set(found) == {"retention.ms", "message.timestamp.type"}
    assert [found["retention.ms"].wrong, found["message.timestamp.type"].wrong] == [False, True]
    assert f"--add-config retention.ms={3 * topics.DAY_MS}" in found["retention.ms"].to_do
