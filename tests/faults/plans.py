"""A plan of several steps on a real broker: telemetry of every second as ingest would write it, and who answers.

The actuator is played: it answers each command once, whatever comes again, as the ledger of a real one does.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import envelope, journal, signing
from schemas.journal import Kind
from stream import engine, shard
from stream.effects import Outlet
from tests.beginnings import BURN
from tests.faults import harness
from tests.faults.harness import World
from tests.timeline import Timeline

CALM: dict[str, Any] = {"rate": 270}
BEFORE_S = 60  # of calm: what the burn is compared with
ARRIVES_MS = 400  # telemetry of a second, after its end


@dataclass
class Fed(Timeline):
    """A timeline of real seconds, whose records go to a broker instead of an engine."""

    waiting: list[tuple[Kind, bytes]] = field(default_factory=list)

    def second(self, second: int, *, rate: int, bad: float = 0.0, latency_ms: int = 180, pool: Any = None) -> None:
        self.requests(second, rate, round(rate * bad), latency_ms, pool)
        self.progress(second)

    def _append(self, kind: Kind, value: bytes) -> None:
        self.waiting.append((kind, value))


@dataclass
class Played:
    """One tenant's service and its actuator; `mood` is what a second of it is like."""

    world: World
    fed: Fed
    calm: dict[str, Any]
    status: Callable[[dict[str, Any]], str]
    """What the actuator answers to a command."""
    mood: dict[str, Any] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    answering: bool = True
    next_s: int = 0

    def begin(self) -> None:
        """The seconds before, all at once."""
        self.mood = self.calm
        self.next_s = time.time_ns() // 10**9 - BEFORE_S
        while self.next_s < time.time_ns() // 10**9:
            self._second()
        self._send()

    def burn(self) -> None:
        self.mood = BURN

    def until(self, holds: Callable[[], bool], what: str, within_s: float = 60) -> None:
        """Second after second, until something is seen."""
        deadline_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline_s, (
                f"not within {within_s:g} s: {what}\n{harness.log(self.world)[-4000:]}"
            )
            time.sleep(0.2)
            while time.time_ns() // 10**6 >= (self.next_s + 1) * 1000 + ARRIVES_MS:
                self._second()
            if self.answering:
                self._answer()
            self._send()

    def commands(self) -> list[dict[str, Any]]:
        """Each command of the topic once, in the order of its decision. Asserts that copies do not differ."""
        found: dict[str, Any] = {}
        for stored in self._stored():
            event = envelope.decode(stored.headers, stored.value)
            text = signing.signed_bytes(event.type, event.id, event.source, event.data)
            known = found.setdefault(event.id, (text, dict(event.data)))
            assert known[0] == text, f"two copies of {event.id} differ"
        return sorted((data for _, data in found.values()), key=lambda one: (one["journal_offset"], one["index"]))

    def copies(self) -> int:
        """How many records of the topic repeat another."""
        return len(self._stored()) - len(self.commands())

    def told(self, name: str) -> list[dict[str, Any]]:
        """Data of the incident events of that name about the objective that acts, each once."""
        found: dict[str, dict[str, Any]] = {}
        for stored in harness.read(self.world, self.world.topics.incidents, 4):
            event = envelope.decode(stored.headers, stored.value)
            if event.type == f"dev.douse.incident.{name}" and event.data["slo"] == "availability":
                found[event.id] = dict(event.data)
        return list(found.values())

    def folded(self) -> list[dict[str, Any]]:
        """What the same journal orders when it is folded in one loop, without faults."""
        state = shard.fresh(0, 1)
        effects = [each for one in harness.journal_records(self.world)[0] for each in engine.fold(state, one)]
        return [dict(each.data) for each in effects if each.outlet is Outlet.COMMANDS]

    def _stored(self) -> list[Any]:
        return harness.read(self.world, self.world.topics.commands, 4)

    def _second(self) -> None:
        self.fed.second(self.next_s, **self.mood)
        self.next_s += 1

    def _answer(self) -> None:
        self.fed.now_ms = time.time_ns() // 10**6
        for command in self.commands():
            if command["command"] not in self.answered:
                self.answered.add(command["command"])
                status = self.status(command)
                more = {"live_ms": self.fed.now_ms} if status == "live" else {}
                self.fed.outcome(command, status, **more)

    def _send(self) -> None:
        waiting, self.fed.waiting = self.fed.waiting, []
        if waiting:
            asyncio.run(_append(self.world, waiting))


async def _append(world: World, records: list[tuple[Kind, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=world.bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        for kind, value in records:
            headers = [("kind", kind.encode()), ("version", str(journal.VERSION).encode())]
            await producer.send(world.topics.journal, value, partition=0, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()
