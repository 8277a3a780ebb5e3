"""Each scenario's numbers follow from its world's pools, and do what the scenario is about."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from examples.acme.world import Handle, World
from schemas import actuator as actuator_file
from schemas.runbook import Autonomy
from stream import specs as spec_files
from stream.demo import actuator, casting, specs
from stream.demo.scenario import SCENARIOS, Fault, Scenario
from tests.scenarios import renamed

NOBODY = Handle("service", 1, "http://127.0.0.1:1", None)  # type: ignore[arg-type]  # nothing is started here
WORLDS = ["default", "a", "b", "c", "d"]
SPIKES = [one for one in SCENARIOS.values() if one.fault is Fault.SPIKE]


def arranged(scenario: Scenario, seed: str) -> tuple[World, tuple[casting.Cast, ...]]:
    return casting.default(scenario) if seed == "default" else renamed.draw(seed, [scenario])


@pytest.mark.parametrize("seed", WORLDS)
@pytest.mark.parametrize("scenario", SPIKES, ids=[one.name for one in SPIKES])
def test_a_spike_exhausts_the_pool_and_what_the_runbook_does_about_it_is_needed(scenario: Scenario, seed: str) -> None:
    world, cast = arranged(scenario, seed)
    twice = 2 * world.pool_size
    for one in cast:
        tenant = one.tenant
        assert world.demand_per_s(tenant.tabs) < world.capacity_per_s(world.pool_size)
        assert world.demand_per_s(tenant.tabs_spike) > world.capacity_per_s(world.pool_size)
        assert world.demand_per_s(tenant.tabs_spike) < world.capacity_per_s(twice)
        assert world.cured_by_pool(twice, tenant.tabs_spike, tenant.policy) is not scenario.stubborn
        gentle = replace(tenant.policy, backoff="exponential")
        assert world.cured_by_pool(twice, tenant.tabs_spike, gentle)
        assert not world.cured_by_pool(world.pool_size, tenant.tabs_spike, gentle)
    for tenant in world.tenants[len(cast) :]:
        assert tenant.tabs == tenant.tabs_spike
        assert 2 * world.demand_per_s(tenant.tabs) < world.capacity_per_s(world.pool_size)


@pytest.mark.parametrize("seed", WORLDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_specs_and_actuator_of_every_scenario_are_read_and_fit_each_other(tmp_path: Path, name: str, seed: str) -> None:
    world, cast = arranged(SCENARIOS[name], seed)
    specs.write(tmp_path / "specs", world, [one.scenario for one in cast], [one.tenant for one in cast])
    found = spec_files.load(tmp_path / "specs").specs
    groups = {
        "services": {one.name: NOBODY for one in world.tenants if not one.lives_with},
        "workers": {one.name: replace(NOBODY, name="worker") for one in world.tenants if one.has_worker},
        "clients": {one.name: replace(NOBODY, name="clients") for one in world.tenants},
    }
    own = actuator_file.parse(actuator.text(world, groups), "actuator.toml")
    changeable = {one.id: (one.tenants, one.parameter, one.environment) for one in own.targets}
    assert len(found.targets) >= 4
    for target in found.targets:
        assert changeable[target.id] == (target.tenants, target.parameter, target.environment)
    assert {one.name for one in found.mitigations} == set(actuator.MITIGATIONS)
    assert {rule.tenant for rule in found.autonomy} == {one.name for one in world.tenants if not one.lives_with}
    victims = {one.tenant.name for one in cast}
    assert {one.level for one in found.autonomy if one.tenant in victims} == {Autonomy(SCENARIOS[name].autonomy)}
    assert {one.sli.service for one in found.slos} == {world.service}


def test_where_two_tenants_share_a_service_both_are_on_its_targets_and_one_gave_no_leave(tmp_path: Path) -> None:
    world, cast = casting.default(SCENARIOS["shared-target"])
    specs.write(tmp_path, world, [cast[0].scenario], [cast[0].tenant])
    documents = [one for path in tmp_path.glob("*.yaml") for one in yaml.safe_load_all(path.read_text())]
    tenants = {one["metadata"]["name"]: one["spec"]["tenants"] for one in documents if one["kind"] == "Target"}
    assert tenants["acme-corp-pool"] == tenants["acme-corp-recommendations"] == ["acme-corp", "globex"]
    assert tenants["acme-corp-backoff"] == ["acme-corp"]
    assert tenants["globex-backoff"] == ["globex"]
    assert "globex-pool" not in tenants


def test_where_scenarios_share_a_stage_their_burning_at_once_is_no_storm(tmp_path: Path) -> None:
    scenarios = [SCENARIOS[name] for name in ("pool", "deaf", "unknown")]
    world, cast = renamed.draw("seed", scenarios)
    specs.write(tmp_path, world, scenarios, [one.tenant for one in cast])
    (limits,) = yaml.safe_load_all((tmp_path / "limits.yaml").read_text())
    assert limits["spec"]["storm_tenants_min"] > len(world.tenants)
