"""One actuator on a real file, real processes and a real ledger, with a clock that only the test moves; no Kafka."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actuators.deadline import Instant
from actuators.ledger import Ledger, State
from schemas.commands import Command, Outcome
from stream.act import execute
from stream.act.execute import Hands
from stream.act.inbox import Order
from tests.actuators import commands
from tests.actuators.drivers import world
from tests.actuators.drivers.world import World

START = Instant(1_800_000_000_000, 1_000_000, "boot")


@dataclass(slots=True)
class Bench:
    """A world, an actuator for it, and a clock that only the test moves."""

    world: World
    hands: Hands
    now: Instant = START

    def wait(self, ms: int) -> None:
        self.now = Instant(self.now.wall_ms + ms, self.now.boot_ms + ms, self.now.boot_id)

    def do(self, command: Command, signer: str | None = "key", age_ms: int = 0) -> Outcome:
        outcome = execute.execute(self.hands, Order(command, signer), lambda: age_ms)
        assert self.hands.ledger.unsent()[-1].outcome == outcome, "what is answered is in the ledger"
        return outcome

    def due(self) -> list[Outcome]:
        taken = [execute.take_back(self.hands, entry) for entry in execute.due(self.hands, retry=True)]
        return [outcome for outcome in taken if outcome is not None]

    def state(self) -> State | None:
        entry = self.hands.ledger.entry("c1")
        return None if entry is None else entry.state

    def restart(self) -> list[Outcome]:
        """A new process with what the old one left behind."""
        path = self.hands.folder / "ledger"
        self.hands.ledger.close()
        book = Ledger(path)
        self.hands = Hands.of(self.hands.actuator, self.hands.folder, book, self.hands.kill_file, lambda: self.now)
        return execute.reconcile(self.hands)


@contextmanager
def bedded(folder: Path) -> Iterator["Bed"]:
    """A maker of benches, all gone at the end of the block."""
    bed = Bed(folder)
    try:
        yield bed
    finally:
        for context, bench in bed.made:
            bench.hands.ledger.close()
            context.__exit__(None, None, None)


class Bed:
    """Makes benches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[tuple[Any, Bench]] = []

    def bench(self, manner: str = "obeys", live_ms_max: int = 3_000, file: str = "shop.toml", **more: Any) -> Bench:
        (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
        context = world.world(self.folder, {"service": manner, "worker": "obeys"}, live_ms_max, file)
        here = context.__enter__()
        actuator = commands.rules(here.target, **more)
        bench = Bench(
            here,
            Hands.of(actuator, self.folder, Ledger(self.folder / "ledger"), self.folder / "kill", lambda: bench.now),
        )
        self.made.append((context, bench))
        return bench
