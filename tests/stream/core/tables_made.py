"""Journal tables as the fold gets them, made by hand, and a shard that they are folded into."""

from typing import Any

import numpy as np

from detectors import windows
from schemas.journal import Position, Strings, Table, Telemetry
from stream import shard
from stream.core import intake, sight
from stream.shard import ShardState

NOW_S = 1_800_000_000


def state(now_s: int = NOW_S) -> ShardState:
    """A shard whose clock and rings stand at `now_s`."""
    made = shard.fresh(0, 1)
    sight.set_clock(made, now_s * 1000)
    for table in (made.rows, made.entities, made.pools, made.operations, made.retries, made.memory, made.logs):
        windows.advance(table, now_s)
    return made


def column(values: list[Any]) -> Any:
    if isinstance(values[0], str):
        names = tuple(sorted(set(values)))
        return Strings(np.array([names.index(value) for value in values], np.int32), names)
    return np.array(values)


def table(offsets: list[int], source: list[int] | None = None, **columns: list[Any]) -> Table:
    """One row for each offset; columns that are not given name one entity."""
    k = len(offsets)
    same: dict[str, Any] = {"environment": ["live"] * k, "tenant": ["north"] * k, "service": ["basket"] * k}
    made = {name: column(values) for name, values in {**same, **columns}.items()}
    return {"source": np.array(source or [0] * k, np.uint16), "offset": np.array(offsets), **made}


def fold(made: ShardState, previous: int, **tables: Table) -> ShardState:
    intake.fold(made, Telemetry((Position("spans", 0, previous),), tables), 5)
    return made
