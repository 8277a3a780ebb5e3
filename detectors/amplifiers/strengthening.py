"""What makes a failure worse beside its cause: present or not, with the numbers for and against.

Unlike causes, amplifiers do not compete: several may be at work, and each is weighed alone against "not there" (0).
"""

from dataclasses import dataclass
from math import log

from detectors.causes.finding import Finding, ramp
from schemas.runbook import Amplifier

PRIOR = -3.0
PRESENT_LOG_ODDS_MIN = log(3.0)  # three to one, as sure as a cause has to be


@dataclass(frozen=True, slots=True)
class Strengthening:
    """One amplifier, weighed. `log_odds` is relative to its absence."""

    amplifier: Amplifier
    present: bool
    log_odds: float
    findings: tuple[Finding, ...]


def weighed(amplifier: Amplifier, findings: tuple[Finding, ...]) -> Strengthening:
    log_odds = PRIOR + sum(finding.weight for finding in findings)
    return Strengthening(amplifier, log_odds >= PRESENT_LOG_ODDS_MIN, log_odds, findings)


def needed(value: float, none: float, some: float, full: float, weight: float) -> float:
    """Up to `weight` between `some` and `full`, and below `some` against it, down to -2 at `none`: what has to be
    there. What is not known counts as missing."""
    return weight * ramp(value, some, full) - 2.0 * (1.0 - ramp(value, none, some))
