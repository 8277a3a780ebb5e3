"""A guard against standing still: a process that was paused for half its session may be a zombie, so it ends itself.

A zombie wakes with its old generation and sends what it holds before its next heartbeat tells it of its eviction.
The broker fences snapshots; this is the second line, for everything else.
"""

import asyncio
import time
from collections.abc import Callable

from stream.faustlib import exits

BEAT_S = 0.2


class Guard:
    """Leaves if the clock, noted every 0.2 s, stood still for half of `session_s`. Start it at the first assignment."""

    def __init__(
        self, session_s: float, leave: Callable[[str], object] = exits.again, clock_s: Callable[[], float] | None = None
    ) -> None:
        self._limit_s = session_s / 2
        self._leave = leave
        self._clock_s = clock_s or _boot_s
        self._noted_s = self._clock_s()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins with the clock as it is now; a guard that runs already only notes it."""
        self._noted_s = self._clock_s()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._beat(), name="standing-still guard")

    def check(self) -> None:
        """Leaves if the clock jumped since the last note; called also right before what a zombie must not do."""
        now_s = self._clock_s()
        stood_s = now_s - self._noted_s
        if stood_s > self._limit_s:
            self._leave(f"stood still for {stood_s:.1f} s, more than half of the session ({self._limit_s * 2:g} s)")
        self._noted_s = now_s

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _beat(self) -> None:
        while True:
            self.check()
            await asyncio.sleep(BEAT_S)


def _boot_s() -> float:
    """Seconds since boot, a suspended machine's sleep included where the system can tell (Linux)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
