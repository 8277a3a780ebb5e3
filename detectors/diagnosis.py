"""Why does it burn? A distribution over the known causes and "not known", and beside it what makes it worse.

Each cause gives its log odds against "not known" (0); the softmax of all is the distribution. The answer is "not
known" unless one cause holds at least KNOWN_PPM_MIN: an honest shrug hands to a person, a wrong name changes the
wrong thing. Amplifiers are independent of the cause and of each other.
"""

from dataclasses import dataclass
from math import exp

from detectors.amplifiers import retry_storm, traffic_spike
from detectors.amplifiers.strengthening import Strengthening
from detectors.causes import memory_leak, pool_exhausted, slow_database, slow_dependency
from detectors.causes.finding import Suspicion
from detectors.evidence.case import Case
from schemas.runbook import Cause

KNOWN_PPM_MIN = 750_000
CAUSES = (pool_exhausted.score, slow_database.score, slow_dependency.score, memory_leak.score)
AMPLIFIERS = (traffic_spike.weigh, retry_storm.weigh)


@dataclass(frozen=True, slots=True)
class Ranked:
    suspicion: Suspicion
    probability_ppm: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`ranked` is the whole distribution, the likeliest first; `cause` is what it amounts to.
    `amplifiers` are all that are known, present or not."""

    cause: Cause
    ranked: tuple[Ranked, ...]
    case: Case
    amplifiers: tuple[Strengthening, ...] = ()

    @property
    def first(self) -> Ranked:
        return self.ranked[0]

    @property
    def runner_up(self) -> Ranked:
        return self.ranked[1]


def diagnose(case: Case) -> Diagnosis:
    """Scores every cause on the case. Deterministic: equal odds keep the order of CAUSES, "not known" last."""
    suspicions = [found for score in CAUSES if (found := score(case)) is not None]
    suspicions.append(Suspicion(Cause.UNKNOWN, "", 0.0, ()))
    if len(suspicions) == 1:
        suspicions.append(Suspicion(Cause.POOL_EXHAUSTED, "", pool_exhausted.PRIOR, ()))
    weights = [exp(suspicion.log_odds) for suspicion in suspicions]
    total = sum(weights)
    ranked = sorted(
        (
            Ranked(suspicion, round(1_000_000 * weight / total))
            for suspicion, weight in zip(suspicions, weights, strict=True)
        ),
        key=lambda one: -one.probability_ppm,
    )
    cause = ranked[0].suspicion.cause if ranked[0].probability_ppm >= KNOWN_PPM_MIN else Cause.UNKNOWN
    return Diagnosis(cause, tuple(ranked), case, tuple(weigh(case) for weigh in AMPLIFIERS))
