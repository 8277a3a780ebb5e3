"""A memory leak that is one: it takes memory and keeps it, until the limit is reached or the workers are recycled."""

import asyncio

from examples.acme import telemetry

TURN_S = 0.25
FULL = 0.95  # of the limit: from there on allocations fail
FAILS_EACH = 3  # of the requests that come while memory is full, one fails: which, is chance in real life
KB_PER_S_MAX = 50_000  # a slip of the finger would take the machine's memory within seconds


class Leak:
    """Holds what was never given back. `limit_bytes` 0: nothing limits it, and nothing may leak."""

    def __init__(self, limit_bytes: int, kb_per_s: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self.kb_per_s = kb_per_s
        self.full = False
        self.held: list[bytes] = []
        self._asked = 0

    async def run(self) -> None:
        """Leak until cancelled; what is full stays so until recycled, as a container stays at its limit."""
        while True:
            await asyncio.sleep(TURN_S)
            if not self.limit_bytes:
                continue
            self.full = telemetry.memory_bytes() >= FULL * self.limit_bytes
            if self.kb_per_s and not self.full:
                self.held.append(b"x" * int(self.kb_per_s * 1024 * TURN_S))

    def fails(self) -> bool:
        """True for the request that finds no memory."""
        self._asked += self.full
        return self.full and self._asked % FAILS_EACH == 0

    def recycle(self) -> None:
        self.held.clear()
        self.full = False
