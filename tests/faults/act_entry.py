"""Starts act so that it kills itself (SIGKILL) before the n-th step of one command. Test-only.

    python -m tests.faults.act_entry --folder FOLDER [--command ID --nth 3 [--deadline]] [--recovery 2]

Steps are what the world or the ledger can see: the beginning and the commit of each of the ledger's transactions, the
draft's creation, fsync, rename, the signal, each probe, the send of an outcome, the commit of the offsets. They count
from the moment at which the command (with `--deadline`: its deadline) is taken in hand; with `--recovery` from the
start of the process. FOLDER gets `steps`, each step as it is taken, and `renames`, the value in each file that took the
target's place.
"""

import argparse
import functools
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from actuators.drivers import processes
from actuators.ledger import Ledger
from stream import settings
from stream.act import execute
from stream.act.inbox import Order
from stream.apps import act


@dataclass(slots=True)
class Steps:
    """Counts the steps of this process and ends it before the last one that it may take."""

    folder: Path
    last: int
    counting: bool
    done: int = 0

    def step(self, name: str) -> None:
        if not self.counting:
            return
        self.done += 1
        _append(self.folder / "steps", f"{self.done} {name}")
        if self.done == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


def before(owner: Any, name: str, announce: Callable[..., None]) -> None:
    """Announces every call of a function before it is made."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        announce(*args)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def arm(steps: Steps, command: str | None, deadline: bool) -> None:
    """Wraps every step, and whatever takes the command in hand."""

    housekeeping = threading.local()
    prune = Ledger.prune

    def pruned(book: Ledger, now_ms: int) -> None:
        housekeeping.on = True  # once an hour, and at the start: it would only shift the numbers of the steps
        prune(book, now_ms)
        housekeeping.on = False

    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.startswith(("BEGIN", "COMMIT")) and not getattr(housekeeping, "on", False):
                steps.step(f"ledger {sql.split()[0].lower()}")
            return super().execute(sql, *values)

    def renamed(source: Path, _target: Path) -> None:
        steps.step("rename")
        size = next(line for line in source.read_text().splitlines() if line.startswith("size"))
        _append(steps.folder / "renames", size.split()[2])

    def opened(_path: Any, flags: int, *_: Any) -> None:
        if flags & os.O_EXCL:
            steps.step("draft")

    def ordered(_hands: Any, order: Any, *_: Any) -> None:
        steps.counting |= not deadline and isinstance(order, Order) and order.command.command == command

    def due(_hands: Any, entry: Any) -> None:
        steps.counting |= deadline and entry.command.command == command

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Counted)  # type: ignore[assignment]
    setattr(Ledger, "prune", pruned)  # noqa: B010
    before(os, "rename", renamed)
    before(os, "open", opened)
    before(os, "fsync", lambda *_: steps.step("fsync"))
    before(signal, "pidfd_send_signal", lambda *_: steps.step("signal"))
    before(processes, "ask", lambda *_: steps.step("probe"))
    before(AIOKafkaProducer, "send_and_wait", lambda *_: steps.step("send"))
    before(AIOKafkaConsumer, "commit", lambda *_: steps.step("offsets"))
    before(execute, "execute", ordered)
    before(execute, "take_back", due)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--command")
    parser.add_argument("--nth", type=int, default=0)
    parser.add_argument("--deadline", action="store_true")
    parser.add_argument("--recovery", type=int, default=0)
    wanted = parser.parse_args()
    arm(Steps(wanted.folder, wanted.recovery or wanted.nth, wanted.recovery > 0), wanted.command, wanted.deadline)
    return int(act.main(settings.load(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
