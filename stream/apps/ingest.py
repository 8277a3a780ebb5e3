"""ingest reads OTLP, outcomes and control and writes what they say to the journal: Faust and its parts."""

import asyncio
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from faust.types import TP

from detectors import observe
from stream import kafka, keys, logs, reach, topics
from stream.broker.errors import BrokerError
from stream.faustlib import app as faust_app
from stream.faustlib import exits, guard, run
from stream.health.ingest import IngestFamilies
from stream.health.pulse import Pulse
from stream.ingest import doors, offsets, signed_doors, sources, specs_watch
from stream.ingest.batch import Partition
from stream.ingest.doors import Door
from stream.ingest.intake import Intake
from stream.ingest.outlet import Outlet
from stream.ingest.progress import INTERVAL_S, Reporter
from stream.ingest.sights import Sights
from stream.ingest.sources import Signal, Source
from stream.ingest.specs_watch import InForce
from stream.settings import Settings

log = logging.getLogger(__name__)

KIND = "ingest"
OTLP = {Signal.SPANS: doors.spans, Signal.METRICS: doors.metrics, Signal.LOGS: doors.logs}
NO_BROKER = 69
FETCHED_S_MAX = 2.0
TOPICS_S = 30.0  # a listing of all topics each time; a new one is rare
STOP_S_MAX = 15.0  # a clean stop hands the partitions on at once; one that hangs must not keep them


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whose signatures count."""

    operators: Mapping[str, Ed25519PublicKey]
    actuators: Mapping[str, Ed25519PublicKey]
    actuator_names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """The topics of telemetry that this worker reads, and those that are switched off."""

    sources: tuple[Source, ...]
    unread: tuple[str, ...]


def main(settings: Settings) -> int:
    """Runs until SIGTERM. 0 after a clean stop, 69 no broker, 70 start me again, 78 an operator is needed."""
    logs.begin(settings.log_format, KIND)
    names = topics.names(settings.topic_prefix)
    families = IngestFamilies((names.outcomes, names.control), time.monotonic)
    pulse = Pulse(settings, families)
    pulse.serve(settings.ingest_metrics_address)
    try:
        trusted = Trusted(
            keys.trusted(settings.trusted_operator_keys),
            keys.trusted(settings.trusted_actuator_keys),
            keys.actuators(settings.trusted_actuator_keys),
        )
        app = faust_app.make(settings, KIND)
        read, in_force = asyncio.run(prepared(settings, app.conf.id, trusted))
    except (
        keys.KeyFileError, reach.MissingTopicsError, kafka.DeniedError, sources.SharedTopicError,
        offsets.BeyondTheEndError,
    ) as error:  # fmt: skip
        return _ended(exits.OPERATOR, error)
    except BrokerError as error:
        return _ended(NO_BROKER, error)
    families.reads([source.topic for source in read.sources])
    ingest = Ingest(settings, app, trusted, read, in_force, pulse, families)
    return run.run(app, settings.log_level) or ingest.exit_code


async def prepared(settings: Settings, group: str, trusted: Trusted) -> tuple[Read, InForce]:
    """Finds and checks the topics, settles first offsets, waits for a spec set.

    Raises MissingTopicsError, SharedTopicError, BeyondTheEndError, BrokerError.
    """
    names = topics.names(settings.topic_prefix)
    signed = (names.outcomes, names.control)
    await reach.broker(kafka.cluster(settings), reach.WAIT_S, _say)
    known = await reach.topic_names(kafka.cluster(settings))
    read = Read(sources.resolve(settings, known), sources.unread(settings, known))
    otlp = [source.topic for source in read.sources]
    there = await reach.require(
        kafka.cluster(settings), [*otlp, *signed, names.journal, names.dead_letter], sources.hints(settings)
    )
    if there[names.journal] != settings.shards:
        raise reach.MissingTopicsError(
            f"topic {names.journal} has {there[names.journal]} partitions, the settings say {settings.shards} shards"
        )
    start_from = dict.fromkeys(otlp, settings.start_from) | dict.fromkeys(signed, offsets.EARLIEST)
    await offsets.settle(kafka.cluster(settings), group, {topic: there[topic] for topic in start_from}, start_from)
    return read, await specs_watch.first(kafka.cluster(settings), names.control, trusted.operators, _say)


class Ingest:
    """The app's agents and tasks."""

    def __init__(
        self,
        settings: Settings,
        app: Any,
        trusted: Trusted,
        read: Read,
        in_force: InForce,
        pulse: Pulse,
        families: IngestFamilies,
    ) -> None:
        self.exit_code = 0
        self._pulse, self._families = pulse, families
        self._app = app
        self._bootstrap = kafka.cluster(settings)
        self._operators = trusted.operators
        self._settings = settings
        self._read = read
        self._in_force = in_force
        self._names = topics.names(settings.topic_prefix)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lasting: tuple[asyncio.Task[None], ...] = ()
        self._pulsing: asyncio.Task[None] | None = None
        self._guard = guard.Guard(settings.session_s)
        self._outlet = Outlet(kafka.cluster(settings), self._names)
        self._sights = Sights(kafka.cluster(settings), app.conf.id)
        self._intake = Intake(
            self._outlet,
            self._sights,
            self._announce,
            lambda: int(app.consumer_generation_id),
            self._spawn,
            sent=families.sent,
        )
        self._reporter = Reporter(
            uuid.uuid4().hex,
            settings.shards,
            self._intake,
            self._sights,
            self._outlet,
            self._fetched,
            read.unread,
            families.reported,
        )
        plan = observe.plan(in_force.specs, settings.shards)
        self._doors: Mapping[str, Door] = {
            **{source.topic: OTLP[source.signal](plan, source.encoding) for source in read.sources},
            self._names.outcomes: signed_doors.outcomes(trusted.actuators, trusted.actuator_names, settings.shards),
            self._names.control: signed_doors.controls(trusted.operators, settings.shards),
        }
        for topic, door in self._doors.items():
            self._add_agent(topic, door)
        app.on_partitions_assigned.connect(self._assigned)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_before_shutdown.connect(self._stopping)

    def _add_agent(self, topic: str, door: Door) -> None:
        raw = {"value_type": bytes, "value_serializer": "raw", "key_type": bytes, "key_serializer": "raw"}
        channel = self._app.topic(topic, allow_empty=True, **raw)

        async def take(stream: Any) -> None:
            # Faust acknowledges an event whose agent raises, so an exception has to end the process before that.
            try:
                async for event in stream.noack().events():
                    await self._intake.take(event, door)
            except Exception as error:  # the outermost frame of the agent
                log.exception("agent of %s", topic)
                exits.again(f"the agent of {topic} failed: {error!r}")

        self._app.agent(channel, name=f"take-{topic}")(take)

    async def _assigned(self, *arguments: Any, **_: Any) -> None:
        """Faust's signal brings the sender and the partitions. No record flows before its recovery wait is over."""
        generation = int(self._app.consumer_generation_id)
        self._guard.start()
        if self._pulsing is None:
            self._pulsing = self._spawn(self._pulse.run(self._families.look))
        await self._outlet.start()
        await self._sights.start()
        there = await reach.require(self._bootstrap, list(self._doors))
        committed = await self._sights.committed()
        owned = [(part.topic, part.partition) for part in arguments[-1] if part.topic in self._doors]
        beginnings = await self._sights.beginnings(owned)
        if generation != int(self._app.consumer_generation_id):
            return
        self._reporter.begin(there)
        self._intake.begin(generation, committed, beginnings)
        await self._announce()
        if not self._lasting:
            self._lasting = (self._spawn(self._report()), self._spawn(self._watch_specs()))
            if sources.has_patterns(self._settings):
                self._lasting += (self._spawn(self._watch_topics()),)

    async def _revoked(self, *_: Any, **__: Any) -> None:
        self._intake.end()
        self._families.ended()

    async def _report(self) -> None:
        while True:
            await self._reporter.report()
            await asyncio.sleep(INTERVAL_S)

    async def _watch_specs(self) -> None:
        """A worker keeps its spec set for life. It leaves the group first: its partitions are free at once."""
        specs = await specs_watch.newer(self._bootstrap, self._names.control, self._operators, self._in_force)
        self._start_again(f"a newer spec set is there ({specs.revision})")

    async def _watch_topics(self) -> None:
        """A worker keeps its topics for life, too: one that a pattern matches only now needs a new worker."""
        while True:
            await asyncio.sleep(TOPICS_S)
            try:
                known = await reach.topic_names(self._bootstrap)
                found = sources.resolve(self._settings, known)
            except (BrokerError, reach.MissingTopicsError):
                continue  # the broker is away, or a topic was deleted: the reading itself says so
            new = {source.topic for source in found} - {source.topic for source in self._read.sources}
            if new:
                self._start_again(f"a new topic is there ({', '.join(sorted(new))})")
                return

    def _start_again(self, reason: str) -> None:
        _say(f"{reason}; starting again with it")
        self.exit_code = exits.AGAIN
        too_long = f"{reason}, and the stop for it took too long"
        asyncio.get_running_loop().call_later(STOP_S_MAX, exits.again, too_long)
        os.kill(os.getpid(), signal.SIGTERM)

    async def _stopping(self, *_: Any, **__: Any) -> None:
        """What is held goes out, so that a clean stop leaves nothing to repeat."""
        for task in (*self._lasting, *((self._pulsing,) if self._pulsing else ())):
            task.cancel()
        await self._intake.flush()
        self._intake.end()
        await self._outlet.stop()
        await self._sights.stop()

    async def _fetched(self, partition: Partition) -> int | None:
        try:
            position: int | None = await asyncio.wait_for(self._app.consumer.position(TP(*partition)), FETCHED_S_MAX)
        except (KafkaError, TimeoutError):
            return None  # a rebalance; the next report asks again
        return position

    async def _announce(self) -> None:
        await self._reporter.report()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # the outermost frame of the task
            log.exception("ingest")
            exits.again(f"ingest failed: {error!r}")


def _say(text: str) -> None:
    print(logs.line(f"ingest: {text}"), flush=True)


def _ended(code: int, error: Exception) -> int:
    print(logs.line(f"ingest: {error}", "critical"), file=sys.stderr, flush=True)
    return code
