"""Since when does it burn? The first bad second after the last calm."""

import numpy as np
from numpy.typing import NDArray

CALM_S = 3  # one or two clean seconds happen inside a fault; three running end it


def onset_s(start_s: int, good: NDArray[np.int64], total: NDArray[np.int64], share: float) -> int:
    """The second in which the present burn began, of consecutive seconds that begin at `start_s`.

    A second is bad where more than `share` of its requests failed. If all are bad the first is returned: the truth is
    not later.
    """
    bad = (total - good) > share * total
    places = np.flatnonzero(bad)
    if not len(places):
        return start_s + len(total)
    gaps = np.flatnonzero(np.diff(places) > CALM_S)
    return start_s + int(places[gaps[-1] + 1] if len(gaps) else places[0])
