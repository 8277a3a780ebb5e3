"""Budget, burn, p99 and freshness of an incident: before, after, and what is left of it."""

from dataclasses import dataclass

from schemas.events import (
    Budget,
    Closed,
    Ending,
    HandedOver,
    IncidentEvent,
    Latency,
    Lifted,
    LiftState,
    Planned,
    TierBurn,
    VerdictGiven,
)
from schemas.slo import HOUR_S, MILLION
from stream.report.model import P99, Burn, Freshness, Objective, Pace
from stream.report.story import Story

EFFECTIVE = "effective"


@dataclass(frozen=True, slots=True)
class Reading:
    """The figures of one event that tells of them."""

    at_ms: int
    burn: tuple[TierBurn, ...]
    budget: Budget
    latency: Latency


def burn_stopped(story: Story) -> bool:
    """True where the burn is over: closed with its burn down, or a change that stands was judged effective last."""
    closed = story.last(Closed)
    if closed is not None:
        return closed.ending in (Ending.CONFIRMED, Ending.RECOVERED)
    judged, handed, tried = story.last(VerdictGiven), story.last(HandedOver), story.last(Lifted)
    if tried is not None and tried.state is LiftState.HURTS:
        return False
    return judged is not None and judged.verdict == EFFECTIVE and (handed is None or _follows(judged, handed))


def judged_of_last_plan(story: Story) -> VerdictGiven | None:
    """The last verdict on the last plan; None while it is not judged."""
    planned, judged = story.last(Planned), story.last(VerdictGiven)
    return judged if planned and judged and judged.plan == planned.plan else None


def objective(story: Story) -> Objective:
    """What was promised and what is left of it."""
    first, now = _first(story), _now(story)
    stopped, left_ppm = burn_stopped(story), now.budget.left_ppm
    if left_ppm <= 0:
        why = "the budget of the period is spent"
    elif not stopped:
        why = "the burn has not stopped"
    else:
        why = "the burn has stopped with budget left"
    # Counted in events: the share moves with the traffic by itself. What left the period meanwhile is no gain.
    spent_events = max(now.budget.bad - first.budget.bad, 0)
    allowed = now.budget.allowed
    return Objective(
        slo=story.opened.slo,
        target_ppm=now.budget.target_ppm,
        period_s=now.budget.period_s,
        history_s=now.budget.history_s,
        before_ppm=first.budget.left_ppm,
        spent_ppm=spent_events * MILLION // allowed if allowed else 0,
        spent_events=spent_events,
        left_ppm=left_ppm,
        before_hours_left_milli=first.budget.hours_left_milli,
        hours_left_milli=now.budget.hours_left_milli,
        as_of_ms=now.at_ms,
        protected=stopped and left_ppm > 0,
        why=why,
    )


def burn(story: Story) -> Burn:
    """How fast the budget went: at the opening, at the last verdict, and by the latest event."""
    judged, now = story.last(VerdictGiven), _now(story)
    return Burn(
        tier=story.opened.tier,
        severity=story.opened.severity,
        before=_pace(_first(story)),
        after=_pace(_of(judged)) if judged else None,
        residual=_pace(now),
        hot_tiers=tuple(tier.name for tier in now.burn if tier.fires),
    )


def p99(story: Story) -> P99:
    """The latency of the same service, beside its own objective where it has one."""
    opened, judged, now = story.opened, story.last(VerdictGiven), _now(story)
    told = [one.latency_back_s for one in story.of(VerdictGiven)] + [one.latency_back_s for one in story.of(Closed)]
    back_s = next((second for second in told if second is not None), None)
    return P99(
        objective_us=opened.latency.objective_us,
        before_onset_us=opened.before_latency.p99_us,
        burning_us=opened.latency.p99_us,
        after_us=judged.latency.p99_us if judged else None,
        residual_us=now.latency.p99_us,
        back_ms=back_s * 1000 if back_s is not None else None,
    )


def freshness(story: Story) -> Freshness:
    """How old the telemetry was on which it was decided."""
    opened, judged = story.opened, story.last(VerdictGiven)
    return Freshness(
        data_state=opened.data_state,
        newest_telemetry_ms=opened.newest_telemetry_ms,
        age_ms=opened.at_ms - opened.newest_telemetry_ms,
        opening_p99_ms=opened.freshness_p99_ms,
        verdict_p99_ms=judged.freshness_p99_ms if judged else None,
    )


def _first(story: Story) -> Reading:
    opened = story.opened
    return Reading(opened.at_ms, opened.burn, opened.budget, opened.latency)


def _now(story: Story) -> Reading:
    """The latest reading: of the close, the hand-over or the last verdict, whichever came last; else of the opening."""
    told: list[Closed | HandedOver | VerdictGiven] = [*story.of(Closed), *story.of(HandedOver), *story.of(VerdictGiven)]
    for event in sorted(told, key=lambda one: (one.journal_offset, one.index), reverse=True):
        if event.budget is not None:
            return Reading(event.at_ms, event.burn, event.budget, event.latency or Latency())
    return _first(story)


def _of(judged: VerdictGiven) -> Reading:
    return Reading(judged.at_ms, judged.burn, judged.budget, judged.latency)


def _pace(reading: Reading) -> Pace:
    spent_ppm = reading.budget.spent_per_hour_ppm
    factor_milli = spent_ppm * reading.budget.period_s // (HOUR_S * 1000)
    return Pace(at_ms=reading.at_ms, spent_per_hour_ppm=spent_ppm, factor_milli=factor_milli)


def _follows(later: IncidentEvent, earlier: IncidentEvent) -> bool:
    return (later.journal_offset, later.index) > (earlier.journal_offset, earlier.index)
