"""Telemetry into the shard's tables: what is new of a record, row by row only where a name is new."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import freshness, latency, traffic, windows
from detectors.evidence import logs, memory, operations, pools, retries
from detectors.series import Key, Series
from schemas.identity import Entity
from schemas.journal import NO_POSITION, Malformed, Position, Strings, Table, Telemetry, Unattributed
from stream.shard import ShardState

ROWS_MAX = 5_000  # 85 MB at 17 kB each: two objectives of 2,500 services; 80,000 rows in 16 shards
ENTITIES_MAX = 2_500  # 193 MB at 77 kB each, nearly all of it latency sketches
EXEMPLARS_PER_ENTITY = 12  # enough to look at by hand; the failed ones push the others out
ENTITY = ("environment", "tenant", "service")
TRACE_CHARS = 32  # 16 bytes in hex
COMBINED_MAX = 2**62  # codes of several columns are combined in 64 bits; beyond, two names could become one


class SourceGap(ValueError):
    """A journal record that follows a position which the shard has not seen: something is missing, a person is
    needed."""


def fold(state: ShardState, telemetry: Telemetry, offset: int) -> None:
    """Counts the rows above their source's mark, then moves the marks. Raises SourceGap and Malformed."""
    marks = np.array([mark(state, source, offset) for source in telemetry.positions], np.int64)
    newest = marks.copy()
    fresh: dict[str, Table] = {}
    for name, table in telemetry.tables.items():
        sources, positions = _numbers(table, "source"), _numbers(table, "offset")
        if len(sources) and sources.max() >= len(marks):
            raise Malformed(f"journal partition {state.number} offset {offset}: table {name} names no such source")
        above = positions > marks[sources]
        np.maximum.at(newest, sources, positions)
        state.count("rows_repeated", int((~above).sum()))
        if above.any():
            fresh[name] = table if above.all() else {column: _take(values, above) for column, values in table.items()}
    for name, table in fresh.items():
        _READERS[name](state, table)
    for source, position in zip(telemetry.positions, newest.tolist(), strict=True):
        state.marks[(source.topic, source.partition)] = position


def unique_keys(table: Table, columns: tuple[str, ...]) -> tuple[list[Key], NDArray[np.int64]]:
    """The distinct names of a table, in the order of their codes, and (rows,) the place of each row's name among
    them."""
    combined, size = np.zeros(len(_numbers(table, "offset")), np.int64), 1
    parts: list[tuple[NDArray[np.int32] | NDArray[np.int64], tuple[str, ...]]] = []
    for column in columns:
        values = table[column]
        codes, names = (values.codes, values.values) if isinstance(values, Strings) else _coded(values)
        if size * len(names) >= COMBINED_MAX:
            distinct, combined = np.unique(combined, return_inverse=True)
            size = len(distinct)
        combined, size = combined * len(names) + codes, size * max(len(names), 1)
        parts.append((codes, names))
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    keys = list(zip(*([names[code] for code in codes[first].tolist()] for codes, names in parts), strict=True))
    return keys, inverse.astype(np.int64)


def mark(state: ShardState, source: Position, offset: int) -> int:
    """The newest position of this source partition that was folded. Raises SourceGap if `source` follows a later."""
    folded = state.marks.get((source.topic, source.partition), NO_POSITION)
    if source.previous > folded:
        raise SourceGap(
            f"journal partition {state.number} offset {offset}: rows of {source.topic}[{source.partition}] follow "
            f"position {source.previous}, but only {folded} was folded; what is between them is missing: "
            "`douse state rebase`"
        )
    return folded


def _numbers(table: Table, column: str) -> NDArray[Any]:
    values = table[column]
    assert not isinstance(values, Strings)
    return values


def _take(values: NDArray[Any] | Strings, rows: NDArray[np.bool_]) -> NDArray[Any] | Strings:
    return values.take(rows) if isinstance(values, Strings) else values[rows]


def _coded(values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    distinct, codes = np.unique(values, return_inverse=True)
    wide = values.dtype == np.uint64
    return codes.astype(np.int64), tuple(f"{value:016x}" if wide else str(value) for value in distinct.tolist())


def _entity_rows(state: ShardState, table: Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    rows, fits = _rows_within(state, state.entities, table, ENTITY, ENTITIES_MAX, "entities_left_out")
    state.entities.columns["heard_s"][rows] = state.clock.now_ms // 1000
    state.entities.touch(rows)
    return rows, fits


def _rows_within(
    state: ShardState, series: Series, table: Table, columns: tuple[str, ...], most: int, left_out: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of the names that are known or for which there is room, and (rows,) which of the table's rows they are."""
    keys, inverse = unique_keys(table, columns)
    if len(series) + len(keys) <= most:
        return series.rows(keys)[inverse], np.ones(len(inverse), np.bool_)
    places = np.full(len(keys), -1, np.int64)
    for place, key in enumerate(keys):
        if key in series.index or len(series) < most:
            places[place] = series.rows((key,))[0]
    rows = places[inverse]
    fits = rows >= 0
    state.count(left_out, int((~fits).sum()))
    return rows[fits], fits


def _observations(state: ShardState, table: Table) -> None:
    rows, fits = _rows_within(state, state.rows, table, (*ENTITY, "slo", "sli"), ROWS_MAX, "rows_left_out")
    bucket_s, good, total = (_numbers(table, name)[fits].astype(np.int64) for name in ("bucket_s", "good", "total"))
    counted = windows.add(state.rows, rows, bucket_s, good, total)
    sampled = _numbers(table, "sampled")[fits] & (bucket_s <= state.rows.head_s)
    state.rows.touch(rows[sampled])
    np.maximum.at(state.rows.columns["sampled_s"], rows[sampled], bucket_s[sampled])
    state.count("late", counted.late)
    state.count("future", counted.future)


def _requests(state: ShardState, table: Table) -> None:
    rows, fits = _entity_rows(state, table)
    counts = np.stack([_numbers(table, name)[fits].astype(np.int64) for name in ("requests", "errors", "incomplete")])
    traffic.add(state.entities, rows, _numbers(table, "bucket_s")[fits], counts)
    delay_ms = np.maximum(state.clock.now_ms - _numbers(table, "oldest_end_ms")[fits], 0)
    freshness.add(state.entities, rows, delay_ms, counts[traffic.REQUESTS])


def _latency(state: ShardState, table: Table) -> None:
    rows, fits = _entity_rows(state, table)
    bucket_s, index, count = (_numbers(table, name)[fits].astype(np.int64) for name in ("bucket_s", "index", "count"))
    latency.add(state.entities, rows, bucket_s, index, count)


def _operations(state: ShardState, table: Table) -> None:
    columns = (*ENTITY, "kind", "name")
    most = operations.OPERATIONS_PER_SHARD_MAX
    rows, fits = _rows_within(state, state.operations, table, columns, most, "operations_left_out")
    counts = np.stack([_numbers(table, name)[fits].astype(np.int64) for name in ("calls", "errors", "duration_us")])
    operations.add(state.operations, rows, _numbers(table, "bucket_s")[fits], counts)


def _pools(state: ShardState, table: Table) -> None:
    _entity_rows(state, table)
    columns = (*ENTITY, "instance", "pool")
    rows, fits = _rows_within(state, state.pools, table, columns, pools.POOLS_PER_SHARD_MAX, "pools_left_out")
    names = ("quantity", "temporality", "start_ms", "time_ms", "value", "count", "sum")
    quantity, temporality, start_ms, time_ms, value, count, total = (_numbers(table, name)[fits] for name in names)
    pools.add(state.pools, rows, quantity, temporality, start_ms, time_ms, value, count, total)


def _retries(state: ShardState, table: Table) -> None:
    most = retries.RETRIES_PER_SHARD_MAX
    rows, fits = _rows_within(state, state.retries, table, ENTITY, most, "retries_left_out")
    counts = np.stack([_numbers(table, name)[fits].astype(np.int64) for name in ("attempts", "resends")])
    retries.add(state.retries, rows, _numbers(table, "bucket_s")[fits], counts)


def _memory(state: ShardState, table: Table) -> None:
    columns, most = (*ENTITY, "instance"), memory.MEMORY_PER_SHARD_MAX
    rows, fits = _rows_within(state, state.memory, table, columns, most, "memory_left_out")
    quantity, time_ms, value = (_numbers(table, name)[fits] for name in ("quantity", "time_ms", "value"))
    memory.add(state.memory, rows, quantity, time_ms, value)


def _logs(state: ShardState, table: Table) -> None:
    """That a service logs does not make it heard: whether it serves is told by its requests."""
    keys, inverse = unique_keys(table, (*ENTITY, "severity", "template"))
    rows = logs.place(state.logs, keys)[inverse]
    fits = rows >= 0
    count = _numbers(table, "count").astype(np.int64)
    state.count("logs_left_out", int(count[~fits].sum()))
    logs.add(state.logs, rows[fits], _numbers(table, "bucket_s")[fits], count[fits])


def _skeletons(state: ShardState, table: Table) -> None:
    entities, entity = unique_keys(table, ENTITY)
    traces, names = table["trace_id"], table["name"]
    assert isinstance(traces, Strings)
    assert isinstance(names, Strings)
    if any(len(trace) != TRACE_CHARS for trace in traces.values):
        raise Malformed(
            f"journal partition {state.number}: a trace id of a skeleton is not of {TRACE_CHARS} characters"
        )
    halves = np.frombuffer(bytes.fromhex("".join(traces.values)), ">u8").astype(np.uint64).reshape(-1, 2)[traces.codes]
    state.skeletons.add(
        [Entity(*key) for key in entities],
        entity,
        names.values,
        {
            "high": halves[:, 0],
            "low": halves[:, 1],
            "span": _numbers(table, "span_id"),
            "parent": _numbers(table, "parent_id"),
            "name": names.codes,
            **{name: _numbers(table, name) for name in ("start_us", "end_us", "kind", "error")},
        },
    )


def _exemplars(state: ShardState, table: Table) -> None:
    """A handful of rows a record: ingest sends at most four for each entity."""
    keys, inverse = unique_keys(table, (*ENTITY, "trace_id"))
    seconds, failed = _numbers(table, "bucket_s"), _numbers(table, "error")
    for place, (environment, tenant, service, trace) in enumerate(keys):
        here = inverse == place
        if (environment, tenant, service) not in state.exemplars and len(state.exemplars) >= ENTITIES_MAX:
            state.count("exemplars_left_out", int(here.sum()))
            continue
        found = state.exemplars.setdefault((environment, tenant, service), [])
        found.append((trace, int(seconds[here].max()), bool(failed[here].any())))
        found.sort(key=lambda one: (not one[2], -one[1], one[0]))
        del found[EXEMPLARS_PER_ENTITY:]


def _unattributed(state: ShardState, table: Table) -> None:
    reasons = _numbers(table, "reason")
    for reason in Unattributed:
        here = reasons == reason
        state.count(f"unattributed_spans_{reason.name.lower()}", int(_numbers(table, "spans")[here].sum()))
        state.count(f"unattributed_points_{reason.name.lower()}", int(_numbers(table, "points")[here].sum()))
        state.count(f"unattributed_logs_{reason.name.lower()}", int(_numbers(table, "logs")[here].sum()))


_READERS: dict[str, Callable[[ShardState, Table], None]] = {
    "observations": _observations,
    "requests": _requests,
    "latency": _latency,
    "operations": _operations,
    "exemplars": _exemplars,
    "pools": _pools,
    "retries": _retries,
    "memory": _memory,
    "logs": _logs,
    "skeletons": _skeletons,
    "unattributed": _unattributed,
}
