"""Exact binomial tails: how surprising a number of errors is if the true error share were p.

P(X <= k) and P(X >= k) for X ~ Binomial(n, p), through the regularised incomplete beta function (Abramowitz and
Stegun 26.5.24). Exact at any size, so a few clean requests prove exactly as much as they prove and no more.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Counts = NDArray[np.int64]
Tails = NDArray[np.float64]


def at_most(errors: Counts, n: Counts, p: float) -> Tails:
    """P(X <= errors | n, p), one per element; 1 where n is 0."""
    rest = n - errors
    tail = special.betainc(np.maximum(rest, 1), errors + 1, 1.0 - p)
    return np.asarray(np.where(rest > 0, tail, 1.0), dtype=np.float64)


def at_least(errors: Counts, n: Counts, p: float) -> Tails:
    """P(X >= errors | n, p), one per element; 1 where there is no error."""
    tail = special.betainc(np.maximum(errors, 1), n - errors + 1, p)
    return np.asarray(np.where(errors > 0, tail, 1.0), dtype=np.float64)


def more_than(errors: Counts, n: Counts, before_errors: int, before_n: int) -> Tails:
    """P(so many of all errors fall into n | both shares are the same): Fisher's exact test, one per element.

    Unlike `at_least` with the share seen before, it knows how little a few requests before can tell.
    """
    return np.asarray(stats.hypergeom.sf(errors - 1, before_n + n, before_errors + errors, n), dtype=np.float64)


def clean_needed(p: float, alpha: float) -> int:
    """The fewest requests, all of them good, that reject an error share of p at alpha: (1 - p)^n <= alpha."""
    return math.ceil(math.log(alpha) / math.log1p(-p))
