"""What happens when tabs multiply or the replica slows down, and what ends it: the story that the demo tells."""

import asyncio
from dataclasses import replace
from typing import Literal

import pytest

from examples.acme import retry, world
from tests.examples.one_loop import RENAMED, RENAMED_STORM, STORM, WORLD, new_world, run, server_error_ratio


@pytest.mark.parametrize(("numbers", "larger"), [(WORLD, 64), (RENAMED, 40)])
def test_a_spike_exhausts_the_pool_and_a_larger_pool_ends_it(numbers: world.World, larger: int) -> None:
    tenant = numbers.tenants[0]
    assert numbers.demand_per_s(tenant.tabs_spike) > numbers.capacity_per_s(numbers.pool_size)
    assert not numbers.cured_by_pool(numbers.pool_size, tenant.tabs_spike, tenant.policy)
    assert numbers.cured_by_pool(larger, tenant.tabs_spike, tenant.policy)

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


@pytest.mark.parametrize(("numbers", "larger"), [(STORM, 64), (RENAMED_STORM, 40)])
def test_with_eight_attempts_pool_and_backoff_end_the_storm_and_neither_does_alone(
    numbers: world.World, larger: int
) -> None:
    tenant = numbers.tenants[0]
    gentle = replace(tenant.policy, backoff="exponential")
    assert not numbers.cured_by_pool(larger, tenant.tabs_spike, tenant.policy)
    assert not numbers.cured_by_pool(numbers.pool_size, tenant.tabs_spike, gentle)
    assert numbers.cured_by_pool(larger, tenant.tabs_spike, gentle)
    assert numbers.demand_per_s(tenant.tabs_spike) < numbers.capacity_per_s(larger)
    errors: dict[str, float] = {}

    async def main(name: str, size: int, policy: retry.Policy) -> None:
        shop, fleet = new_world(numbers)
        fleet.open(tenant.tabs)
        await asyncio.sleep(3)
        assert server_error_ratio(shop) == 0
        fleet.open(tenant.tabs_spike)
        await asyncio.sleep(8)
        server_error_ratio(shop)
        await asyncio.sleep(4)
        assert 0.5 < server_error_ratio(shop) < 0.7
        shop.backend.pool.resize(size)
        fleet.policy = policy
        await asyncio.sleep(10)
        server_error_ratio(shop)
        await asyncio.sleep(10)
        errors[name] = server_error_ratio(shop)
        fleet.open(0)

    run(main("pool", larger, tenant.policy))
    run(main("backoff", numbers.pool_size, gentle))
    run(main("both", larger, gentle))
    assert errors["pool"] > 0.1
    assert errors["backoff"] > 0.1
    assert errors["both"] == 0


def test_a_slow_moment_brings_the_cured_storm_back_where_tabs_try_again_as_before() -> None:
    """The good state is metastable: without the backoff nothing happens until something does."""

    async def main(backoff: Literal["linear", "exponential"], relapses: bool) -> None:
        shop, fleet = new_world(STORM)
        shop.backend.pool.resize(64)
        fleet.policy = replace(fleet.policy, backoff=backoff)
        for tabs in range(40, 321, 40):
            fleet.open(tabs)
            await asyncio.sleep(1)
        await asyncio.sleep(3)
        server_error_ratio(shop)
        await asyncio.sleep(3)
        assert server_error_ratio(shop) == 0
        shop.backend.replica.query_ms, shop.backend.replica.knee = STORM.slow_query_ms, STORM.slow_knee
        await asyncio.sleep(1.5)
        shop.backend.replica.query_ms, shop.backend.replica.knee = STORM.query_ms, STORM.knee
        await asyncio.sleep(10)
        server_error_ratio(shop)
        await asyncio.sleep(5)
        assert (server_error_ratio(shop) > 0.1) is relapses
        fleet.open(0)

    run(main("linear", relapses=True))
    run(main("exponential", relapses=False))
