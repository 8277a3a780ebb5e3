"""The processes of a target: who they are, telling them to reload, and asking them what they run with.

A pid alone names nobody: the kernel gives it to another process later. So a process is its pid and its start time,
and a pid file that is older than the process it names is stale. Linux only (/proc, pidfd).
"""

import errno
import http.client
import io
import json
import os
import signal
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from actuators.drivers.errors import Permanent, Temporary
from actuators.edits import spans
from schemas import actuator
from schemas.commands import OutcomeReason

PROBE_S = 0.5  # one whole answer; a process that is busier than that is asked again until the target's own limit
PAUSE_S = 0.05  # between two rounds of asking: finer than the settle time of 1 s that follows
SAID_RUNNING = 3  # times: of several workers behind one port perhaps not all have the value
ANSWER_BYTES_MAX = 1 << 20  # a page of running values is a few kB
PID_FILE_SLACK_S = 10.0  # a process writes its pid file after its start; steps of the wall clock below this do no harm
PID_MAX = 1 << 22  # what Linux gives out at most (proc_sys_kernel(5), pid_max)
PID_FILE_BYTES_MAX = 64  # a pid has seven digits at most
HEARD = ("SigBlk:", "SigIgn:", "SigCgt:")  # of /proc/<pid>/status: waited for, ignored, caught
START_FIELD, STATE_FIELD = 19, 0  # of /proc/<pid>/stat, counted after the name in parentheses (proc_pid_stat(5))


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for life: the pid may come again, the pair does not within one boot."""

    name: str
    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Report:
    """What one process said it runs with; `live_ms` is when it began to say the value that was waited for."""

    name: str
    pid: int
    value: str
    live_ms: int | None = None


def identify(process: actuator.Process, folder: Path) -> Identity | None:
    """The running process that the pid file names; None if none runs. Raises Permanent for a bad or stale file."""
    path = folder / process.pid_file
    try:
        text, written_s = _content(path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(OutcomeReason.UNREADABLE, f"pid file of {process.name}: {_plain(error)}") from error
    if not text.strip().isdigit() or not 1 < int(text) <= PID_MAX:
        raise Permanent(OutcomeReason.UNREADABLE, f"pid file of {process.name} holds no pid")
    pid = int(text)
    start_ticks = _start_ticks(pid)
    if start_ticks is None:
        return None
    started_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + start_ticks / os.sysconf("SC_CLK_TCK")
    if started_s > written_s + PID_FILE_SLACK_S:
        raise Permanent(
            OutcomeReason.NOT_LIVE, f"pid file of {process.name} is stale: pid {pid} started after it was written"
        )
    return Identity(process.name, pid, start_ticks)


def tell(process: actuator.Process, identity: Identity) -> bool:
    """Send the target's signal to this very process; False if it has ended. Raises DriverError if we may not.

    One that would die of it is spared, one that watches its file itself is not told: what it says of itself decides.
    """
    if process.signal == actuator.NO_SIGNAL:
        return alive(identity)
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    except OSError as error:
        raise Temporary(OutcomeReason.NOT_LIVE, f"{process.name}: {error.strerror}") from error
    try:
        if _start_ticks(identity.pid) != identity.start_ticks:
            return False
        if hears(process, identity):
            signal.pidfd_send_signal(handle, signal.Signals[process.signal])
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise Permanent(OutcomeReason.NOT_LIVE, f"no leave to signal {process.name} (pid {identity.pid})") from error
    finally:
        os.close(handle)
    return True


def hears(process: actuator.Process, identity: Identity) -> bool:
    """False if the process would die of its reload signal: perhaps the pid file names another program."""
    if process.signal == actuator.NO_SIGNAL:
        return True
    bit = 1 << (signal.Signals[process.signal] - 1)
    try:
        lines = Path(f"/proc/{identity.pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True  # it ends just now, or the host hides it: the signal itself will tell
    masks = dict(line.split(":", 1) for line in lines if line.startswith(HEARD))
    return not masks or any(int(mask, 16) & bit for mask in masks.values())


def ask(process: actuator.Process) -> str | None:
    """The value that the process itself reports; None if it does not answer in time, or not with that field."""
    url = urlsplit(process.probe_url)
    until_s = time.monotonic() + PROBE_S
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(url.netloc, timeout=PROBE_S)
        try:
            connection.request(
                "GET", url.path + (f"?{url.query}" if url.query else "") or "/", headers={"Accept": "application/json"}
            )
            answer = http.client.HTTPResponse(cast(socket.socket, _Timed(connection.sock, until_s)), method="GET")
            answer.begin()
            body = answer.read(ANSWER_BYTES_MAX)
        finally:
            connection.close()
        return _field(json.loads(body), process.probe_field) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None


def await_value(running: list[tuple[actuator.Process, Identity]], value: str, wait_ms: int) -> tuple[Report, ...]:
    """Ask every process until each has said `value` SAID_RUNNING times running, or the time is over."""
    reports = {identity.name: Report(identity.name, identity.pid, "") for _, identity in running}
    since_ms: dict[str, list[int]] = {name: [] for name in reports}
    deadline_s = time.monotonic() + wait_ms / 1000
    rounds = 0
    while True:
        for process, identity in running:
            if reports[identity.name].live_ms is not None:
                continue
            said, times = ask(process), since_ms[identity.name]
            if said == value and alive(identity):
                times.append(wall_ms())
            else:
                times.clear()
            live_ms = times[0] if len(times) >= SAID_RUNNING else None
            reports[identity.name] = Report(identity.name, identity.pid, said or "", live_ms)
        rounds += 1
        over = rounds >= SAID_RUNNING and time.monotonic() >= deadline_s
        if over or all(report.live_ms is not None for report in reports.values()):
            return tuple(reports.values())
        time.sleep(PAUSE_S)


def alive(identity: Identity) -> bool:
    """True while this very process runs."""
    return _start_ticks(identity.pid) == identity.start_ticks


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class _Timed(io.RawIOBase):
    """What a socket sends until a moment: a peer that drips one byte after the other holds nobody longer."""

    def __init__(self, peer: socket.socket, until_s: float) -> None:
        self._peer = peer
        self._until_s = until_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._peer.settimeout(left_s)
        return self._peer.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _content(path: Path) -> tuple[str, float]:
    """Text of a pid file and when it was written; a pipe in its place holds nobody."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(PID_FILE_BYTES_MAX).decode("ascii"), found.st_mtime


def _start_ticks(pid: int) -> int | None:
    """Start time of a running process in clock ticks since boot; None if there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[STATE_FIELD] in "ZX" else int(fields[START_FIELD])


def _field(tree: Any, path: str) -> str | None:
    for segment in path.split("."):
        if not isinstance(tree, dict) or segment not in tree:
            return None
        tree = tree[segment]
    return spans.text(tree) if isinstance(tree, int | str) else None


def _plain(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "not text"
