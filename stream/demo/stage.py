"""Everything that a scenario needs, started as processes of their own: topics, keys, specs, target, clients, douse."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from examples.acme import world as acme
from examples.acme.world import Handle, Tenant, World
from schemas import canonical
from stream import keys, topics
from stream.demo.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "examples" / "acme" / "specs"
ACTUATOR = "local"
MITIGATION = "resize-pool"
SHARDS = 4  # two cores: sixteen shards would only tick more often
POOL_MAX = 64
POOL_MIN = 4
APP_STOP_S = 20.0
APPS = ("ingest", "detect", "act")


@dataclass(frozen=True, slots=True)
class Cast:
    """One tenant and the incident that befalls it."""

    tenant: Tenant
    scenario: Scenario


@dataclass
class Stage:
    """A world on one broker, every tenant with a target and leave to change it. `cast` are the victims; the others
    stay calm, and nothing but douse's own judgement keeps it from changing them."""

    folder: Path
    bootstrap: str
    prefix: str
    world: World
    cast: tuple[Cast, ...]
    services: dict[str, Handle] = field(default_factory=dict)
    workers: dict[str, Handle] = field(default_factory=dict)
    clients: dict[str, Handle] = field(default_factory=dict)
    douse: subprocess.Popen[bytes] | None = None
    starting: list[Future[None]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "douse.toml"

    @property
    def log(self) -> Path:
        return self.folder / "douse.log"

    def files(self, tenant: str) -> tuple[Path, ...]:
        """What could be changed of a tenant."""
        return (self.folder / "world" / tenant / "service.toml", self.folder / "world" / tenant / "client.json")

    def hashes(self, tenant: str) -> tuple[str, ...]:
        return tuple(sha256(path.read_bytes()).hexdigest() for path in self.files(tenant))

    def owners(self, tenant: str) -> tuple[tuple[int, int], ...]:
        """Mode and owner of each file."""
        return tuple((seen.st_mode, seen.st_uid) for seen in (path.stat() for path in self.files(tenant)))

    def pool_size(self, tenant: str) -> int:
        """The value in the tenant's file."""
        value: Any = tomllib.loads(self.files(tenant)[0].read_text())
        for part in acme.POOL_KEY.split("."):
            value = value[part]
        return int(value)

    def running(self, tenant: str) -> dict[str, int]:
        """What each process of the tenant says that it runs with, over HTTP."""
        handles = [handle[tenant] for handle in (self.services, self.workers) if tenant in handle]
        return {handle.name: int(handle.get("/admin/config")["pool_size"]) for handle in handles}

    async def open(self) -> None:
        """Writes the folder, creates the topics and starts everything. Raises RuntimeError where a part does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        acme.write_world(self.folder / "world", self.world)
        keys.init(self.folder / "keys", (ACTUATOR,))
        await topics.create(self.bootstrap, self.prefix, SHARDS, 4, sources=True)
        threads = ThreadPoolExecutor(len(self.world.tenants))
        self.starting = [threads.submit(self._start_tenant, tenant) for tenant in self.world.tenants]
        threads.shutdown(wait=False)
        await asyncio.gather(*map(asyncio.wrap_future, self.starting))
        self._write_settings()
        self._write_specs()
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "stream.cli", "--config", str(self.config), "run", "--specs", "specs"]
            self.douse = subprocess.Popen(
                [*command[:-1], str(self.folder / "specs")],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def close(self) -> None:
        """Ends everything that was started, the clients first."""
        await asyncio.to_thread(wait, self.starting)  # a start under way when we are told to end would outlive us
        groups = (self.clients, self.services, self.workers)
        for group in groups:
            await asyncio.to_thread(acme.stop_all, list(group.values()))
        if self.douse is not None and self.douse.poll() is None:
            self.douse.terminate()
            try:
                await asyncio.to_thread(self.douse.wait, APP_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill_apps(APPS)
        elif self.douse is not None:
            self.kill_apps(APPS)  # the scenario killed their supervisor, and who was left alone goes on

    def app_pids(self) -> dict[str, int]:
        """The newest process of each app, as `douse run` told in its log."""
        found: dict[str, int] = {}
        for line in self.log.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) == 5 and words[0] == "douse:" and words[2:4] == ["started,", "process"]:
                found[words[1]] = int(words[4])
        return found

    def kill_apps(self, names: Sequence[str]) -> None:
        """kill -9 of these apps, and of the supervisor that would start them again."""
        if self.douse is not None and self.douse.poll() is None:
            self.douse.kill()
            self.douse.wait()
        for name, pid in self.app_pids().items():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()  # a number may belong to somebody else by now
                if name in names and str(self.config).encode() in command:
                    os.kill(pid, signal.SIGKILL)

    def _start_tenant(self, tenant: Tenant) -> None:
        place = self.folder / "world" / tenant.name
        scenario = next((one.scenario for one in self.cast if one.tenant == tenant), None)
        service = acme.start_service(
            self.world,
            tenant,
            place,
            kafka=self.bootstrap,
            topic_prefix=self.prefix,
            on_hangup=scenario.on_hangup if scenario else "reload",
            resize=scenario.resize if scenario else "live",
        )
        self.services[tenant.name] = service
        if tenant.has_worker:
            self.workers[tenant.name] = acme.start_worker(
                self.world, tenant, place, kafka=self.bootstrap, topic_prefix=self.prefix
            )
        self.clients[tenant.name] = acme.start_clients(self.world, tenant, place, service.url)

    def _write_settings(self) -> None:
        self.config.write_text(
            f'bootstrap = "{self.bootstrap}"\n'
            f'topic_prefix = "{self.prefix}"\n'
            f'group_prefix = "{self.prefix}douse"\n'
            f"shards = {SHARDS}\n"
            "session_s = 10\nheartbeat_s = 2\nrebalance_s = 20\n"
            'keys_folder = "keys"\ndata_folder = "data"\nactuator_file = "actuator.toml"\n'
        )
        lines = [
            f'name = "{ACTUATOR}"',
            'ledger = "data/ledger.sqlite"',
            'command_keys = ["keys/command.pub"]',
            'operator_keys = ["keys/operator.pub"]',
        ]
        for tenant in self.world.tenants:
            lines += self._target_lines(tenant)
        (self.folder / "actuator.toml").write_text("\n".join(lines) + "\n")

    def _target_lines(self, tenant: Tenant) -> list[str]:
        name, environment = tenant.name, self.world.environment
        lines = [
            "\n[[allow]]",
            f'environment = "{environment}"',
            f'tenant = "{name}"',
            f'mitigations = ["{MITIGATION}"]',
            "\n[[targets]]",
            f'id = "{name}-pool"',
            f'environment = "{environment}"',
            f'tenants = ["{name}"]',
            'parameter = "pool_size"',
            f'file = "world/{name}/service.toml"',
            f'key = "{acme.POOL_KEY}"',
            f"minimum = {POOL_MIN}",
            f"maximum = {POOL_MAX}",
        ]
        for handle in [group[name] for group in (self.services, self.workers) if name in group]:
            lines += [
                "\n[[targets.processes]]",
                f'name = "{handle.name}"',
                f'pid_file = "world/{name}/run/{handle.name}.pid"',
                f'probe_url = "{handle.url}/admin/config"',
                'probe_field = "pool_size"',
            ]
        return lines

    def _write_specs(self) -> None:
        """The templates of the example with this world's names, and a target for each tenant."""
        specs = self.folder / "specs"
        specs.mkdir(exist_ok=True)
        slos = (TEMPLATES / "slos.yaml").read_text().replace("shop-api", self.world.service)
        (specs / "slos.yaml").write_text(slos)
        (specs / "catalogue.yaml").write_text("---\n".join(_documents(self.world, self.cast)))


def _documents(world: World, cast: tuple[Cast, ...]) -> list[str]:
    """Mitigation, runbook, limits, targets and autonomy; JSON is YAML, and nothing needs quoting by hand."""
    scenario = cast[0].scenario
    numerator, denominator = scenario.scale
    action: canonical.Json = {"op": "scale", "numerator": numerator, "denominator": denominator}
    mend = "Find out why demand outgrew the pool, and size pool and replica together for the next peak."
    mitigation: canonical.Json = {
        "parameter": "pool_size",
        "action": action,
        "minimum": POOL_MIN,
        "maximum": POOL_MAX,
        "mend": mend,
    }
    limits = {"confirm_grace_ms": scenario.confirm_grace_ms, "confirm_quiet_ms": scenario.confirm_quiet_ms}
    rules: list[canonical.Json] = [
        {"environment": world.environment, "tenant": tenant.name, "mitigation": MITIGATION, "level": "auto"}
        for tenant in world.tenants
    ]
    targets = [
        (
            f"{tenant.name}-pool",
            {
                "actuator": ACTUATOR,
                "environment": world.environment,
                "tenants": [tenant.name],
                "service": world.service,
                "parameter": "pool_size",
            },
        )
        for tenant in world.tenants
    ]
    return [
        _document("Mitigation", MITIGATION, mitigation),
        _document("Runbook", "pool-exhausted", {"cause": "pool_exhausted", "mitigations": [MITIGATION]}),
        _document("Limits", None, limits),
        _document("Autonomy", None, {"rules": rules}),
        *(_document("Target", name, spec) for name, spec in targets),
    ]


def _document(kind: str, name: str | None, spec: canonical.Json) -> str:
    head = {"apiVersion": "douse/v1", "kind": kind} | ({"metadata": {"name": name}} if name else {})
    return canonical.dumps({**head, "spec": spec}).decode() + "\n"
