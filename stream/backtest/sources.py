"""Telemetry out of an archive, through the very doors and the very engine, on the archive's own clock.

The clock is a grid of `tick_ms`: records with stamps up to a beat are journalled together and folded before the tick of
that beat; every full second each shard hears how far each source partition is, with nothing left behind, and every tick
brings the sum of the digests told so far. So the same archive, spec set, shards and interval give the same decisions,
however fast they are replayed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from detectors import observe, rows
from detectors.rows import Reduced
from schemas import canonical, journal
from schemas.commands import Command
from schemas.events import Status
from schemas.fleet import Fleet
from schemas.journal import NO_POSITION, Kind, Progress, Record, Signed, SourceProgress, Tick
from schemas.specs import SpecSet
from stream import engine, shard, stored
from stream.archive.record import Stored
from stream.backtest import budgets, shadow
from stream.backtest.answers import Answers
from stream.core import fleet
from stream.effects import Outlet, Publish
from stream.ingest import batch, doors
from stream.ingest.batch import Chain, Held, Partition, ToJournal
from stream.ingest.doors import Door, Incoming, Nothing, Otherwise, Refused
from stream.shard import ShardState

TICK_MS = 250
SILENCE_MS_MAX = 15 * 60_000  # whatever is open is settled by then; a clock that ticked on over days would cost hours
TAIL_MS = 10_000  # after the last record: its seconds become complete, and what they show is decided
HELD_BYTES_MAX = 16_000_000  # of source records between two ticks, as ingest holds at most
REASONS_MAX = 200  # of rejected records, each with its first place; a text may carry what only one record has
SPECS_TYPE, OUTCOME_TYPE = "dev.douse.control.specs", "dev.douse.outcome"
CONTROL, OUTCOMES = "replay.control", "replay.outcomes"
BOOT = "replay"


@dataclass(slots=True)
class Reached:
    """How far the replay is in one source partition."""

    position: int = NO_POSITION
    newest_ms: int = NO_POSITION
    lost_from: int = NO_POSITION
    lost_to: int = NO_POSITION


@dataclass(frozen=True, slots=True)
class Names:
    """The OTLP topics as the archive names them."""

    spans: str = "otlp_spans"
    metrics: str = "otlp_metrics"
    logs: str = "otlp_logs"


class Replay:
    """One spec set over one archive. Give it the records in the order of time, then `finish`."""

    def __init__(self, specs: SpecSet, names: Names, shards: int = 1, tick_ms: int = TICK_MS) -> None:
        plan = observe.plan(specs, shards)
        self._doors: Mapping[str, Door] = {
            names.spans: doors.spans(plan),
            names.metrics: doors.metrics(plan),
            names.logs: doors.logs(plan),
        }
        self._specs, self._tick_ms = specs, tick_ms
        self.answers = Answers()
        self._states = [shard.fresh(number, shards) for number in range(shards)]
        self._offsets, self._outcomes = Counter[int](), Counter[int]()
        self._chain = Chain()
        self._numbers: dict[Partition, int] = {}
        self._reached: dict[Partition, Reached] = {}
        self._held: list[Held] = []
        self._held_bytes = 0
        self._bounds: Counter[int] = Counter()
        self._digests: dict[int, Status] = {}
        self._now_ms = self._due_ms = NO_POSITION

    @property
    def states(self) -> tuple[ShardState, ...]:
        """The shards as they are now."""
        return tuple(self._states)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are read; records of others are not for this replay."""
        return tuple(self._doors)

    def take(self, record: Stored) -> None:
        """One record of an OTLP topic."""
        self._run_to(record.timestamp_ms)
        partition = (record.topic, record.partition)
        self._follow(partition, record.offset)
        headers = tuple(record.headers)
        of_source = stored.Stored(record.partition, record.offset, record.timestamp_ms, "", headers, record.value)
        number = self._numbers.setdefault(partition, len(self._numbers))
        found = self._doors[record.topic](Incoming(of_source, number))
        content = found.content if isinstance(found, Otherwise) else found
        newest_ms = batch.newest_ms(content, record.timestamp_ms)
        self._hold(Held(partition, record.offset, content, newest_ms, _nobody_waits), len(record.value or b""))
        self._count(record, content)

    def finish(self) -> Answers:
        """Lets the last seconds be judged, and sums up what they leave."""
        if self._due_ms != NO_POSITION:
            self._beats_until(self._now_ms + TAIL_MS)
        self.answers.budgets = budgets.spent(self._states, self._tick_ms)
        for state in self._states:
            self.answers.counters.update(state.counters)
        return self.answers

    def _run_to(self, timestamp_ms: int) -> None:
        """Moves the clock to a record's stamp; one that is stamped earlier than another before it does not move it."""
        if self._due_ms == NO_POSITION:
            self._now_ms = self.answers.first_ms = timestamp_ms // self._tick_ms * self._tick_ms
            self._due_ms = self._now_ms + self._tick_ms
            self._put_in_force()
        if timestamp_ms - self._due_ms > SILENCE_MS_MAX:
            self._beats_until(self._due_ms + SILENCE_MS_MAX)
            skipped_ms = timestamp_ms // self._tick_ms * self._tick_ms - self._due_ms
            self.answers.silence_ms += skipped_ms
            self._due_ms += skipped_ms
        self._beats_until(timestamp_ms)
        self._now_ms = max(self._now_ms, timestamp_ms)
        self.answers.last_ms = self._now_ms

    def _beats_until(self, end_ms: int) -> None:
        while self._due_ms <= end_ms:
            self._beat(self._due_ms)
            self._due_ms += self._tick_ms

    def _beat(self, at_ms: int) -> None:
        self._flush()
        self._now_ms = at_ms
        if at_ms % 1000 < self._tick_ms and self._reached:
            told = journal.encode_progress(Progress(BOOT, tuple(self._progress())))
            for state in self._states:
                self._fold(state, Kind.PROGRESS, told)
        newest_ms = max((digest.at_ms for digest in self._digests.values()), default=NO_POSITION)
        for state in self._states:
            tick = Tick(self._tick_ms, state.mark, self._fleet(newest_ms, state.number))
            self._heard(state, self._fold(state, Kind.TICK, journal.encode_tick(tick)))

    def _fleet(self, newest_ms: int, about: int) -> Fleet | None:
        if not self._digests:
            return None
        return fleet.summed(self._digests.values(), newest_ms, len(self._states), about)

    def _heard(self, state: ShardState, effects: Iterable[Publish]) -> None:
        """Keeps what the shard decided; each order is answered at once, so that no change is ever waited for."""
        for effect in effects:
            match effect.outlet:
                case Outlet.STATUS:
                    self._digests[state.number] = Status.read(effect.data)
                case Outlet.COMMANDS:
                    outcome = shadow.answer(Command.read(effect.data), self._now_ms)
                    number = self._outcomes[state.number]
                    self._outcomes[state.number] += 1
                    value = _signed(OUTCOMES, number, OUTCOME_TYPE, outcome.fields())
                    self._fold(state, Kind.OUTCOME, value)
                    self.answers.take(effect)
                case _:
                    self.answers.take(effect)

    def _fold(self, state: ShardState, kind: Kind, value: bytes) -> tuple[Publish, ...]:
        offset = self._offsets[state.number]
        self._offsets[state.number] += 1
        return engine.fold(state, Record(state.number, offset, self._now_ms, kind.value, journal.VERSION, value))

    def _put_in_force(self) -> None:
        data = {"revision": self._specs.revision, "specs": self._specs.fields()}
        for state in self._states:
            self._fold(state, Kind.CONTROL, _signed(CONTROL, 0, SPECS_TYPE, data))

    def _follow(self, partition: Partition, offset: int) -> None:
        """Offsets that the archive lacks are a loss, as they are where retention was faster than ingest."""
        reached = self._reached.setdefault(partition, Reached())
        if reached.position != NO_POSITION and offset > reached.position + 1:
            reached.lost_from, reached.lost_to = reached.position + 1, offset - 1
        reached.position = offset

    def _hold(self, held: Held, size: int) -> None:
        bounds = rows.bytes_max(held.content) if isinstance(held.content, Reduced) else {}
        full = any(self._bounds[number] + bound > journal.RECORD_BYTES_MAX for number, bound in bounds.items())
        if full or self._held_bytes + size > HELD_BYTES_MAX:
            self._flush()
        self._held.append(held)
        self._held_bytes += size
        self._bounds.update(bounds)
        reached = self._reached[held.partition]
        reached.newest_ms = max(reached.newest_ms, held.newest_ms)

    def _flush(self) -> None:
        held, self._held, self._held_bytes, self._bounds = self._held, [], 0, Counter()
        for outgoing in batch.compose(held, list(self._numbers), self._chain):
            if isinstance(outgoing, ToJournal):
                self._fold(self._states[outgoing.shard], outgoing.kind, outgoing.value)

    def _progress(self) -> Iterable[SourceProgress]:
        """Every partition up to the highest that was seen, since a shard waits for news of all of them."""
        topics = sorted({topic for topic, _ in self._reached})
        highest = {topic: max(number for one, number in self._reached if one == topic) for topic in topics}
        for topic in topics:
            for number in range(highest[topic] + 1):
                at = self._reached.get((topic, number), Reached())
                yield SourceProgress(
                    topic,
                    number,
                    highest[topic] + 1,
                    at.position,
                    at.position + 1,
                    at.newest_ms,
                    at.lost_from,
                    at.lost_to,
                )

    def _count(self, record: Stored, content: doors.Content) -> None:
        answers = self.answers
        answers.records[record.topic] += 1
        answers.bytes += len(record.value or b"")
        if isinstance(content, Refused):
            answers.rejected_total += 1
            reason = content.reason[: batch.REASON_CHARS_MAX]
            known = (record.topic, reason) in answers.rejected or len(answers.rejected) < REASONS_MAX
            key = (record.topic, reason if known else "other reasons")
            answers.rejected[key] += 1
            answers.rejected_first.setdefault(key, (record.partition, record.offset))
        assert not isinstance(content, Nothing), "an OTLP door makes something of every record"


def _signed(topic: str, number: int, ce_type: str, data: Mapping[str, object]) -> bytes:
    ce_id = canonical.digest(ce_type, str(number))
    return journal.encode_signed(
        Signed(topic, 0, number, number - 1, ce_type, ce_id, f"/douse/{BOOT}", BOOT, dict(data))
    )


def _nobody_waits() -> None:
    """An archive needs no acknowledgement."""
