"""A written timeline as a value: what a service says second by second, and what douse is to make of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.specs import SpecSet


@dataclass(frozen=True, slots=True)
class Requests:
    """What the service serves in each second of a stretch."""

    per_s: int
    failed_per_s: int = 0
    ms: int = 50
    attributes: Mapping[str, str | int | bool] | None = None
    """Of each of its spans beside the HTTP status, for objectives that count some of them only."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The one call to a database that every request that was served has made."""

    name: str
    ms: int


@dataclass(frozen=True, slots=True)
class Retries:
    """`failed_share_ppm` of the requests are of operations that are sent `attempts` times."""

    attempts: int
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Pool:
    """What the connection pool says at the end of each second; waits and uses are those of the second's requests."""

    used: int
    maximum: int
    pending: int = 0
    wait_ms: int = 0
    use_ms: int = 50
    timeouts_per_s: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What the process holds, from the begin of the stretch to its end, in megabytes."""

    begin_mb: int
    end_mb: int
    limit_mb: int = 0
    """0: none is told."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that is logged so many times a second."""

    severity: str
    text: str
    per_s: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds that are all alike."""

    for_s: int
    requests: Requests
    calls: Calls | None = None
    retries: Retries | None = None
    pool: Pool | None = None
    memory: Memory | None = None
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """One incident that has to be. What is None is not looked at; an empty tuple is a promise."""

    slo: str
    line: int
    onset_s: int | None = None
    """Seconds since the begin of the timeline."""
    cause: str | None = None
    amplifiers: tuple[str, ...] | None = None
    plan: tuple[str, ...] | None = None
    """Mitigations of the first plan that would have been carried out, in their order."""
    suggested: tuple[str, ...] | None = None
    refused: tuple[str, ...] | None = None
    ending: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """One test."""

    file: str
    line: int
    name: str
    specs: SpecSet
    environment: str
    tenant: str
    service: str
    start_ms: int
    stretches: tuple[Stretch, ...]
    expected: tuple[Expected, ...]
