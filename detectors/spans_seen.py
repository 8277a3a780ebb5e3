"""The spans of one record with what every count needs to know about them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.attributes import Lookup
from detectors.rows import Entities
from schemas.otlp.columns import Spans


@dataclass(frozen=True, slots=True)
class Seen:
    """All arrays are (n,), one entry a span."""

    columns: Spans
    lookup: Lookup
    entities: Entities
    place: NDArray[np.int64]
    """Place of the span's entity."""
    counted: NDArray[np.bool_]
    """It has a tenant, and is not synthetic traffic."""
    serving: NDArray[np.bool_]
    """Kind SERVER or CONSUMER: it answers a request, the others are work on the way."""
    bucket_s: NDArray[np.int64]
    """Second of its end."""
    duration_ns: NDArray[np.int64]
    """0 where a clock ran backwards."""
    error: NDArray[np.bool_]
    """Status Error, or an HTTP status code of 500 or above."""
    incomplete: NDArray[np.bool_]
    """An HTTP request without status code and with unset status: nobody answered it."""
