"""The words for a moment: `earliest`, `latest`, an ISO time, or so long ago, as `-90s`, `-30m`, `-1h`, `-7d`."""

import re
from datetime import UTC, datetime
from typing import Literal

from stream.trouble import OperatorNeededError

Moment = int | Literal["earliest", "latest"]
AGO = re.compile(r"-(\d{1,9})(ms|s|m|h|d)")
UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class BadTimeError(OperatorNeededError):
    """The text names no moment."""


def parse(text: str, now_ms: int) -> Moment:
    """Unix milliseconds, `earliest` or `latest`. A time without a zone is UTC. Raises BadTimeError."""
    match text:
        case "earliest":
            return "earliest"
        case "latest":
            return "latest"
    ago = AGO.fullmatch(text)
    if ago:
        return now_ms - int(ago[1]) * UNIT_MS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTimeError(
            f"{text!r} is no moment; write earliest, latest, a time as 2026-11-24T08:00:00Z, or so long ago as -1h"
        ) from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
