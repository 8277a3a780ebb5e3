"""Is this a time in which nothing is changed automatically? Windows that come every week, and windows that come once.

Times are Unix ms, minutes are of the UTC day; the calendar is arithmetic, so the answer needs no clock.
"""

from collections.abc import Iterable

from schemas.runbook import FreezeWindow

MINUTE_MS = 60_000
DAY_MIN = 24 * 60
WEEK_DAYS = 7
EPOCH_DAY = 3  # 1970-01-01 was a Thursday, and Monday is 0


def ends_ms(windows: Iterable[FreezeWindow], now_ms: int) -> tuple[FreezeWindow, int] | None:
    """The window that holds `now_ms` and ends last, and its end; None outside of all."""
    holding = [(window, end) for window in windows if (end := _end_ms(window, now_ms)) is not None]
    return max(holding, key=lambda one: one[1], default=None)


def _end_ms(window: FreezeWindow, now_ms: int) -> int | None:
    if window.until_ms:
        return window.until_ms if window.from_ms <= now_ms < window.until_ms else None
    day, minute = divmod(now_ms // MINUTE_MS, DAY_MIN)
    if window.from_min < window.until_min:
        holds, end_day = _named(window, day) and window.from_min <= minute < window.until_min, day
    elif minute >= window.from_min:
        holds, end_day = _named(window, day), day + 1
    else:  # the night that began the day before
        holds, end_day = _named(window, day - 1) and minute < window.until_min, day
    return (end_day * DAY_MIN + window.until_min) * MINUTE_MS if holds else None


def _named(window: FreezeWindow, day: int) -> bool:
    return not window.days or (day + EPOCH_DAY) % WEEK_DAYS in window.days
