"""What connection pools say of themselves, one sample a second: connections used and allowed, callers waiting, time
waited, time used.

Gauges keep the last value of a second. Cumulative points become differences here, where the point before is
remembered: a start time that moved, or a count that fell, is a reset, and the first point of an unknown history adds
nothing (OpenTelemetry data model).
"""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from detectors.ring import Fill, Shape
from detectors.series import Series
from schemas.journal import Quantity
from schemas.otlp.columns import Temporality

POOLS_PER_SHARD_MAX = 10_000  # 110 MB at 11 kB each
GAUGES = {Quantity.USED: 0, Quantity.IDLE: 1, Quantity.MAX: 2, Quantity.PENDING: 3}
FLOWS = {Quantity.TIMEOUTS: 0, Quantity.WAIT: 1, Quantity.USE: 3}
"""First of a flow's fields: TIMEOUTS has one (events), WAIT and USE have two (events, seconds)."""
SHAPES = {"gauge": Shape(1, 180, 4, "f8", Fill.NAN), "flow": Shape(1, 180, 5, "f8", Fill.ZERO)}
_LAST = {f"{kind}_{int(q)}": ("f8", np.nan) for q in FLOWS for kind in ("count", "sum", "start_ms", "time_ms")}


@dataclass(frozen=True, slots=True)
class Sample:
    """One pool over a range of seconds: means of gauges, sums of flows; NaN where nothing was said."""

    seconds: int
    used: float
    maximum: float
    pending: float
    saturated: float
    """Share of the sampled seconds in which every allowed connection was in use."""
    queued: float
    """Share of the sampled seconds in which callers waited."""
    timeouts: float
    waits: float
    wait_s: float
    """Mean time that a caller waited."""
    uses: float
    use_s: float
    """Mean time that a connection was held."""


def table(head_s: int = 0) -> Series:
    """Keys are (environment, tenant, service, instance, pool)."""
    return Series(SHAPES, _LAST, head_s)


def add(
    series: Series,
    rows: NDArray[np.int64],
    quantity: NDArray[np.uint8],
    temporality: NDArray[np.uint8],
    start_ms: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    count: NDArray[np.uint64],
    total: NDArray[np.float64],
) -> None:
    """Counts k points: row, what they measure, and OTLP's fields. Rows may repeat; points are taken in the order of
    their times. Left out: numbers that are none, and times ahead of the head, which would make all others late."""
    measured = np.where(np.isin(quantity, (Quantity.WAIT, Quantity.USE)), 0.0, value)
    taken = np.flatnonzero(np.isfinite(measured) & (time_ms // 1000 <= series.rings["gauge"].head))
    order = taken[np.lexsort((time_ms[taken], rows[taken]))]
    rows, quantity, temporality, start_ms, time_ms = (
        rows[order],
        quantity[order],
        temporality[order],
        start_ms[order],
        time_ms[order],
    )
    value, count, total = value[order], count[order].astype(np.float64), total[order]
    bucket = time_ms // 1000
    gauge, flow = series.rings["gauge"], series.rings["flow"]
    for kind, field in GAUGES.items():
        here = (quantity == kind) & gauge.holds(bucket)
        gauge.values[bucket[here] % gauge.shape.slots, field, rows[here]] = value[here]
    for kind, field in FLOWS.items():
        here = quantity == kind
        if not here.any():
            continue
        events = value[here] if kind is Quantity.TIMEOUTS else count[here]
        amount = np.zeros(int(here.sum())) if kind is Quantity.TIMEOUTS else np.nan_to_num(total[here])
        steps = _differences(
            series, int(kind), rows[here], temporality[here], start_ms[here], time_ms[here], events, amount
        )
        fits = flow.holds(bucket[here])
        flow.add(bucket[here][fits], field, rows[here][fits], steps[0][fits])
        if kind is not Quantity.TIMEOUTS:
            flow.add(bucket[here][fits], field + 1, rows[here][fits], steps[1][fits])
    series.touch(rows)


def next_s(series: Series, row: int, slower_s: int, slowest_s: int) -> int:
    """When the pool of `row` should tell again by its own pace, a quarter late; -1 where it tells every `slower_s`
    seconds or more often. One that has told once only may be as slow as `slowest_s`."""
    ring = series.rings["gauge"]
    slots = ring.slots(ring.oldest, ring.head)
    told = np.flatnonzero(np.isfinite(ring.values[slots, :, row]).any(axis=1))
    if not len(told):
        return -1
    gap_s = int(told[-1] - told[-2]) if len(told) > 1 else slowest_s
    return ring.oldest + int(told[-1]) + 5 * gap_s // 4 if gap_s > slower_s else -1


def sample(series: Series, row: int, first_s: int, last_s: int) -> Sample:
    """What the pool of `row` said in the seconds first_s..last_s."""
    gauge, flow = series.rings["gauge"], series.rings["flow"]
    first, last = max(first_s, gauge.oldest), min(last_s, gauge.head)
    if last < first:
        return Sample(0, nan, nan, nan, nan, nan, 0.0, 0.0, nan, 0.0, nan)
    slots = gauge.slots(first, last)
    values, flows = gauge.values[slots, :, row], flow.values[slots, :, row].sum(axis=0)
    used, maximum, pending = (values[:, GAUGES[kind]] for kind in (Quantity.USED, Quantity.MAX, Quantity.PENDING))
    timeouts, waits, waited, uses, held = flows.tolist()
    return Sample(
        int(np.isfinite(used).sum()),
        _mean(used),
        _mean(maximum),
        _mean(pending),
        _mean(np.where(np.isfinite(used) & np.isfinite(maximum), used >= maximum, np.nan)),
        _mean(np.where(np.isfinite(pending), pending > 0, np.nan)),
        timeouts,
        waits,
        waited / waits if waits else np.nan,
        uses,
        held / uses if uses else np.nan,
    )


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else nan


def _differences(
    series: Series,
    kind: int,
    rows: NDArray[np.int64],
    temporality: NDArray[np.uint8],
    start_ms: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    events: NDArray[np.float64],
    amount: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(k,) events and amounts since the point before, for points sorted by row and time."""
    last = {name: series.columns[f"{name}_{kind}"] for name in ("count", "sum", "start_ms", "time_ms")}
    old = time_ms <= last["time_ms"][rows]
    again = np.concatenate([[False], (rows[1:] == rows[:-1]) & ~old[:-1]])
    shifted = {
        name: np.where(again, np.concatenate([[np.nan], points[:-1]]), last[name][rows])
        for name, points in (
            ("count", events),
            ("sum", amount),
            ("start_ms", start_ms.astype(float)),
            ("time_ms", time_ms.astype(float)),
        )
    }
    unknown = np.isnan(shifted["count"]) | (start_ms == time_ms)
    reset = ~unknown & ((start_ms > shifted["time_ms"]) | (events < shifted["count"]))
    stale = old | (time_ms <= shifted["time_ms"])
    base_events = np.where(reset, 0.0, np.where(unknown, events, shifted["count"]))
    base_amount = np.where(reset, 0.0, np.where(unknown, amount, shifted["sum"]))
    cumulative = temporality != Temporality.DELTA
    step_events = np.where(cumulative, np.where(stale, 0.0, events - base_events), events)
    step_amount = np.where(cumulative, np.where(stale, 0.0, amount - base_amount), amount)
    fresh = ~stale
    for name, points in (("count", events), ("sum", amount), ("start_ms", start_ms), ("time_ms", time_ms)):
        last[name][rows[fresh]] = points[fresh]
    return step_events, step_amount
