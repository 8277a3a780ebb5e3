"""What shards tell each other: a digest of each, and the sum of the others' that a tick brings to one.

Integers and text only, since decisions follow from it; every list has a limit, so that a tick stays below 80 kB.
"""

from enum import StrEnum

from schemas.model import Model

STORM_TYPE = "dev.douse.fleet.storm"

ALARMS_MAX = 50  # names for a person; the number of all stands beside them
ASKS_MAX = 4  # services that burn at once in one shard: more is a storm, in which nobody is touched
CONTROLS_PER_GROUP_MAX = 16  # tenants; two are enough to compare with, sixteen make their mean steady
CONTROLS_MAX = 64  # 45 kB at 90 s of counts each
CONTROL_S = 90  # an onset, its detection and a short verdict
USES_MAX = 500  # 40 kB; the caps of an hour are far below


class Alarm(Model):
    """A tenant's service whose newest seconds alone burn faster than the act tier allows."""

    environment: str
    tenant: str
    service: str
    since_s: int


class Group(Model):
    """Tenants that can be compared: those with traffic of one service and objective."""

    environment: str
    service: str
    slo: str


class Control(Model):
    """One untouched tenant, second by second. `who` is a hash: an event about another tenant must not name it."""

    group: Group
    who: str
    start_s: int
    errors: str
    """One number for each second from `start_s` on, with blanks between."""
    total: str


class TargetUse(Model):
    """Changes of one target: how many within the last hour, the last one's time, and how many still wait for their
    word."""

    target: str
    applies: int
    last_ms: int
    standing: int


class ServiceUse(Model):
    environment: str
    service: str
    applies: int
    """Changes within the last hour."""


class StormState(StrEnum):
    BEGAN = "began"
    PLANNED = "planned"
    """As before, with the plan that would fit."""
    OVER = "over"


class Storm(Model):
    """So many tenants alarm at once that nobody is touched: one event for all of them, for a person.

    Told by the shard `shard` for the whole fleet; its place in the journal is that shard's.
    """

    storm: str
    sequence: int
    shard: int
    journal_offset: int
    index: int
    at_ms: int
    state: StormState
    alarming: int
    tenants: int
    """Tenants with traffic."""
    since_s: int
    """The first onset among them."""
    alarms: tuple[Alarm, ...]
    """At most ALARMS_MAX of them by name."""
    services: tuple[str, ...]
    """What they share, the one with most alarms first, as environment/service."""
    observer_healthy: bool
    """False: douse itself lags, or does not hear of all of its shards, so the alarms may be its own fault."""
    observer: str
    cause: str = ""
    steps: tuple[str, ...] = ()
    """Mitigations of the plan that would fit the first of them; nothing of it is done."""


class Digest(Model):
    """One shard, for the others. A list that was too long is counted in `left_out`, and then its shard counts as
    unknown."""

    tenants: int = 0
    """Tenants with traffic."""
    alarming: int = 0
    alarms: tuple[Alarm, ...] = ()
    asks: tuple[Group, ...] = ()
    """Groups that burn here: their controls are wanted."""
    controls: tuple[Control, ...] = ()
    targets: tuple[TargetUse, ...] = ()
    services: tuple[ServiceUse, ...] = ()
    left_out: int = 0
    storm: str = ""
    """The storm that this shard has told of and that is not over; empty: none."""


class Fleet(Model):
    """All shards, for one of them. `tenants` and `alarming` count every shard; `targets` and `services` only the
    others, since a shard knows its own changes better."""

    at_ms: int
    """Time of the newest digest in it, by the journal's clock."""
    shards: int
    unknown: tuple[int, ...] = ()
    """Shards that were not heard of within three seconds, whose telemetry is stale, or whose digest was too long."""
    tenants: int = 0
    alarming: int = 0
    speaker: int | None = None
    """The lowest shard with an alarming tenant: it speaks for all of them."""
    alarms: tuple[Alarm, ...] = ()
    storm: str = ""
    """A storm that another shard has told of and that is not over."""
    targets: tuple[TargetUse, ...] = ()
    services: tuple[ServiceUse, ...] = ()
    controls: tuple[Control, ...] = ()
