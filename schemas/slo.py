"""What is promised to a tenant: objectives, the spans that they count, and the tiers that watch their budgets."""

from enum import StrEnum
from fractions import Fraction

from pydantic import Field

from schemas import canonical
from schemas.model import Model

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MILLION = 1_000_000


class Severity(StrEnum):
    """What follows when a tier fires: act may change production, page opens an incident, ticket only reports."""

    ACT = "act"
    PAGE = "page"
    TICKET = "ticket"


class Tier(Model):
    """A pair of windows that must both burn faster than `factor_milli` / 1000 times the budget (SRE workbook, chapter
    5)."""

    name: str
    severity: Severity
    long_s: int
    short_s: int
    factor_milli: int


class SpanSli(Model):
    """Which spans of a service count, and which of those are good.

    A span that answers nothing (HTTP request without status code and with unset status: its handler was dropped) is
    never good.
    """

    service: str
    kinds: tuple[str, ...] = ("server", "consumer")
    match: dict[str, str] = Field(default_factory=dict)
    """Attributes (or `name`) that must equal these values; integers are written in decimal."""
    error_free: bool = True
    """Good needs a status other than Error and no HTTP status code of 500 or above."""
    latency_ms_max: int | None = None
    """Good needs a duration of at most this many milliseconds."""

    @property
    def hash(self) -> int:
        """64 bits that name this very text: another text is another row with empty rings."""
        return canonical.hash64(canonical.dumps(self.fields()))


class Slo(Model):
    """One objective for one service; its tenants are a group-by."""

    name: str
    sli: SpanSli
    target_ppm: int
    """Good events per million that are promised: 999000 is 99.9 %."""
    period_s: int = 30 * DAY_S
    tiers: tuple[Tier, ...]
    acts: bool = False
    """True where an incident of this objective may lead to a change; others only report."""
    page_acts: bool = False
    """True where the page tiers may lead to a change as well as the act tier."""

    @property
    def budget(self) -> Fraction:
        """Bad events that are allowed per event: 1 - target."""
        return Fraction(MILLION - self.target_ppm, MILLION)
