"""How a worker ends on purpose: one line on stderr and an exit code that its supervisor understands.

No function runs clean-up code: what is pending must not be acknowledged, committed or sent any more.
"""

import os
from typing import NoReturn

from stream import kafka, logs

AGAIN = 70  # EX_SOFTWARE: the supervisor starts the worker again, with backoff; the committed offset is safe
OPERATOR = 78  # EX_CONFIG: only a person can go on; never restarted


def again(message: str) -> NoReturn:
    """Ends the process at once; a new one goes on from the committed offset."""
    _leave(AGAIN, message)


def operator(message: str) -> NoReturn:
    """Ends the process at once, for good; the message names what is wrong and the operator's command."""
    _leave(OPERATOR, message)


def send_failed(error: BaseException) -> NoReturn:
    """Ends the process: a later send must not overtake the one that failed. For good where an ACL is missing."""
    if isinstance(error, tuple(kafka.NO_LEAVE)):
        operator(f"a send was refused: {error}; {kafka.ACLS}")
    again(f"a send failed, and a later one must not overtake it: {error!r}")


def _leave(code: int, message: str) -> NoReturn:
    line = logs.line(f"douse: {' '.join(message.split())} (exit {code})", "critical") + "\n"
    try:
        os.write(2, line.encode(errors="replace"))
    finally:
        os._exit(code)
