"""Everything that is known of one burning service, now and before its onset: what the causes are scored on."""

from dataclasses import dataclass

import numpy as np

from detectors import latency, traffic
from detectors.evidence import operations, pools
from detectors.evidence.pools import Sample
from detectors.series import Series
from schemas.identity import Entity
from schemas.otlp.columns import SpanKind

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

    kind: SpanKind
    name: str
    now_us: float
    before_us: float
    now_per_s: float
    before_per_s: float


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


def collect(
    entities: Series, pool_table: Series, operation_table: Series, entity: Entity, onset_s: int, end_s: int
) -> Case:
    """The case of `entity` at `end_s`, the end of its newest complete second."""
    last, first = end_s - 1, max(onset_s, end_s - NOW_S_MAX)
    base_last = onset_s - 1 - GAP_S
    base_first = base_last - BASELINE_S + 1
    row = entities.index[tuple(entity)]
    now, before = traffic.seconds(entities, row, first, last), traffic.seconds(entities, row, base_first, base_last)
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
    )


def ratio(now: float, before: float) -> float:
    """now / before; NaN where either is unknown or before is zero."""
    return now / before if before > 0 and np.isfinite(now) else float("nan")


def _rate(seconds: np.ndarray, field: int) -> float:
    counts = seconds[field]
    return float(counts.mean()) if len(counts) else 0.0


def _call(
    table: Series, row: int, key: tuple[str, ...], first: int, last: int, base_first: int, base_last: int
) -> CallCase:
    now, before = operations.totals(table, row, first, last), operations.totals(table, row, base_first, base_last)
    return CallCase(
        SpanKind(int(key[3])),
        key[4],
        _mean_us(now),
        _mean_us(before),
        float(now[0]) / (last - first + 1),
        float(before[0]) / (base_last - base_first + 1),
    )


def _mean_us(totals: np.ndarray) -> float:
    calls = totals[operations.CALLS]
    return float(totals[operations.DURATION_US] / calls) if calls else float("nan")
