"""Finds a partition that stands still although there is more to read: Faust's consumer may stop delivering for good.

Pure: the caller brings positions and the time (faust-streaming/faust issue 629).
"""

from collections.abc import Collection, Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """A position, and since when it has been the same with more behind it."""

    position: int
    since_s: float


class Watchdog:
    """Judges each partition by itself. A partition with nothing left to read never stands still."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._seen: dict[Hashable, Seen] = {}

    def keep(self, partitions: Collection[Hashable]) -> None:
        """Forgets all others: one that comes back later did not stand still meanwhile."""
        self._seen = {part: seen for part, seen in self._seen.items() if part in partitions}

    def stuck(self, partition: Hashable, position: int, end: int, now_s: float) -> bool:
        """True when the last record read is `position`, the last there is `end`, and that for the limit or longer."""
        seen = self._seen.get(partition)
        if position >= end or seen is None or seen.position != position:
            self._seen[partition] = Seen(position, now_s)
            return False
        return now_s - seen.since_s >= self._limit_s
