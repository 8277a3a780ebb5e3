"""A service's seconds by hand, for tests of diagnosis: what each second served, failed and got again."""

from collections.abc import Sequence

import numpy as np

from detectors import freshness, latency, traffic
from detectors.evidence import case, operations, pools, retries
from detectors.evidence.case import Case
from detectors.series import Series
from schemas.identity import Entity

ENTITY = Entity("live", "north", "basket")
QUIET_S = 90
START_S = 1_000
ONSET_S = START_S + QUIET_S

Second = tuple[int, int, int, int]
"""Requests, errors, resends, attempts of operations sent more than once."""


def of_seconds(
    quiet: Sequence[Second],
    burning: Sequence[Second],
    told: bool = True,
    onset_s: int = ONSET_S,
) -> Case:
    """The case at the end of `burning`, which follows QUIET_S seconds that repeat `quiet`."""
    seconds = np.array([quiet[i % len(quiet)] for i in range(QUIET_S)] + list(burning), np.int64)
    end_s = START_S + len(seconds)
    entities = Series({**traffic.SHAPES, **latency.SHAPES, **freshness.SHAPES}, {"heard_s": ("i8", -1)}, end_s)
    table, when = retries.table(end_s), np.arange(START_S, end_s)
    rows = entities.rows([tuple(ENTITY)]).repeat(len(when))
    traffic.add(entities, rows, when, np.stack([seconds[:, 0], seconds[:, 1], 0 * when]))
    if told:
        again = np.flatnonzero(seconds[:, 2])
        counts = np.stack([seconds[again, 3], seconds[again, 2]])
        retries.add(table, table.rows([tuple(ENTITY)]).repeat(len(again)), when[again], counts)
    return case.collect(entities, pools.table(), operations.table(), ENTITY, onset_s, end_s, retry_table=table)
