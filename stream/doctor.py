"""Whether everything that douse rests on is as it has to be: each finding is ok, warn or fail, with what to do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas import envelope
from stream import kafka, keys, reach, rights, topic_check, topics
from stream.broker.errors import BrokerError
from stream.ingest import sources
from stream.kafka import Cluster
from stream.settings import Settings
from stream.trouble import OperatorNeededError

REQUEST_MS = 10_000
RECORD_S_MAX = 3.0  # a detect at work writes a tick each quarter of a second
SKEW_MS_WARN, SKEW_MS_FAIL = (
    1_000,
    5_000,
)  # deadlines, which cross hosts, are tens of seconds
FRESH_S_WARN = 90.0  # an SDK's slowest default is a batch of metrics a minute
LAG_RECORDS_WARN = 1_000  # some seconds of a busy partition
LOOPBACK = ("127.", "localhost", "[::1]")
CREATE_TOPICS_KEY = 19  # Kafka 4.0 removed its versions 0 and 1


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `to_do` is empty where nothing is to be done."""

    level: Level
    what: str
    text: str
    to_do: str = ""


async def examine(settings: Settings, wait_s: float, say: Callable[[str], None]) -> list[Finding]:
    """All findings; those that need a broker only where one answers."""
    found = [*_keys(settings), *_security(settings)]
    at = kafka.cluster(settings)
    try:
        await reach.broker(at, wait_s, say)
    except (BrokerError, OperatorNeededError) as error:
        return [*found, Finding(Level.FAIL, "broker", str(error), "everything below waits for it")]
    names = topics.names(settings.topic_prefix)
    looks = {
        "broker": _broker,
        "topics": _topics,
        "acl": _rights,
        "lag": _lag,
        "clock": _clock,
        "freshness": _freshness,
        "actuators": _actuators,
    }
    for what, look in looks.items():
        try:
            found += await look(settings, at, names)
        except (KafkaError, OSError, BrokerError, OperatorNeededError, TimeoutError) as error:
            said = kafka.failed(error, at) if isinstance(error, KafkaError) else error
            found.append(Finding(Level.FAIL, what, str(said) or repr(said), "see docs/kafka.md"))
    return found


def _keys(settings: Settings) -> list[Finding]:
    found = []
    pairs = (
        ("operator", settings.operator_key_file, settings.trusted_operator_keys),
        ("command", settings.command_key_file, settings.trusted_command_keys),
        ("actuator", settings.actuator_key_file, settings.trusted_actuator_keys),
    )
    for name, private, public in pairs:
        try:
            trusted = keys.trusted(public)
            if name == "actuator":
                keys.actuators(public)
        except keys.KeyFileError as error:
            found.append(Finding(Level.FAIL, "keys", str(error), f"correct trusted_{name}_keys"))
            continue
        if not private.exists():
            text = f"{private} is not on this host, which cannot sign as {name}"
            found.append(Finding(Level.WARN, "keys", text, "nothing, if that is meant; else `douse keys init`"))
            continue
        try:
            keyid, _ = keys.load_private(private)
        except keys.KeyFileError as error:
            found.append(Finding(Level.FAIL, "keys", str(error), f"correct {name}_key_file"))
            continue
        if keyid in trusted:
            found.append(Finding(Level.OK, "keys", f"{private} ({keyid}) is trusted"))
        else:
            text = f"{private} ({keyid}) belongs to none of trusted_{name}_keys"
            found.append(Finding(Level.FAIL, "keys", text, f"add its .pub to trusted_{name}_keys"))
    return found


def _security(settings: Settings) -> list[Finding]:
    protocol = settings.security_protocol
    here = all(address.strip().startswith(LOOPBACK) for address in settings.bootstrap.split(","))
    if protocol.endswith("SSL"):
        if settings.ssl_check_hostname:
            return [Finding(Level.OK, "security", f"{protocol}, the broker's name is checked")]
        return [Finding(Level.WARN, "security", f"{protocol} without a check of the broker's name", "set ssl_ca_file")]
    if here:
        return [Finding(Level.OK, "security", f"{protocol} to this host")]
    secret = " and the password" if protocol.startswith("SASL_") else ""
    return [Finding(Level.WARN, "security", f"{protocol}: records{secret} cross the network in clear", "use SASL_SSL")]


async def _broker(_: Settings, at: Cluster, __: topics.Topics) -> list[Finding]:
    admin = AIOKafkaAdminClient(**kafka.client(at), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        brokers = (await admin.describe_cluster())["brokers"]
        node = admin._client.get_random_node()
        await admin._client.ready(node)
        versions: dict[int, tuple[int, int]] = next(iter(admin._client._conns.values()))._versions
    finally:
        await admin.close()
    newer = versions.get(CREATE_TOPICS_KEY, (0, 0))[0] >= 2
    text = f"{len(brokers)} at {at}, {'Kafka 4.0 or newer' if newer else 'older than Kafka 4.0'}"
    return [Finding(Level.OK, "broker", text)]


async def _topics(settings: Settings, at: Cluster, _names: topics.Topics) -> list[Finding]:
    different = await topic_check.check(at, settings.topic_prefix, settings.shards)
    found = [
        Finding(
            Level.FAIL if one.wrong or one.what == "topic" else Level.WARN,
            "topics",
            f"{one.topic}: {one.what} {one.found}, should be {one.wanted}",
            one.to_do,
        )
        for one in different
    ]
    await reach.require(at, await _sources(at, settings), sources.hints(settings))
    return found or [Finding(Level.OK, "topics", "all are there and as they have to be")]


async def _rights(settings: Settings, at: Cluster, _: topics.Topics) -> list[Finding]:
    found = []
    for app in ("ingest", "detect", "act", "operator"):
        lacking = await rights.missing(at, rights.needs(settings, app))
        if lacking is None:
            return [Finding(Level.WARN, "acl", "this broker does not tell what a login may do", "see docs/kafka.md")]
        for need in lacking:
            whose = "add the ACL, if this login is the one of that app"
            level = Level.FAIL if app != "operator" else Level.WARN
            found.append(Finding(level, "acl", rights.said(app, need), whose))
    return found or [Finding(Level.OK, "acl", f"{at.who} may do all that the apps do")]


async def _lag(settings: Settings, at: Cluster, names: topics.Topics) -> list[Finding]:
    found = []
    read = {"ingest": await _sources(at, settings), "detect": (names.journal,)}
    async with _consumer(at) as consumer:
        for app, wanted in read.items():
            group = f"{settings.group_prefix}-{app}"
            committed = await _committed(at, group)
            parts = [part for part in committed if part.topic in wanted]
            if not parts:
                text = f"group {group} has read nothing yet"
                found.append(Finding(Level.WARN, "lag", text, f"start `douse {app}`"))
                continue
            ends = await consumer.end_offsets(parts)
            lag = sum(max(0, ends[part] - committed[part]) for part in parts)
            level = Level.WARN if lag > LAG_RECORDS_WARN else Level.OK
            to_do = f"see that `douse {app}` runs; start more where it does" if level is Level.WARN else ""
            found.append(Finding(level, "lag", f"group {group} is {lag} records behind", to_do))
    return found


async def _clock(settings: Settings, at: Cluster, names: topics.Topics) -> list[Finding]:
    """The broker's stamp on the next tick against our clock; only a detect at work writes one."""
    async with _consumer(at) as consumer:
        parts = [TopicPartition(names.journal, number) for number in range(settings.shards)]
        consumer.assign(parts)
        await consumer.seek_to_end(*parts)
        for part in parts:
            await consumer.position(part)
        try:
            record = await asyncio.wait_for(consumer.getone(), RECORD_S_MAX)
        except TimeoutError:
            text = f"not compared: no tick came within {RECORD_S_MAX:g} s"
            return [Finding(Level.WARN, "clock", text, "start `douse detect` and ask again")]
    skew_ms = time.time_ns() // 1_000_000 - record.timestamp
    level = Level.OK if abs(skew_ms) < SKEW_MS_WARN else Level.WARN if abs(skew_ms) < SKEW_MS_FAIL else Level.FAIL
    text = f"this host is {abs(skew_ms)} ms {'after' if skew_ms >= 0 else 'before'} the broker, the way included"
    return [Finding(level, "clock", text, "" if level is Level.OK else "let NTP set both clocks")]


async def _freshness(settings: Settings, at: Cluster, _names: topics.Topics) -> list[Finding]:
    found = []
    there = await reach.require(at, await _sources(at, settings))
    async with _consumer(at) as consumer:
        for topic, count in there.items():
            parts = [TopicPartition(topic, number) for number in range(count)]
            ends, firsts = await consumer.end_offsets(parts), await consumer.beginning_offsets(parts)
            newest_ms = 0
            for part in (part for part in parts if ends[part] > firsts[part]):
                consumer.assign([part])
                consumer.seek(part, ends[part] - 1)
                records: dict[Any, list[Any]] = await consumer.getmany(part, timeout_ms=int(RECORD_S_MAX * 1000))
                newest_ms = max([newest_ms, *(record.timestamp for record in records.get(part, ()))])
            age_s = time.time() - newest_ms / 1000
            if not newest_ms:
                text, level = f"{topic} is empty", Level.WARN
            else:
                text, level = f"{topic}: newest record {age_s:.0f} s ago", Level.OK
            if age_s > FRESH_S_WARN:
                level = Level.WARN
            to_do = "see that the Collector runs and writes this topic" if level is Level.WARN else ""
            found.append(Finding(level, "freshness", text, to_do))
    return found


async def _actuators(settings: Settings, at: Cluster, names: topics.Topics) -> list[Finding]:
    known = keys.actuators(settings.trusted_actuator_keys)
    heard: dict[str, int] = {}
    async for stored in reach.read(at, names.outcomes):
        try:
            event = envelope.decode(stored.headers, stored.value)
        except envelope.NotAnEvent:
            continue
        if event.keyid in known:
            heard[known[event.keyid]] = max(stored.timestamp_ms, heard.get(known[event.keyid], 0))
    found = []
    for name in sorted(known.values()):
        if name in heard:
            age_s = (time.time_ns() // 1_000_000 - heard[name]) // 1000
            found.append(Finding(Level.OK, "actuators", f"{name} last answered {age_s} s ago"))
        else:
            text = f"{name} has answered nothing that the topic still holds"
            found.append(Finding(Level.WARN, "actuators", text, f"see that `douse act` runs on the host of {name}"))
    return found


async def _sources(at: Cluster, settings: Settings) -> tuple[str, ...]:
    found = sources.resolve(settings, await reach.topic_names(at))
    return tuple(source.topic for source in found)


async def _committed(at: Cluster, group: str) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(**kafka.client(at), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {part: int(meta.offset) for part, meta in found.items() if meta.offset >= 0}


@asynccontextmanager
async def _consumer(at: Cluster) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**kafka.client(at), enable_auto_commit=False, request_timeout_ms=REQUEST_MS)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
