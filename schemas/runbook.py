"""What may be changed, for which cause, by whom, and within which limits."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.model import Model

STEPS_MAX = 8  # each step waits for the one before to be live: more would be a deployment, not a first aid


class Cause(StrEnum):
    """Failure modes that a diagnosis can name."""

    POOL_EXHAUSTED = "pool_exhausted"
    SLOW_DATABASE = "slow_database"
    SLOW_DEPENDENCY = "slow_dependency"
    MEMORY_LEAK = "memory_leak"
    UNKNOWN = "unknown"


class Amplifier(StrEnum):
    """What makes a failure worse beside its cause; each has evidence of its own, and several may be at work."""

    TRAFFIC_SPIKE = "traffic_spike"
    RETRY_STORM = "retry_storm"


class Autonomy(StrEnum):
    """How far douse may go on its own; each level includes the ones before."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"
    AUTO = "auto"


class OnSilence(StrEnum):
    """What becomes of a change when the telemetry that should judge it stays away."""

    REVERT = "revert"
    HOLD = "hold"


class Scale(Model):
    """Multiply the value in force; the actuator turns it into an absolute number before it touches anything."""

    op: Literal["scale"] = "scale"
    numerator: Annotated[int, Field(gt=0)]
    denominator: Annotated[int, Field(gt=0)] = 1


class Set(Model):
    """Write this value."""

    op: Literal["set"] = "set"
    value: int | str | bool


Action = Annotated[Scale | Set, Field(discriminator="op")]


class Mitigation(Model):
    """One typed, bounded, reversible change of one parameter of a target."""

    name: str
    parameter: str
    """What it changes, as targets name it, e.g. `pool_size`."""
    action: Action
    minimum: int
    maximum: int
    settle_ms: int = 1000
    """Time after the change is live before its effect is counted."""
    rollout_ms: int = 0
    """Time that the target needs to take the change over, added to the verdict's deadline."""
    on_silence: OnSilence = OnSilence.REVERT
    mend: str = ""
    """What a person should still do for good, for the report."""
    degrades: bool = False
    """It takes something from the users, such as an endpoint; first to be taken back once the incident is over."""
    capacity: bool = False
    """It lets more through, as a larger pool does: of no use while clients retry, and harmful where what lies behind
    is slow."""
    cuts_retries: bool = False
    """It makes clients ask less often: what has to go with more capacity while they retry."""
    temporary: bool = False
    """It may be unnecessary once the incident is over: worth a trial of taking it back. What degrades is so anyway."""


class Lift(StrEnum):
    """What becomes of steps that may be unnecessary, once their plan is confirmed."""

    SUGGEST = "suggest"
    AUTO = "auto"
    """Taken back one at a time, each judged; one whose removal hurts is put back and kept."""


class Course(Model):
    """Mitigations that belong together: applied in this order, judged and confirmed as a whole."""

    steps: tuple[str, ...]
    """Names of mitigations; one at least, STEPS_MAX at most."""
    amplifiers: tuple[Amplifier, ...] = ()
    """It is taken only where all of these are at work."""
    lift: Lift = Lift.SUGGEST


class Runbook(Model):
    """For one cause: the courses to try, in this order; the first that fits and was not tried yet."""

    cause: Cause
    service: str | None = None
    """Only for this service; None is every service."""
    courses: tuple[Course, ...]

    @property
    def mitigations(self) -> tuple[str, ...]:
        """Every mitigation that a course names, each once."""
        return tuple(dict.fromkeys(step for course in self.courses for step in course.steps))


class Target(Model):
    """A parameter of a running thing that an actuator can change, and whose traffic depends on it."""

    id: str
    actuator: str
    environment: str
    tenants: tuple[str, ...]
    service: str
    parameter: str
    replicas: int = 1
    """Processes that each have the value of their own, such as a pool each."""
    connections_max: int = 0
    """What the server behind all of them takes at most; 0: not known."""


class AutonomyRule(Model):
    """Leave for one tenant and one mitigation; what no rule names is `suggest`."""

    environment: str
    tenant: str
    mitigation: str
    level: Autonomy


class FreezeWindow(Model):
    """A time in which nothing is changed automatically: weekly, in minutes of the UTC day (from 22:00 until 6:00 ends
    on the next day), or once, in Unix ms."""

    days: tuple[int, ...] = ()
    """0 is Monday; empty: every day."""
    from_min: int = 0
    until_min: int = 0
    from_ms: int = 0
    until_ms: int = 0
    why: str = ""


class Limits(Model):
    """Bounds of the guard; each has a safe default."""

    cooldown_s: int = 600
    """Between two applies to one target."""
    applies_per_hour_tenant: int = 3
    applies_per_hour_target: int = 2
    applies_per_hour_service: int = 6
    applies_per_hour_fleet: int = 20
    storm_share_ppm: int = 550_000
    """So many of the tenants with traffic alarm at once: then the observer, or what all of them share, is sick, and
    nobody is touched."""
    storm_tenants_min: int = 3
    attempts_per_incident: int = 2
    lag_ms_max: int = 5_000
    """Detect's own lag above which nothing is done automatically."""
    not_after_ms: int = 10_000
    """Life of a command after its broker timestamp."""
    confirm_quiet_ms: int = 60_000
    confirm_grace_ms: int = 30_000
    """The confirm deadline is the verdict's deadline plus these two."""
    approval_ms_max: int = 3_600_000
    """Longest life of an operator's approval."""
    freeze: tuple[FreezeWindow, ...] = ()
