"""The supervisor sees beside a running act how many changes nobody has confirmed or taken back."""

import sqlite3
from contextlib import closing
from pathlib import Path

from actuators.ledger import Ledger, State
from stream import pending


def test_only_changes_that_wait_for_their_word_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "act.ledger"
    assert pending.count(path) == 0
    ledger = Ledger(path)  # act has it open, and goes on having it
    assert pending.count(path) == 0
    with closing(sqlite3.connect(path)) as base, base:
        columns = [row[1] for row in base.execute("PRAGMA table_info(changes)") if row[1] != "word_json"]
        for state in State:
            values = [state.value if column in ("state", "command") else 0 for column in columns]
            base.execute(f"INSERT INTO changes ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", values)
    assert pending.count(path) == len([State.OPEN, State.STANDING, State.TAKING_BACK])
    ledger.close()


def test_a_file_that_is_no_ledger_yet_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "act.ledger"
    path.touch()
    assert pending.count(path) == 0
