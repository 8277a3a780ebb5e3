"""The same counts as `detectors.observe`, span by span in plain Python, written from the words, not from the code."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from schemas.journal import Strings, Table
from schemas.slo import SpanSli
from schemas.specs import SpecSet

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
OPERATIONS_MAX = 64
EXEMPLARS_MAX = 4
SAMPLED = re.compile(r"(^|,)\s*ot=([^,]*;)?(th:0*[1-9a-f]|p:0*[1-9])")  # a probability below 1


class Counted:
    """Counters keyed by what a row is named by."""

    def __init__(self) -> None:
        self.good: Counter[tuple[Any, ...]] = Counter()
        self.total: Counter[tuple[Any, ...]] = Counter()
        self.sampled: set[tuple[Any, ...]] = set()
        self.requests: Counter[tuple[Any, ...]] = Counter()
        self.errors: Counter[tuple[Any, ...]] = Counter()
        self.incomplete: Counter[tuple[Any, ...]] = Counter()
        self.latency: Counter[tuple[Any, ...]] = Counter()
        self.operations: Counter[tuple[Any, ...]] = Counter()
        self.unattributed: Counter[tuple[Any, ...]] = Counter()
        self.exemplars: list[tuple[Any, ...]] = []

    def add(self, record: TracesData, specs: SpecSet, header: str = "") -> None:
        served: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {}
        worked: list[tuple[tuple[str, str, str], Span, bool]] = []
        for block in record.resource_spans:
            entity, reason = owner(block.resource, specs, header)
            for span in (span for scope in block.scope_spans for span in scope.spans):
                if reason:
                    self.unattributed[*entity, reason] += 1
                    continue
                attributes = values(span.attributes)
                if "user_agent.synthetic.type" in attributes:
                    continue
                self._count(specs, entity, span, attributes)
                error = is_error(span, attributes)
                if KINDS[span.kind] in ("server", "consumer"):
                    served.setdefault(entity, []).append((not error, -duration_ns(span), span.trace_id.hex()))
                elif KINDS[span.kind] in ("internal", "client", "producer"):
                    worked.append((entity, span, error))
        for entity, spans in served.items():
            for failed, longest, trace in sorted(spans, key=lambda s: s[:2])[:EXEMPLARS_MAX]:
                self.exemplars.append((*entity, trace, -longest // 1000, not failed))
        self._work(worked)

    def _count(self, specs: SpecSet, entity: tuple[str, str, str], span: Span, attributes: dict[str, Any]) -> None:
        bucket = span.end_time_unix_nano // 10**9
        unanswered = is_incomplete(span, attributes)
        for slo in specs.slos:
            if (
                slo.sli.service == entity[2]
                and KINDS[span.kind] in slo.sli.kinds
                and matches(slo.sli, span, attributes)
            ):
                key = (*entity, slo.name, slo.sli.hash, bucket)
                good = not unanswered and not (slo.sli.error_free and is_error(span, attributes))
                if slo.sli.latency_ms_max is not None and duration_ns(span) > slo.sli.latency_ms_max * 10**6:
                    good = False
                self.total[key] += 1
                self.good[key] += good
                if SAMPLED.search(span.trace_state):
                    self.sampled.add(key)
        if KINDS[span.kind] in ("server", "consumer"):
            self.requests[*entity, bucket] += 1
            self.errors[*entity, bucket] += is_error(span, attributes)
            self.incomplete[*entity, bucket] += unanswered
            self.latency[*entity, bucket, index(duration_ns(span))] += 1

    def _work(self, worked: list[tuple[tuple[str, str, str], Span, bool]]) -> None:
        calls = Counter((entity, called(span)[1]) for entity, span, _ in worked)
        kept = set()
        for entity in {entity for entity, _, _ in worked}:
            names = sorted((-n, name) for (of, name), n in calls.items() if of == entity)
            kept |= {(entity, name) for _, name in names[:OPERATIONS_MAX]}
        for entity, span, error in worked:
            kind, name = called(span)
            name = name if (entity, name) in kept else "__overflow__"
            key = (*entity, kind, name, span.end_time_unix_nano // 10**9)
            self.operations[*key, "calls"] += 1
            self.operations[*key, "errors"] += error
            self.operations[*key, "duration_us"] += duration_ns(span) // 1000


def called(span: Span) -> tuple[int, str]:
    """Kind and name of a call: 16 for a database's, and the peer behind the name of any other."""
    attributes = values(span.attributes)
    if KINDS[span.kind] == "client" and ("db.system.name" in attributes or "db.system" in attributes):
        return 16, span.name
    given = (attributes.get(key) for key in ("peer.service", "server.address", "net.peer.name"))
    peer = next((text for text in given if isinstance(text, str) and text), "")
    return span.kind, f"{span.name} -> {peer}" if peer else span.name


def owner(resource: Resource, specs: SpecSet, header: str) -> tuple[tuple[str, str, str], int]:
    found = values(resource.attributes)
    tenants = {found[name] for name in specs.tenant_attributes if found.get(name)} | ({header} - {""})
    service = found.get("service.name", "")
    environment = found.get("deployment.environment.name") or found.get("deployment.environment") or "default"
    if len(tenants) != 1:
        return (environment, "", service), 2 if tenants else 1
    if not service or service.startswith("unknown_service"):
        return (environment, "", service), 3
    return (environment, tenants.pop(), service), 0


def matches(sli: SpanSli, span: Span, attributes: dict[str, Any]) -> bool:
    return all(
        span.name == value if key == "name" else key in attributes and str(attributes[key]) == value
        for key, value in sli.match.items()
    )


def is_error(span: Span, attributes: dict[str, Any]) -> bool:
    return span.status.code == 2 or attributes.get("http.response.status_code", 0) >= 500


def is_incomplete(span: Span, attributes: dict[str, Any]) -> bool:
    asked, answered = "http.request.method" in attributes, "http.response.status_code" in attributes
    return asked and not answered and span.status.code == 0


def duration_ns(span: Span) -> int:
    return max(0, span.end_time_unix_nano - span.start_time_unix_nano)


def index(duration: int) -> int:
    return math.ceil(math.log2(duration / 1e9) * 8) - 1 if duration else -241


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in attributes}


def listed(table: Table | None, *columns: str) -> list[tuple[Any, ...]]:
    """The rows of a journal table as tuples of plain values."""
    if table is None:
        return []
    lists = []
    for name in columns:
        column = table[name]
        lists.append(
            [column.values[code] for code in column.codes.tolist()] if isinstance(column, Strings) else column.tolist()
        )
    return list(zip(*lists, strict=True))


ENTITY = ("environment", "tenant", "service")


class Read(Counted):
    """The same counters, read from journal tables."""

    def read(self, tables: dict[str, Table]) -> None:
        for *key, good, total, sampled in listed(
            tables.get("observations"), *ENTITY, "slo", "sli", "bucket_s", "good", "total", "sampled"
        ):
            self.good[*key] += good
            self.total[*key] += total
            if sampled:
                self.sampled.add((*key,))
        for *key, asked, failed, unanswered in listed(
            tables.get("requests"), *ENTITY, "bucket_s", "requests", "errors", "incomplete"
        ):
            self.requests[*key] += asked
            self.errors[*key] += failed
            self.incomplete[*key] += unanswered
        for *key, count in listed(tables.get("latency"), *ENTITY, "bucket_s", "index", "count"):
            self.latency[*key] += count
        for *key, calls, errors, duration in listed(
            tables.get("operations"), *ENTITY, "kind", "name", "bucket_s", "calls", "errors", "duration_us"
        ):
            self.operations[*key, "calls"] += calls
            self.operations[*key, "errors"] += errors
            self.operations[*key, "duration_us"] += duration
        for *key, spans in listed(tables.get("unattributed"), *ENTITY, "reason", "spans"):
            self.unattributed[*key] += spans
        self.exemplars += listed(tables.get("exemplars"), *ENTITY, "trace_id", "duration_us", "error")

    def same(self, other: Counted) -> bool:
        return all(getattr(self, name) == getattr(other, name) for name in vars(other) if name != "exemplars")
