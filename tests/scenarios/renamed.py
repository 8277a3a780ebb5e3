"""A world with other names and numbers, drawn from a seed: nothing may depend on what anything is called."""

import random

from examples.acme.world import Tenant, World
from stream.demo import casting
from stream.demo.scenario import Scenario
from stream.demo.stage import Cast

WORDS = (
    "alder birch cedar dogwood elm fir ginkgo hazel ironwood juniper larch maple oak poplar rowan spruce "
    "tamarack upas walnut yew"
).split()
POOLS_ALONE, POOLS_TOGETHER = (20, 24), (16, 20)  # two cores carry five victims of the smaller ones
CALM_TENANTS = 2  # a control group has two members


def draw(seed: str, scenarios: list[Scenario]) -> tuple[World, tuple[Cast, ...]]:
    """One victim for each scenario and two calm tenants; tabs follow from the pool, whose size is drawn."""
    rng = random.Random(seed)
    words = rng.sample(WORDS, len(scenarios) + CALM_TENANTS + 7)
    names = [f"{words.pop()}-{rng.randrange(100)}" for _ in scenarios] + [words.pop() for _ in range(CALM_TENANTS)]
    host = words.pop()
    world = World(
        tenants=tuple(Tenant(name, 0, 0, has_worker=not place) for place, name in enumerate(names)),
        environment=words.pop(),
        namespace=words.pop(),
        service=f"{words.pop()}-front",
        worker=f"{words.pop()}-night",
        pool_name=words.pop(),
        database=words.pop(),
        replica_address=f"{rng.choice(WORDS)}.internal",
        interfaces=(f"pay.{host}.example", f"map.{host}.example"),
        pool_size=rng.choice(POOLS_ALONE if len(scenarios) == 1 else POOLS_TOGETHER),
        seed=seed,
    )
    return casting.arrange(world, scenarios)
