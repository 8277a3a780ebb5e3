"""Who plays what: a world's tenants with the numbers that their scenarios need, by the formulas of the example.

Everything is in proportion to the pool, so a world of pools of 20 behaves as one of 32 does.
"""

from collections.abc import Sequence
from dataclasses import replace

from examples.acme import world as acme
from examples.acme.world import Tenant, World
from stream.demo.scenario import Fault, Scenario
from stream.demo.stage import Cast

CALM_TABS = 3.75  # for each connection: 120 of 32 ask for half of what the pool gives
SPIKE_TABS = 8.75  # 280 of 32: two attempts each exhaust the pool, and one twice as large ends it
STORM_TABS = 10.0  # 320 of 32: with eight attempts twice the pool is not enough without a gentler backoff
NEIGHBOUR_TABS = 1.25
NEIGHBOUR_LOOKERS = 30  # where pools are small, neighbours would have too little traffic to be seen
SMALL_POOL = 16
EGRESS = "egress.internal"
HEADROOM_MB = 120


def default(scenario: Scenario, telemetry: str = "fast") -> tuple[World, tuple[Cast, ...]]:
    """The world of the demo with its own names."""
    return arrange(replace(World(), telemetry=telemetry), [scenario])


def arrange(world: World, scenarios: Sequence[Scenario]) -> tuple[World, tuple[Cast, ...]]:
    """The first tenants play the scenarios, the others stay calm; several scenarios share one stage."""
    own = {one.pool_size for one in scenarios if one.pool_size}
    assert not own or len(scenarios) == 1, "a scenario with a pool of its own plays alone"
    pool = own.pop() if own else world.pool_size
    played = list(scenarios) + [one for one in scenarios if one.everyone] * (len(world.tenants) - len(scenarios))
    victims = [_victim(tenant, one, pool) for tenant, one in zip(world.tenants, played, strict=False)]
    others = [_neighbour(tenant, pool) for tenant in world.tenants[len(victims) :]]
    if any(one.shared for one in scenarios):
        others[0] = replace(others[0], lives_with=victims[0].name)
    faults = {one.fault for one in scenarios}
    dressed = replace(
        world,
        tenants=(*victims, *others),
        pool_size=pool,
        egress=EGRESS if Fault.SLOW_PARTNER in faults else "",
        memory_headroom_mb=HEADROOM_MB if Fault.LEAK in faults else 0,
    )
    return dressed, tuple(Cast(tenant, one) for tenant, one in zip(victims, played, strict=True))


def _victim(tenant: Tenant, scenario: Scenario, pool: int) -> Tenant:
    spike = STORM_TABS if scenario.stubborn else SPIKE_TABS
    return replace(
        tenant,
        tabs=round(CALM_TABS * pool),
        tabs_spike=round(spike * pool),
        policy=acme.EIGHT_ATTEMPTS if scenario.stubborn else acme.TWO_ATTEMPTS,
        lookers=round(CALM_TABS / spike * scenario.lookers),
        lookers_spike=scenario.lookers,
    )


def _neighbour(tenant: Tenant, pool: int) -> Tenant:
    tabs, lookers = max(1, round(NEIGHBOUR_TABS * pool)), NEIGHBOUR_LOOKERS if pool < SMALL_POOL else 0
    return replace(tenant, tabs=tabs, tabs_spike=tabs, lookers=lookers, lookers_spike=lookers)
