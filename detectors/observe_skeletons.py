"""Skeletons of some traces, for the joins that need more than one record: who called whom, and where it failed first.

Which traces is decided by their ids alone, so that every worker keeps the same ones and a trace is whole or absent.
Spans with errors are kept of other traces as well; of those only the failed part is known.
"""

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.rows import Builder
from detectors.spans_seen import Seen

SHARE = 1 / 16  # of the traces: at 300 requests a second 19 whole traces a second, enough for medians within seconds
SPANS_MAX = 256  # for an entity in one record: 20 kB; of more spans those with the lowest hashes stay, in all records
ERRORS_MAX = 32  # for an entity in one record, of traces that are not chosen: an outage must not flood the journal

_SHARE_HASH_MAX = int(SHARE * 2**64) - 1
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64 (Steele, Lea, Flood 2014): ids need not be random


def skeletons(builder: Builder, seen: Seen) -> None:
    """Rows of the chosen spans of each entity, in the order of the record."""
    columns = seen.columns
    spans = np.flatnonzero(seen.counted)
    if not len(spans):
        return
    hashes = trace_hash(*halves(columns.trace_id[spans]))
    chosen = is_chosen(hashes)
    place = seen.place[spans]
    whole = _lowest(place, hashes, chosen, SPANS_MAX)
    failed = _lowest(place, hashes, seen.error[spans] & ~chosen, ERRORS_MAX)
    kept = spans[whole | failed]
    builder.add(
        "skeletons",
        seen.place[kept],
        {
            "trace_id": rows.strings([trace_id.tobytes().hex() for trace_id in columns.trace_id[kept]]),
            "span_id": columns.span_id[kept],
            "parent_id": columns.parent_id[kept],
            "kind": columns.kind[kept],
            "name": rows.coded(columns.name[kept], columns.strings),
            "start_us": columns.start_ns[kept] // 1000,
            "end_us": columns.end_ns[kept] // 1000,
            "error": seen.error[kept],
        },
    )


def halves(trace_id: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(n, 16) bytes as two big-endian numbers."""
    numbers = np.ascontiguousarray(trace_id).view(">u8").astype(np.uint64)
    return numbers[:, 0], numbers[:, 1]


def trace_hash(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(n,) an even spread over 64 bits, the same in every process."""
    mixed = low ^ (high << np.uint64(1)) ^ (high >> np.uint64(63))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX[0])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX[1])
    hashes: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return hashes


def is_chosen(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(n,) True where every span of the trace is kept, as far as SPANS_MAX reaches."""
    chosen: NDArray[np.bool_] = hashes <= np.uint64(_SHARE_HASH_MAX)
    return chosen


def _lowest(
    place: NDArray[np.int64], hashes: NDArray[np.uint64], wanted: NDArray[np.bool_], most: int
) -> NDArray[np.bool_]:
    """(n,) the `most` wanted spans of each place whose traces have the lowest hashes."""
    here = np.flatnonzero(wanted)
    order = here[np.lexsort((hashes[here], place[here]))]
    kept = np.zeros(len(wanted), np.bool_)
    kept[order[rows.rank_within(place[order]) < most]] = True
    return kept
