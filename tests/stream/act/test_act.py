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

import pytest

from schemas import envelope, signing
from schemas.commands import Command, CommandKind, Outcome, OutcomeReason, OutcomeStatus
from schemas.envelope import Event
from stream import control, keys, reach, topics
from stream.control import Kill
from tests import kafka
from tests.actuators import commands
from tests.actuators.drivers import world
from tests.actuators.drivers.world import CONFIG, World

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[3]
NEW = CONFIG.replace(b"32", b"64")
WAIT_S = 30.0  # a start of act takes 1 s on an idle machine
S, R = OutcomeStatus, OutcomeReason


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

    def start(self) -> None:
        log = (self.folder / "act.log").open("ab")
        command = [sys.executable, "-m", "stream.cli", "act"]
        self.act = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **self.environment}, stdout=log, stderr=log)

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

    def outcomes(self, command: str) -> list[Outcome]:
        """All outcomes of one command so far, each checked for its signature and its key."""

        async def read() -> list[Outcome]:
            _, public = keys.load_public(self.folder / "keys" / "actuator-host.pub")
            found = []
            async for stored in reach.read(self.bootstrap, self.names.outcomes):
                event = envelope.decode(stored.headers, stored.value)
                assert signing.holds(public, event.signature, event.type, event.id, event.source, event.data)
                assert (event.type, event.source) == ("dev.douse.outcome", "/douse/act/host")
                assert stored.key == event.data["command"]
                found.append(Outcome.read(event.data))
            return [outcome for outcome in found if outcome.command == command]

        return asyncio.run(read())

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
def rigged(bootstrap: str, prefix: str, folder: Path, manner: str = "obeys") -> Iterator[Rig]:
    with world.world(folder, {"service": manner}) as here:
        asyncio.run(topics.create(bootstrap, prefix))
        keys.init(folder / "keys", ["host", "stranger"])
        process = here.target.processes[0]
        (folder / "actuator.toml").write_text(
            f"""
            name = "host"
            ledger = "state/ledger"
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


@pytest.fixture
def rig(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(bootstrap, prefix, tmp_path) as made:
        yield made


def test_commands_are_carried_out_once_and_forgeries_never(rig: Rig) -> None:
    rig.send(commands.command("old", not_after_ms=100))  # waits while act is away
    time.sleep(0.3)
    rig.start()
    expired = rig.outcome("old")
    assert (expired.status, expired.reason) == (S.EXPIRED, R.NOT_AFTER)

    rig.send(commands.command(), "actuator-stranger")
    assert rig.outcome("c1").reason is R.BAD_SIGNATURE
    rig.send(commands.command("theirs", tenant="globex"))
    assert rig.outcome("theirs").reason is R.TENANT_NOT_ALLOWED
    rig.send(commands.command("elsewhere", actuator="other"))
    rig.send(commands.command("broken"), extra="field")
    assert rig.outcome("broken").reason is R.MALFORMED
    assert rig.world.file.read_bytes() == CONFIG

    rig.send(commands.command())
    live = rig.outcome("c1", 1)
    assert (live.status, live.before, live.after, live.shard) == (S.LIVE, "32", "64", 3)
    assert rig.world.file.read_bytes() == NEW
    rig.send(commands.command())
    assert rig.outcome("c1", 2) == live
    assert rig.world.says("service")["reloads"] == 1

    rig.send(commands.command("w", CommandKind.CONFIRM))
    assert rig.outcome("w").status is S.CONFIRMED
    rig.send(commands.command("r", CommandKind.REVERT))
    assert rig.outcome("r").status is S.REVERTED
    assert rig.world.file.read_bytes() == CONFIG
    assert rig.outcomes("elsewhere") == []


def test_after_a_clean_stop_nothing_is_read_twice(rig: Rig) -> None:
    rig.start()
    rig.send(commands.command())
    rig.outcome("c1")
    assert rig.end(signal.SIGTERM) == 0
    rig.start()
    rig.send(commands.command("w", CommandKind.CONFIRM))
    assert rig.outcome("w").status is S.CONFIRMED
    assert len(rig.outcomes("c1")) == 1


def test_the_kill_switch_is_heard_before_the_first_command(rig: Rig) -> None:
    rig.switch(True, *range(1_000), scope="mitigation:another")  # reading these takes longer than reading one command
    rig.switch(True, 10)
    rig.send(commands.command("c0", not_after_ms=60_000))
    rig.start()
    assert rig.outcome("c0").reason is R.KILL_SWITCH
    rig.switch(False, 5)  # an old word, written again by somebody
    rig.send(commands.command("c2"))
    assert rig.outcome("c2").reason is R.KILL_SWITCH
    rig.switch(False, 20)
    until(lambda: "kill switch global is off" in (rig.folder / "act.log").read_text(), rig)
    rig.send(commands.command())
    assert rig.outcome("c1").status is S.LIVE


def test_a_second_process_ends_with_a_clear_line(rig: Rig) -> None:
    rig.start()
    rig.send(commands.command())
    rig.outcome("c1")
    first = rig.act
    rig.start()
    second, rig.act = rig.act, first
    assert second is not None
    assert second.wait(WAIT_S) == 78
    assert "another process acts with this ledger" in (rig.folder / "act.log").read_text()


def test_an_unconfirmed_change_is_taken_back_without_kafka_and_by_a_new_process(tmp_path: Path) -> None:
    with kafka.own(tmp_path / "kafka") as broker, rigged(broker.bootstrap, "", tmp_path) as rig:
        rig.start()
        rig.send(commands.command(confirm_ms=6_000))
        assert rig.outcome("c1").status is S.LIVE
        rig.end(signal.SIGKILL)
        broker.pause()
        rig.start()
        assert rig.world.file.read_bytes() == NEW, "the deadline has not come"
        until(lambda: rig.world.size("service") == 32, rig)
        assert rig.world.file.read_bytes() == CONFIG
        broker.resume()
        reverted = rig.outcome("c1", 1)
        assert (reverted.status, reverted.reason, reverted.kind) == (S.REVERTED, R.CONFIRM_DEADLINE, CommandKind.REVERT)
        assert rig.end(signal.SIGTERM) == 0


def test_a_connected_act_outlives_an_outage(tmp_path: Path) -> None:
    with kafka.own(tmp_path / "kafka") as broker, rigged(broker.bootstrap, "", tmp_path) as rig:
        rig.start()
        rig.send(commands.command(confirm_ms=4_000))
        assert rig.outcome("c1").status is S.LIVE
        broker.kill9()
        until(lambda: rig.world.size("service") == 32, rig)
        broker.start()
        assert rig.outcome("c1", 1).reason is R.CONFIRM_DEADLINE
        rig.send(commands.command("c2"))
        assert rig.outcome("c2").status is S.LIVE
        assert rig.act is not None
        assert rig.act.poll() is None
