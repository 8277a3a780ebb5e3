"""What speaks for or against a cause: one number beside its baseline, and how much it moves the log odds."""

from dataclasses import dataclass
from math import isfinite

from schemas.runbook import Cause


@dataclass(frozen=True, slots=True)
class Finding:
    """`value` and `before` in the unit that ends the name (NaN: not known); `weight` in log odds, negative speaks
    against."""

    name: str
    value: float
    before: float
    weight: float


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One cause, scored on one suspect. `log_odds` is relative to "not known", which has 0."""

    cause: Cause
    suspect: str
    log_odds: float
    findings: tuple[Finding, ...]


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, straight between; 0 for NaN."""
    return min(max((value - low) / (high - low), 0.0), 1.0) if isfinite(value) else 0.0


def milli(value: float) -> int | None:
    """A number as canonical forms carry it; None for what is not known."""
    return round(value * 1000) if isfinite(value) else None
