"""Traffic spike: more operations are asked for than in the minute before, resends not counted.

Do not believe the number of requests: eight attempts of one operation are one operation. Where nobody says which
requests are resends, only those that did not fail are counted, and the finding is worth less.
Example: 120 browser tabs become 320; 87 first attempts a second become 180 until the tabs hang in their retries.
Signature: SERVER spans less those with http.request.resend_count, by median and median deviation of their seconds.
"""

from detectors.amplifiers.strengthening import Strengthening, weighed
from detectors.causes.finding import Finding, ramp
from detectors.evidence.case import Case, ratio
from schemas.runbook import Amplifier

RISE_SOME, RISE_FULL = 1.2, 1.5  # services are built for a fifth more; half as much again is another load
DEVIATION_SOME, DEVIATION_FULL = 3.0, 5.0  # robust deviations of single seconds
UNTOLD_WEIGHT = 0.75  # an answer may have come too late and been asked for again


def weigh(case: Case) -> Strengthening:
    """Present where first attempts rose by half, and by more than the minute before ever moved."""
    asked = case.asked
    trust = 1.0 if asked.told else UNTOLD_WEIGHT
    rise = ratio(asked.first, asked.first_before)
    return weighed(
        Amplifier.TRAFFIC_SPIKE,
        (
            Finding(
                "first_attempts_per_s" if asked.told else "good_answers_per_s",
                asked.first,
                asked.first_before,
                3.0 * trust * ramp(rise, RISE_SOME, RISE_FULL),
            ),
            Finding(
                "deviations", asked.deviation, 0.0, 3.0 * trust * ramp(asked.deviation, DEVIATION_SOME, DEVIATION_FULL)
            ),
        ),
    )
