"""The incidents that the demo can play, as data: what is done to the target, and what must then be seen."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is done to the victim. Nothing of it is told to douse."""

    SPIKE = "spike"
    """More browser tabs: the clients' retries exhaust the pool."""
    SLOW_REPLICA = "slow_replica"
    BROKEN_ROUTE = "broken_route"
    NONE = "none"


class Ending(StrEnum):
    """How the scenario ends, as events tell it."""

    CONFIRMED = "confirmed"
    HANDED = "handed"
    TAKEN_BACK = "taken_back"
    """The actuator took the change back by itself, at its confirm deadline."""
    QUIET = "quiet"
    """Nothing at all happened for QUIET_S."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One incident: the fault, how the target behaves, what the runbook says, and what is expected."""

    name: str
    story: str
    fault: Fault
    ending: Ending
    cause: str | None
    """What the diagnosis must say; None: no incident at all."""
    verdicts: tuple[str, ...] = ()
    """Verdicts that the last plan may get; empty: there is none."""
    outcomes: tuple[str, ...] = ()
    """What the actuator reports of the victim's target, in this order."""
    changed: bool = False
    """True where the victim's file ends up with the new value."""
    scale: tuple[int, int] = (2, 1)
    """The mitigation: pool_size times this."""
    on_hangup: str = "reload"
    resize: str = "live"
    kill_when_live: bool = False
    """Ingest and detect are killed for good as soon as the change is live."""
    confirm_grace_ms: int = 30_000
    confirm_quiet_ms: int = 60_000


_ALL = (
    Scenario(
        name="pool",
        story="a spike and two attempts a request exhaust one tenant's connection pool",
        fault=Fault.SPIKE,
        ending=Ending.CONFIRMED,
        cause="pool_exhausted",
        verdicts=("effective",),
        outcomes=("live", "confirmed"),
        changed=True,
    ),
    Scenario(
        name="database",
        story="the replica itself gets slow: a larger pool would only feed it more",
        fault=Fault.SLOW_REPLICA,
        ending=Ending.HANDED,
        cause="slow_database",
    ),
    Scenario(
        name="unknown",
        story="one endpoint fails for a reason that no evidence explains",
        fault=Fault.BROKEN_ROUTE,
        ending=Ending.HANDED,
        cause="unknown",
    ),
    Scenario(
        name="calm",
        story="nothing happens",
        fault=Fault.NONE,
        ending=Ending.QUIET,
        cause=None,
    ),
    Scenario(
        name="harmful",
        story="the runbook is wrong: it shrinks the pool",
        fault=Fault.SPIKE,
        ending=Ending.HANDED,
        cause="pool_exhausted",
        verdicts=("harmful",),
        outcomes=("live", "reverted"),
        scale=(1, 4),
    ),
    Scenario(
        name="deaf",
        story="the target ignores the reload signal",
        fault=Fault.SPIKE,
        ending=Ending.HANDED,
        cause="pool_exhausted",
        outcomes=("failed: not_live",),
        on_hangup="ignore",
    ),
    Scenario(
        name="placebo",
        story="the target reports the new size and goes on as before",
        fault=Fault.SPIKE,
        ending=Ending.HANDED,
        cause="pool_exhausted",
        verdicts=("ineffective", "inconclusive"),
        outcomes=("live", "reverted"),
        resize="restart",
    ),
    Scenario(
        name="orphan",
        story="ingest and detect die right after the change is live: nobody is left to judge it",
        fault=Fault.SPIKE,
        ending=Ending.TAKEN_BACK,
        cause="pool_exhausted",
        outcomes=("live", "reverted: confirm_deadline"),
        kill_when_live=True,
        confirm_grace_ms=3000,
        confirm_quiet_ms=3000,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
