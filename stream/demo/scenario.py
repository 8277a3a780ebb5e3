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


@dataclass(frozen=True, slots=True)
class Scenario:
    """One incident: the fault, how the target behaves, what the runbook says, and what is expected."""

    name: str
    story: str
    fault: Fault
    ending: Ending
    cause: str | None
    """What the diagnosis must say; None: no incident at all."""
    verdicts: tuple[str, ...]
    """Verdicts that the last plan may get; empty: there is none."""
    changed: bool
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
        "pool",
        "a spike and two attempts a request exhaust one tenant's connection pool",
        Fault.SPIKE,
        Ending.CONFIRMED,
        "pool_exhausted",
        ("effective",),
        True,
    ),
    Scenario(
        "database",
        "the replica itself gets slow: a larger pool would only feed it more",
        Fault.SLOW_REPLICA,
        Ending.HANDED,
        "slow_database",
        (),
        False,
    ),
    Scenario(
        "unknown",
        "one endpoint fails for a reason that no evidence explains",
        Fault.BROKEN_ROUTE,
        Ending.HANDED,
        "unknown",
        (),
        False,
    ),
    Scenario("calm", "nothing happens", Fault.NONE, Ending.QUIET, None, (), False),
    Scenario(
        "harmful",
        "the runbook is wrong: it shrinks the pool",
        Fault.SPIKE,
        Ending.HANDED,
        "pool_exhausted",
        ("harmful",),
        False,
        scale=(1, 4),
    ),
    Scenario(
        "deaf",
        "the target ignores the reload signal",
        Fault.SPIKE,
        Ending.HANDED,
        "pool_exhausted",
        (),
        False,
        on_hangup="ignore",
    ),
    Scenario(
        "placebo",
        "the target reports the new size and goes on as before",
        Fault.SPIKE,
        Ending.HANDED,
        "pool_exhausted",
        ("ineffective", "inconclusive"),
        False,
        resize="restart",
    ),
    Scenario(
        "orphan",
        "ingest and detect die right after the change is live: nobody is left to judge it",
        Fault.SPIKE,
        Ending.TAKEN_BACK,
        "pool_exhausted",
        (),
        False,
        kill_when_live=True,
        confirm_grace_ms=3_000,
        confirm_quiet_ms=3_000,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
