"""act as a process of its own, on a real broker, with a real file and a real process to reload."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas import envelope, signing
from schemas.commands import Command, Outcome
from schemas.envelope import Event
from stream import control, keys, reach, topics
from stream.control import Kill
from stream.reach import Stored
from tests.actuators.drivers import world
from tests.actuators.drivers.world import World

ROOT = Path(__file__).parents[3]
WAIT_S = 30.0  # a start of act takes 1 s on an idle machine


@dataclass(slots=True)
class Rig:
    """One actuator with its world on one broker."""

    bootstrap: str
    prefix: str
    world: World
    folder: Path
    act: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> topics.Topics:
        return topics.names(self.prefix)

    def start(self, module: str = "stream.cli", *arguments: str) -> None:
        command = [sys.executable, "-m", module, *(arguments or ("act",))]
        with (self.folder / "act.log").open("ab") as log:
            environment = {**os.environ, **self.environment}
            self.act = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def end(self, number: signal.Signals) -> int:
        assert self.act is not None
        self.act.send_signal(number)
        return self.act.wait(WAIT_S)

    def send(self, command: Command, key_name: str = "command", **fields: Any) -> None:
        keyid, key = keys.load_private(self.folder / "keys" / f"{key_name}.key")
        data = {**command.fields(), **fields}
        event = Event(f"dev.douse.command.{command.kind.value}", command.command, "/douse/detect/3", 1, data)
        signed = envelope.signed(event, keyid, key)
        asyncio.run(reach.send(self.bootstrap, self.names.commands, [(f"{command.actuator}/{command.target}", signed)]))

    def switch(self, on: bool, *times_ms: int, scope: str = "global") -> None:
        keyid, key = keys.load_private(self.folder / "keys" / "operator.key")
        kills = [control.kill_event(Kill(scope, on, "a person", "a test", time_ms)) for time_ms in times_ms]
        events = [(name, envelope.signed(event, keyid, key)) for name, event in kills]
        asyncio.run(reach.send(self.bootstrap, self.names.control, events))

    def answers(self) -> list[tuple[Event, Stored]]:
        """All outcomes so far, each checked for its signature and its key."""

        async def read() -> list[tuple[Event, Stored]]:
            _, public = keys.load_public(self.folder / "keys" / "actuator-host.pub")
            found = []
            async for stored in reach.read(self.bootstrap, self.names.outcomes):
                event = envelope.decode(stored.headers, stored.value)
                assert signing.holds(public, event.signature, event.type, event.id, event.source, event.data)
                assert (event.type, event.source) == ("dev.douse.outcome", "/douse/act/host")
                assert stored.key == event.data["command"]
                found.append((event, stored))
            return found

        return asyncio.run(read())

    def outcomes(self, command: str) -> list[Outcome]:
        """All outcomes of one command so far."""
        found = [Outcome.read(event.data) for event, _ in self.answers()]
        return [outcome for outcome in found if outcome.command == command]

    def outcome(self, command: str, number: int = 0) -> Outcome:
        """The outcome of this command with this place, as soon as it is there."""
        until(lambda: len(self.outcomes(command)) > number, self)
        return self.outcomes(command)[number]


def until(true: Callable[[], bool], rig: Rig) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline_s, (rig.folder / "act.log").read_text()
        time.sleep(0.1)


@contextmanager
def rigged(bootstrap: str, prefix: str, folder: Path, applies_per_hour: int = 10) -> Iterator[Rig]:
    with world.world(folder, {"service": "obeys"}) as here:
        asyncio.run(topics.create(bootstrap, prefix))
        keys.init(folder / "keys", ["host", "stranger"])
        process = here.target.processes[0]
        (folder / "actuator.toml").write_text(
            f"""
            name = "host"
            ledger = "state/ledger"
            applies_per_hour = {applies_per_hour}
            applies_per_hour_target = {applies_per_hour}
            command_keys = ["keys/command.pub"]
            [[allow]]
            tenant = "acme"
            mitigations = ["raise-pool"]
            [[targets]]
            id = "pool"
            tenants = ["acme"]
            parameter = "pool_size"
            file = "shop.toml"
            key = "pool.size"
            minimum = 8
            maximum = 100
            [[targets.processes]]
            name = "service"
            pid_file = "service.pid"
            probe_url = {json.dumps(process.probe_url)}
            probe_field = "pool.size"
            """
        )
        environment = {
            "DOUSE_BOOTSTRAP": bootstrap,
            "DOUSE_TOPIC_PREFIX": prefix,
            "DOUSE_GROUP_PREFIX": prefix or "t",
            "DOUSE_ACTUATOR_FILE": str(folder / "actuator.toml"),
            "DOUSE_ACTUATOR_KEY_FILE": str(folder / "keys" / "actuator-host.key"),
            "DOUSE_TRUSTED_OPERATOR_KEYS": str(folder / "keys" / "operator.pub"),
            "DOUSE_DATA_FOLDER": str(folder / "data"),
        }
        rig = Rig(bootstrap, prefix, here, folder, environment=environment)
        try:
            yield rig
        finally:
            if rig.act is not None and rig.act.poll() is None:
                rig.act.kill()
                rig.act.wait()
