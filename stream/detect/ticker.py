"""The clock's beat: one tick an interval for each shard that this process has loaded, with traffic or without.

Every tick comes back as a record to fold, so the ticks also show when Faust has stopped delivering.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from schemas import journal
from schemas.fleet import Fleet
from stream.detect.publisher import Publisher
from stream.faustlib import exits, watchdog

IN_FLIGHT_MAX = 4  # a broker that stalls gets no pile of ticks with one timestamp; the fold would ignore them anyhow


class Ticking(Protocol):
    """A shard that wants ticks: its number and the offset up to which it has folded."""

    @property
    def number(self) -> int: ...
    @property
    def mark(self) -> int: ...


class Fleets(Protocol):
    """What the other shards say, for one shard's next tick; None where that is nothing new."""

    def news(self, shard: int, now_s: float) -> Fleet | None: ...
    def forget(self, shard: int) -> None: ...


class Ticker:
    """Sends ticks until it is cancelled. It keeps to its schedule: a late beat does not move the next one."""

    def __init__(
        self,
        publisher: Publisher,
        interval_ms: int,
        stuck_s: float,
        at_work: Callable[[], Iterable[Ticking]],
        fleets: Fleets,
    ) -> None:
        """A shard that folds nothing for `stuck_s` although its ticks are in the journal ends the process (70)."""
        self._publisher = publisher
        self._interval_ms = interval_ms
        self._at_work = at_work
        self._fleets = fleets
        self._watchdog = watchdog.Watchdog(stuck_s)
        self._sent: dict[int, set[asyncio.Future[Any]]] = {}
        self._ends: dict[int, int] = {}

    @property
    def ends(self) -> dict[int, int]:
        """By shard the offset of the last tick that the broker acknowledged."""
        return dict(self._ends)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            await self.beat(loop.time())
            due_s = max(due_s + self._interval_ms / 1000, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def beat(self, now_s: float) -> None:
        """One tick for each shard at work that has not too many on the way."""
        shards = list(self._at_work())
        self._forget(shards)
        for shard in shards:
            number = shard.number
            end = self._ends.get(number, journal.NO_POSITION)
            if self._watchdog.stuck(number, shard.mark, end, now_s):
                exits.again(f"shard {number} stands still at journal offset {shard.mark}, its ticks are at {end}")
            waiting = self._sent.setdefault(number, set())
            if len(waiting) < IN_FLIGHT_MAX:
                tick = journal.Tick(self._interval_ms, shard.mark, self._fleets.news(number, now_s))
                sent = await self._publisher.tick(number, tick)
                waiting.add(sent)
                sent.add_done_callback(functools.partial(self._arrived, number))

    def _arrived(self, number: int, done: asyncio.Future[Any]) -> None:
        self._sent.get(number, set()).discard(done)
        if not done.cancelled() and done.exception() is None:
            self._ends[number] = done.result().offset

    def _forget(self, shards: list[Ticking]) -> None:
        """A shard that went away and comes back begins anew."""
        for number in self._sent.keys() - {shard.number for shard in shards}:
            del self._sent[number]
            self._ends.pop(number, None)
            self._fleets.forget(number)
