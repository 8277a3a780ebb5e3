"""A world with other names and numbers, drawn from a seed: nothing may depend on what anything is called."""

import random

from examples.acme.world import Tenant, World
from stream.demo.scenario import Scenario
from stream.demo.stage import Cast

WORDS = "alder birch cedar dogwood elm fir ginkgo hazel ironwood juniper larch maple oak poplar rowan spruce".split()
POOL, TABS, SPIKE = 20, 80, 180  # contracts.md: the pool alone cures it, and its absence hurts


def draw(seed: str, scenarios: list[Scenario]) -> tuple[World, tuple[Cast, ...]]:
    """One victim for each scenario and one calm tenant, on a world of pools of 20."""
    rng = random.Random(seed)
    words = rng.sample(WORDS, len(scenarios) + 7)
    victims = [
        Tenant(f"{words.pop()}-{rng.randrange(100)}", tabs=TABS, tabs_spike=SPIKE, has_worker=place == 0)
        for place in range(len(scenarios))
    ]
    calm = Tenant(words.pop(), tabs=40, tabs_spike=40)
    world = World(
        tenants=(*victims, calm),
        environment=words.pop(),
        namespace=words.pop(),
        service=f"{words.pop()}-front",
        worker=f"{words.pop()}-night",
        pool_name=words.pop(),
        database=words.pop(),
        replica_address=f"{rng.choice(WORDS)}.internal",
        pool_size=POOL,
        seed=seed,
    )
    return world, tuple(Cast(tenant, scenario) for tenant, scenario in zip(victims, scenarios, strict=True))
