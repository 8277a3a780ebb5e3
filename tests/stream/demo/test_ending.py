"""A demo that is told to end leaves nothing running, whoever tells it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import kafka

pytestmark = pytest.mark.broker
ROOT = Path(__file__).parents[3]
UP_S_MAX = 60.0  # 7 s on two free cores; what is measured is the ending
END_S_MAX = 20.0


def named(text: str) -> dict[int, str]:
    """Command lines of the live processes that name `text`, by process id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found[int(place.parent.name)] = command
    return found


@pytest.mark.parametrize(
    ("number", "running"),
    [(signal.SIGHUP, "examples.acme.service"), (signal.SIGTERM, "douse.toml detect")],
    ids=["hung up while the shop starts", "terminated when all of it runs"],
)
def test_a_demo_that_is_told_to_end_leaves_nothing_running(
    tmp_path: Path, number: signal.Signals, running: str
) -> None:
    kafka.jar_folder()
    demo = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "demo", "--scenario", "calm"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # whoever runs the tests may have ignored it
    )
    try:
        deadline = time.monotonic() + UP_S_MAX
        while not any(running in command for command in named(str(tmp_path)).values()):
            assert demo.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        demo.send_signal(number)
        assert demo.wait(END_S_MAX) == 130
        assert named(str(tmp_path)) == {}
    finally:
        demo.kill()
        demo.wait()
        for pid in named(str(tmp_path)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
