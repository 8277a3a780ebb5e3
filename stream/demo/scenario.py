"""The incidents that the demo can play, as data: what is done to the target, and what must then be seen."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is done to the victim. Nothing of it is told to douse."""

    SPIKE = "spike"
    """More browser tabs: the clients' retries exhaust the pool."""
    SLOW_REPLICA = "slow_replica"
    BROKEN_ROUTE = "broken_route"
    SLOW_PARTNER = "slow_partner"
    """One of two external interfaces behind the same host."""
    LEAK = "leak"
    NONE = "none"


class Ending(StrEnum):
    """How the scenario ends, as events tell it."""

    CONFIRMED = "confirmed"
    HANDED = "handed"
    TAKEN_BACK = "taken_back"
    """The actuator took the change back by itself, at its confirm deadline."""
    QUIET = "quiet"
    """Nothing at all happened for QUIET_S."""
    REFUSED = "refused"
    """The guard did not let it happen, and for a while nothing did."""
    APPROVED = "approved"
    """Suggested, left alone for a while, approved by the product's own command, then as CONFIRMED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One incident: the fault, how the target behaves, what the runbook says, and what is expected."""

    name: str
    story: str
    fault: Fault
    ending: Ending
    cause: str | None
    """What the diagnosis must say; None: no incident at all."""
    amplifiers: tuple[str, ...] = ()
    """What it must see beside the cause."""
    verdicts: tuple[str, ...] = ()
    """Verdicts that the last plan may get; empty: there is none."""
    outcomes: tuple[str, ...] = ()
    """What the actuator reports of the victim's targets, in this order."""
    stands: tuple[str, ...] = ()
    """The mitigations that stand in the victim's files and processes at the end."""
    refused: str = ""
    """The reason with which the guard refuses; empty: whatever it says."""
    suggests_lift: tuple[str, ...] = ()
    """The steps that are suggested for taking back, in this order."""
    lifted: tuple[tuple[str, str], ...] = ()
    """Steps whose taking back was tried, each with how that ended."""
    scale: tuple[int, int] = (2, 1)
    """The mitigation: pool_size times this."""
    stubborn: bool = False
    """The victim's tabs try eight times instead of twice, and more of them come."""
    lookers: int = 0
    """Tabs of the victim that only look at the catalog, for which no connection is needed; in its spike, before it as
    many fewer as of the others."""
    pool_size: int = 0
    """The size of every pool; 0: the world's own."""
    shared: bool = False
    """Another tenant lives on the victim's service, and gave no leave."""
    everyone: bool = False
    """It befalls all tenants at once."""
    autonomy: str = "auto"
    lift: str = "suggest"
    on_hangup: str = "reload"
    resize: str = "live"
    confirm_grace_ms: int = 30_000
    confirm_quiet_ms: int = 60_000


PLAN = ("resize-pool", "exponential-backoff", "shed-recommendations")
DONE = ("live", "live", "live", "confirmed", "confirmed", "confirmed")
BOTH = ("traffic_spike", "retry_storm")
UNNECESSARY = ("shed-recommendations", "exponential-backoff")  # what takes something from users comes first

_ALL = (
    Scenario(
        name="acme",
        story="a spike and eight attempts a request exhaust one tenant's pool, and no single change cures it",
        fault=Fault.SPIKE,
        ending=Ending.CONFIRMED,
        stubborn=True,
        cause="pool_exhausted",
        amplifiers=BOTH,
        verdicts=("effective",),
        outcomes=DONE,
        stands=PLAN,
        suggests_lift=UNNECESSARY,
    ),
    Scenario(
        name="approve",
        story="the same, but nothing may happen before a person says yes",
        fault=Fault.SPIKE,
        ending=Ending.APPROVED,
        stubborn=True,
        autonomy="approve",
        cause="pool_exhausted",
        amplifiers=BOTH,
        verdicts=("effective",),
        outcomes=DONE,
        stands=PLAN,
        suggests_lift=UNNECESSARY,
    ),
    Scenario(
        name="lift",
        story="the same, and afterwards what may be unnecessary is taken back on trial: a slow moment tells",
        fault=Fault.SPIKE,
        ending=Ending.CONFIRMED,
        stubborn=True,
        lift="auto",
        cause="pool_exhausted",
        amplifiers=BOTH,
        verdicts=("effective",),
        outcomes=(*DONE, "reverted", "reverted", "live", "confirmed"),
        stands=("resize-pool", "exponential-backoff"),
        lifted=(("shed-recommendations", "lifted"), ("exponential-backoff", "restored")),
    ),
    Scenario(
        name="story",
        story="nine tenths of the requests need no connection, so about 6 % of all fail: slower to see, the same to do",
        fault=Fault.SPIKE,
        ending=Ending.CONFIRMED,
        stubborn=True,
        pool_size=4,
        lookers=600,
        cause="pool_exhausted",
        amplifiers=BOTH,
        verdicts=("effective",),
        outcomes=DONE,
        stands=PLAN,
        suggests_lift=UNNECESSARY,
    ),
    Scenario(
        name="shared-target",
        story="two tenants live on one service, and one of them gave no leave: nobody is touched",
        fault=Fault.SPIKE,
        ending=Ending.REFUSED,
        shared=True,
        cause="pool_exhausted",
        refused="shared_target",
    ),
    Scenario(
        name="storm",
        story="all tenants burn at once: what they share is sick, or the observer, and nobody is touched",
        fault=Fault.SPIKE,
        ending=Ending.REFUSED,
        everyone=True,
        pool_size=8,
        cause="pool_exhausted",
        refused="storm",
    ),
    Scenario(
        name="leak",
        story="the service's memory climbs to its limit: its workers are recycled",
        fault=Fault.LEAK,
        ending=Ending.CONFIRMED,
        cause="memory_leak",
        verdicts=("effective",),
        outcomes=("live", "confirmed"),
        stands=("recycle-workers",),
    ),
    Scenario(
        name="dependency",
        story="one of two external interfaces behind one host gets slow: only log lines tell which",
        fault=Fault.SLOW_PARTNER,
        ending=Ending.HANDED,
        cause="slow_dependency",
    ),
    Scenario(
        name="pool",
        story="a spike and two attempts a request exhaust one tenant's connection pool",
        fault=Fault.SPIKE,
        ending=Ending.CONFIRMED,
        cause="pool_exhausted",
        verdicts=("effective",),
        outcomes=("live", "confirmed"),
        stands=("resize-pool",),
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
        confirm_grace_ms=3000,
        confirm_quiet_ms=3000,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
