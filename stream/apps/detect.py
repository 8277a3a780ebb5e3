"""detect folds the journal into shards, sends what they decide at once, and snapshots them: Faust and the keepers."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import faust
from faust.types import TP

from schemas import journal
from stream import engine as real_engine
from stream import kafka, keys, logs, topics
from stream import shard as real_shard
from stream.detect import keeper, watch
from stream.detect.checkpoint import LOADS_AT_ONCE, Checkpoint
from stream.detect.publisher import Publisher
from stream.detect.ticker import Ticker
from stream.faustlib import app as faust_app
from stream.faustlib import exits, guard, run
from stream.health.detect import DetectFamilies
from stream.health.pulse import Pulse
from stream.health.vitals import Look
from stream.settings import Settings

log = logging.getLogger(__name__)

KIND = "detect"
STOP_SNAPSHOT_S_MAX = 20.0  # what a supervisor grants a worker that it asked to stop, less its own start and end
REVOKE_SNAPSHOT_S_MAX = 5.0  # the whole group waits meanwhile
STUCK_SESSIONS = 2  # one for a member of the group that died, one for the rebalance after it


def main(settings: Settings, engine: keeper.Engine = real_engine, form: keeper.Shards = real_shard) -> int:
    """Runs until SIGTERM. 0 after a clean stop; 70 start me again, 78 an operator is needed."""
    logs.begin(settings.log_format, KIND)
    try:
        detect = Detect(settings, engine, form)
    except keys.KeyFileError as error:
        exits.operator(str(error))
    detect.pulse.serve(settings.detect_metrics_address)
    return run.run(detect.app, settings.log_level)


class JournalSource:
    """Faust's consumer, as far as a shard may steer it."""

    def __init__(self, app: faust.App, topic: str) -> None:
        self._app = app
        self._topic = topic

    def pause(self, shard: int) -> None:
        """Fetch no more. Faust's `pause_partitions` would also drop what is fetched already: a gap in the journal."""
        self._app.consumer.on_buffer_full(TP(self._topic, shard))

    def resume(self, shard: int) -> None:
        self._app.consumer.on_buffer_drop(TP(self._topic, shard))

    def generation(self) -> int:
        return int(self._app.consumer_generation_id)


class Detect:
    """The Faust app and the keepers of the partitions that this worker owns in the group's present generation."""

    def __init__(self, settings: Settings, engine: keeper.Engine, form: keeper.Shards) -> None:
        self._settings = settings
        self._topics = topics.names(settings.topic_prefix)
        self._keepers: dict[int, keeper.Keeper] = {}
        self._gate = asyncio.Semaphore(LOADS_AT_ONCE)
        self._sending: asyncio.Task[None] | None = None
        self.app = faust_app.make(settings, KIND)
        source = JournalSource(self.app, self._topics.journal)
        assert settings.command_key_file is not None, "settings.load fills it in"
        keyid, key = keys.load_private(settings.command_key_file)
        self._publisher = Publisher(kafka.cluster(settings), self._topics, keyid, key)
        self._watch = watch.Watch(settings.shards, keyid, key.public_key())
        self._watching: asyncio.Task[None] | None = None
        self._families = DetectFamilies(time.time)
        self.pulse = Pulse(settings, self._families, signer=(keyid, key))
        self._pulsing: asyncio.Task[None] | None = None
        self._ticker: Ticker | None = None
        self._parts = keeper.Parts(
            engine,
            form,
            settings.shards,
            self._publisher,
            source,
            guard.Guard(settings.session_s),
            settings.snapshot_s,
            settings.snapshot_bytes,
            facts=self._families,
        )
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.on_before_shutdown.connect(self._stopping)
        self.app.agent(self.app.topic(self._topics.journal, value_type=bytes, value_serializer="raw"))(self._fold)

    async def _fold(self, stream: Any) -> None:
        """The agent only hands each record to its shard. Faust would acknowledge what raises here, so that ends all."""
        try:
            async for event in stream.noack().events():
                if event.message.generation_id == self.app.consumer_generation_id:
                    self._hand_over(event)
        except Exception as error:  # the outermost frame of the agent
            log.exception("agent")
            exits.again(f"the agent failed: {error!r}")

    def _hand_over(self, event: Any) -> None:
        owner = self._keepers.get(event.message.partition)
        if owner is None:
            exits.again(f"a record of journal partition {event.message.partition} came, which is not assigned")
        record = _record(event)
        event.value = event.message.value = None  # the event is held until the snapshot, the bytes only until the fold
        owner.offer(record, event.ack)

    async def _assigned(self, *arguments: Any, **_: Any) -> None:
        """Each partition gets a keeper, which loads at once. Faust's signal brings the sender and the partitions.

        Nothing is awaited before the keepers are there: Faust's recovery runs beside this, and records follow it.
        """
        _, assigned = arguments
        self._parts.standing.start()
        given_up = self._keepers
        owned = sorted(tp.partition for tp in assigned if tp.topic == self._topics.journal)
        self._keepers = {number: keeper.Keeper(number, self._parts, self._checkpoint(number)) for number in owned}
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send(), name="ticker")
            self._sending.add_done_callback(_ended("ticks and events cannot be sent"))
            reading = watch.read(kafka.cluster(self._settings), self._topics.status, self._watch)
            self._watching = asyncio.get_running_loop().create_task(reading, name="watch")
            self._watching.add_done_callback(_ended("the other shards cannot be heard"))
            self._pulsing = asyncio.get_running_loop().create_task(self.pulse.run(self._look), name="pulse")
            self._pulsing.add_done_callback(_ended("the pulse stopped"))
        await _close(given_up, 0.0)

    async def _revoked(self, *_: Any, **__: Any) -> None:
        """The shards stay, deaf, until the next assignment: events of this generation may be under way."""
        await _close(self._keepers, min(REVOKE_SNAPSHOT_S_MAX, self._settings.rebalance_s / 4))

    async def _stopping(self, *_: Any, **__: Any) -> None:
        await _close(self._keepers, STOP_SNAPSHOT_S_MAX)
        for task in (self._watching, self._pulsing):
            if task is not None:
                task.cancel()
        if self._sending is not None:
            self._sending.cancel()
            await self._publisher.stop()

    async def _send(self) -> None:
        await self._publisher.start()
        stuck_s = STUCK_SESSIONS * self._settings.session_s
        self._ticker = Ticker(self._publisher, self._settings.tick_ms, stuck_s, self._at_work, self._watch)
        await self._ticker.run()

    def _look(self) -> Look:
        ends = self._ticker.ends if self._ticker else {}
        return self._families.look(list(self._keepers), self._at_work(), ends, self._sending is not None)

    def _at_work(self) -> list[keeper.Keeper]:
        return [owned for owned in self._keepers.values() if owned.at_work]

    def _checkpoint(self, number: int) -> Checkpoint:
        group = f"{self._settings.group_prefix}-{KIND}"
        return Checkpoint(
            kafka.cluster(self._settings), group, self._topics.state, self._topics.journal, number, self._gate
        )


def _record(event: Any) -> journal.Record:
    """The journal record of a Faust event. Exits 78, naming the offset, if its headers are not ours."""
    message = event.message
    try:
        kind = event.headers["kind"].decode()
        version = int(event.headers["version"])
    except (KeyError, ValueError, AttributeError) as error:
        exits.operator(
            f"journal partition {message.partition} offset {message.offset}: headers kind and version: {error!r}"
        )
    # Faust divides the broker's milliseconds by 1000; rounding gives the integer back exactly.
    timestamp_ms = round(message.timestamp * 1000)
    return journal.Record(message.partition, message.offset, timestamp_ms, kind, version, message.value or b"")


async def _close(keepers: dict[int, keeper.Keeper], last_snapshot_s: float) -> None:
    await asyncio.gather(*(each.close(last_snapshot_s) for each in keepers.values()))


def _ended(what: str) -> Callable[[asyncio.Task[None]], None]:
    def end(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            exits.again(f"{what}: {task.exception()!r}")

    return end
