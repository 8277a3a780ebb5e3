"""What services, their containers and their runtimes report about memory, out of one record of metrics.

Each kind of figure is a series of its own: what a process holds, what its container holds and what its heap keeps
after a collection are different numbers, and mixed they would look like jumps. Limits and restarts of a container
stand under the instance itself, because they hold for everything in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.attributes import Lookup
from detectors.evidence.memory import CONTAINER, HEAP
from detectors.rows import Builder
from schemas.journal import Memory
from schemas.otlp.columns import Metrics, PointKind, Scalar, Temporality

INSTANCES = ("service.instance.id", "k8s.pod.uid", "container.id")  # the first that the Resource names
HEAP_TYPE, HEAP_ONLY = "jvm.memory.type", "heap"


@dataclass(frozen=True, slots=True)
class Known:
    """One metric name. `of` marks the series; `summed` adds up the parts that share an instance and a time."""

    quantity: Memory
    of: str = ""
    summed: bool = False


METRICS = {
    "process.memory.usage": Known(Memory.USED),
    "container.memory.working_set": Known(Memory.USED, CONTAINER),
    "jvm.memory.used_after_last_gc": Known(Memory.USED, HEAP, summed=True),
    "jvm.memory.limit": Known(Memory.LIMIT, HEAP, summed=True),
    "k8s.container.memory.limit": Known(Memory.LIMIT),
    "container.memory.limit": Known(Memory.LIMIT),
    "k8s.container.restart.count": Known(Memory.RESTARTS),
}


def memory(builder: Builder, columns: Metrics, place: NDArray[np.int64], attributed: NDArray[np.bool_]) -> None:
    """Rows by entity, instance, quantity and time. Left out: stale points, those whose number is none, and
    differences, which are no level."""
    points, quantity, of, summed = _points(columns, attributed)
    if not len(points):
        return
    names = [_instance(resource.attributes) for resource in columns.resources]
    marks = sorted({known.of for known in METRICS.values()})
    texts = sorted({name + mark for name in names for mark in marks})
    text_of = np.array([[texts.index(name + mark) for mark in marks] for name in names], np.int64)
    instance = text_of[columns.resource[points], np.array([marks.index(mark) for mark in of], np.int64)]
    time_ms = columns.time_ns[points] // 1_000_000
    part = np.where(summed, 0, np.arange(len(points)))
    groups = rows.group(place[points], instance, quantity, time_ms, part)
    builder.add(
        "memory",
        groups.keys[0],
        {
            "instance": rows.coded(groups.keys[1], texts),
            "quantity": groups.keys[2],
            "time_ms": groups.keys[3],
            "value": groups.sum(columns.value[points], "f8"),
        },
    )


def _points(
    columns: Metrics, attributed: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.uint8], list[str], NDArray[np.bool_]]:
    """(k,) the points that tell of memory, what each measures, the mark of its series, and whether it is a part."""
    lookup = Lookup(columns.strings, columns.attributes, len(columns))
    level = (columns.kind == PointKind.GAUGE) | (
        (columns.kind == PointKind.SUM) & (columns.temporality != Temporality.DELTA)
    )
    usable = attributed & level & ~columns.no_value & np.isfinite(columns.value) & (columns.value >= 0)
    heap = lookup.equal(HEAP_TYPE, HEAP_ONLY) | ~lookup.present(HEAP_TYPE)
    quantity, which = np.zeros(len(columns), np.uint8), np.zeros(len(columns), np.int64)
    known = tuple(METRICS.values())
    for number, (name, metric) in enumerate(METRICS.items()):
        here = usable & (columns.name == lookup.codes.get(name, -1)) & (heap if metric.of == HEAP else True)
        quantity[here], which[here] = metric.quantity, number
    points = np.flatnonzero(quantity)
    found = [known[number] for number in which[points].tolist()]
    return points, quantity[points], [one.of for one in found], np.array([one.summed for one in found], np.bool_)


def _instance(attributes: Mapping[str, Scalar]) -> str:
    return next((str(attributes[name]) for name in INSTANCES if attributes.get(name)), "")
