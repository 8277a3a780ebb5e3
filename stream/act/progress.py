"""How far act has come in the commands topic, and how old a command is, whatever the clocks say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def age_ms_at_fetch(record_ms: int, fetched_ms: int, caught_up_ms: int | None) -> int:
    """Age of a record when it was fetched: `record_ms` by the broker's clock, the others by the host's.

    `caught_up_ms` is when the partition was last seen read to its end, before this record was there: it cannot be
    older than that. So while act is reading, a clock that differs from the broker's does not matter; for what waited
    while act was away it matters by as much as it differs.
    """
    by_clocks_ms = max(0, fetched_ms - record_ms)
    return by_clocks_ms if caught_up_ms is None else min(by_clocks_ms, max(0, fetched_ms - caught_up_ms))


def order_age_ms(waited_ms: int, record_ms: int, decided_ms: int) -> int:
    """Age of an order whose record was `waited_ms` old when it was fetched; both times are by the broker's clock.

    Counted from the decision that was signed: the copy of an old order that somebody writes again stays old.
    """
    return waited_ms + max(0, record_ms - decided_ms)


@dataclass(slots=True)
class Progress:
    """Which offsets are in work; a partition is done up to the first of them."""

    next_offset: dict[Any, int] = field(default_factory=dict)
    in_work: dict[Any, set[int]] = field(default_factory=dict)

    def begin(self, part: Any, offset: int) -> None:
        self.next_offset[part] = offset + 1
        self.in_work.setdefault(part, set()).add(offset)

    def end(self, part: Any, offset: int) -> None:
        self.in_work[part].discard(offset)

    def positions(self) -> Mapping[Any, int]:
        """For each partition the offset to go on from after a restart."""
        return {part: min(self.in_work[part], default=after) for part, after in self.next_offset.items()}
