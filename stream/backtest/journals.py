"""An archived journal, folded once more: the decisions of the live shards, byte for byte."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from schemas import journal
from schemas.journal import Malformed, Record
from stream import engine, shard
from stream.archive.record import Stored
from stream.backtest import budgets
from stream.backtest.answers import Answers
from stream.effects import Publish
from stream.engine import SourceGap
from stream.shard import ShardState
from stream.trouble import OperatorNeededError

TICK_MS = 250


class JournalUnusableError(OperatorNeededError):
    """The archive does not hold the journal from its beginning and without a hole; the message says where."""


@dataclass(slots=True)
class Fold:
    """The shards of one journal. `shards` is the number of its partitions, which is part of what they decide."""

    shards: int
    states: dict[int, ShardState] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)

    def take(self, stored: Stored) -> tuple[Publish, ...]:
        """Folds one record of the topic; what was decided at it. Raises JournalUnusableError."""
        record = _record(stored)
        where = f"{stored.topic}[{stored.partition}]"
        if stored.partition >= self.shards:
            raise JournalUnusableError(f"{where}: the journal has {self.shards} shards; say how many with --shards")
        if stored.partition not in self.states:
            self.states[stored.partition] = shard.fresh(stored.partition, self.shards)
        state = self.states[stored.partition]
        if stored.offset != state.mark + 1:
            raise JournalUnusableError(_hole(where, state.mark, stored.offset))
        try:
            effects = engine.fold(state, record)
        except (Malformed, SourceGap) as error:
            raise JournalUnusableError(f"{where}: {error}") from error
        self._count(stored, effects)
        return effects

    def finish(self) -> Answers:
        """Sums up what the shards hold at the end."""
        held = [self.states[number] for number in sorted(self.states)]
        self.answers.budgets = budgets.spent(held, TICK_MS)
        for state in held:
            self.answers.counters.update(state.counters)
        return self.answers

    def _count(self, stored: Stored, effects: Iterable[Publish]) -> None:
        answers = self.answers
        answers.records[stored.topic] += 1
        answers.bytes += len(stored.value or b"")
        answers.first_ms = answers.first_ms or stored.timestamp_ms
        answers.last_ms = max(answers.last_ms, stored.timestamp_ms)
        for effect in effects:
            answers.take(effect)


def effects(records: Iterable[Stored], shards: int) -> Iterator[Publish]:
    """Everything that the shards decide, partition by partition in the order of their offsets."""
    folded = Fold(shards)
    for stored in records:
        yield from folded.take(stored)


def _hole(where: str, mark: int, offset: int) -> str:
    if mark == journal.NO_POSITION:
        return (
            f"{where} begins at offset {offset} in this archive, and a shard is folded from 0; archive the whole "
            "journal, or replay the source topics with --specs"
        )
    return (
        f"{where}: offset {mark + 1} to {offset - 1} are missing in this archive, and what follows depends on them; "
        "archive the journal anew, or replay the source topics with --specs"
    )


def _record(stored: Stored) -> Record:
    headers = dict(stored.headers)
    try:
        kind, version = headers["kind"].decode(), int(headers["version"])
    except (KeyError, ValueError) as error:
        raise JournalUnusableError(
            f"{stored.topic}[{stored.partition}] offset {stored.offset} is no journal record: header kind or version: "
            f"{error!r}"
        ) from error
    return Record(stored.partition, stored.offset, stored.timestamp_ms, kind, version, stored.value or b"")
