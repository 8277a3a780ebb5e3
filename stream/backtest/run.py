"""One pass over an archive: each record once to every configuration, and never all of them in memory."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from schemas.specs import SpecSet
from stream.archive.record import Stored
from stream.backtest.answers import Answers
from stream.backtest.journals import Fold
from stream.backtest.sources import Names, Replay

Advance = Callable[[], None]
"""Called once a record."""


class Records(Protocol):
    """An archive, as far as a replay reads it."""

    @property
    def topics(self) -> Collection[str]: ...

    def records(
        self, topics: Collection[str] | None = None, from_ms: int | None = None, to_ms: int | None = None
    ) -> Iterator[Stored]: ...


def sources(
    archive: Records, spec_sets: Sequence[SpecSet], names: Names, shards: int, tick_ms: int, advance: Advance
) -> list[Answers]:
    """What each spec set makes of the archived OTLP topics."""
    replays = [Replay(specs, names, shards, tick_ms) for specs in spec_sets]
    for record in archive.records([topic for topic in replays[0].topics if topic in archive.topics]):
        for replay in replays:
            replay.take(record)
        advance()
    return [replay.finish() for replay in replays]


def journal(archive: Records, topic: str, shards: int, advance: Advance) -> Answers:
    """What the shards of an archived journal have decided."""
    fold = Fold(shards)
    for record in archive.records([topic]):
        fold.take(record)
        advance()
    return fold.finish()
