"""What happens when tabs multiply or the replica slows down, and what ends it: the story that the demo tells."""

import asyncio
from dataclasses import replace

import pytest

from examples.acme import world
from tests.examples.one_loop import RENAMED, WORLD, new_world, run, server_error_ratio


@pytest.mark.parametrize(("numbers", "larger"), [(WORLD, 64), (RENAMED, 40)])
def test_a_spike_exhausts_the_pool_and_a_larger_pool_ends_it(numbers: world.World, larger: int) -> None:
    tenant = numbers.tenants[0]
    assert numbers.demand_per_s(tenant.tabs_spike) > numbers.capacity_per_s(numbers.pool_size)
    assert not numbers.cured_by_pool(numbers.pool_size, tenant.tabs_spike)
    assert numbers.cured_by_pool(larger, tenant.tabs_spike)

    async def main() -> None:
        shop, fleet = new_world(numbers)
        fleet.open(tenant.tabs)
        await asyncio.sleep(10)
        assert server_error_ratio(shop) == 0
        fleet.open(tenant.tabs_spike)
        await asyncio.sleep(10)
        server_error_ratio(shop)
        await asyncio.sleep(10)
        assert 0.30 < server_error_ratio(shop) < 0.45
        assert shop.backend.pool.pending > 20
        shop.backend.pool.resize(larger)
        await asyncio.sleep(5)
        server_error_ratio(shop)
        await asyncio.sleep(10)
        assert server_error_ratio(shop) == 0
        assert max(second.shown()["latency_ms_p99"] for second in fleet.stats.complete()[-8:]) < 250
        fleet.open(0)

    run(main())


def test_calm_neighbours_stay_calm() -> None:
    async def main() -> None:
        shop, fleet = new_world(WORLD)
        fleet.open(40)
        await asyncio.sleep(60)
        assert server_error_ratio(shop) == 0
        assert all(second.attempts_failed == 0 for second in fleet.stats.complete())
        fleet.open(0)

    run(main())


def test_no_pool_helps_against_a_slow_replica() -> None:
    async def main() -> None:
        shop, fleet = new_world(WORLD)
        fleet.open(WORLD.tenants[0].tabs)
        shop.backend.replica.query_ms, shop.backend.replica.knee = WORLD.slow_query_ms, WORLD.slow_knee
        for size in (32, 64):
            shop.backend.pool.resize(size)
            await asyncio.sleep(10)
            server_error_ratio(shop)
            await asyncio.sleep(10)
            assert server_error_ratio(shop) > 0.3
        fleet.open(0)

    run(main())


def test_with_eight_attempts_a_larger_pool_alone_does_not_end_the_storm() -> None:
    storm = replace(WORLD, policy=replace(WORLD.policy, attempts=8))
    assert not storm.cured_by_pool(64, 320)

    async def main() -> None:
        shop, fleet = new_world(storm)
        fleet.open(320)
        await asyncio.sleep(10)
        shop.backend.pool.resize(64)
        await asyncio.sleep(20)
        server_error_ratio(shop)
        await asyncio.sleep(10)
        assert server_error_ratio(shop) > 0.1
        fleet.open(0)

    run(main())
