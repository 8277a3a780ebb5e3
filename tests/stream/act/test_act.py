"""act as a process of its own, on a real broker, with a real file and a real process to reload."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from stream.broker.errors import BrokerError
from tests import kafka
from tests.actuators import commands
from tests.actuators.drivers.world import CONFIG
from tests.stream.act.rig import WAIT_S, Rig, rigged, until

pytestmark = pytest.mark.broker

NEW = CONFIG.replace(b"32", b"64")
S, R = OutcomeStatus, OutcomeReason


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


def is_there_again(rig: Rig) -> bool:
    """False while a broker that went on is not yet known to itself: its metadata names no broker then."""
    try:
        rig.answers()
    except BrokerError:
        return False
    return True


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
        until(lambda: is_there_again(rig), rig)
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
