"""What operators say on the control topic, as far as act heeds it: kill switches, and targets that were looked at."""

import logging

from actuators.ledger import Ledger
from schemas import canonical
from schemas.control import TargetThawed
from stream import control
from stream.act.inbox import Keys
from stream.reach import Stored

KEYS = ("kill/", "thaw/")
FUTURE_MS_MAX = 300_000  # as detect has it: leave from a clock further ahead would outrank every word to come

log = logging.getLogger("douse.act")


def heed(ledger: Ledger, stored: Stored, trusted: Keys, now_ms: int) -> None:
    """Takes one record of the topic up in the ledger, or says in the log why it does not count."""
    try:
        said = control.accept(stored, trusted)
    except control.NotControlError as error:
        log.warning("control record at offset %d does not count: %s", stored.offset, error)
        return
    match said:
        case control.Kill(on=False) if _is_ahead(said.time_ms, stored, now_ms, f"the end of kill switch {said.scope}"):
            pass
        case control.Kill():
            body = canonical.dumps({"by": str(said.by), "reason": str(said.reason)})
            ledger.note_kill(said.scope, said.on, said.time_ms, body)
            log.info("kill switch %s is %s", said.scope, "on" if said.on else "off")
        case TargetThawed() if _is_ahead(said.time_ms, stored, now_ms, f"thaw of target {said.target}"):
            pass
        case TargetThawed():
            if ledger.thaw(said.target, said.time_ms):
                log.info("%s has looked at target %s: it may be changed again", said.by, said.target)
        case _:
            log.warning("control record at offset %d says something else than its key", stored.offset)


def _is_ahead(time_ms: int, stored: Stored, now_ms: int, what: str) -> bool:
    """Judged by when it was written: the topic is read anew at each start, and by then its day may have come."""
    ahead_ms = time_ms - min(stored.timestamp_ms, now_ms)
    if ahead_ms > FUTURE_MS_MAX:
        log.warning(
            "%s does not count: its time is %d ms ahead of its record, at most %d are taken; set the clock of the "
            "operator's host and say it again", what, ahead_ms, FUTURE_MS_MAX,
        )  # fmt: skip
    return ahead_ms > FUTURE_MS_MAX
