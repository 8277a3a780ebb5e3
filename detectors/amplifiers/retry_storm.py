"""Retry storm: what fails is sent again and again, so the load rises while good answers do not.

Do not believe it where operations are tried twice: a second attempt doubles a load at most and ends with the fault,
three and more keep it alive. So nothing else counts before operations that are sent again take more than two attempts.
Example: tabs that try eight times offer 435 requests a second, five in six of them resends, of which 170 are answered.
Signature: http.request.resend_count on SERVER spans, headers that count attempts, or traces that one operation enters
several times.
"""

from detectors.amplifiers.strengthening import Strengthening, needed, weighed
from detectors.causes.finding import Finding, ramp
from detectors.evidence.case import Case, ratio
from schemas.runbook import Amplifier

ATTEMPTS_SOME, ATTEMPTS_FULL = 2.2, 3.0
SHARE_NONE, SHARE_SOME, SHARE_FULL = 0.01, 0.03, 0.15  # of all requests: one client that hangs is no storm
LOAD_NONE, LOAD_SOME, LOAD_FULL = 1.0, 1.2, 1.5
LOST_NONE, LOST_SOME, LOST_FULL = 0.01, 0.03, 0.1  # of the good share of requests: the storm's point is that it is lost


def weigh(case: Case) -> Strengthening:
    """Present where operations are sent three times and more, load goes up and the share of good answers falls."""
    asked, resent = case.asked, case.resent
    loop = ramp(resent.attempts, ATTEMPTS_SOME, ATTEMPTS_FULL)
    share_before = resent.share_before if resent.share_before >= 0 else 0.0
    good, good_before = ratio(asked.good, asked.offered), ratio(asked.good_before, asked.offered_before)
    load, lost = ratio(asked.offered, asked.offered_before), 1.0 - ratio(good, good_before)
    return weighed(
        Amplifier.RETRY_STORM,
        (
            Finding("attempts_per_resent_operation", resent.attempts, resent.attempts_before, 2.5 * loop),
            Finding(
                "resends_per_request_ratio",
                resent.share,
                resent.share_before,
                loop * needed(resent.share - share_before, SHARE_NONE, SHARE_SOME, SHARE_FULL, 1.5),
            ),
            Finding(
                "offered_per_s",
                asked.offered,
                asked.offered_before,
                loop * needed(load, LOAD_NONE, LOAD_SOME, LOAD_FULL, 1.0),
            ),
            Finding(
                "good_per_request_ratio", good, good_before, loop * needed(lost, LOST_NONE, LOST_SOME, LOST_FULL, 1.0)
            ),
        ),
    )
