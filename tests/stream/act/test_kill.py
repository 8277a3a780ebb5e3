"""The kill switches of a running act, with nothing of douse beside it but the broker."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from schemas.commands import OutcomeReason, OutcomeStatus
from tests.actuators import commands
from tests.actuators.drivers.world import CONFIG
from tests.stream.act.rig import Rig, rigged

pytestmark = pytest.mark.broker

HEARD = re.compile(r"^(\S+ \S+) \S+ \S+ kill switch global is on$", re.M)


@pytest.fixture
def rig(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Rig]:
    with rigged(bootstrap, prefix, tmp_path) as made:
        yield made


def test_a_kill_switch_on_the_topic_stops_the_next_command_without_detect(
    rig: Rig, record_property: Callable[[str, object], None]
) -> None:
    rig.start()
    rig.send(commands.command("c0", tenant="globex"))
    assert rig.outcome("c0").reason is OutcomeReason.TENANT_NOT_ALLOWED, "act reads and answers"
    now_ms = time.time_ns() // 1_000_000
    rig.switch(True, now_ms)
    written_s = time.time()
    rig.send(commands.command())
    refused = rig.outcome("c1")
    assert (refused.status, refused.reason) == (OutcomeStatus.REFUSED, OutcomeReason.KILL_SWITCH)
    assert rig.world.file.read_bytes() == CONFIG
    heard = HEARD.search((rig.folder / "act.log").read_text())
    assert heard is not None
    heard_s = datetime.strptime(heard.group(1), "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
    figures = {
        "after_send_began_ms": round(heard_s * 1000) - now_ms,
        "after_ack_ms": round((heard_s - written_s) * 1000),
    }
    print(f"kill switch heard: {figures}")
    record_property("kill_switch_heard", figures)


def test_the_kill_file_on_the_host_stops_every_apply_with_no_word_on_the_topic(rig: Rig) -> None:
    rig.start()
    (rig.folder / "data").mkdir(exist_ok=True)
    (rig.folder / "data" / "kill").touch()
    rig.send(commands.command())
    assert rig.outcome("c1").reason is OutcomeReason.KILL_SWITCH
    (rig.folder / "data" / "kill").unlink()
    rig.send(commands.command("c2"))
    assert rig.outcome("c2").status is OutcomeStatus.LIVE
