"""Everything that a scenario needs, started as processes of their own: topics, keys, specs, target, clients, douse."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from examples.acme import world as acme
from examples.acme.world import Handle, Tenant, World
from stream import keys, topics
from stream.demo import actuator, specs
from stream.demo.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
SHARDS = 4  # two cores: sixteen shards would only tick more often
APP_STOP_S = 20.0
APPS = ("ingest", "detect", "act")

Value = str | int | bool
Running = dict[str, Value]
SHOWN = {
    "service": ("pool_size", "endpoints.recommendations", "workers_generation"),
    "worker": ("pool_size",),
    "clients": ("backoff", "base_ms", "attempts"),
}
"""Of each process the running values that a mitigation could change."""


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

    def files(self, tenant: str) -> tuple[Path, Path]:
        """What could be changed of a tenant: its service's file, which may be another tenant's, and its tabs' file."""
        home = self.folder / "world"
        return (home / self.home(tenant) / "service.toml", home / tenant / "client.json")

    def home(self, tenant: str) -> str:
        """The tenant on whose service it lives."""
        return next(one.lives_with or one.name for one in self.world.tenants if one.name == tenant)

    def hashes(self, tenant: str) -> tuple[str, ...]:
        return tuple(sha256(path.read_bytes()).hexdigest() for path in self.files(tenant))

    def owners(self, tenant: str) -> tuple[tuple[int, int], ...]:
        """Mode and owner of each file."""
        return tuple((seen.st_mode, seen.st_uid) for seen in (path.stat() for path in self.files(tenant)))

    def running(self, tenant: str) -> Running:
        """What each process of the tenant says that it runs with, over HTTP, by process and field."""
        shown: Running = {}
        for group in (self.services, self.workers, self.clients):
            handle = group.get(tenant if group is self.clients else self.home(tenant))
            if handle is not None:
                values = dict(_flat(handle.get("/admin/config")))
                shown |= {f"{handle.name} {name}": values[name] for name in SHOWN[handle.name]}
        return shown

    async def open(self) -> None:
        """Writes the folder, creates the topics and starts everything. Raises RuntimeError where a part does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        acme.write_world(self.folder / "world", self.world)
        keys.init(self.folder / "keys", (actuator.ACTUATOR,))
        await topics.create(self.bootstrap, self.prefix, SHARDS, 4, sources=True)
        threads = ThreadPoolExecutor(len(self.world.tenants))
        for start in (self._start_service, self._start_tabs):
            self.starting = [threads.submit(start, tenant) for tenant in self.world.tenants]
            await asyncio.gather(*map(asyncio.wrap_future, self.starting))
        threads.shutdown(wait=False)
        self._write_settings()
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

    def _start_service(self, tenant: Tenant) -> None:
        if tenant.lives_with:
            return
        place = self.folder / "world" / tenant.name
        scenario = next((one.scenario for one in self.cast if one.tenant == tenant), None)
        self.services[tenant.name] = acme.start_service(
            self.world,
            tenant,
            place,
            kafka=self.bootstrap,
            topic_prefix=self.prefix,
            on_hangup=scenario.on_hangup if scenario else "reload",
            resize=scenario.resize if scenario else "live",
        )
        if tenant.has_worker:
            self.workers[tenant.name] = acme.start_worker(
                self.world, tenant, place, kafka=self.bootstrap, topic_prefix=self.prefix
            )

    def _start_tabs(self, tenant: Tenant) -> None:
        place, url = self.folder / "world" / tenant.name, self.services[self.home(tenant.name)].url
        self.clients[tenant.name] = acme.start_clients(self.world, tenant, place, url)

    def _write_settings(self) -> None:
        self.config.write_text(
            f'bootstrap = "{self.bootstrap}"\n'
            f'topic_prefix = "{self.prefix}"\n'
            f'group_prefix = "{self.prefix}douse"\n'
            f"shards = {SHARDS}\n"
            "session_s = 10\nheartbeat_s = 2\nrebalance_s = 20\n"
            'keys_folder = "keys"\ndata_folder = "data"\nactuator_file = "actuator.toml"\n'
        )
        groups = {"services": self.services, "workers": self.workers, "clients": self.clients}
        (self.folder / "actuator.toml").write_text(actuator.text(self.world, groups))
        scenarios = [one.scenario for one in self.cast]
        specs.write(self.folder / "specs", self.world, scenarios, [one.tenant for one in self.cast])


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Value]]:
    """The values of a tree by their dotted paths."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value
