"""Would it have gone away by itself? The burn of tenants that nothing was done for, over the same seconds.

The control group can only lower a claim: where at least two untouched tenants burned before and then recovered as well
as ours did, the recovery proves nothing about the change. Where they were healthy, or go on burning, the claim stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from detectors import verdict_question as ask
from detectors.verdict import NO_CONTROL, Judgement, Reason, Verdict
from detectors.verdict_confirm import Confirmation

TENANTS_MIN = 2  # one tenant's recovery is a coincidence
FAILURES_MIN = 2  # one failure among few requests is no burn
SECONDS_MIN = 3  # the shortest window that a verdict rests on
SECONDS_MAX = 10  # a recovery that came a little later than ours must not drown in the burn before it
CLAIMS = (Verdict.EFFECTIVE, Verdict.PARTIAL)
WAIT_MS_MAX = 5_000  # other shards' seconds come a digest and a tick later; a group that is later yet is none


@dataclass(frozen=True, slots=True)
class Untouched:
    """A tenant that nothing was done for, second by second; `who` is a hash."""

    who: str
    counts: ask.Counts


class Likeness(StrEnum):
    NONE = "none"
    """Fewer than two tenants to compare with."""
    HEALTHY = "healthy"
    """Fewer than two of them burned before."""
    APART = "apart"
    """They burned, and did not recover alike."""
    ALIKE = "alike"
    """They burned and recovered without any change."""
    PENDING = "pending"
    """Their seconds have not come yet."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`tenants` were compared, `burned` of them were above p0 before the decision, `recovered` of those are as far
    down as ours."""

    likeness: Likeness
    tenants: int
    burned: int
    recovered: int

    @property
    def text(self) -> str:
        """For people; it names no tenant."""
        of = f"{self.tenants} untouched tenants"
        match self.likeness:
            case Likeness.NONE | Likeness.PENDING:
                return NO_CONTROL
            case Likeness.HEALTHY if self.burned == 0:
                return f"{of}, healthy before and after"
            case _:
                return f"{of}, {self.burned} burned before, {self.recovered} of them recovered without a change"


def freeze(untouched: Sequence[Untouched], onset_s: int, decided_s: int) -> dict[str, list[int]]:
    """Errors and requests of each tenant between onset and decision, by `who`; what an incident keeps of the group.

    Tenants with too few seconds in between are left out.
    """
    found = {}
    for one in untouched:
        part = one.counts.between(onset_s, decided_s)
        total = int(part.total.sum())
        if len(part.total) >= SECONDS_MIN and total:
            found[one.who] = [int(part.errors.sum()), total]
    return found


def compare(
    question: ask.Question,
    seen: Judgement | Confirmation,
    before: Mapping[str, Sequence[int]],
    now: Sequence[Untouched],
) -> Comparison:
    """How the group did over the very seconds that a verdict or its confirmation rests on.

    `before` is what `freeze` gave at the decision, `now` the same tenants now. A tenant burned before where its share
    was above p0; it recovered where it is at most p0 now, or has fallen at least as far as ours.
    """
    length_s = min(max(seen.window_s, SECONDS_MIN), SECONDS_MAX)
    present = {one.who: one.counts for one in now if one.who in before}
    if len(present) < TENANTS_MIN:
        return Comparison(Likeness.NONE, len(present), 0, 0)
    burned = [name for name in present if _burned(before[name], question.p0_ppm)]
    if len(burned) < TENANTS_MIN:
        return Comparison(Likeness.HEALTHY, len(present), len(burned), 0)
    heard = [name for name in burned if present[name].end_s >= seen.at_s]
    if len(heard) < TENANTS_MIN:
        return Comparison(Likeness.PENDING, len(present), len(burned), 0)
    ours = (question.before.share_ppm, seen.residual_ppm)
    parts = {name: present[name].between(seen.at_s - length_s, seen.at_s) for name in heard}
    recovered = sum(_recovered(parts[name], before[name], ours, question.p0_ppm) for name in heard)
    alike = recovered >= TENANTS_MIN and 2 * recovered >= len(heard)
    return Comparison(Likeness.ALIKE if alike else Likeness.APART, len(present), len(burned), recovered)


def lowered(judged: Judgement, comparison: Comparison) -> Judgement:
    """The judgement with its control group: a claim that the group contradicts becomes `inconclusive`, nothing ever
    becomes more."""
    named = replace(judged, control=comparison.text)
    if comparison.likeness is Likeness.ALIKE and judged.verdict in CLAIMS:
        return replace(named, verdict=Verdict.INCONCLUSIVE, reason=Reason.CONTROL_ALIKE)
    return named


def _burned(before: Sequence[int], p0_ppm: int) -> bool:
    """Seen above p0, not proven: of few requests most would be missed, and who is counted wrongly takes a claim away,
    which is the safe side."""
    errors, total = before
    return errors >= FAILURES_MIN and errors * ask.PPM > p0_ppm * total


def _recovered(part: ask.Counts, before: Sequence[int], ours: tuple[int, int], p0_ppm: int) -> bool:
    """Without traffic nobody recovers. `ours` is the burn before and after, in ppm."""
    errors, total = int(part.errors.sum()), int(part.total.sum())
    if not total:
        return False
    as_far = errors * before[1] * ours[0] <= total * before[0] * ours[1]
    return errors * ask.PPM <= p0_ppm * total or as_far
