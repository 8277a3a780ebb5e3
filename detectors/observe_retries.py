"""How often requests are sent again, out of one record of spans, as the serving side was told.

A sender that counts its tries says so in `http.request.resend_count`, which the convention leaves out at zero, or in a
header that the server's instrumentation captured. Read are SERVER and CONSUMER spans alone: the count of a CLIENT span
is a try of this service at another, and belongs to that one's load.
"""

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.attributes import Lookup
from detectors.rows import Builder
from detectors.spans_seen import Seen

RESEND_COUNT = "http.request.resend_count"
ATTEMPT_HEADERS = ("http.request.header.x-envoy-attempt-count", "http.request.header.x-retry-attempt")
"""Captured headers that count attempts from 1: attempt n is the resend n - 1."""


def retries(builder: Builder, seen: Seen) -> None:
    """Rows by entity and second, where something was sent again: resends, and the attempts of what was sent again.

    Each first resend also stands for the attempt before it, so attempts - resends is the number of operations that
    were sent more than once, whether or not their first attempts say anything.
    """
    resend = _resends(seen.lookup)
    spans = np.flatnonzero(seen.counted & seen.serving & (resend > 0))
    groups = rows.group(seen.place[spans], seen.bucket_s[spans])
    resends = groups.sizes()
    builder.add(
        "retries",
        groups.keys[0],
        {
            "bucket_s": groups.keys[1],
            "attempts": (resends + groups.sum(resend[spans] == 1, "i8")).astype(np.uint32),
            "resends": resends.astype(np.uint32),
        },
    )


def _resends(lookup: Lookup) -> NDArray[np.float64]:
    """(n,) which resend each span is: 0 for a first attempt and where nothing is told; the highest of what is told."""
    told = np.nan_to_num(lookup.integers(RESEND_COUNT))
    for header in ATTEMPT_HEADERS:
        told = np.fmax(told, lookup.integers(header) - 1)
    return told
