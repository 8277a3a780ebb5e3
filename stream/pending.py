"""How many changes of this machine still wait for their word: read beside act, from its ledger, without touching it."""

import sqlite3
from pathlib import Path

from actuators.ledger import State

WAITING = (State.OPEN, State.STANDING, State.TAKING_BACK)
BUSY_S = 5.0  # act writes for milliseconds


def count(ledger: Path) -> int:
    """Changes that are neither confirmed nor taken back; 0 where there is no ledger yet."""
    if not ledger.exists():
        return 0
    base = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        marks = ", ".join("?" * len(WAITING))
        ((number,),) = base.execute(f"SELECT count(*) FROM changes WHERE state IN ({marks})", WAITING)
        return int(number)
    except sqlite3.OperationalError:
        return 0  # a ledger that act has not finished making holds nothing
    finally:
        base.close()
