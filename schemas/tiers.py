"""The pairs of windows that watch a budget, derived from the objective's period.

Source: SRE workbook, chapter 5, table 5-8 and its PromQL: a tier fires when both windows burn faster than
share of the budget x period / long window. The act tier is ours: 0.1 % of the budget within one minute.
"""

import re
from dataclasses import dataclass

from schemas.slo import DAY_S, HOUR_S, MILLION, Severity, Tier

MINUTE_S = 60
WINDOW_S_MIN = 5
WINDOW_S_MAX = 72 * HOUR_S  # the five-minute rings reach back 73 h
UNITS_S = {"s": 1, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}
DURATION = re.compile(r"([1-9][0-9]{0,6})([smhdw])")
WRITTEN = re.compile(r"(\S+)\s+(\S+?)/(\S+)\s+([0-9]{1,6}(?:\.[0-9]{1,3})?)")
EXAMPLE = "'act 60s/5s 43.2, page 1h/5m 14.4'"


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the budget may go within the long window before somebody is told."""

    severity: Severity
    long_s: int
    short_s: int
    budget_ppm: int


DEFAULTS = (
    Share(Severity.ACT, MINUTE_S, 5, 1_000),
    Share(Severity.PAGE, HOUR_S, 5 * MINUTE_S, 20_000),
    Share(Severity.PAGE, 6 * HOUR_S, 30 * MINUTE_S, 50_000),
    Share(Severity.TICKET, DAY_S, 2 * HOUR_S, 100_000),
    Share(Severity.TICKET, 3 * DAY_S, 6 * HOUR_S, 100_000),
)


def defaults(target_ppm: int, period_s: int) -> tuple[tuple[Tier, ...], tuple[str, ...]]:
    """The tiers for an objective, and a note for each that is left out because it could never fire."""
    kept: list[Tier] = []
    notes: list[str] = []
    for share in DEFAULTS:
        factor_milli = share.budget_ppm * period_s // (share.long_s * 1000)
        tier = Tier(
            name=name(share.severity, share.long_s),
            severity=share.severity,
            long_s=share.long_s,
            short_s=share.short_s,
            factor_milli=factor_milli,
        )
        if can_fire(tier, target_ppm):
            kept.append(tier)
        else:
            notes.append(f"tier {tier.name} is left out: {beyond(tier, target_ppm)}")
    return tuple(kept), tuple(notes)


def can_fire(tier: Tier, target_ppm: int) -> bool:
    """False where even a total outage, which burns 1/(1 - target), does not exceed the factor."""
    return tier.factor_milli * (MILLION - target_ppm) < 1000 * MILLION


def beyond(tier: Tier, target_ppm: int) -> str:
    """Why a tier can never fire, in numbers."""
    most_milli = 1000 * MILLION // (MILLION - target_ppm)
    return f"its factor {_milli(tier.factor_milli)} is not below {_milli(most_milli)}, the burn of a total outage"


def parse(text: str) -> tuple[tuple[Tier, ...], str]:
    """Reads tiers as people write them, `act 60s/5s 43.2, page 1h/5m 14.4`; the second value says what is wrong."""
    tiers: list[Tier] = []
    for part in text.split(","):
        found = WRITTEN.fullmatch(part.strip())
        if found is None:
            return (), f"{part.strip()!r} is not a tier; write {EXAMPLE}"
        word, long_text, short_text, factor = found.groups()
        if word not in [severity.value for severity in Severity]:
            return (), f"{word!r} is not one of {', '.join(Severity)}; write {EXAMPLE}"
        long_s, short_s = seconds(long_text), seconds(short_text)
        wrong = _wrong_windows(long_s, short_s, part.strip())
        if wrong:
            return (), wrong
        assert long_s is not None
        assert short_s is not None
        whole, _, decimals = factor.partition(".")
        factor_milli = int(whole) * 1000 + int(decimals.ljust(3, "0"))
        if factor_milli == 0:
            return (), f"{part.strip()!r}: a factor of 0 fires always; write {EXAMPLE}"
        severity = Severity(word)
        tier = Tier(
            name=name(severity, long_s), severity=severity, long_s=long_s, short_s=short_s, factor_milli=factor_milli
        )
        if tier.name in [other.name for other in tiers]:
            return (), f"{tier.name} is there twice; keep one"
        tiers.append(tier)
    return tuple(tiers), ""


def seconds(text: str) -> int | None:
    """`5m` is 300; None for anything else than a whole number with one of s, m, h, d, w."""
    found = DURATION.fullmatch(text)
    return int(found[1]) * UNITS_S[found[2]] if found else None


def name(severity: Severity, long_s: int) -> str:
    """`page-1h`: the severity and the long window."""
    unit = next(letter for letter in ("d", "h", "m", "s") if long_s % UNITS_S[letter] == 0)
    return f"{severity.value}-{long_s // UNITS_S[unit]}{unit}"


def step_s(window_s: int) -> int:
    """The finest step in which a window of this length is kept: 1 s to 2 min, 10 s to 65 min, 5 min beyond."""
    if window_s <= 118:  # a ring of 120 holds a window, one slot more for its start, and one for the lag
        return 1
    return 10 if window_s <= HOUR_S else 5 * MINUTE_S


def _wrong_windows(long_s: int | None, short_s: int | None, part: str) -> str:
    if long_s is None or short_s is None:
        return f"{part!r}: a window is a whole number with s, m, h or d; write {EXAMPLE}"
    if not WINDOW_S_MIN <= short_s < long_s <= WINDOW_S_MAX:
        return (
            f"{part!r}: windows go from {WINDOW_S_MIN}s to {WINDOW_S_MAX // HOUR_S}h, long one first; write {EXAMPLE}"
        )
    for window_s in (long_s, short_s):
        if window_s % step_s(window_s):
            return f"{part!r}: {window_s}s is kept in steps of {step_s(window_s)}s; write a multiple of that"
    return ""


def _milli(value: int) -> str:
    return f"{value // 1000}.{value % 1000:03d}".rstrip("0").rstrip(".")
