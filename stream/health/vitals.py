"""Is a worker alive, and is it ready? What its loop notes about itself, and the judgement of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LOOP_S_MAX = 10.0  # the loop notes itself once a second; a recovery of a large shard may hold it for a few
STANDS_S_MAX = 30.0  # half of what ends a worker that stands still: the endpoint tells of it before

NOT_BEGUN = -1.0


@dataclass(frozen=True, slots=True)
class Look:
    """A worker as it is now: by partition the last position read and the last there is; what it still waits for."""

    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    waits_for: str = ""


@dataclass(slots=True)
class Vitals:
    """Written by the worker's loop alone, read by the thread that answers probes; each field by itself is whole."""

    beat_s: float = NOT_BEGUN
    """When the loop last turned, on the clock that the reader brings too; before that only the process lives."""
    stalled: str = ""
    """The partition that stands still although there is more to read."""
    waits_for: str = "its start"
    """Why it is not ready; empty when it is."""


def sick(vitals: Vitals, now_s: float) -> str:
    """Why a worker is not alive; empty when it is."""
    if vitals.beat_s != NOT_BEGUN and now_s - vitals.beat_s > LOOP_S_MAX:
        return f"the loop has not turned for {now_s - vitals.beat_s:.0f} s"
    if vitals.stalled:
        return f"{vitals.stalled} stands still although there is more to read"
    return ""


def unready(vitals: Vitals, now_s: float) -> str:
    """Why a worker does not do its work now; empty when it does."""
    return sick(vitals, now_s) or (f"waits for {vitals.waits_for}" if vitals.waits_for else "")
