"""The actuator's memory beside its targets: what it was told, touched and answered; safe against a power cut.

SQLite in WAL mode with synchronous=FULL: when a call returns, it is on the disk. A file lock keeps a second process
out. Each command id is carried out once: one that has an outcome is answered with it. Pre-images hold whatever the
files hold, secrets too, so the ledger is readable for its owner alone.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from actuators import deadline
from actuators.deadline import Deadline, Instant
from actuators.drivers.files import Change
from schemas import canonical
from schemas.actuator import FileTarget
from schemas.commands import Command, Outcome, OutcomeReason, OutcomeStatus

VERSION = "1"
HOUR_MS = 3_600_000
RESTORE_MS_MAX = HOUR_MS  # a trial asks for a minute or two, and waits some more for telemetry
KEEP_MS = 30 * 24 * HOUR_MS  # commands live 7 days on their topic; later an id comes back only with bad intent
SALT_BYTES = 32
UNSENT_MAX = 500  # in one go: some MB of outcomes

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    command TEXT PRIMARY KEY, target TEXT NOT NULL, file TEXT NOT NULL, state TEXT NOT NULL, order_json BLOB NOT NULL,
    target_json BLOB NOT NULL, before_json TEXT NOT NULL, after_json TEXT NOT NULL, raw_before BLOB NOT NULL,
    pre_image BLOB NOT NULL, post_image BLOB NOT NULL, diff TEXT NOT NULL, accepted_ms INTEGER NOT NULL, boot_id TEXT
    NOT NULL, deadline_boot_ms INTEGER NOT NULL, deadline_wall_ms INTEGER NOT NULL, wait_ms INTEGER NOT NULL,
    word_json BLOB);
CREATE INDEX IF NOT EXISTS changes_state ON changes (state);
CREATE TABLE IF NOT EXISTS outcomes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, command TEXT, body BLOB NOT NULL,
    time_ms INTEGER NOT NULL, sent INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS outcomes_command ON outcomes (command);
CREATE TABLE IF NOT EXISTS spent (command TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lifted (command TEXT PRIMARY KEY, lifted_ms INTEGER, restored_by TEXT);
CREATE TABLE IF NOT EXISTS kills (
    scope TEXT PRIMARY KEY, is_on INTEGER NOT NULL, time_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS frozen (
    target TEXT PRIMARY KEY, command TEXT NOT NULL, why TEXT NOT NULL, since_ms INTEGER NOT NULL);
"""


class InUse(RuntimeError):
    """Another process has this ledger."""


class Unusable(RuntimeError):
    """The ledger cannot be read or was written by another version."""


class State(StrEnum):
    """Where a change is on its way."""

    OPEN = "open"
    """Meant, perhaps touched; no outcome yet."""
    STANDING = "standing"
    """Live, and due to be taken back unless it is confirmed."""
    CONFIRMED = "confirmed"
    TAKING_BACK = "taking_back"
    REVERTED = "reverted"
    FAILED = "failed"
    UNKNOWN = "unknown"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.STANDING, State.TAKING_BACK, State.FAILED, State.UNKNOWN}),
    State.STANDING: frozenset({State.CONFIRMED, State.TAKING_BACK}),
    State.CONFIRMED: frozenset({State.TAKING_BACK}),
    State.TAKING_BACK: frozenset({State.TAKING_BACK, State.REVERTED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.TAKING_BACK}),
    State.REVERTED: frozenset(),
    State.FAILED: frozenset(),
}
UNSETTLED = (State.OPEN, State.STANDING, State.TAKING_BACK)


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: the whole order, the target as it was configured then, and all that is needed to take it back."""

    command: Command
    target: FileTarget
    state: State
    change: Change
    accepted_ms: int
    deadline: Deadline
    word: Command | None
    """The revert command that takes it back; None where the deadline does."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """An outcome that the broker has not acknowledged yet."""

    number: int
    id: str
    outcome: Outcome
    time_ms: int


class Ledger:
    """Calls may come from any thread; each is one transaction."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it. Raises InUse or Unusable."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _taken(path.with_name(path.name + ".lock"))
        self._turn = threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                self._base.execute(f"PRAGMA {pragma}")
            self._base.executescript(SCHEMA)
            with self._transaction() as base:
                base.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (VERSION.encode(),))
                base.execute("INSERT OR IGNORE INTO meta VALUES ('salt', ?)", (os.urandom(SALT_BYTES),))
            found = self._meta("version").decode()
        except (OSError, sqlite3.DatabaseError) as error:
            os.close(self._lock)
            raise Unusable(f"ledger {path}: {error}") from error
        if found != VERSION:
            self.close()
            raise Unusable(f"ledger {path} has version {found}, this program reads version {VERSION}")
        self.salt = self._meta("salt")
        """Never leaves the host: what secrets are hashed with in events."""

    def close(self) -> None:
        self._base.close()
        os.close(self._lock)

    def recorded(self, command: str) -> Outcome | None:
        """What this command id was answered with last, None for an unknown id."""
        row = self._one("SELECT body FROM outcomes WHERE command = ? ORDER BY number DESC LIMIT 1", command)
        return None if row is None else Outcome.read(canonical.loads(row[0]))

    def spent(self, command: str) -> bool:
        """True if this id was answered so long ago that the answer is forgotten."""
        return self._one("SELECT 1 FROM spent WHERE command = ?", command) is not None

    def entry(self, command: str) -> Entry | None:
        """The change that this apply command made."""
        row = self._one(f"SELECT {_COLUMNS} FROM changes WHERE command = ?", command)
        return None if row is None else _entry(row)

    def entries(self, *states: State) -> list[Entry]:
        """Changes in one of these states, oldest first."""
        marks = ",".join("?" * len(states))
        rows = self._all(
            f"SELECT {_COLUMNS} FROM changes WHERE state IN ({marks}) ORDER BY accepted_ms, command", *states
        )
        return [_entry(row) for row in rows]

    def intend(
        self, command: Command, target: FileTarget, change: Change, accepted: Instant, restores: str | None = None
    ) -> Entry:
        """Write down a change before anything is touched, and the one that it restores: that one is used up then."""
        assert command.confirm_ms is not None
        due = deadline.after(accepted, command.confirm_ms)
        row = (
            command.command, target.id, target.file, State.OPEN, canonical.dumps(command.fields()),
            canonical.dumps(target.fields()), json.dumps(change.before), json.dumps(change.after), change.raw_before,
            change.pre_image, change.post_image, change.diff, accepted.wall_ms,
            due.boot_id, due.boot_ms, due.wall_ms, due.wait_ms, None,
        )  # fmt: skip
        with self._transaction() as base:
            base.execute(f"INSERT INTO changes VALUES ({','.join('?' * len(row))})", row)
            base.execute("UPDATE lifted SET restored_by = ? WHERE command = ?", (command.command, restores))
        return Entry(command, target, State.OPEN, change, accepted.wall_ms, due, None)

    def begin_taking_back(self, command: str, word: Command | None) -> None:
        """Write down that the change of this apply is being taken back, and on whose word."""
        with self._transaction() as base:
            if word is not None:
                base.execute(
                    "INSERT OR IGNORE INTO lifted SELECT command, NULL, NULL FROM changes "
                    f"WHERE command = ? AND state = ? AND NOT {_RESTORING}",
                    (command, State.CONFIRMED),
                )
            _move(base, command, State.TAKING_BACK)
            body = None if word is None else canonical.dumps(word.fields())
            base.execute("UPDATE changes SET word_json = ? WHERE command = ?", (body, command))

    def settle(self, entry: Entry, state: State, outcome: Outcome, time_ms: int) -> Outcome:
        """The outcome, and with it the new state of the change; UNKNOWN freezes the target, REVERTED thaws it.

        Gives what is said: the first form of this outcome, if it is not new.
        """
        with self._transaction() as base:
            _move(base, entry.command.command, state)
            said = _note(base, outcome, outcome.command, time_ms)
            if state is State.UNKNOWN:
                why = f"{outcome.reason.value}: {outcome.detail}"
                frozen = (entry.target.id, entry.command.command, why, time_ms)
                base.execute("INSERT OR REPLACE INTO frozen VALUES (?, ?, ?, ?)", frozen)
            elif state is State.REVERTED:
                key = (entry.target.id, entry.command.command)
                base.execute("DELETE FROM frozen WHERE target = ? AND command = ?", key)
                base.execute("UPDATE lifted SET lifted_ms = ? WHERE command = ?", (time_ms, entry.command.command))
        return said

    def answer(self, outcome: Outcome, time_ms: int, *, known: bool = True) -> Outcome:
        """An outcome that moves no change. With `known` false its command id stays unknown: a forgery."""
        with self._transaction() as base:
            return _note(base, outcome, outcome.command if known else None, time_ms)

    def repeat(self, command: str) -> None:
        """Send the recorded outcome of this id once more."""
        with self._transaction() as base:
            base.execute(
                "UPDATE outcomes SET sent = 0 WHERE number = (SELECT max(number) FROM outcomes WHERE command = ?)",
                (command,),
            )

    def unsent(self) -> list[Unsent]:
        """What is still to be sent, in the order in which it became true; at most UNSENT_MAX."""
        query = "SELECT number, id, body, time_ms FROM outcomes WHERE sent = 0 ORDER BY number LIMIT ?"
        rows = self._all(query, UNSENT_MAX)
        return [
            Unsent(number, event, Outcome.read(canonical.loads(body)), time_ms) for number, event, body, time_ms in rows
        ]

    def acknowledged(self, number: int) -> None:
        """The broker has it."""
        with self._transaction() as base:
            base.execute("UPDATE outcomes SET sent = 1 WHERE number = ?", (number,))

    def unconfirmed(self, target: str) -> str | None:
        """The apply command whose change of this target is not settled."""
        marks = ",".join("?" * len(UNSETTLED))
        row = self._one(f"SELECT command FROM changes WHERE target = ? AND state IN ({marks})", target, *UNSETTLED)
        return None if row is None else str(row[0])

    def applies_last_hour(self, now_ms: int) -> int:
        """Changes accepted within the hour; one from the future counts too, for then the clock was set back."""
        row = self._one("SELECT count(*) FROM changes WHERE accepted_ms > ?", now_ms - HOUR_MS)
        assert row is not None
        return int(row[0])

    def applies_of(self, target: str, now_ms: int) -> tuple[int, int | None]:
        """Changes of one target accepted within the hour, without restored ones; and the time of the last of all."""
        row = self._one(
            f"SELECT count(*) FILTER (WHERE accepted_ms > ? AND NOT {_RESTORING}), max(accepted_ms) FROM changes "
            "WHERE target = ?",
            now_ms - HOUR_MS, target,
        )  # fmt: skip
        assert row is not None
        return int(row[0]), None if row[1] is None else int(row[1])

    def lifted(self, target: str, now_ms: int) -> Entry | None:
        """The target's last change, if it stood confirmed until a command took it back lately; until it is restored."""
        row = self._one(
            f"SELECT {_COLUMNS} FROM changes JOIN lifted USING (command) WHERE state = ? AND restored_by IS NULL "
            "AND lifted_ms BETWEEN ? AND ? AND changes.rowid = (SELECT max(rowid) FROM changes WHERE target = ?)",
            State.REVERTED, now_ms - RESTORE_MS_MAX, now_ms, target,
        )  # fmt: skip
        return None if row is None else _entry(row)

    def frozen(self, target: str) -> str | None:
        """Why this target is not touched."""
        row = self._one("SELECT why FROM frozen WHERE target = ?", target)
        return None if row is None else str(row[0])

    def thaw(self, target: str, time_ms: int) -> bool:
        """A person has looked at this time: the target may be changed again. False if it was not frozen before."""
        with self._transaction() as base:
            gone = base.execute("DELETE FROM frozen WHERE target = ? AND since_ms < ?", (target, time_ms))
            return gone.rowcount > 0

    def note_kill(self, scope: str, on: bool, time_ms: int, body: bytes) -> None:
        """Keep the newest word on a kill switch by the time that its operator gave it; at the same time, on wins."""
        with self._transaction() as base:
            base.execute(
                "INSERT INTO kills VALUES (?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE SET is_on = excluded.is_on, "
                "time_ms = excluded.time_ms, body = excluded.body WHERE excluded.time_ms > kills.time_ms "
                "OR (excluded.time_ms = kills.time_ms AND excluded.is_on > kills.is_on)",
                (scope, int(on), time_ms, body),
            )

    def kills(self) -> frozenset[str]:
        """Scopes whose kill switch is on."""
        return frozenset(str(row[0]) for row in self._all("SELECT scope FROM kills WHERE is_on = 1"))

    def prune(self, now_ms: int) -> None:
        """Forget what is settled, sent and older than a command can live on its topic; but never that an id was used.

        A command's age is that of its record: a copy that somebody kept and sends again is young.
        """
        before = now_ms - KEEP_MS
        with self._transaction() as base:
            base.execute(
                "INSERT OR IGNORE INTO spent SELECT command FROM outcomes "
                "WHERE command IS NOT NULL AND sent = 1 AND time_ms < ?",
                (before,),
            )
            base.execute("DELETE FROM outcomes WHERE sent = 1 AND time_ms < ?", (before,))
            settled = (before, State.REVERTED, State.FAILED)
            base.execute("DELETE FROM changes WHERE accepted_ms < ? AND state IN (?, ?)", settled)
            base.execute("DELETE FROM lifted WHERE command NOT IN (SELECT command FROM changes)")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._turn:
            return self._base.execute(query, values).fetchall()

    def _meta(self, name: str) -> bytes:
        row = self._one("SELECT value FROM meta WHERE name = ?", name)
        assert row is not None
        return bytes(row[0])


_COLUMNS = (
    "order_json, target_json, state, before_json, after_json, raw_before, pre_image, post_image, diff, accepted_ms, "
    "boot_id, deadline_boot_ms, deadline_wall_ms, wait_ms, word_json"
)
_RESTORING = "command IN (SELECT restored_by FROM lifted WHERE restored_by IS NOT NULL)"


def outcome_id(command: str, status: OutcomeStatus, reason: OutcomeReason) -> str:
    """The event id: a repeated outcome of one command has the id that it had."""
    return canonical.digest("outcome", command, status.value, reason.value)


def _entry(row: tuple[Any, ...]) -> Entry:
    order, target, state, before, after, raw, pre_image, post_image, diff, accepted_ms, *due, word = row
    change = Change(json.loads(before), json.loads(after), raw, pre_image, post_image, diff)
    return Entry(
        Command.read(canonical.loads(order)),
        FileTarget.read(canonical.loads(target)),
        State(state),
        change,
        accepted_ms,
        Deadline(*due),
        None if word is None else Command.read(canonical.loads(word)),
    )


def _move(base: sqlite3.Connection, command: str, state: State) -> None:
    row = base.execute("SELECT state FROM changes WHERE command = ?", (command,)).fetchone()
    assert row is not None, f"no change of command {command}"
    assert state in TRANSITIONS[State(row[0])], f"change {command}: {row[0]} -> {state.value} is not a way"
    base.execute("UPDATE changes SET state = ? WHERE command = ?", (state, command))


def _note(base: sqlite3.Connection, outcome: Outcome, command: str | None, time_ms: int) -> Outcome:
    """One row, and one content, for each event id. What is true once more is the newest again, and sent once more.

    A forgery may name the id of a true command: the row stays the true one's.
    """
    event = outcome_id(outcome.command, outcome.status, outcome.reason)
    row = base.execute("SELECT command, body, time_ms FROM outcomes WHERE id = ?", (event,)).fetchone()
    owner, body, said_ms = row or (None, canonical.dumps(outcome.fields()), time_ms)
    base.execute("DELETE FROM outcomes WHERE id = ?", (event,))
    base.execute(
        "INSERT INTO outcomes (id, command, body, time_ms) VALUES (?, ?, ?, ?)",
        (event, owner or command, body, said_ms),
    )
    return Outcome.read(canonical.loads(body))


def _taken(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unusable(f"ledger lock {path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InUse(f"another process acts with this ledger: {path} is locked; end that one first") from error
    return handle
