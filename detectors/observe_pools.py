"""What services report about their connection pools, out of one record of metrics.

Names of OpenTelemetry's semantic conventions for `db.client.connection.*`, and of the release before, which timed in
milliseconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.attributes import Lookup
from detectors.rows import Builder
from schemas.journal import Quantity
from schemas.otlp.columns import Metrics, PointKind

INSTANCE = "service.instance.id"
POOL_NAMES = ("db.client.connection.pool.name", "pool.name")
STATES = ("db.client.connection.state", "state")
STATE_QUANTITIES = {"used": Quantity.USED, "idle": Quantity.IDLE}
UNIT_SECONDS = {"s": 1.0, "ms": 1e-3}
NUMBERS = (PointKind.GAUGE, PointKind.SUM)
DISTRIBUTIONS = (PointKind.HISTOGRAM, PointKind.EXPONENTIAL, PointKind.SUMMARY)
TIMES = (Quantity.WAIT, Quantity.USE)


@dataclass(frozen=True, slots=True)
class Known:
    """One metric name; for `quantity` None the state attribute decides; `unit_s` holds where no unit is given."""

    quantity: Quantity | None
    unit_s: float = 1.0


METRICS = {
    "db.client.connection.count": Known(None),
    "db.client.connection.max": Known(Quantity.MAX),
    "db.client.connection.pending_requests": Known(Quantity.PENDING),
    "db.client.connection.timeouts": Known(Quantity.TIMEOUTS),
    "db.client.connection.wait_time": Known(Quantity.WAIT),
    "db.client.connection.use_time": Known(Quantity.USE),
    "db.client.connections.usage": Known(None),
    "db.client.connections.max": Known(Quantity.MAX),
    "db.client.connections.pending_requests": Known(Quantity.PENDING),
    "db.client.connections.timeouts": Known(Quantity.TIMEOUTS),
    "db.client.connections.wait_time": Known(Quantity.WAIT, 1e-3),
    "db.client.connections.use_time": Known(Quantity.USE, 1e-3),
}


def pools(builder: Builder, columns: Metrics, place: NDArray[np.int64], attributed: NDArray[np.bool_]) -> None:
    """Rows by entity, instance, pool, quantity and time. Left out: stale points, and those whose number is none."""
    lookup = Lookup(columns.strings, columns.attributes, len(columns))
    quantity, unit_s = _quantities(columns, lookup)
    times = np.isin(quantity, TIMES)
    shaped = np.where(times, np.isin(columns.kind, DISTRIBUTIONS), np.isin(columns.kind, NUMBERS))
    finite = np.isfinite(np.where(times, columns.sum, columns.value))
    points = np.flatnonzero((quantity > 0) & attributed & ~columns.no_value & shaped & finite)
    if not len(points):
        return
    instance_of, instances = _instances(columns)
    instance = instance_of[columns.resource[points]]
    names, pool = _sorted_texts(columns.strings, _either(lookup, POOL_NAMES)[points])
    order = np.lexsort((columns.time_ns[points], quantity[points], pool, instance, place[points]))
    points, instance, pool = points[order], instance[order], pool[order]
    builder.add(
        "pools",
        place[points],
        {
            "instance": rows.coded(instance, instances),
            "pool": rows.coded(pool, names),
            "quantity": quantity[points],
            "temporality": columns.temporality[points],
            "start_ms": columns.start_ns[points] // 1_000_000,
            "time_ms": columns.time_ns[points] // 1_000_000,
            "value": columns.value[points],
            "count": columns.count[points],
            "sum": columns.sum[points] * unit_s[points],
        },
    )


def _quantities(columns: Metrics, lookup: Lookup) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """(n,) Quantity of each point, 0 for what is not about a pool; and the seconds of its unit."""
    quantity = np.zeros(len(columns), np.uint8)
    unit_s = np.ones(len(columns), np.float64)
    for name, known in METRICS.items():
        code = lookup.codes.get(name)
        if code is None:
            continue
        points = columns.name == code
        quantity[points] = known.quantity if known.quantity is not None else _by_state(lookup)[points]
        unit_s[points] = known.unit_s
        if known.quantity in TIMES:
            for unit, seconds in UNIT_SECONDS.items():
                unit_s[points & (columns.unit == lookup.codes.get(unit, -1))] = seconds
    return quantity, unit_s


def _by_state(lookup: Lookup) -> NDArray[np.uint8]:
    states = _either(lookup, STATES)
    quantity = np.zeros(len(states), np.uint8)
    for state, known in STATE_QUANTITIES.items():
        quantity[states == lookup.codes.get(state, -1)] = known
    return quantity


def _either(lookup: Lookup, keys: tuple[str, str]) -> NDArray[np.int32]:
    newer, older = (lookup.texts(key) for key in keys)
    return np.where(newer != 0, newer, older)


def _instances(columns: Metrics) -> tuple[NDArray[np.int64], list[str]]:
    """The instance's place among the sorted names, for each resource."""
    named = [str(resource.attributes.get(INSTANCE, "")) for resource in columns.resources]
    names = sorted(set(named))
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[name] for name in named], np.int64), names


def _sorted_texts(strings: tuple[str, ...], codes: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int64]]:
    used, which = np.unique(codes, return_inverse=True)
    texts = [strings[code] for code in used.tolist()]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return [texts[i] for i in order], place[which.reshape(-1)]
