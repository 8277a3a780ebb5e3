"""One burning (tenant, SLO) from onset to recovery: all that is remembered of it, in integers and text."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from actuators.policy.lifecycle import Phase
from schemas.commands import OutcomeStatus

SECONDS_MAX = 900  # the longest watch is 10 min; with a minute before the onset and the confirmation after


@dataclass(slots=True)
class Attempt:
    """A plan that was carried out, and what came of it. Times are Unix ms; None: not yet."""

    plan: str
    command: str
    mitigation: str
    actuator: str
    target: str
    parameter: str
    decided_ms: int
    watch_ms: int
    confirm_ms: int
    settle_ms: int
    tier_factor_milli: int
    before: dict[str, int]
    live_ms: int | None = None
    status: OutcomeStatus | None = None
    reason: str = ""
    detail: str = ""
    watched_twice: bool = False
    effective_s: int | None = None
    recovered_s: int | None = None
    verdict: str | None = None
    why: str = ""
    """Why it is taken back, where no verdict says so."""
    revert_ms: int | None = None
    confirm_sent_ms: int | None = None


@dataclass(slots=True)
class Incident:
    """`sli` is the hash of its SLI's text. `good` and `total` count complete seconds from `start_s` on."""

    id: str
    environment: str
    tenant: str
    service: str
    slo: str
    sli: int
    phase: Phase
    opened_ms: int
    onset_s: int
    tier: str
    tier_factor_milli: int
    severity: str
    target_ppm: int
    """The objective at the opening: a plan is judged by what was promised when it was made."""
    start_s: int
    acts: bool
    by_act: bool = False
    """Its leave to act comes from an act tier, not from a page tier."""
    good: list[int] = field(default_factory=list)
    total: list[int] = field(default_factory=list)
    joined: str | None = None
    cause: str | None = None
    cause_at_ms: int = 0
    refusal: str = ""
    suggested: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    latency_back_s: int | None = None

    @property
    def entity(self) -> tuple[str, str, str]:
        return (self.environment, self.tenant, self.service)

    @property
    def end_s(self) -> int:
        """End of the last second that was counted."""
        return self.start_s + len(self.total)

    @property
    def attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def load(cls, data: dict[str, Any]) -> Self:
        attempts = [
            Attempt(**{**one, "status": OutcomeStatus(one["status"]) if one["status"] else None})
            for one in data["attempts"]
        ]
        return cls(**{**data, "phase": Phase(data["phase"]), "attempts": attempts})
