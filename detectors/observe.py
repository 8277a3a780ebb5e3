"""What one OTLP record says about each tenant, reduced to counts: OTLP columns in, rows of the journal's tables out.

Everything is a function of the record's bytes, the spec set and the position, so a repetition gives the same rows.
Times are not judged here, there is no clock: the fold leaves out what lies too far in the future or comes too late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import (
    observe_logs,
    observe_memory,
    observe_pools,
    observe_requests,
    observe_retries,
    observe_skeletons,
    observe_slis,
    rows,
    tenancy,
)
from detectors.attributes import Lookup
from detectors.observe_slis import Sli
from detectors.rows import Builder, Entities, Reduced, Source
from detectors.spans_seen import Seen
from schemas.otlp.columns import Logs, Metrics, Resource, SpanKind, Spans, Status
from schemas.specs import SpecSet

HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
HTTP_ERROR_MIN = 500
SYNTHETIC = "user_agent.synthetic.type"  # bots and probes: nobody's budget
NANOS = 1_000_000_000
NO_TIME = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """A spec set as ingest needs it."""

    revision: str
    tenant_attributes: tuple[str, ...]
    slis: Mapping[str, tuple[Sli, ...]]
    """By service name, in the order of SLO name and hash."""
    shards: int


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose each span, log record or point of an OTLP record is."""

    entities: Entities
    place: NDArray[np.int64]
    """(n,) place of the entity."""
    attributed: NDArray[np.bool_]
    """(n,) True where there is a tenant."""
    reason: NDArray[np.uint8]
    """(n,) Unattributed, 0 where there is a tenant."""


def plan(specs: SpecSet, shards: int) -> Plan:
    """Compiles a spec set. Raises ValueError for a span kind that OTLP does not know."""
    slis: dict[str, list[Sli]] = {}
    ordered = sorted(specs.slos, key=lambda slo: (slo.name, slo.sli.hash))
    for index, slo in enumerate(ordered):
        slis.setdefault(slo.sli.service, []).append(observe_slis.compiled(index, slo))
    return Plan(specs.revision, specs.tenant_attributes, {service: tuple(of) for service, of in slis.items()}, shards)


def spans(columns: Spans, plan: Plan, source: Source, header_tenant: str = "") -> Reduced:
    """Rows of all tables that speak of requests, for one record of spans.

    Each (entity, SLO, second), (entity, second) and so on is one row; rows are sorted by these keys.
    """
    owners = _owners(columns.resources, columns.resource, plan, header_tenant)
    builder = Builder(source, owners.entities)
    seen = _seen(columns, owners)
    observe_slis.observations(builder, seen, plan.slis)
    observe_requests.requests(builder, seen)
    observe_requests.latency(builder, seen)
    observe_requests.operations(builder, seen)
    observe_requests.exemplars(builder, seen)
    observe_retries.retries(builder, seen)
    observe_skeletons.skeletons(builder, seen)
    _unattributed(builder, owners, "spans")
    return builder.reduced(_newest_ms(columns.end_ns))


def metrics(columns: Metrics, plan: Plan, source: Source, header_tenant: str = "") -> Reduced:
    """Rows of `pools`, `memory` and `unattributed` for one record of metrics; cumulative points pass as they are."""
    owners = _owners(columns.resources, columns.resource, plan, header_tenant)
    builder = Builder(source, owners.entities)
    observe_pools.pools(builder, columns, owners.place, owners.attributed)
    observe_memory.memory(builder, columns, owners.place, owners.attributed)
    _unattributed(builder, owners, "points")
    return builder.reduced(_newest_ms(columns.time_ns))


def logs(columns: Logs, plan: Plan, source: Source, header_tenant: str = "") -> Reduced:
    """Rows of `logs` and `unattributed` for one record of logs."""
    owners = _owners(columns.resources, columns.resource, plan, header_tenant)
    builder = Builder(source, owners.entities)
    observe_logs.logs(builder, columns, owners.place, owners.attributed)
    _unattributed(builder, owners, "logs")
    return builder.reduced(_newest_ms(columns.time_ns))


def _owners(resources: Sequence[Resource], resource: NDArray[np.int32], plan: Plan, header_tenant: str) -> Owners:
    of_resource = [tenancy.owner(block.attributes, plan.tenant_attributes, header_tenant) for block in resources]
    entities = Entities((owner.entity for owner in of_resource), plan.shards)
    place = np.array([entities.place[owner.entity] for owner in of_resource], np.int64)
    reason = np.array([owner.reason or 0 for owner in of_resource], np.uint8)[resource]
    return Owners(entities, place[resource], reason == 0, reason)


def _seen(columns: Spans, owners: Owners) -> Seen:
    lookup = Lookup(columns.strings, columns.attributes, len(columns))
    answer = lookup.numbers(HTTP_STATUS)
    unanswered = lookup.present(HTTP_METHOD) & ~lookup.present(HTTP_STATUS)
    serving = (columns.kind == SpanKind.SERVER) | (columns.kind == SpanKind.CONSUMER)
    return Seen(
        columns=columns,
        lookup=lookup,
        entities=owners.entities,
        place=owners.place,
        counted=owners.attributed & ~lookup.present(SYNTHETIC),
        serving=serving,
        bucket_s=columns.end_ns // NANOS,
        duration_ns=np.maximum(columns.end_ns - columns.start_ns, 0),
        error=(columns.status == Status.ERROR) | (answer >= HTTP_ERROR_MIN),
        incomplete=unanswered & (columns.status == Status.UNSET),
    )


def _unattributed(builder: Builder, owners: Owners, unit: str) -> None:
    lost = ~owners.attributed
    groups = rows.group(owners.place[lost], owners.reason[lost])
    none = np.zeros(len(groups.starts), np.uint32)
    counts: dict[str, Any] = {"spans": none, "points": none, "logs": none, unit: groups.sizes().astype(np.uint32)}
    builder.add("unattributed", groups.keys[0], {"reason": groups.keys[1], **counts})


def _newest_ms(time_ns: NDArray[np.int64]) -> int:
    return int(time_ns.max()) // 1_000_000 if len(time_ns) else NO_TIME
