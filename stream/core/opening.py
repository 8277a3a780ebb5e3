"""When an incident begins and when it ends."""

import numpy as np

from actuators.policy.incident import SECONDS_MAX, Incident
from actuators.policy.lifecycle import Happening, Phase
from detectors import onset, windows
from detectors import verdict_question as ask
from detectors.evidence.case import GAP_S
from detectors.state import DataState
from schemas.events import Ending
from schemas.slo import MILLION, Severity, Slo, Tier
from stream.core import desk, settle, words
from stream.core.desk import Desk
from stream.core.sight import Sight
from stream.shard import ShardState

LOOK_BACK_S = 110  # of the 120 seconds that the 1 s level holds; ten are ahead of the complete end
NOW_S = 5  # the act tier's short window: what failed within it fails now
INCIDENTS_MAX = 500  # 10 kB each in a snapshot; so many at once are one fault of many tenants, and one is told of it
CLEAR_S = 30  # a burn that stayed under the slow page tier for so long is over
FAST_PAGE_MILLI, SLOW_PAGE_MILLI = 14_400, 6_000
BLIND = frozenset({DataState.STALE, DataState.NO_DATA, DataState.NO_TRAFFIC})


def open_new(shard: ShardState, sight: Sight, out: Desk) -> None:
    """Opens an incident for each row of which an act or page tier fires and which has none."""
    hot_rows = words.rows_hot(sight)
    burning = {sight.lane(shard, one) for one in shard.incidents.values()}
    for lane in np.flatnonzero(hot_rows).tolist():
        key = shard.rows.keys[int(sight.plan.rows[lane])]
        if lane in burning or sight.data_state(lane) in BLIND:
            continue
        if "/".join(key) in shard.hot and not _hotter_than_act(shard, sight, lane):
            continue
        if len(shard.incidents) >= INCIDENTS_MAX:
            shard.count("incidents_left_out")
            continue
        _open(shard, sight, lane, out)
    if shard.hot:
        still = {"/".join(shard.rows.keys[int(row)]) for row in sight.plan.rows[hot_rows].tolist()}
        shard.hot &= still


def count_on(shard: ShardState, sight: Sight, incident: Incident, lane: int) -> None:
    """Takes up the seconds that are complete by now."""
    end_s = int(sight.burn.end_s[lane])
    if end_s <= incident.end_s:
        return
    row = int(sight.plan.rows[lane])
    oldest = shard.rows.rings["1s"].oldest + 1
    if oldest - incident.end_s > SECONDS_MAX:  # nothing of what was counted is near enough to matter
        incident.start_s, incident.good, incident.total = oldest, [], []
    missed = max(oldest - incident.end_s, 0)
    incident.good += [0] * missed
    incident.total += [0] * missed
    good, total = windows.seconds(shard.rows, row, incident.end_s, end_s - 1)
    incident.good += good.tolist()
    incident.total += total.tolist()
    surplus = len(incident.total) - SECONDS_MAX
    if surplus > 0:
        del incident.good[:surplus], incident.total[:surplus]
        incident.start_s += surplus


def still_burns(incident: Incident) -> bool:
    """True where the newest seconds burn so fast that a change could be proven to help: a wound that has closed while
    something held us back is left alone."""
    total, good = sum(incident.total[-NOW_S:]), sum(incident.good[-NOW_S:])
    p0_ppm = ask.p0_ppm(incident.target_ppm, incident.tier_factor_milli)
    return (total - good) * MILLION > total * p0_ppm


def has_cleared(incident: Incident, slo: Slo) -> bool:
    """True where the last CLEAR_S seconds had traffic and burned below the slow page tier."""
    if incident.end_s - incident.onset_s < CLEAR_S:
        return False
    total, good = sum(incident.total[-CLEAR_S:]), sum(incident.good[-CLEAR_S:])
    return total > 0 and (total - good) * MILLION <= total * share_ppm(slo, SLOW_PAGE_MILLI)


def close(
    shard: ShardState, sight: Sight, incident: Incident, lane: int, ending: Ending, out: Desk, mend: str = ""
) -> None:
    """Says that it is over; what still burns in alert windows opens nothing for now."""
    attempt = incident.attempt
    proven_s = attempt.effective_s if attempt and attempt.effective_s else incident.end_s - CLEAR_S
    out.tell(
        incident,
        "closed",
        ending=ending,
        onset_s=incident.onset_s,
        recovered_s=attempt.recovered_s if attempt else None,
        verdict=attempt.verdict if attempt else None,
        burn=words.tiers(sight, lane),
        budget=words.budget(shard, sight, lane, words.share_ppm(incident, proven_s, incident.end_s)),
        latency=words.p99(shard, sight, lane, incident.end_s),
        latency_back_s=incident.latency_back_s,
        mend=mend,
    )
    forget(shard, incident)


def forget(shard: ShardState, incident: Incident) -> None:
    """Takes an incident off the list; one whose change is not settled is kept for what its actuator still says."""
    shard.hot.add("/".join(windows.key(*incident.entity, incident.slo, incident.sli)))
    del shard.incidents[incident.id]
    settle.keep(shard, incident)


def recover(shard: ShardState, sight: Sight, incident: Incident, lane: int, out: Desk) -> bool:
    """Closes an incident that nobody's plan is being judged for, once its burn has stopped."""
    if not has_cleared(incident, sight.slo(lane)) or sight.now_ms - _touched_ms(incident) < CLEAR_S * 1000:
        return False
    out.move(incident, Happening.RECOVERED)
    close(shard, sight, incident, lane, Ending.RECOVERED, out)
    return True


def _touched_ms(incident: Incident) -> int:
    """When something was last taken back: the seconds before say nothing of the time without it."""
    times = [step.revert_ms for one in incident.attempts for step in one.steps if step.revert_ms is not None]
    return max(times, default=0)


def share_ppm(slo: Slo, factor_milli: int) -> int:
    """Bad requests per million at a burn of factor_milli / 1000."""
    return (MILLION - slo.target_ppm) * factor_milli // 1000


def fired(sight: Sight, lane: int) -> Tier | None:
    """The most urgent tier that fires: act before page."""
    slo = sight.slo(lane)
    firing = [
        tier
        for level, tier in enumerate(slo.tiers)
        if sight.burn.fires[level, lane] and tier.severity is not Severity.TICKET
    ]
    return min(firing, key=lambda tier: (tier.severity is not Severity.ACT, tier.long_s), default=None)


def may_act(slo: Slo, tier: Tier) -> bool:
    return slo.acts and (tier.severity is Severity.ACT or (tier.severity is Severity.PAGE and slo.page_acts))


def _hotter_than_act(shard: ShardState, sight: Sight, lane: int) -> bool:
    """Does it burn anew? Its newest seconds alone exceed the factor of the act tier, or of the fastest that there is:
    the short window of a page tier is hot for minutes after a fix."""
    slo = sight.slo(lane)
    urgent = [tier for tier in slo.tiers if tier.severity is not Severity.TICKET]
    tier = next((one for one in urgent if one.severity is Severity.ACT), urgent[0])
    rows, end_s = sight.plan.rows[lane : lane + 1], sight.burn.end_s[lane : lane + 1]
    good, total = (int(count[0]) for count in windows.counts(shard.rows, rows, end_s, NOW_S))
    return (total - good) * MILLION > total * share_ppm(slo, tier.factor_milli)


def _open(shard: ShardState, sight: Sight, lane: int, out: Desk) -> None:
    tier = fired(sight, lane)
    assert tier is not None
    slo, row = sight.slo(lane), int(sight.plan.rows[lane])
    environment, tenant, service, name, _ = shard.rows.keys[row]
    end_s = int(sight.burn.end_s[lane])
    first_s = int(shard.rows.columns["first_s"][row])  # before it there is no traffic, because nobody was looking
    start_s = max(end_s - LOOK_BACK_S, shard.rows.rings["1s"].oldest + 1, first_s)
    good, total = windows.seconds(shard.rows, row, start_s, end_s - 1)
    calm_ppm = share_ppm(slo, min(tier.factor_milli, FAST_PAGE_MILLI))
    onset_s = onset.onset_s(start_s, good, total, calm_ppm / MILLION)
    holder = next(
        (one for one in shard.incidents.values() if one.entity == (environment, tenant, service) and one.acts), None
    )
    row_name = "/".join(shard.rows.keys[row])
    before_it = shard.openings.get(row_name, 0)
    shard.openings[row_name] = before_it + 1
    acts = holder is None and may_act(slo, tier)
    incident = Incident(
        id=desk.incident_id(environment, tenant, service, name, slo.sli.hash, onset_s, before_it),
        environment=environment,
        tenant=tenant,
        service=service,
        slo=name,
        sli=slo.sli.hash,
        phase=Phase.BURNING,
        opened_ms=sight.now_ms,
        onset_s=onset_s,
        tier=tier.name,
        tier_factor_milli=tier.factor_milli,
        severity=tier.severity.value,
        target_ppm=slo.target_ppm,
        start_s=start_s,
        good=good.tolist(),
        total=total.tolist(),
        acts=acts,
        by_act=acts and tier.severity is Severity.ACT,
        joined=holder.id if holder else None,
    )
    calm_s = onset_s - GAP_S  # the ramp of a fault is older than its first bad second
    before = words.p99(shard, sight, lane, calm_s, max(min(30, calm_s - start_s), 1))
    shard.incidents[incident.id] = incident
    out.tell(
        incident,
        "opened",
        tier=tier.name,
        severity=tier.severity.value,
        onset_s=onset_s,
        data_state=sight.data_state(lane).text,
        burn=words.tiers(sight, lane),
        budget=words.budget(shard, sight, lane, words.share_ppm(incident, onset_s, end_s)),
        latency=words.p99(shard, sight, lane, end_s),
        before_latency=before,
        freshness_p99_ms=int(sight.freshness_ms[lane]),
        newest_telemetry_ms=words.newest_ms(shard, incident, sight.now_ms),
        joined=incident.joined,
    )
