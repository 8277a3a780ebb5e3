"""One burning (tenant, SLO) from onset to recovery: all that is remembered of it, in integers and text."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from actuators.policy.lifecycle import Phase
from schemas.commands import OutcomeStatus

SECONDS_MAX = 900  # the longest watch is 10 min; with a minute before the onset and the confirmation after


@dataclass(slots=True)
class Step:
    """One change of a plan, and what came of it. Times are Unix ms; None: not yet."""

    number: int
    command: str
    mitigation: str
    actuator: str
    target: str
    parameter: str
    terms: str
    """Names what was decided: action, bounds and the whole target; a spec set that says otherwise by now has not been
    looked at."""
    ordered_ms: int | None = None
    live_ms: int | None = None
    already: bool = False
    """The value stood there before: nothing was changed, so nothing is to be taken back."""
    status: OutcomeStatus | None = None
    reason: str = ""
    detail: str = ""
    gone: bool = False
    """Its actuator says that nothing of it stands."""
    unknown: bool = False
    """Nobody knows what of it stands."""
    confirm_sent_ms: int | None = None
    revert_ms: int | None = None
    reverts: int = 0
    """How often it was ordered back: again where nobody said what became of the order before."""
    asked_by: str = ""
    """The person who wanted it taken back."""

    @property
    def done(self) -> bool:
        """True where the next step may follow."""
        return self.already or self.live_ms is not None

    @property
    def stands(self) -> bool:
        """True where something of it stands, or may stand or still come."""
        return self.ordered_ms is not None and not self.already and not self.gone


@dataclass(slots=True)
class Trial:
    """The taking back of one step of a confirmed plan, to see whether it is still needed."""

    number: int
    """Of the step."""
    revert_ms: int
    taken_back_ms: int | None = None
    restore: str = ""
    """The command that puts it in place again; empty while nothing speaks for that."""
    restored_ms: int | None = None
    why: str = ""


@dataclass(slots=True)
class Attempt:
    """A plan that was carried out, and what came of it. Times are Unix ms; None: not yet."""

    plan: str
    steps: list[Step]
    lift: str
    decided_ms: int
    watch_ms: int
    confirm_ms: int
    settle_ms: int
    rollout_ms: int
    """How long its steps were expected to take; the watch grows by what they take longer."""
    tier_factor_milli: int
    before: dict[str, int]
    approved_by: str = ""
    watched_twice: bool = False
    alike: bool = False
    """The control group recovered alike: the end of the longer watch decides."""
    effective_s: int | None = None
    recovered_s: int | None = None
    verdict: str | None = None
    broken: str = ""
    """Why it is taken back, where no verdict says so: an outcome's reason or one of our own words."""
    why: str = ""
    """The same in a sentence."""
    trials: list[Trial] = field(default_factory=list)
    control: dict[str, list[int]] | None = None
    """Errors and requests before the decision of tenants that nothing was done for, by the hash of their name; None
    until their seconds have come from the other shards."""

    @property
    def live_ms(self) -> int | None:
        """When the last of its changes became live; None before."""
        if not all(step.done for step in self.steps):
            return None
        return max((step.live_ms for step in self.steps if step.live_ms is not None), default=None)

    @property
    def next_step(self) -> Step | None:
        """The first step that is not live yet."""
        return next((step for step in self.steps if not step.done), None)

    @property
    def standing(self) -> list[Step]:
        return [step for step in self.steps if step.stands]

    @property
    def kept(self) -> bool:
        """True where it was let stand."""
        return any(step.confirm_sent_ms is not None for step in self.steps)


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
    refreshed_ms: int = 0
    """When a known cause was last looked at anew."""
    amplifiers: list[str] = field(default_factory=list)
    use_ratio_milli: int = 1_000
    """How long connections are held by the latest diagnosis, over their usual time."""
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
        attempts = [_attempt(one) for one in data["attempts"]]
        return cls(**{**data, "phase": Phase(data["phase"]), "attempts": attempts})


def _attempt(data: dict[str, Any]) -> Attempt:
    steps = [
        Step(**{**one, "status": OutcomeStatus(one["status"]) if one["status"] else None}) for one in data["steps"]
    ]
    return Attempt(**{**data, "steps": steps, "trials": [Trial(**one) for one in data["trials"]]})
