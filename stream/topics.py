"""The topics that douse reads and writes, as data, and their creation: by command, never by use."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from stream import kafka
from stream.broker.errors import BrokerError
from stream.kafka import Address

SHARDS = 16
DAY_MS = 86_400_000
RECORD_BYTES_MAX = (
    8 << 20
)  # a journal record holds the rows of several OTLP records; control and dead letter carry whole inputs
WAIT_S = 30.0  # a broker that starts beside us is there within 10 s
BACKOFF_S = (0.2, 2.0)  # first and longest pause between two tries


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it has to be; `config` is Kafka's own names and values."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The full name of every topic, so that no other place spells one."""

    spans: str
    metrics: str
    logs: str
    journal: str
    state: str
    status: str
    incidents: str
    commands: str
    outcomes: str
    control: str
    dead_letter: str


@dataclass(frozen=True, slots=True)
class Created:
    """The topic was not there and is now."""

    topic: Topic


@dataclass(frozen=True, slots=True)
class Exists:
    """The topic was there before; `partitions` is what it has."""

    topic: Topic
    partitions: int


def names(prefix: str = "") -> Topics:
    """All names, each with the prefix before it: several sets live side by side on one broker."""
    return Topics(
        spans=f"{prefix}otlp_spans",
        metrics=f"{prefix}otlp_metrics",
        logs=f"{prefix}otlp_logs",
        journal=f"{prefix}douse.journal",
        state=f"{prefix}douse.state",
        status=f"{prefix}douse.status",
        incidents=f"{prefix}douse.incidents",
        commands=f"{prefix}douse.commands",
        outcomes=f"{prefix}douse.outcomes",
        control=f"{prefix}douse.control",
        dead_letter=f"{prefix}douse.dead-letter",
    )


def table(topics: Topics, shards: int = SHARDS) -> tuple[Topic, ...]:
    """Our own topics. The journal's timestamp is the clock of every decision, so the broker has to set it."""
    large = {"max.message.bytes": str(RECORD_BYTES_MAX)}
    broker_time = {"message.timestamp.type": "LogAppendTime"}
    return (
        Topic(topics.journal, shards, {**_kept(3), **broker_time, **large}),
        Topic(topics.state, shards, _compacted()),
        Topic(topics.status, 1, _compacted()),
        Topic(topics.incidents, 4, _kept(90)),
        Topic(topics.commands, 4, {**_kept(7), **broker_time}),
        Topic(topics.outcomes, 4, _kept(90)),
        Topic(topics.control, 1, {**_compacted(), **large}),
        Topic(topics.dead_letter, 1, {**_kept(14), **large}),
    )


def source_table(topics: Topics, partitions: int) -> tuple[Topic, ...]:
    """The OTLP topics, which belong to the user; only a demo or a test makes them."""
    return tuple(Topic(name, partitions, _kept(1)) for name in (topics.spans, topics.metrics, topics.logs))


async def create(
    bootstrap: Address,
    prefix: str = "",
    shards: int = SHARDS,
    source_partitions: int = 4,
    replication: int = 1,
    *,
    sources: bool = False,
    wait_s: float = WAIT_S,
) -> list[Created | Exists]:
    """Make what is missing, leave what is there; a second call changes nothing.

    Raises BrokerError when no broker answers within wait_s, when the journal or the state has another number of
    partitions than `shards`, or when the journal's timestamps are not the broker's.
    """
    topics = names(prefix)
    wanted = table(topics, shards) + (source_table(topics, source_partitions) if sources else ())
    admin = await _connected(bootstrap, wait_s)
    try:
        before = await _partitions(admin, wanted)
        made = await _make(admin, [topic for topic in wanted if topic.name not in before], replication)
        there = await _settled(admin, wanted, wait_s)
        for name in (topics.journal, topics.state):
            if there[name] != shards:
                raise BrokerError(
                    f"topic {name} has {there[name]} partitions, the settings say {shards} shards: a shard is a "
                    f"partition for life, so set the shards to {there[name]} or use another topic prefix"
                )
        await _check_clock(admin, topics.journal)
    except KafkaError as error:
        raise kafka.failed(error, bootstrap, "creating the topics") from error
    finally:
        await admin.close()
    return [Created(topic) if topic.name in made else Exists(topic, there[topic.name]) for topic in wanted]


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


def _compacted() -> dict[str, str]:
    return {"cleanup.policy": "compact"}


async def _connected(bootstrap: Address, wait_s: float) -> AIOKafkaAdminClient:
    deadline = time.monotonic() + wait_s
    pause_s, pause_s_max = BACKOFF_S
    while True:
        admin = AIOKafkaAdminClient(**kafka.client(bootstrap), request_timeout_ms=10_000)
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            await admin.close()
            denied = await kafka.refusal(bootstrap)
            if denied is not None:
                raise denied from error
            if time.monotonic() + pause_s > deadline:
                raise BrokerError(
                    f"no broker answered at {bootstrap} within {wait_s:g} s ({error}); start one, or correct the "
                    "bootstrap address"
                ) from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, pause_s_max)
        else:
            return admin


async def _partitions(admin: AIOKafkaAdminClient, wanted: tuple[Topic, ...]) -> dict[str, int]:
    """Partitions, by name, of those topics that are there and have a leader for each partition."""
    described = await admin.describe_topics([topic.name for topic in wanted])
    return {
        each["topic"]: len(each["partitions"])
        for each in described
        if each["error_code"] == 0 and each["partitions"] and all(part["leader"] >= 0 for part in each["partitions"])
    }


async def _make(admin: AIOKafkaAdminClient, missing: list[Topic], replication: int) -> set[str]:
    """Ask for the missing topics; the answer is those that this call made. Somebody else may have been faster."""
    if not missing:
        return set()
    response = await admin.create_topics(
        [NewTopic(topic.name, topic.partitions, replication, topic_configs=dict(topic.config)) for topic in missing]
    )
    made = set()
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code == 0:
            made.add(name)
        elif error in kafka.NO_LEAVE:
            raise error(name)
        elif error is not TopicAlreadyExistsError:
            raise BrokerError(
                f"cannot create topic {name}: {error.__name__} {' '.join(str(part) for part in message if part)}"
            )
    return made


async def _settled(admin: AIOKafkaAdminClient, wanted: tuple[Topic, ...], wait_s: float) -> dict[str, int]:
    """Wait until every topic has leaders, so that the first send does not meet a topic without one."""
    deadline = time.monotonic() + wait_s
    while True:
        there = await _partitions(admin, wanted)
        absent = [topic.name for topic in wanted if topic.name not in there]
        if not absent:
            return there
        if time.monotonic() > deadline:
            raise BrokerError(f"topics without a leader after {wait_s:g} s: {', '.join(absent)}")
        await asyncio.sleep(0.1)


async def _check_clock(admin: AIOKafkaAdminClient, journal: str) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, journal, configs={"message.timestamp.type": None})
    for response in await admin.describe_configs([resource]):
        for code, _message, _type, _name, entries in response.resources:
            if code:
                raise for_code(code)(journal)
            kind = {entry[0]: entry[1] for entry in entries}.get("message.timestamp.type")
            if kind != "LogAppendTime":
                raise BrokerError(
                    f"topic {journal} has message.timestamp.type={kind}, but its timestamps are the clock of every "
                    "decision: set it to LogAppendTime"
                )
