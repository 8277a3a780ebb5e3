"""The doors of ingest: one record of a source topic becomes content that may enter the journal, or a reason why not.

Pure: what a door says depends on the record, the spec set and the trusted keys alone. The doors for what is signed
stand in `signed_doors`, apart, because a replay of telemetry has no use for keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from detectors import observe, rows, tenancy
from detectors.observe import Plan
from detectors.rows import Reduced, Source
from schemas import canonical, journal
from schemas.envelope import Event
from schemas.otlp import logs as otlp_logs
from schemas.otlp import metrics as otlp_metrics
from schemas.otlp import request
from schemas.otlp import spans as otlp_spans
from schemas.otlp.columns import Rejected
from schemas.otlp.encoding import Encoding
from stream.stored import Stored

Columns = TypeVar("Columns")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One record of a source; `number` stands for its partition until the journal record is composed."""

    stored: Stored
    number: int


@dataclass(frozen=True, slots=True)
class Addressed:
    """A signed event, checked, and the shards whose journal gets it."""

    kind: journal.Kind
    event: Event
    shards: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """What goes to the dead letters; the reason is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A tombstone: compaction forgets the key, nothing is decided by it."""


Content = Reduced | Addressed | Refused | Nothing


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Content that was written in the other encoding than its topic's: as good, but somebody should know."""

    content: Content
    written: Encoding


Door = Callable[[Incoming], Content | Otherwise]


def spans(plan: Plan, promised: Encoding = Encoding.PROTO) -> Door:
    """The door for OTLP spans."""
    return _otlp(otlp_spans.decode, observe.spans, plan, promised)


def logs(plan: Plan, promised: Encoding = Encoding.PROTO) -> Door:
    """The door for OTLP logs."""
    return _otlp(otlp_logs.decode, observe.logs, plan, promised)


def metrics(plan: Plan, promised: Encoding = Encoding.PROTO) -> Door:
    """The door for OTLP metrics."""
    return _otlp(otlp_metrics.decode, observe.metrics, plan, promised)


def _otlp(
    decode: Callable[[bytes, Encoding], Columns | Rejected],
    reduce: Callable[[Columns, Plan, Source, str], Reduced],
    plan: Plan,
    promised: Encoding,
) -> Door:
    def enter(incoming: Incoming) -> Content | Otherwise:
        payload = incoming.stored.value or b""
        written = request.encoding(payload, promised)
        columns = decode(payload, written)
        if isinstance(columns, Rejected):
            return _refused(columns)
        content = _bounded(reduce(columns, plan, _source(incoming, payload), _tenant(incoming)))
        return content if written is promised else Otherwise(content, written)

    return enter


def _source(incoming: Incoming, payload: bytes) -> Source:
    return Source(incoming.number, incoming.stored.offset, canonical.hash64(payload))


def _tenant(incoming: Incoming) -> str:
    return tenancy.header(incoming.stored.headers)


def _refused(rejected: Rejected) -> Refused:
    at = f" (byte {rejected.offset})" if rejected.offset >= 0 else ""
    return Refused(f"{rejected.reason}{at}")


def _bounded(reduced: Reduced) -> Content:
    """Everything of one position stands in one journal record, so what does not fit there cannot enter."""
    largest = max(rows.bytes_max(reduced).values(), default=0)
    if largest > journal.RECORD_BYTES_MAX:
        return Refused(f"its rows for one shard may take {largest} bytes, more than {journal.RECORD_BYTES_MAX}")
    return reduced
