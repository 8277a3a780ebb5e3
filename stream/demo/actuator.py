"""The stage's actuator.toml: every value of every tenant that could be changed, and each process that runs with it."""

import json
from collections.abc import Iterator, Mapping, Sequence

from examples.acme import world as acme
from examples.acme.world import Handle, Tenant, World

ACTUATOR = "local"
RESIZE, BACKOFF, SHED, RECYCLE = "resize-pool", "exponential-backoff", "shed-recommendations", "recycle-workers"
MITIGATIONS = (RESIZE, BACKOFF, SHED, RECYCLE)
POOL_MAX, POOL_MIN = 64, 4
APPLIES_PER_HOUR = 60  # of all tenants together: an evening has several plans of several steps


def text(world: World, groups: Mapping[str, Mapping[str, Handle]]) -> str:
    """The file; `groups` are the running services, workers and clients, each by tenant."""
    lines = [
        f'name = "{ACTUATOR}"',
        'ledger = "data/ledger.sqlite"',
        'command_keys = ["keys/command.pub"]',
        'operator_keys = ["keys/operator.pub"]',
        f"applies_per_hour = {APPLIES_PER_HOUR}",
    ]
    for tenant in world.tenants:
        lines += _allow(world, tenant)
        lines += _tabs(world, tenant, groups["clients"][tenant.name])
        if not tenant.lives_with:
            service = groups["services"][tenant.name]
            readers = [service, *([groups["workers"][tenant.name]] if tenant.name in groups["workers"] else [])]
            lines += _service(world, tenant, service, readers)
    return "\n".join(lines) + "\n"


def _allow(world: World, tenant: Tenant) -> Iterator[str]:
    yield "\n[[allow]]"
    yield f'environment = "{world.environment}"'
    yield f'tenant = "{tenant.name}"'
    yield f"mitigations = {json.dumps(MITIGATIONS)}"


def _service(world: World, tenant: Tenant, service: Handle, readers: Sequence[Handle]) -> Iterator[str]:
    """What stands in service.toml."""
    bounds = [f"minimum = {POOL_MIN}", f"maximum = {POOL_MAX}"]
    yield from _target(world, tenant, "pool", "pool_size", acme.POOL_KEY, bounds, "service.toml")
    for reader in readers:
        yield from _process(tenant, reader, "pool_size", "SIGHUP")
    switch = ["choices = [true, false]"]
    parameter = "endpoint_recommendations"
    yield from _target(world, tenant, "recommendations", parameter, acme.ENDPOINT_KEY, switch, "service.toml")
    yield from _process(tenant, service, acme.ENDPOINT_KEY, "SIGHUP")
    bounds = ["minimum = 1", "maximum = 1000000"]
    yield from _target(world, tenant, "workers", "workers_generation", acme.GENERATION_KEY, bounds, "service.toml")
    yield from _process(tenant, service, "workers_generation", "SIGHUP")


def _tabs(world: World, tenant: Tenant, clients: Handle) -> Iterator[str]:
    """What stands in client.json, which the tabs themselves watch."""
    names = ['choices = ["linear", "exponential"]']
    for ident, parameter, key, bounds in (
        ("backoff", "retry_backoff", acme.BACKOFF_KEY, names),
        ("backoff-base", "retry_base", acme.BASE_KEY, ["minimum = 10", "maximum = 10000"]),
        ("attempts", "retry_attempts", acme.ATTEMPTS_KEY, ["minimum = 1", "maximum = 100"]),
    ):
        yield from _target(world, tenant, ident, parameter, key, bounds, "client.json")
        yield from _process(tenant, clients, key.removeprefix("retry."), "none")


def _target(
    world: World, tenant: Tenant, ident: str, parameter: str, key: str, bounds: Sequence[str], file: str
) -> Iterator[str]:
    """A client.json is its tenant's alone, a service is of all who live there."""
    living = [one.name for one in world.tenants if one.lives_with == tenant.name and file == "service.toml"]
    yield "\n[[targets]]"
    yield f'id = "{tenant.name}-{ident}"'
    yield f'environment = "{world.environment}"'
    yield f"tenants = {json.dumps([tenant.name, *living])}"
    yield f'parameter = "{parameter}"'
    yield f'file = "world/{tenant.name}/{file}"'
    yield f'key = "{key}"'
    yield from bounds


def _process(tenant: Tenant, handle: Handle, field: str, signal: str) -> Iterator[str]:
    yield "\n[[targets.processes]]"
    yield f'name = "{handle.name}"'
    yield f'pid_file = "world/{tenant.name}/run/{handle.name}.pid"'
    yield f'signal = "{signal}"'
    yield f'probe_url = "{handle.url}/admin/config"'
    yield f'probe_field = "{field}"'
