"""What each app may have to do on Kafka, and which of it this login may not: asked of the broker, nothing is tried.

The broker itself says what a login may do with a topic (Metadata, version 8) and with a group (DescribeGroups,
version 3); brokers before 2.3 do not, and then nothing is known.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from stream import kafka, topics
from stream.ingest import sources
from stream.kafka import Address
from stream.settings import Settings

REQUEST_MS = 10_000
TOPIC, GROUP, TRANSACTIONAL_ID = "topic", "group", "transactional id"
COORDINATOR_PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # the first who asks makes the broker create its topic of offsets
BITS = {"READ": 3, "WRITE": 4, "DESCRIBE": 8}  # Kafka's AclOperation codes
WRITE_TRANSACTION = 1  # the coordinator's kind for a transactional id


@dataclass(frozen=True, slots=True)
class Need:
    """One ACL that an app cannot work without; `prefixed` names stand for all that begin so."""

    kind: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


def needs(settings: Settings, app: str, actuator: str = "local") -> tuple[Need, ...]:
    """The ACLs of `ingest`, `detect`, `act`, or of a person's commands (`operator`)."""
    names = topics.names(settings.topic_prefix)
    otlp = sources.named(settings)  # what a pattern matches is only known where topics may be seen
    ours = tuple(topic.name for topic in topics.table(names))
    read: tuple[str, ...]
    written: tuple[str, ...]
    group = f"{settings.group_prefix}-{app}"
    match app:
        case "ingest":
            read, written = (*otlp, names.outcomes, names.control), (names.journal, names.dead_letter)
        case "detect":
            read = (names.journal, names.state, names.status)
            written = (names.journal, names.state, names.status, names.incidents, names.commands)
        case "act":
            read, written, group = (names.commands, names.control), (names.outcomes,), f"{group}-{actuator}"
        case _:
            read = (names.incidents, names.commands, names.outcomes, names.status, names.control, names.dead_letter)
            written, group = (names.control, names.dead_letter, *otlp), ""
    seen = (*otlp, *ours) if app != "act" else ()
    wanted: dict[str, list[str]] = {}
    for operation, which in (("READ", read), ("WRITE", written), ("DESCRIBE", seen)):
        for name in which:
            wanted.setdefault(name, []).append(operation)
    found = [Need(TOPIC, name, tuple(operations)) for name, operations in wanted.items()]
    if group:
        found.append(Need(GROUP, group, ("READ",)))
    if app == "detect":
        found.append(Need(TRANSACTIONAL_ID, f"{group}-", ("WRITE",), prefixed=True))
    return tuple(found)


def said(app: str, need: Need) -> str:
    """`ingest: no WRITE on topic douse.journal`."""
    return f"{app}: no {', '.join(need.operations)} on {need.kind} {need.name}{'*' if need.prefixed else ''}"


async def require(at: Address, settings: Settings, app: str) -> None:
    """Returns where the app may do all that it needs, or the broker does not tell. Raises DeniedError."""
    try:
        lacking = await missing(at, needs(settings, app))
    except (KafkaError, OSError):
        return  # not about rights: whoever works with this broker next says it better
    if lacking:
        each = "; ".join(said(app, need) for need in lacking)
        raise kafka.DeniedError(
            f"{at} does not let this login do what it has to: {each}: an ACL is missing; {kafka.ACLS}"
        )


async def missing(at: Address, wanted: Iterable[Need]) -> list[Need] | None:
    """What of these this login may not do; None where the broker is too old to say. Raises KafkaError, OSError."""
    wanted = list(wanted)
    admin = AIOKafkaAdminClient(**kafka.client(at), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        allowed = await _topics(admin, [need.name for need in wanted if need.kind == TOPIC])
        if allowed is None:
            return None
        lacking = []
        for need in wanted:
            if need.kind == TOPIC:
                mask = allowed.get(need.name, 0)
                left = tuple(word for word in need.operations if not mask >> BITS[word] & 1)
            else:
                left = () if await _may(admin, need) else need.operations
            if left:
                lacking.append(Need(need.kind, need.name, left, need.prefixed))
        return lacking
    finally:
        await admin.close()


async def _topics(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int] | None:
    try:
        answer = await admin._client.send(admin._client.get_random_node(), _Asked(names))
    except NotImplementedError:
        return None
    return {topic[1]: topic[4] & 0xFFFF for topic in answer.topics}


async def _may(admin: AIOKafkaAdminClient, need: Need) -> bool:
    """Whether the group may be used; of a transactional id the broker tells only whether it may be seen."""
    for pause_s in COORDINATOR_PAUSES_S:
        try:
            return await _allowed(admin, need)
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(pause_s)
    return await _allowed(admin, need)


async def _allowed(admin: AIOKafkaAdminClient, need: Need) -> bool:
    try:
        if need.kind == TRANSACTIONAL_ID:
            await admin.find_coordinator(f"{need.name}0", WRITE_TRANSACTION)
            return True
        coordinator = await admin.find_coordinator(need.name)
        answer = await admin._send_request_to_node(coordinator, _AskedGroup(need.name))
    except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed):
        return False
    except KafkaError as error:
        if "AuthorizationFailed" in type(error).__name__:
            return False
        raise
    return all(bool(group[6] >> BITS["READ"] & 1) for group in answer.groups)


class _Answer(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Asked(Request[_Question]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._names, False, False, True)


class _GroupQuestion(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's own version 3 reads the answer as one of version 2, which has no operations."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _AskedGroup(Request[_GroupQuestion]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([self._group], True)
