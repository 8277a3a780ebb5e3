"""The journal: the only input of the engine, one record at a time, in one total order per shard.

Kind `telemetry` is a run of Arrow IPC streams, one per table, each naming itself in its schema's metadata; the first
is `positions`.
The other kinds are canonical JSON. Unknown columns are ignored, an unknown kind or a newer version stops the shard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import UnionType
from typing import Any, TypeVar, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas import canonical
from schemas.canonical import Json
from schemas.fleet import Fleet

VERSION = 1
NO_POSITION = -1
RECORD_BYTES_MAX = 6_000_000  # the topic takes 8 MB; the rest is room for headers and for the last rows of a batch


class Kind(StrEnum):
    TELEMETRY = "telemetry"
    PROGRESS = "progress"
    TICK = "tick"
    OUTCOME = "outcome"
    CONTROL = "control"


class Quantity(IntEnum):
    """What one point of a connection pool measures (OpenTelemetry `db.client.connection.*`)."""

    USED = 1
    IDLE = 2
    MAX = 3
    PENDING = 4
    TIMEOUTS = 5
    WAIT = 6
    USE = 7


class Memory(IntEnum):
    """What one point of memory measures."""

    USED = 1
    LIMIT = 2
    RESTARTS = 3


class Unattributed(IntEnum):
    """Why a Resource belongs to no tenant."""

    MISSING = 1
    CONFLICT = 2
    UNKNOWN_SERVICE = 3


class Malformed(ValueError):
    """A journal record that this version cannot fold; the shard stops and names its offset."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a journal partition as the broker keeps it; `timestamp_ms` is the broker's."""

    shard: int
    offset: int
    timestamp_ms: int
    kind: str
    version: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Strings:
    """A column of strings: values[codes[i]] is the i-th."""

    codes: NDArray[np.int32]
    values: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[Any]) -> "Strings":
        return Strings(self.codes[rows], self.values)


Column = NDArray[Any] | Strings
Table = Mapping[str, Column]

_TEXT = pa.dictionary(pa.int32(), pa.utf8())
_POSITION = {"source": pa.uint16(), "offset": pa.int64(), "hash": pa.uint64()}
_ENTITY = {"environment": _TEXT, "tenant": _TEXT, "service": _TEXT}

# Every row names the one OTLP record it comes from (source: row of `positions`; offset; hash of the record's bytes)
# and its entity.
TABLES: Mapping[str, Mapping[str, pa.DataType]] = {
    "positions": {"topic": _TEXT, "partition": pa.int32(), "previous": pa.int64()},
    "observations": {
        **_POSITION,
        **_ENTITY,
        "slo": _TEXT,
        "sli": pa.uint64(),
        "bucket_s": pa.int64(),
        "good": pa.uint32(),
        "total": pa.uint32(),
        "sampled": pa.bool_(),
    },
    "requests": {
        **_POSITION,
        **_ENTITY,
        "bucket_s": pa.int64(),
        "requests": pa.uint32(),
        "errors": pa.uint32(),
        "incomplete": pa.uint32(),
        "oldest_end_ms": pa.int64(),
    },
    "latency": {**_POSITION, **_ENTITY, "bucket_s": pa.int64(), "index": pa.int32(), "count": pa.uint32()},
    "operations": {
        **_POSITION,
        **_ENTITY,
        "kind": pa.uint8(),
        "name": _TEXT,
        "bucket_s": pa.int64(),
        "calls": pa.uint32(),
        "errors": pa.uint32(),
        "duration_us": pa.uint64(),
    },
    "exemplars": {
        **_POSITION,
        **_ENTITY,
        "trace_id": _TEXT,
        "span_id": _TEXT,
        "name": _TEXT,
        "bucket_s": pa.int64(),
        "duration_us": pa.uint64(),
        "error": pa.bool_(),
    },
    "pools": {
        **_POSITION,
        **_ENTITY,
        "instance": _TEXT,
        "pool": _TEXT,
        "quantity": pa.uint8(),
        "temporality": pa.uint8(),
        "start_ms": pa.int64(),
        "time_ms": pa.int64(),
        "value": pa.float64(),
        "count": pa.uint64(),
        "sum": pa.float64(),
    },
    "retries": {**_POSITION, **_ENTITY, "bucket_s": pa.int64(), "attempts": pa.uint32(), "resends": pa.uint32()},
    "memory": {
        **_POSITION,
        **_ENTITY,
        "instance": _TEXT,
        "quantity": pa.uint8(),
        "time_ms": pa.int64(),
        "value": pa.float64(),
    },
    "logs": {
        **_POSITION,
        **_ENTITY,
        "severity": pa.uint8(),
        "template": _TEXT,
        "bucket_s": pa.int64(),
        "count": pa.uint32(),
        "trace_id": _TEXT,
    },
    "skeletons": {
        **_POSITION,
        **_ENTITY,
        "trace_id": _TEXT,
        "span_id": pa.uint64(),
        "parent_id": pa.uint64(),
        "kind": pa.uint8(),
        "name": _TEXT,
        "start_us": pa.int64(),
        "end_us": pa.int64(),
        "error": pa.bool_(),
    },
    "unattributed": {
        **_POSITION,
        **_ENTITY,
        "reason": pa.uint8(),
        "spans": pa.uint32(),
        "points": pa.uint32(),
        "logs": pa.uint32(),
    },
}


@dataclass(frozen=True, slots=True)
class Position:
    """Where a row came from: a partition of a source, and the position this stream sent to this shard before (-1:
    none)."""

    topic: str
    partition: int
    previous: int


@dataclass(frozen=True, slots=True)
class Telemetry:
    positions: tuple[Position, ...]
    tables: Mapping[str, Table]


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far ingest is in one source partition. Offsets count up from 0; -1 means nothing yet."""

    topic: str
    partition: int
    partitions: int
    position: int
    high_watermark: int
    newest_end_ms: int
    lost_from: int = NO_POSITION
    lost_to: int = NO_POSITION


@dataclass(frozen=True, slots=True)
class Progress:
    boot: str
    sources: tuple[SourceProgress, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """The clock's record. `folded` is the offset up to which its sender had folded (-1: nothing); `fleet` is there
    when it says something new, and once a second."""

    interval_ms: int
    folded: int
    fleet: Fleet | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """An outcome or a control event whose signature ingest has checked, with its position in its topic."""

    topic: str
    partition: int
    offset: int
    previous: int
    ce_type: str
    ce_id: str
    ce_source: str
    keyid: str
    data: Mapping[str, Any]


Body = Telemetry | Progress | Tick | Signed
Form = TypeVar("Form", SourceProgress, Tick, Signed)


def encode_telemetry(positions: tuple[Position, ...], tables: Mapping[str, Table]) -> bytes:
    """Arrow IPC streams of `positions` and of each table that has rows, in the order of TABLES."""
    sink = pa.BufferOutputStream()
    first: Table = {
        "topic": Strings(np.arange(len(positions), dtype=np.int32), tuple(p.topic for p in positions)),
        "partition": np.array([p.partition for p in positions], np.int32),
        "previous": np.array([p.previous for p in positions], np.int64),
    }
    for name in TABLES:
        table = first if name == "positions" else tables.get(name)
        if table is not None and len(next(iter(table.values()))):
            _write_table(sink, name, table)
    return bytes(sink.getvalue())


def encode_progress(progress: Progress) -> bytes:
    return canonical.dumps({"boot": progress.boot, "sources": [_fields(source) for source in progress.sources]})


def encode_tick(tick: Tick) -> bytes:
    bare: dict[str, Json] = {"folded": tick.folded, "interval_ms": tick.interval_ms}
    return canonical.dumps(bare if tick.fleet is None else {**bare, "fleet": tick.fleet.fields()})


def encode_signed(signed: Signed) -> bytes:
    return canonical.dumps(_fields(signed))


def decode(record: Record) -> Body:
    """Reads one record. Raises Malformed, naming shard and offset, for a kind or version that this build does not
    know."""
    if record.version > VERSION:
        raise Malformed(
            f"{_where(record)}: version {record.version} is newer than {VERSION}; run the newer douse on this shard"
        )
    try:
        match record.kind:
            case Kind.TELEMETRY:
                return _decode_telemetry(record.value)
            case Kind.PROGRESS:
                raw = _object(record.value)
                sources = tuple(_typed(SourceProgress(**source)) for source in raw["sources"])
                return Progress(str(raw["boot"]), sources)
            case Kind.TICK:
                raw = _object(record.value)
                fleet = Fleet.read(raw["fleet"]) if "fleet" in raw else None
                return _typed(Tick(raw["interval_ms"], raw["folded"], fleet))
            case Kind.OUTCOME | Kind.CONTROL:
                return _typed(Signed(**_object(record.value)))
            case _:
                raise Malformed(f"kind {record.kind!r} is unknown; known are {', '.join(Kind)}")
    except (ValueError, TypeError, KeyError, OSError, pa.ArrowException) as error:
        raise Malformed(f"{_where(record)}: {error}") from error


def _where(record: Record) -> str:
    return f"journal partition {record.shard} offset {record.offset}"


def _object(value: bytes) -> dict[str, Any]:
    raw = canonical.loads(value)
    if not isinstance(raw, dict):
        raise Malformed("an object was expected")
    return raw


def _typed(item: Form) -> Form:
    """The same, once each field has its type; True is no number."""
    for name, kind in get_type_hints(type(item)).items():
        value = getattr(item, name)
        form = kind if isinstance(kind, UnionType) else get_origin(kind) or kind
        if not isinstance(value, form) or isinstance(value, bool):
            raise Malformed(f"{name} is {value!r}, expected {kind}")
    return item


def _fields(item: Any) -> dict[str, Json]:
    return {name: getattr(item, name) for name in item.__slots__}


def _write_table(sink: pa.BufferOutputStream, name: str, table: Table) -> None:
    arrays = []
    for column, kind in TABLES[name].items():
        values = table[column]
        if isinstance(values, Strings):
            arrays.append(
                pa.DictionaryArray.from_arrays(pa.array(values.codes, pa.int32()), pa.array(values.values, pa.utf8()))
            )
        else:
            arrays.append(pa.array(values, kind))
    schema = pa.schema(
        [pa.field(n, a.type) for n, a in zip(TABLES[name], arrays, strict=True)], metadata={"table": name}
    )
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))


def _decode_telemetry(value: bytes) -> Telemetry:
    reader = pa.BufferReader(value)
    tables: dict[str, Table] = {}
    while reader.tell() < len(value):
        with pa.ipc.open_stream(reader) as stream:
            name = (stream.schema.metadata or {}).get(b"table", b"").decode()
            batches = list(stream)
        if len(batches) != 1:
            raise Malformed(f"table {name} has {len(batches)} batches, expected one")
        if name in TABLES:
            tables[name] = _columns(name, batches[0])
    if "positions" not in tables:
        raise Malformed("table positions is missing")
    first = tables.pop("positions")
    topics = first["topic"]
    assert isinstance(topics, Strings)
    rows = zip(topics.codes, np.asarray(first["partition"]), np.asarray(first["previous"]), strict=True)
    return Telemetry(
        tuple(Position(topics.values[code], int(partition), int(previous)) for code, partition, previous in rows),
        tables,
    )


def _columns(name: str, batch: pa.RecordBatch) -> Table:
    """The columns of one table, checked to the last code: what Arrow reads unchecked can end the process."""
    columns: dict[str, Column] = {}
    for column, kind in TABLES[name].items():
        array = batch.column(column)
        if array.type != kind or array.null_count:
            raise Malformed(f"table {name}: column {column} is {array.type} with {array.null_count} empty, not {kind}")
        array.validate(full=True)
        if pa.types.is_dictionary(kind):
            columns[column] = Strings(np.asarray(array.indices), tuple(array.dictionary.to_pylist()))
        else:
            columns[column] = array.to_numpy(zero_copy_only=False)
    return columns
