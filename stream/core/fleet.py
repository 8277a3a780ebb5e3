"""What all shards know together: their digests summed for one of them, and what its guard and verdicts take from it.

A shard that was not heard of for three seconds is unknown. Whoever sums names it; whoever decides is careful then.
"""

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from actuators.policy.guard import HOUR_MS, FleetFacts
from detectors.verdict_control import Untouched
from detectors.verdict_question import Counts
from schemas import canonical
from schemas.events import Status
from schemas.fleet import (
    ALARMS_MAX,
    ASKS_MAX,
    CONTROLS_MAX,
    CONTROLS_PER_GROUP_MAX,
    USES_MAX,
    Control,
    Digest,
    Fleet,
    Group,
    ServiceUse,
    TargetUse,
)
from schemas.runbook import Target
from schemas.specs import SpecSet
from stream.shard import ShardState

FRESH_MS_MAX = 3_000  # three digests; a shard on its way to another owner is away for longer
WHO_MAX = 65_536  # 10 MB; each tenant is named once a second
TOUCHED_MS = 15 * 60_000  # the longest watch with what lies before and after it


@functools.lru_cache(maxsize=WHO_MAX)
def who(environment: str, tenant: str) -> str:
    """Names a tenant where its name must not stand; the same in every process."""
    name = f"{environment}\x00{tenant}".encode()
    return f"{canonical.hash64(name):016x}"


def summed(digests: Iterable[Status], now_ms: int, shards: int, about: int) -> Fleet:
    """The fleet as shard `about` of `shards` is to see it; `now_ms` is the newest digest's time, not a process's."""
    heard = [one for one in digests if abs(now_ms - one.at_ms) <= FRESH_MS_MAX and one.shard < shards]
    heard = sorted((one for one in heard if not one.stale and not one.fleet.left_out), key=lambda one: one.shard)
    others = [one.fleet for one in heard if one.shard != about]
    targets, services = _targets(use for one in others for use in one.targets), _services(others)
    crowded = len(targets) > USES_MAX or len(services) > USES_MAX
    known = frozenset() if crowded else frozenset(one.shard for one in heard)
    return Fleet(
        at_ms=now_ms,
        shards=shards,
        unknown=tuple(number for number in range(shards) if number not in known),
        tenants=sum(one.fleet.tenants for one in heard),
        alarming=sum(one.fleet.alarming for one in heard),
        speaker=next((one.shard for one in heard if one.fleet.alarming), None),
        alarms=tuple(alarm for one in heard for alarm in one.fleet.alarms)[:ALARMS_MAX],
        storm=next((one.storm for one in others if one.storm), ""),
        targets=targets[:USES_MAX],
        services=services[:USES_MAX],
        controls=_wanted(heard, about),
    )


def keep(known: Fleet | None, told: Fleet | None, now_ms: int) -> Fleet | None:
    """What a shard holds after a tick: the newer of the two, so that an owner that is no longer one cannot bring back
    what was; after a step of the clock the one that fits it."""
    if told is None or (known is not None and told.at_ms < known.at_ms and lately(known, now_ms) is not None):
        return known
    return told


def lately(known: Fleet | None, now_ms: int) -> Fleet | None:
    """What the last tick that told of the fleet said, unless that is too long ago by the journal's clock."""
    return known if known is not None and abs(now_ms - known.at_ms) <= FRESH_MS_MAX else None


def facts(shard: ShardState, specs: SpecSet, known: Fleet | None, target: Target) -> FleetFacts:
    """What the guard may know of the fleet before a change of `target`; `known` is the last that a tick told."""
    now_ms = shard.clock.now_ms
    fleet = lately(known, now_ms)
    if fleet is None:
        return FleetFacts(known=False, shards_unknown=shard.shards)
    own = _own_applies(shard, specs, now_ms)
    others = {(use.environment, use.service): use.applies for use in fleet.services}
    use = next((one for one in fleet.targets if one.target == target.id), None)
    service = (target.environment, target.service)
    return FleetFacts(
        known=not fleet.unknown,
        shards_unknown=len(fleet.unknown),
        tenants=fleet.tenants,
        alarming=fleet.alarming,
        applies_service=own[service] + others.get(service, 0),
        applies_fleet=own.total() + sum(others.values()),
        target_applies=use.applies if use else 0,
        target_last_ms=use.last_ms if use else None,
        target_standing=use.standing if use else 0,
    )


def untouched(
    shard: ShardState, specs: SpecSet, known: Fleet | None, group: Group, without: Collection[tuple[str, str]]
) -> tuple[Untouched, ...]:
    """The control group: tenants of `group` that no change of douse has reached lately, but for those in `without`
    (environment, tenant)."""
    now_ms = shard.clock.now_ms
    fleet = lately(known, now_ms)
    if fleet is None:
        return ()
    changed = {use.target for use in fleet.targets if use.standing or now_ms - use.last_ms < TOUCHED_MS}
    reached = touched(shard, specs, now_ms) | {
        (target.environment, tenant) for target in specs.targets if target.id in changed for tenant in target.tenants
    }
    out = {who(*tenant) for tenant in (*reached, *without)}
    return tuple(
        Untouched(one.who, counts)
        for one in fleet.controls
        if one.group == group and one.who not in out and (counts := _counts(one)) is not None
    )


def touched(shard: ShardState, specs: SpecSet, now_ms: int) -> set[tuple[str, str]]:
    """Tenants (environment, tenant) whose figures a change of this shard may have moved within the last 15 minutes."""
    found = {
        (target.environment, tenant)
        for target in specs.targets
        if (state := shard.targets.get(target.id)) is not None
        and (state.standing or state.unknown or any(now_ms - at < TOUCHED_MS for at in state.applied_ms))
        for tenant in target.tenants
    }
    for incident in shard.incidents.values():
        if any(step.stands and step.confirm_sent_ms is None for one in incident.attempts for step in one.steps):
            found.add((incident.environment, incident.tenant))
    return found


def uses(shard: ShardState, specs: SpecSet, now_ms: int) -> tuple[tuple[TargetUse, ...], tuple[ServiceUse, ...]]:
    """What this shard has changed within the last hour, or has standing without its word."""
    targets = []
    for name, state in sorted(shard.targets.items()):
        recent = [at for at in state.applied_ms if now_ms - at < HOUR_MS]
        if recent or state.standing:
            standing = 1 if state.standing else 0
            targets.append(
                TargetUse(target=name, applies=len(recent), last_ms=max(recent, default=0), standing=standing)
            )
    own = _own_applies(shard, specs, now_ms)
    services = tuple(
        ServiceUse(environment=environment, service=service, applies=count)
        for (environment, service), count in sorted(own.items())
    )
    return tuple(targets), services


def _own_applies(shard: ShardState, specs: SpecSet, now_ms: int) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    services = {target.id: (target.environment, target.service) for target in specs.targets}
    for name, state in shard.targets.items():
        count = sum(now_ms - at < HOUR_MS for at in state.applied_ms)
        if count:
            found[services.get(name, ("", ""))] += count  # a target that has left the spec set counts for the fleet
    return found


def _targets(uses_of_all: Iterable[TargetUse]) -> tuple[TargetUse, ...]:
    found: dict[str, TargetUse] = {}
    for use in uses_of_all:
        seen = found.get(use.target, TargetUse(target=use.target, applies=0, last_ms=0, standing=0))
        found[use.target] = TargetUse(
            target=use.target,
            applies=seen.applies + use.applies,
            last_ms=max(seen.last_ms, use.last_ms),
            standing=seen.standing + use.standing,
        )
    return tuple(found[name] for name in sorted(found))


def _services(others: Sequence[Digest]) -> tuple[ServiceUse, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for one in others:
        found.update({(use.environment, use.service): use.applies for use in one.services})
    return tuple(
        ServiceUse(environment=environment, service=service, applies=applies)
        for (environment, service), applies in sorted(found.items())
    )


def _wanted(heard: Sequence[Status], about: int) -> tuple[Control, ...]:
    """The controls of the groups that burn in shard `about`: of each group those with the lowest hashes."""
    asks = [group for one in heard if one.shard == about for group in one.fleet.asks][:ASKS_MAX]
    found: list[Control] = []
    for group in asks:
        fitting = [control for one in heard for control in one.fleet.controls if control.group == group]
        found += sorted(fitting, key=lambda one: one.who)[:CONTROLS_PER_GROUP_MAX]
    return tuple(found[:CONTROLS_MAX])


def _counts(control: Control) -> Counts | None:
    """None for what cannot be counts: its shard runs another build."""
    try:
        errors, total = (np.array(text.split(), np.int64) for text in (control.errors, control.total))
    except ValueError:
        return None
    if errors.shape != total.shape or bool(np.any((errors < 0) | (errors > total))):
        return None
    return Counts(control.start_s, total - errors, total)
