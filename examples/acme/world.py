"""The example's world: its numbers and names, the files of its tenants, and how its processes are started and ended.

A scenario describes a World, writes its files and starts what it needs. Another world with other names and numbers is
the same code: nothing below depends on what anything is called.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.acme import planted, retry

ROOT = Path(__file__).resolve().parents[2]  # processes are started as modules from here
READY_S = 20.0  # a cold start of Python on a busy two-core machine takes 2 to 4 s
STOP_S = 10.0
ANSWER_S = 5.0
POOL_KEY = "database.replica.pool_size"  # what mitigations change in service.toml
ENDPOINT_KEY = "endpoints.recommendations"
GENERATION_KEY = "server.generation"
BACKOFF_KEY, BASE_KEY, ATTEMPTS_KEY = "retry.backoff", "retry.base_ms", "retry.attempts"  # and in client.json
TWO_ATTEMPTS = retry.Policy(attempts=2, backoff="linear", step_ms=50.0, base_ms=100.0, cap_ms=2000.0)
EIGHT_ATTEMPTS = retry.Policy(attempts=8, backoff="linear", step_ms=50.0, base_ms=100.0, cap_ms=2000.0)


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer of the shop. `tabs_spike` equal to `tabs` is a tenant that stays calm."""

    name: str
    tabs: int
    tabs_spike: int
    has_worker: bool = False
    policy: retry.Policy = TWO_ATTEMPTS
    lookers: int = 0
    """Tabs beside the others that only look at the catalog."""
    lookers_spike: int = 0
    lives_with: str = ""
    """The tenant on whose service it lives; empty: on one of its own."""


@dataclass(frozen=True, slots=True)
class World:
    """Numbers as measured to make two attempts and a spike exhaust the pool, and a pool twice as large end it."""

    tenants: tuple[Tenant, ...] = (
        Tenant("acme-corp", tabs=120, tabs_spike=280, has_worker=True),
        Tenant("globex", tabs=40, tabs_spike=40),
        Tenant("initech", tabs=40, tabs_spike=40),
    )
    environment: str = "demo"
    namespace: str = "acme"
    service: str = "shop-api"  # the same for all tenants, so that they can be compared
    worker: str = "shop-worker"
    pool_name: str = "read-replica"
    database: str = "shop"
    replica_address: str = "replica-1.shop.internal"
    pool_size: int = 32
    acquire_timeout_ms: int = 500
    query_ms: float = 180.0
    knee: int = 80
    slow_query_ms: float = 360.0  # a replica in trouble: its rate of 67/s is below what even calm tabs ask for,
    slow_knee: int = 24  # and is reached by any pool of 24, so a larger pool cannot help
    limit_ms: float = 400.0
    think_ms: float = 1200.0
    egress: str = ""
    """The host by way of which the service calls two external interfaces; empty: it calls none."""
    interfaces: tuple[str, str] = ("payments.partner.example", "places.partner.example")
    memory_headroom_mb: int = 0
    """What the service may take beyond what it starts with; 0: it has no limit."""
    leak_kb_per_s: int = 2_048
    telemetry: str = "fast"
    """How often everything is exported; `default` is what the SDKs do."""
    seed: str = "acme"

    def capacity_per_s(self, pool_size: int) -> float:
        """Answers a second that a pool of this size lets through, at most what the replica can do."""
        return min(pool_size, self.knee) / self.query_ms * 1000

    def demand_per_s(self, tabs: int) -> float:
        """Requests a second while every attempt succeeds at once."""
        return tabs / (self.think_ms + self.query_ms) * 1000

    def storm_per_s(self, tabs: int, policy: retry.Policy) -> float:
        """Requests a second while every attempt fails: each tab goes through all its attempts, then thinks."""
        cycle_ms = policy.attempts * self.limit_ms + policy.wait_ms_mean_total() + self.think_ms
        return tabs * policy.attempts / cycle_ms * 1000

    def cured_by_pool(self, pool_size: int, tabs: int, policy: retry.Policy) -> bool:
        """A storm ends by itself only where the pool carries the storm, not only the demand behind it."""
        return self.storm_per_s(tabs, policy) < self.capacity_per_s(pool_size)


def write_world(folder: Path, world: World) -> dict[str, Path]:
    """Write service.toml and client.json of every tenant; each tenant's folder by its name. Same world, same bytes."""
    folders = {}
    for tenant in world.tenants:
        place = folder / tenant.name
        (place / "run").mkdir(parents=True, exist_ok=True)
        if not tenant.lives_with:
            service_toml = place / "service.toml"
            service_toml.write_bytes(service_text(world, tenant).encode())
            service_toml.chmod(0o640)  # it holds a password
        (place / "client.json").write_bytes(client_text(tenant).encode())
        folders[tenant.name] = place
    return folders


def service_text(world: World, tenant: Tenant) -> str:
    """A configuration as people write them: comments, odd spacing, the same words where they mean something else."""
    secret = planted.secrets(tenant.name)[planted.IN_SERVICE_FILE]
    return f'''\
# {world.service} for {tenant.name}; read at start and on SIGHUP.
# pool_size = {world.pool_size} was right when the replica had one reader.   (see [database.replica])
title = "{world.service} # {tenant.name}"

[server]
keep_alive_s = 75
generation = 1  # another number has the workers recycled
allowed_origins = [
    "https://{tenant.name}.example",  # production
    "https://staging.{tenant.name}.example",
]

[database.primary]
address   = "primary-1.{world.database}.internal"
pool_size = 8       # writes only; not the one that readers wait for
password  = "pool_size = {world.pool_size}"   # yes, somebody chose that

[database.replica]
address            = "{world.replica_address}"
database           = "{world.database}"
user               = 'reader'
password           = "n0t#a\\"comment"
pool_name          = "{world.pool_name}"
token              = "{secret}"
pool_size          = {world.pool_size}\t# connections; the worker opens as many at most
acquire_timeout_ms = {world.acquire_timeout_ms}

[endpoints]
orders = true
search = true
recommendations = true  # nice to have

[notes]
runbook = """
If readers wait, look at
pool_size = {world.pool_size}
in this file first.
"""
'''


def client_text(tenant: Tenant) -> str:
    """The retry policy as people write it: JSON with comments, and words that only look like one."""
    policy, secret = tenant.policy, planted.secrets(tenant.name)[planted.IN_CLIENT_FILE]
    return f'''\
// How a browser tab of {tenant.name} tries again. Read four times a second; no restart is needed.
{{
  "comment": "was \\"backoff\\": \\"linear\\" // and will be",
  "analytics": {{"api_key": "{secret}", "backoff": "linear"}},  // not the one that tabs go by
  "retry": {{
    "attempts": {policy.attempts},           // the first try counts
    /* linear: the n-th retry waits n steps;
       exponential: anything up to "base_ms" * 2^(n-1), at most "cap_ms" */
    "backoff": "{policy.backoff}",
    "step_ms": {policy.step_ms:g},
    "base_ms":    {policy.base_ms:g},
    "cap_ms": {policy.cap_ms:g}
  }}
}}
'''


@dataclass(frozen=True, slots=True)
class Handle:
    """A started process that has answered over HTTP."""

    name: str
    pid: int
    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_S) as answer:
            tree: dict[str, Any] = json.load(answer)
        return tree

    def post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            tree: dict[str, Any] = json.load(answer)
        return tree

    def hang_up(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for one that does not end; its exit code, 0 if it ended cleanly."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """The exit code of a process that was told to end. A second SIGTERM could meet it on its way out."""
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def stop_all(handles: Sequence[Handle]) -> list[int]:
    """End many at once, so that their last exports overlap; their exit codes in the same order."""
    for handle in handles:
        handle.process.terminate()
    return [handle.wait() for handle in handles]


def start_service(
    world: World,
    tenant: Tenant,
    folder: Path,
    *,
    kafka: str = "",
    topic_prefix: str = "",
    port: int = 0,
    on_hangup: str = "reload",
    resize: str = "live",
) -> Handle:
    """Start the tenant's service in `folder` (the tenant's own) and wait until it answers."""
    options = ["--service", world.service, "--port", str(port), "--on-hangup", on_hangup, "--resize", resize]
    options += ["--query-ms", str(world.query_ms), "--knee", str(world.knee)]
    options += ["--memory-headroom-mb", str(world.memory_headroom_mb)]
    options += ["--egress", world.egress, "--interfaces", ",".join(world.interfaces)]
    for other in world.tenants:
        options += ["--also-tenant", other.name] if other.lives_with == tenant.name else []
    return _start("service", folder, [*options, *_identity(world, tenant, kafka, topic_prefix)])


def start_worker(
    world: World, tenant: Tenant, folder: Path, *, kafka: str = "", topic_prefix: str = "", port: int = 0
) -> Handle:
    options = ["--service", world.worker, "--port", str(port)]
    return _start("worker", folder, [*options, *_identity(world, tenant, kafka, topic_prefix)])


def start_clients(world: World, tenant: Tenant, folder: Path, url: str, *, port: int = 0) -> Handle:
    """Start the tenant's browser tabs against the service at `url`."""
    options = ["--url", url, "--tabs", str(tenant.tabs), "--port", str(port), "--seed", f"{world.seed}/{tenant.name}"]
    options += ["--limit-ms", str(world.limit_ms), "--think-ms", str(world.think_ms)]
    shared = tenant.lives_with or any(other.lives_with == tenant.name for other in world.tenants)
    options += ["--lookers", str(tenant.lookers), "--tenant", tenant.name if shared else ""]
    return _start("clients", folder, options)


def _identity(world: World, tenant: Tenant, kafka: str, topic_prefix: str) -> list[str]:
    options = ["--tenant", tenant.name, "--namespace", world.namespace, "--environment", world.environment]
    return [*options, "--kafka", kafka, "--topic-prefix", topic_prefix, "--telemetry", world.telemetry]


def _start(name: str, folder: Path, options: list[str]) -> Handle:
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    port_file = run / f"{name}.port"
    port_file.unlink(missing_ok=True)  # one left by a killed process would point to nobody
    command = [sys.executable, "-m", f"examples.acme.{name}", "--folder", str(folder.resolve()), *options]
    with (run / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if port_file.exists():
            url = f"http://127.0.0.1:{port_file.read_text().strip()}"
            if _answers(url):
                return Handle(name, process.pid, url, process)
        time.sleep(0.02)
    process.kill()
    process.wait()
    last = (run / f"{name}.log").read_text(errors="replace").strip().splitlines()[-1:]
    raise RuntimeError(f"{name} in {folder} did not get ready; its last line: {' '.join(last) or 'none'}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=ANSWER_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
