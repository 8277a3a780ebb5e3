"""What may be changed, for which cause, by whom, and within which limits."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.model import Model


class Cause(StrEnum):
    """Failure modes that a diagnosis can name."""

    POOL_EXHAUSTED = "pool_exhausted"
    SLOW_DATABASE = "slow_database"
    UNKNOWN = "unknown"


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


class Runbook(Model):
    """For one cause: the mitigations to try, in this order."""

    cause: Cause
    service: str | None = None
    """Only for this service; None is every service."""
    mitigations: tuple[str, ...]


class Target(Model):
    """A parameter of a running thing that an actuator can change, and whose traffic depends on it."""

    id: str
    actuator: str
    environment: str
    tenants: tuple[str, ...]
    service: str
    parameter: str


class AutonomyRule(Model):
    """Leave for one tenant and one mitigation; what no rule names is `suggest`."""

    environment: str
    tenant: str
    mitigation: str
    level: Autonomy


class Limits(Model):
    """Bounds of the guard; each has a safe default."""

    cooldown_s: int = 600
    """Between two applies to one target."""
    applies_per_hour_tenant: int = 3
    applies_per_hour_target: int = 2
    attempts_per_incident: int = 2
    lag_ms_max: int = 5_000
    """Detect's own lag above which nothing is done automatically."""
    not_after_ms: int = 10_000
    """Life of a command after its broker timestamp."""
    confirm_quiet_ms: int = 60_000
    confirm_grace_ms: int = 30_000
    """The confirm deadline is the verdict's deadline plus these two."""
