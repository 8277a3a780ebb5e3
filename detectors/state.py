"""May a burn rate be believed? Every row's data state, the worst first; automatic action only on OK."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

QUIET_S = 60  # the act tier's long window: what was silent for longer has nothing to act on


class DataState(IntEnum):
    OK = 0
    LOW_N = 1
    """Too few events for the fastest tier: one failure alone would fire it."""
    NO_TRAFFIC = 2
    """The service is heard from, but nobody calls it."""
    SAMPLED = 3
    """Spans stand for more than one request; counts are not what they seem."""
    PARTIAL = 4
    """Records were lost to retention within the window."""
    NO_DATA = 5
    """Nothing was heard from the service."""
    STALE = 6
    """A source's progress is unknown or too old."""

    @property
    def text(self) -> str:
        return self.name.lower()


def states(
    end_s: NDArray[np.int64],
    total: NDArray[np.int64],
    thin: NDArray[np.bool_],
    heard_s: NDArray[np.int64],
    sampled_s: NDArray[np.int64],
    acting_s: NDArray[np.int64],
    lost_s: int,
    late: NDArray[np.bool_],
    stale: bool,
) -> NDArray[np.uint8]:
    """(k,) DataState of each row.

    end_s: end of the newest complete bucket. total: events of the last QUIET_S. thin: the fastest tier has too few
    events. heard_s: newest second in which the entity sent anything. sampled_s: newest second with a sampled span.
    acting_s: longest window of a tier that may lead to a change. lost_s: newest second of a loss to retention (-1:
    none). late: telemetry comes so late that its newest windows cannot be complete. stale: of the whole shard.
    """
    result = np.where(thin, DataState.LOW_N, DataState.OK).astype(np.uint8)
    result[total == 0] = DataState.NO_TRAFFIC
    start_s = end_s - QUIET_S
    touched_s = end_s - acting_s
    result[sampled_s >= touched_s] = DataState.SAMPLED
    if lost_s >= 0:
        result[lost_s >= touched_s] = DataState.PARTIAL
    result[heard_s < start_s] = DataState.NO_DATA
    result[late] = DataState.STALE
    if stale:
        result[:] = DataState.STALE
    return result
