"""Everything that is known of one burning service, now and before its onset: what the causes are scored on."""

from dataclasses import dataclass

import numpy as np

from detectors import latency, traffic
from detectors.calls import Call
from detectors.evidence import demand, memory, operations, pools, retries
from detectors.evidence import logs as log_lines
from detectors.evidence.demand import Demand, Resent
from detectors.evidence.logs import Risen
from detectors.evidence.memory import Trend
from detectors.evidence.pools import Sample
from detectors.evidence.skeletons import Traces
from detectors.series import Series
from schemas.identity import Entity
from schemas.journal import Memory

NOW_S_MAX = 10  # the newest seconds: long enough for twenty samples of a pool at two a second
BASELINE_S = 60
GAP_S = 2  # before the onset, left out of the baseline: the fault may be younger than its first bad second


@dataclass(frozen=True, slots=True)
class PoolCase:
    instance: str
    pool: str
    now: Sample
    before: Sample


@dataclass(frozen=True, slots=True)
class CallCase:
    """Calls of one name; (calls, errors, mean microseconds) now and before, NaN where there were none."""

    kind: Call
    name: str
    now_us: float
    before_us: float
    now_per_s: float
    before_per_s: float


@dataclass(frozen=True, slots=True)
class MemoryCase:
    """One instance, in bytes; NaN where it was not said. `trend` ends before the onset: what the incident itself
    holds (queues, retries) is its effect."""

    instance: str
    now: float
    limit: float
    restarts: float
    """Since the first figure that is remembered."""
    trend: Trend


@dataclass(frozen=True, slots=True)
class Case:
    """first_s..last_s is now, base_first_s..base_last_s the time before the onset; rates per second."""

    first_s: int
    last_s: int
    base_first_s: int
    base_last_s: int
    requests_per_s: float
    errors_per_s: float
    before_requests_per_s: float
    before_errors_per_s: float
    p99_us: int | None
    before_p99_us: int | None
    pools: tuple[PoolCase, ...]
    calls: tuple[CallCase, ...]
    asked: Demand = demand.NOTHING
    resent: Resent = demand.UNTOLD
    memory: tuple[MemoryCase, ...] = ()
    logs: tuple[Risen, ...] = ()
    """Templates of log lines that rose with the errors."""


def collect(
    entities: Series,
    pool_table: Series,
    operation_table: Series,
    entity: Entity,
    onset_s: int,
    end_s: int,
    *,
    retry_table: Series | None = None,
    memory_table: Series | None = None,
    log_table: Series | None = None,
    traces: Traces | None = None,
) -> Case:
    """The case of `entity` at `end_s`, the end of its newest complete second. Evidence that is None is not known."""
    last, first = end_s - 1, max(onset_s, end_s - NOW_S_MAX)
    base_last = onset_s - 1 - GAP_S
    base_first = base_last - BASELINE_S + 1
    row = entities.index[tuple(entity)]
    now, before = traffic.seconds(entities, row, first, last), traffic.seconds(entities, row, base_first, base_last)
    asked, resent = _asked(entities, retry_table, entity, (base_first, base_last, onset_s, first, last))
    if resent is demand.UNTOLD and traces is not None:
        resent = demand.repeated(
            traces.attempts_per_trace(entity, first, last), traces.attempts_per_trace(entity, base_first, base_last)
        )
    return Case(
        first,
        last,
        base_first,
        base_last,
        _rate(now, traffic.REQUESTS),
        _rate(now, traffic.ERRORS),
        _rate(before, traffic.REQUESTS),
        _rate(before, traffic.ERRORS),
        latency.quantile_us(entities, row, first, last, 990_000),
        latency.quantile_us(entities, row, base_first, base_last, 990_000),
        tuple(
            PoolCase(
                pool_table.keys[place][3],
                pool_table.keys[place][4],
                pools.sample(pool_table, place, first, last),
                pools.sample(pool_table, place, base_first, base_last),
            )
            for place in pool_table.groups.get(tuple(entity), ())
        ),
        tuple(
            _call(operation_table, place, operation_table.keys[place], first, last, base_first, base_last)
            for place in operation_table.groups.get(tuple(entity), ())
        ),
        asked,
        resent,
        _memory(memory_table, entity, base_last, last) if memory_table is not None else (),
        _risen(entities, log_table, entity, (base_first, base_last), (first, last)) if log_table is not None else (),
    )


def ratio(now: float, before: float) -> float:
    """now / before; NaN where either is unknown or before is zero."""
    return now / before if before > 0 and np.isfinite(now) else float("nan")


def _rate(seconds: np.ndarray, field: int) -> float:
    counts = seconds[field]
    return float(counts.mean()) if len(counts) else 0.0


def _asked(
    entities: Series, table: Series | None, entity: Entity, times: tuple[int, int, int, int, int]
) -> tuple[Demand, Resent]:
    """What was asked for and what was asked again. UNTOLD where no resend was counted since the baseline began."""
    base_first, base_last, onset, first, last = times
    begin = max(base_first, entities.rings["traffic"].oldest)
    counts = traffic.seconds(entities, entities.index[tuple(entity)], begin, last)
    requests, errors = counts[traffic.REQUESTS], counts[traffic.ERRORS]
    row = table.index.get(tuple(entity)) if table is not None else None
    again = retries.seconds(table, row, begin, last) if table is not None and row is not None else None
    if again is None or not again.any():
        return demand.demand(requests, errors, None, begin, onset, first, base_last), demand.UNTOLD
    again = again[:, : len(requests)]
    now, quiet = slice(first - begin, None), slice(0, max(base_last + 1 - begin, 0))
    return (
        demand.demand(requests, errors, again[retries.RESENDS], begin, onset, first, base_last),
        demand.counted(
            again[:, now].sum(axis=1), again[:, quiet].sum(axis=1), int(requests[now].sum()), int(requests[quiet].sum())
        ),
    )


def _risen(
    entities: Series, table: Series, entity: Entity, baseline: tuple[int, int], window: tuple[int, int]
) -> tuple[Risen, ...]:
    """What was logged more often since errors rose."""
    start, end = baseline[0], window[1]
    counts = traffic.seconds(entities, entities.index[tuple(entity)], start, end)[traffic.ERRORS]
    errors = np.zeros(end - start + 1)
    held_from = max(entities.rings["traffic"].oldest - start, 0)
    errors[held_from : held_from + len(counts)] = counts
    return log_lines.correlate(table, entity, window, baseline, errors)


def _memory(table: Series, entity: Entity, base_last: int, last: int) -> tuple[MemoryCase, ...]:
    places = {table.keys[place][3]: place for place in table.groups.get(tuple(entity), ())}
    found = []
    for instance, place in sorted(places.items()):
        used = memory.values(table, place, Memory.USED, last)
        if not np.isfinite(used).any():
            continue
        whole = places.get(instance.partition("#")[0], place)
        own = memory.limit(table, place)
        bound = own if np.isfinite(own) else memory.limit(table, whole)
        restarts = memory.values(table, whole, Memory.RESTARTS, last)
        counts = restarts[np.isfinite(restarts)]
        found.append(
            MemoryCase(
                instance,
                float(used[np.isfinite(used)][-1]),
                bound,
                float(counts[-1] - counts[0]) if len(counts) else float("nan"),
                memory.trend(memory.values(table, place, Memory.USED, base_last), bound),
            )
        )
    return tuple(found)


def _call(
    table: Series, row: int, key: tuple[str, ...], first: int, last: int, base_first: int, base_last: int
) -> CallCase:
    now, before = operations.totals(table, row, first, last), operations.totals(table, row, base_first, base_last)
    return CallCase(
        Call(int(key[3])),
        key[4],
        _mean_us(now),
        _mean_us(before),
        float(now[0]) / (last - first + 1),
        float(before[0]) / (base_last - base_first + 1),
    )


def _mean_us(totals: np.ndarray) -> float:
    calls = totals[operations.CALLS]
    return float(totals[operations.DURATION_US] / calls) if calls else float("nan")
