"""A bounded connection pool and the read replica behind it: the two things of the example that can run out."""

import asyncio
from collections import deque
from dataclasses import dataclass


class Pool:
    """At most `size` connections in use; who comes later waits in line, first come first served.

    A pool that shrinks takes no connection away: it gives none out until enough have come back.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self.timeouts = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def pending(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> int:
        return max(0, self.size - self.used)

    async def acquire(self, timeout_ms: int) -> None:
        """Take a connection, or raise TimeoutError after `timeout_ms` in the line. Each success needs a `release`."""
        if self.used < self.size and not self._waiting:
            self.used += 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(timeout_ms / 1000, self._expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:
                self.release()  # the connection was handed over in the same moment
            raise
        finally:
            timer.cancel()

    def release(self) -> None:
        assert self.used > 0, "released more often than acquired"
        self.used -= 1
        self._hand_out()

    def resize(self, size: int) -> None:
        self.size = size
        self._hand_out()

    def _hand_out(self) -> None:
        while self.used < self.size and self._waiting:
            turn = self._waiting.popleft()
            if turn.done():
                continue
            self.used += 1
            turn.set_result(None)

    def _expire(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            return
        self._waiting.remove(turn)
        self.timeouts += 1
        turn.set_exception(TimeoutError("no connection came free in time"))


@dataclass(slots=True)
class Replica:
    """A database that answers in `query_ms` up to `knee` queries at once; beyond, time grows with their number.

    So it finishes at most `knee / query_ms` queries a millisecond, however many are sent to it.
    """

    query_ms: float
    knee: int
    running: int = 0

    def time_ms(self, running: int) -> float:
        """How long a query takes that makes `running` queries at once, itself included."""
        return self.query_ms * max(1.0, running / self.knee)

    async def query(self) -> None:
        self.running += 1
        try:
            await asyncio.sleep(self.time_ms(self.running) / 1000)
        finally:
            self.running -= 1
