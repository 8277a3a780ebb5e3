"""How the topics on Kafka differ from what they have to be; nothing is changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code

from stream import kafka, topics
from stream.kafka import Address
from stream.topics import Topic

REQUEST_MS = 10_000
CLOCK, ROOM = "message.timestamp.type", "max.message.bytes"


@dataclass(frozen=True, slots=True)
class Difference:
    """One topic that is not as it has to be. `wrong`: douse cannot work so, and `topics create` does not mend it."""

    topic: str
    what: str
    found: str
    wanted: str
    to_do: str
    wrong: bool = False

    def fields(self) -> dict[str, object]:
        """For a program."""
        return {name: getattr(self, name) for name in self.__slots__}


async def check(at: Address, prefix: str, shards: int) -> list[Difference]:
    """All differences of our own topics. Raises BrokerError, DeniedError."""
    wanted = topics.table(topics.names(prefix), shards)
    admin = AIOKafkaAdminClient(**kafka.client(at), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        described = await admin.describe_topics([topic.name for topic in wanted])
        there = {each["topic"]: each for each in described}
        hidden = [name for name, each in there.items() if each["error_code"] == TopicAuthorizationFailedError.errno]
        if hidden:
            raise TopicAuthorizationFailedError(hidden)
        present = [topic for topic in wanted if there[topic.name]["error_code"] == 0]
        configs = await _configs(admin, present)
    except (KafkaError, OSError) as error:
        raise kafka.failed(error, at, "describing the topics") from error
    finally:
        await admin.close()
    found = [
        Difference(topic.name, "topic", "not there", "there", "`douse topics create` makes it")
        for topic in wanted
        if topic not in present
    ]
    for topic in present:
        found += _compared(topic, len(there[topic.name]["partitions"]), configs[topic.name], topic.partitions == shards)
    return found


def _compared(topic: Topic, partitions: int, config: Mapping[str, str], sharded: bool) -> Iterator[Difference]:
    if partitions != topic.partitions:
        by_shard = (
            sharded and topic.config.get("cleanup.policy") is not None and topic.name.endswith((".journal", ".state"))
        )
        single = topic.partitions == 1
        to_do = "more or fewer do no harm"
        if by_shard:
            to_do = f"set `shards = {partitions}` (DOUSE_SHARDS), or use another topic_prefix: a shard is one for life"
        elif single:
            to_do = "delete it, or use another topic_prefix, and run `douse topics create`: only partition 0 is read"
        yield Difference(
            topic.name, "partitions", str(partitions), str(topic.partitions), to_do, wrong=by_shard or single
        )
    for name, value in topic.config.items():
        found = config.get(name, "")
        if found == value or (name == ROOM and found.isdecimal() and int(found) > int(value)):
            continue
        to_do = f"`kafka-configs --alter --topic {topic.name} --add-config {name}={value}`, if you did not mean it"
        yield Difference(topic.name, name, found, value, to_do, wrong=name in (CLOCK, ROOM, "cleanup.policy"))


async def _configs(admin: AIOKafkaAdminClient, present: list[Topic]) -> dict[str, dict[str, str]]:
    if not present:
        return {}
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in present]
    ):
        for code, _message, _type, name, entries in response.resources:
            if code:
                raise for_code(code)([name])
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
