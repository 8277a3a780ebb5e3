"""Numbers of a report in the units that people read."""

from schemas import envelope
from schemas.runbook import Action, Scale

MINUTES_FROM_MS, HOURS_FROM_MS, DAYS_FROM_MS = 600_000, 7_200_000, 259_200_000  # 10 min, 2 h, 3 d


def percent(ppm: int) -> str:
    return f"{_plain(ppm / 10_000)} %"


def times(milli: int) -> str:
    return f"{_plain(milli / 1000)}x"


def number(milli: int) -> str:
    return _plain(milli / 1000)


def size(count: int) -> str:
    """Bytes in the largest unit that leaves a whole part: `512 MB`, a MB of 10^6."""
    for name, unit in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if abs(count) >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} B"


def latency(us: int) -> str:
    return f"{us / 1000:,.0f} ms" if us < 1_000_000 else f"{us / 1_000_000:,.2f} s"


def duration(ms: int) -> str:
    if abs(ms) < MINUTES_FROM_MS:
        return f"{ms / 1000:.3g} s"
    if abs(ms) < HOURS_FROM_MS:
        return f"{ms / 60_000:.3g} min"
    return f"{ms / 3_600_000:.3g} h" if abs(ms) < DAYS_FROM_MS else f"{ms / 86_400_000:,.0f} d"


def period(seconds: int) -> str:
    for name, unit_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.4g} {name}"
    return f"{seconds} s"


def since(ms: int) -> str:
    return f"{'-' if ms < 0 else '+'}{duration(abs(ms))}"


def utc(ms: int) -> str:
    return envelope.rfc3339(ms)


def clock(ms: int) -> str:
    """Time of day in UTC, where the date stands beside it."""
    return utc(ms)[11:-1]


def action(parameter: str, chosen: Action) -> str:
    """`pool_size x 2`, `level = high`."""
    if isinstance(chosen, Scale):
        ratio = str(chosen.numerator) + (f"/{chosen.denominator}" if chosen.denominator != 1 else "")
        return f"{parameter} x {ratio}"
    value = str(chosen.value).lower() if isinstance(chosen.value, bool) else chosen.value
    return f"{parameter} = {value}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
