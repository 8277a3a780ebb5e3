"""The tests' broker: one JVM for a whole run, started by the process that asks first, ended by the controlling one."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker import jars, process
from stream.broker.errors import BrokerError

END_S = 30.0  # a clean stop takes 0.3 s


def jar_folder() -> Path:
    """The fetched jars. Without a broker nothing is proven: a test that needs one fails and says what to do."""
    try:
        return jars.fetch(jars.source(os.environ))
    except BrokerError as error:
        pytest.fail(f"no broker: {error}. Or name one: DOUSE_TEST_BOOTSTRAP=host:port make test", pytrace=False)


def shared(run_folder: Path) -> str:
    """Address of the run's broker. Under the lock, so that of two processes one starts it and the other finds it."""
    with jars.locked(run_folder / "broker.lock"):
        address = run_folder / "bootstrap"
        if not address.exists():
            broker = process.Broker(run_folder / "kafka", jar_folder(), None, {})
            broker.start()
            address.write_text(broker.bootstrap)
        return address.read_text()


def end_shared(run_folder: Path) -> None:
    """Stop the JVM that a process of this run started, by its id."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = int((run_folder / "kafka" / "broker.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline and not _gone(pid):
            time.sleep(0.05)
        if not _gone(pid):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def own(folder: Path, port: int | None = None) -> Iterator[process.Broker]:
    """A broker that one test may pause and kill."""
    jar_folder()
    with process.running(folder, port) as broker:
        yield broker


def _gone(pid: int) -> bool:
    """True when the process has ended; one that nobody has waited for yet has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
