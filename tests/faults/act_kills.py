"""act on a real broker, killed between any two of its steps, and what must be true once it is back."""

import contextlib
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from actuators.ledger import State
from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from tests.actuators import commands
from tests.stream.act import rig
from tests.stream.act.rig import Rig

KINDS = ("apply", "confirm", "revert", "deadline")
VALUES = {State.STANDING: 64, State.CONFIRMED: 64, State.REVERTED: 32, State.FAILED: 32}
SAID = {
    State.STANDING: OutcomeStatus.LIVE,
    State.CONFIRMED: OutcomeStatus.CONFIRMED,
    State.REVERTED: OutcomeStatus.REVERTED,
    State.FAILED: OutcomeStatus.FAILED,
}
QUIET_S = 3.0  # act looks each second whether there is something to send or to commit
RECOVERY_S = 5.0  # by then a process that is back has done all that it had to
NEVER_MS, SOON_MS = 600_000, 500  # until an unconfirmed change is taken back


@dataclass(slots=True)
class Round:
    """One change, the command that is interrupted, and how it ended."""

    kind: str
    number: int
    died_before: str = ""
    ended: str = ""

    @property
    def apply(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def interrupted(self) -> str:
        """The apply itself, or the word about it."""
        return f"{self.apply}-word" if self.kind in ("confirm", "revert") else self.apply


@dataclass(slots=True)
class Range:
    """Where rounds are played, one after the other, on one target, ledger and set of topics."""

    rig: Rig
    played: list[str] = field(default_factory=list)
    """Every command that must have an outcome."""

    def start(self, *arguments: str) -> None:
        self.rig.start("tests.faults.act_entry", "--folder", str(self.rig.folder), *arguments)

    def play(self, kind: str, nth: int) -> Round:
        """Gives the orders to an act that dies before its n-th step; starts it again, and looks."""
        one = Round(kind, nth)
        self.begin(one, nth)
        self.died(one)
        self.start()
        self.check(one)
        self.clear(one)
        return one

    def play_twice(self, kind: str, number: int, nth: int, again: int) -> bool:
        """As `play`, and the process that comes back dies as well, at a step counted from its start; True if it did."""
        one = Round(kind, 1_000 + number)
        self.begin(one, nth)
        assert self.died(one)
        self.start("--recovery", str(again))
        assert self.rig.act is not None
        died = self.rig.act.poll
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.rig.act.wait(RECOVERY_S)
        twice = died() is not None
        self.rig.act.kill()
        self.rig.act.wait()
        self.start()
        self.check(one)
        self.clear(one)
        return twice

    def begin(self, one: Round, nth: int) -> None:
        (self.rig.folder / "steps").unlink(missing_ok=True)
        at = ("--deadline",) if one.kind == "deadline" else ()
        self.start("--command", one.interrupted, "--nth", str(nth), *at)
        wait_ms = SOON_MS if one.kind == "deadline" else NEVER_MS
        self.rig.send(commands.command(one.apply, applies=one.apply, not_after_ms=60_000, confirm_ms=wait_ms))
        self.played.append(one.apply)
        if one.interrupted != one.apply:
            self.rig.outcome(one.apply)
            self.word(one.interrupted, CommandKind(one.kind), one.apply)

    def word(self, name: str, kind: CommandKind, applies: str) -> None:
        self.rig.send(commands.command(name, kind, applies=applies))
        self.played.append(name)

    def died(self, one: Round) -> bool:
        """Waits until the process is dead of its own hand; False if it had done every step before, and is ended."""
        assert self.rig.act is not None
        process = self.rig.act
        path = self.rig.folder / "steps"

        def through() -> bool:
            return "send" in self.steps() and time.time() - path.stat().st_mtime > QUIET_S

        rig.until(lambda: process.poll() is not None or through(), self.rig)
        if process.poll() is None:
            process.kill()
            process.wait()
            return False
        assert process.wait() == -signal.SIGKILL, "it died of its own hand"
        one.died_before = self.steps()[-1]
        return True

    def steps(self) -> list[str]:
        path = self.rig.folder / "steps"
        return [line.split(" ", 1)[1] for line in path.read_text().splitlines()] if path.exists() else []

    def check(self, one: Round) -> None:
        """Ledger, file, running value and topic agree; nothing was applied twice, lost or contradicted."""
        expected = {
            "apply": (State.STANDING, State.FAILED), "confirm": (State.CONFIRMED,), "revert": (State.REVERTED,),
            "deadline": (State.REVERTED, State.FAILED),
        }[one.kind]  # fmt: skip

        def settled() -> bool:
            return self.state(one.apply) in expected and not self.unsent()

        rig.until(settled, self.rig)
        state = self.state(one.apply)
        assert state is not None
        one.ended = state.value
        assert self.in_file() == VALUES[state]
        assert self.rig.world.size("service") == VALUES[state]
        last = self.rig.outcomes(one.interrupted)[-1]
        assert last.status is SAID[state], (one, last)
        if one.kind == "deadline" and state is State.REVERTED:
            assert last.reason is OutcomeReason.CONFIRM_DEADLINE
        self.check_all()

    def check_all(self) -> None:
        contents: dict[str, set[Any]] = {}
        for event, stored in self.rig.answers():
            contents.setdefault(event.id, set()).add((stored.value, tuple(stored.headers)))
        assert all(len(each) == 1 for each in contents.values()), "a repeat differs from what it repeats"
        answered = {event.data["command"] for event, _ in self.rig.answers()}
        assert answered >= set(self.played), "an outcome was lost"
        renames = self.renames()
        assert all(one != other for one, other in pairwise(renames)), "a change was made twice"
        assert renames[:1] in ([], ["64"])
        assert renames.count("64") <= sum(kind == CommandKind.APPLY for kind in self.kinds()), "more than one a command"

    def clear(self, one: Round) -> None:
        """The old value again, by an ordinary revert, and a clean end, so that the next round finds nothing to do."""
        name = f"{one.apply}-clear"
        self.word(name, CommandKind.REVERT, one.apply)  # also where nothing stands: then all before it has been read
        assert self.rig.outcome(name).status in (OutcomeStatus.REVERTED, OutcomeStatus.FAILED)
        assert self.in_file() == 32
        assert self.rig.end(signal.SIGTERM) == 0

    def renames(self) -> list[str]:
        path = self.rig.folder / "renames"
        return path.read_text().split() if path.exists() else []

    def in_file(self) -> int:
        text = self.rig.world.file.read_text()
        return int(next(line for line in text.splitlines() if line.startswith("size")).split()[2])

    def kinds(self) -> list[CommandKind]:
        words = ("-word", "-clear")
        return [CommandKind.REVERT if name.endswith(words) else CommandKind.APPLY for name in self.played]

    def state(self, command: str) -> State | None:
        rows = self._rows("SELECT state FROM changes WHERE command = ?", command)
        return State(rows[0][0]) if rows else None

    def unsent(self) -> int:
        return int(self._rows("SELECT count(*) FROM outcomes WHERE sent = 0")[0][0])

    def _rows(self, query: str, *values: str) -> list[Any]:
        path = (self.rig.folder / "state" / "ledger").resolve()
        if not path.exists():
            return []
        base = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute(query, values).fetchall()
        finally:
            base.close()


@contextmanager
def shooting_range(bootstrap: str, prefix: str, folder: Path) -> Iterator[Range]:
    """A world with an act that may change its target as often as the rounds need."""
    with rig.rigged(bootstrap, prefix, folder, applies_per_hour=10_000) as made:
        yield Range(made)
