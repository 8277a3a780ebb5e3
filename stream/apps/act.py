"""act: carries out the commands for its own targets, reports, and takes back what nobody confirms.

Four tasks that need each other only through the ledger: commands (read, carry out in order per target), control (kill
switches), delivery (outcomes, then the group's offsets), and the timer of the confirm deadlines, which goes on
without Kafka.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actuators import ledger
from actuators.deadline import Instant
from actuators.ledger import Entry, Ledger, State
from schemas.commands import Outcome
from stream import kafka, keys, logs, reach, topics
from stream.act import execute, inbox, setup, words
from stream.act.delivery import Delivery
from stream.act.execute import Hands
from stream.act.inbox import Foreign, Keys, Order, Unfit
from stream.act.progress import Progress, age_ms_at_fetch, order_age_ms
from stream.broker.errors import BrokerError
from stream.health.act import ActFamilies
from stream.health.pulse import Pulse
from stream.health.vitals import Look
from stream.reach import MissingTopicsError, Stored
from stream.settings import Settings

OK, UNAVAILABLE, AGAIN, OPERATOR = 0, 69, 70, 78
BROKER_WAIT_S = 60.0  # nothing waits for its deadline and no broker comes: the supervisor should know
PRUNE_S = 3_600.0  # the ledger forgets in days
TIMER_S = 0.25  # a deadline is minutes away; a quarter of a second late does no harm
RETRY_S = 5.0  # a change that could not be taken back: a full disk does not empty faster
POLL_MS = 200
BATCH_RECORDS_MAX = 100
LANE_ORDERS_MAX = 100  # orders that wait for one target; more hold up the reading
PAUSE_S = 2.0  # after Kafka failed
REQUEST_MS = 10_000
KILL_FILE = "kill"  # in the data folder: while it is there nothing is applied, whatever Kafka says
FAREWELL_S = 5.0  # to send the last outcomes at a clean stop; what is left waits in the ledger
WORKERS_MAX = 16  # targets that are changed at the same time; each blocks its thread for seconds at most

LOG_CHARACTERS_MAX = 1_000

log = logging.getLogger("douse.act")


@dataclass(frozen=True, slots=True)
class Work:
    """An order, where it came from, and when it was young on the boot clock."""

    order: Order | Unfit
    part: TopicPartition
    offset: int
    born_boot_ms: int
    progress: Progress


class Act:
    """The four tasks and what they share."""

    def __init__(
        self, settings: Settings, hands: Hands, signer: tuple[str, Ed25519PrivateKey], trusted: tuple[Keys, Keys]
    ) -> None:
        self._settings = settings
        self._hands = hands
        self._command_keys, self._operator_keys = trusted
        self._topics = topics.names(settings.topic_prefix)
        name = hands.actuator.name
        self._delivery = Delivery(kafka.cluster(settings), self._topics.outcomes, name, hands.ledger, *signer)
        self._telling: asyncio.Task[None] | None = None
        self._parts: list[TopicPartition] = []
        self._progress = Progress()
        self._consumer: AIOKafkaConsumer | None = None
        self._committed: dict[TopicPartition, int] = {}
        self._lanes: dict[str, asyncio.Queue[Work]] = {}
        self._lane_tasks: list[asyncio.Task[None]] = []
        self._workers = ThreadPoolExecutor(WORKERS_MAX, "act-hand")
        # Its own: busy hands must not hold up a deadline, nor one target that hangs the deadlines of the others.
        self._keepers = ThreadPoolExecutor(WORKERS_MAX, "act-deadline")
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kills_read = asyncio.Event()
        self._read: dict[int, tuple[int, int]] = {}
        self._caught_up = False
        self._families = ActFamilies()
        self._pulse = Pulse(settings, self._families, name, signer)

    async def run(self) -> int:
        """Until SIGTERM or SIGINT: OK; AGAIN or UNAVAILABLE when it cannot go on; OPERATOR when a person is needed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        # The truth about what a crash interrupted, before anything new and with or without Kafka.
        for outcome in await loop.run_in_executor(self._keepers, execute.reconcile, self._hands):
            self._told(outcome)
        self._pulse.serve(self._settings.act_metrics_address)
        works = (self._stopped(), self._timer(), self._kafka(), self._pulse.run(self._look))
        tasks = [asyncio.create_task(each) for each in works]
        try:
            done, _ = await asyncio.wait([*tasks, self._broken], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await self._finish()
            return OK
        except (MissingTopicsError, kafka.DeniedError) as error:
            return _say(error, OPERATOR)
        except BrokerError as error:
            return _say(error, UNAVAILABLE)
        finally:
            tasks += [*self._lane_tasks, *self._taking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._workers.shutdown()
            self._keepers.shutdown()

    def _look(self) -> Look:
        if not self._kills_read.is_set():
            return self._families.look(self._read, False, "the kill switches to be read")
        return self._families.look(self._read, self._caught_up, "" if self._consumer else "Kafka")

    def _told(self, outcome: Outcome) -> None:
        self._families.told(outcome)
        _tell(outcome)

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _timer(self) -> None:
        loop = asyncio.get_running_loop()
        retry_s = prune_s = loop.time()
        while True:
            retry = loop.time() >= retry_s
            if retry:
                retry_s = loop.time() + RETRY_S
            if loop.time() >= prune_s:
                prune_s = loop.time() + PRUNE_S
                await loop.run_in_executor(None, self._hands.ledger.prune, self._hands.clock().wall_ms)
            for entry in await loop.run_in_executor(None, partial(execute.due, self._hands, retry=retry)):
                name = entry.command.command
                if name not in self._taking:
                    self._taking[name] = asyncio.create_task(self._take_back(entry))
                    self._taking[name].add_done_callback(self._ended)
            await asyncio.sleep(TIMER_S)

    async def _take_back(self, entry: Entry) -> None:
        take_back = partial(execute.take_back, self._hands, entry)
        outcome = await asyncio.get_running_loop().run_in_executor(self._keepers, take_back)
        del self._taking[entry.command.command]
        if outcome is not None:
            self._told(outcome)
            self._delivery.wake()

    async def _kafka(self) -> None:
        """Everything that needs the broker. Only a failed first contact ends the process; later it waits."""
        partitions = await self._reached()
        self._parts = [TopicPartition(self._topics.commands, number) for number in range(partitions)]
        self._telling = asyncio.create_task(self._delivery.run(self._answered))
        try:
            await asyncio.gather(self._again(self._control), self._again(self._commands), self._telling)
        finally:
            self._telling.cancel()

    async def _reached(self) -> int:
        wanted = (self._topics.commands, self._topics.outcomes, self._topics.control)
        while True:
            try:
                await reach.broker(kafka.cluster(self._settings), BROKER_WAIT_S, log.warning)
                return (await reach.require(kafka.cluster(self._settings), wanted))[self._topics.commands]
            except (BrokerError, kafka.DeniedError) as error:
                if not self._hands.ledger.entries(State.STANDING, State.TAKING_BACK):
                    raise
                log.warning("%s; staying, because a change waits for its confirm deadline", error)
                await asyncio.sleep(PAUSE_S)

    async def _again(self, work: Any) -> None:
        while True:
            try:
                await work()
            except (KafkaError, OSError) as error:
                log.warning("kafka: %s: %s; trying again", work.__name__.strip("_"), error)
                await asyncio.sleep(PAUSE_S)

    async def _control(self) -> None:
        """Kill switches, from the beginning of the topic and for ever, straight from their operator."""
        part = TopicPartition(self._topics.control, 0)
        async with self._reading(None, [part]) as consumer:
            await consumer.seek_to_beginning(part)
            end = (await consumer.end_offsets([part]))[part]
            while True:
                if await consumer.position(part) >= end:
                    self._kills_read.set()
                for record in (await consumer.getmany(part, timeout_ms=POLL_MS)).get(part, ()):
                    await self._noted(record)

    async def _noted(self, record: Any) -> None:
        key = (record.key or b"").decode(errors="replace")
        if record.value is None or not key.startswith(words.KEYS):
            return
        stored = Stored(record.partition, record.offset, record.timestamp, key, record.headers, record.value)
        now_ms = self._hands.clock().wall_ms
        await asyncio.to_thread(words.heed, self._hands.ledger, stored, self._operator_keys, now_ms)

    async def _commands(self) -> None:
        await self._kills_read.wait()
        group = f"{self._settings.group_prefix}-act-{self._hands.actuator.name}"
        # Assigned by hand: the ledger's lock keeps a second process out, and after a kill no session has to end first.
        async with self._reading(group, self._parts) as consumer:
            self._progress, self._consumer, self._committed = Progress(), consumer, {}
            self._read, self._caught_up = {}, False
            caught_up_ms: dict[TopicPartition, int] = {}
            try:
                while True:
                    batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS_MAX)
                    fetched = self._hands.clock()
                    for part, records in batches.items():
                        for record in records:
                            age_ms = age_ms_at_fetch(record.timestamp, fetched.wall_ms, caught_up_ms.get(part))
                            await self._enqueue(part, record, age_ms, fetched)
                    for part in self._parts:
                        position, end = await consumer.position(part), consumer.highwater(part)
                        if end == position:
                            caught_up_ms[part] = consumer.last_poll_timestamp(part)
                        else:
                            caught_up_ms.pop(part, None)
                        self._read[part.partition] = (position - 1, position - 1 if end is None else end - 1)
                    self._caught_up |= caught_up_ms.keys() >= set(self._parts)
            finally:
                self._consumer = None

    async def _enqueue(self, part: TopicPartition, record: Any, age_ms: int, fetched: Instant) -> None:
        progress = self._progress
        progress.begin(part, record.offset)
        name = self._hands.actuator.name
        order = inbox.command(name, self._command_keys, record.key, record.headers, record.value)
        if isinstance(order, Foreign):
            progress.end(part, record.offset)
            return
        target = order.command.target if isinstance(order, Order) else ""
        lane = target if self._hands.actuator.target(target) else ""  # made-up names must not make lanes
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.Queue(LANE_ORDERS_MAX)
            task = asyncio.create_task(self._lane(self._lanes[lane]))
            task.add_done_callback(self._ended)
            self._lane_tasks.append(task)
        if isinstance(order, Order):
            age_ms = order_age_ms(age_ms, record.timestamp, order.command.decided_ms)
        await self._lanes[lane].put(Work(order, part, record.offset, fetched.boot_ms - age_ms, progress))

    async def _lane(self, queue: asyncio.Queue[Work]) -> None:
        """The orders for one target, one after the other."""
        loop = asyncio.get_running_loop()
        while True:
            work = await queue.get()
            if not self._stop.is_set():
                self._told(await loop.run_in_executor(self._workers, self._carry_out, work))
                work.progress.end(work.part, work.offset)
                self._delivery.wake()
            queue.task_done()

    def _carry_out(self, work: Work) -> Outcome:
        return execute.execute(self._hands, work.order, lambda: self._hands.clock().boot_ms - work.born_boot_ms)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._broken.done():
            self._broken.set_exception(error)

    def _answered(self) -> Callable[[], Awaitable[None]]:
        """How far everything is carried out now; committed once all outcomes up to now are acknowledged."""
        consumer: Any = self._consumer
        positions = dict(self._progress.positions())

        async def commit() -> None:
            current = consumer is not None and consumer is self._consumer
            if current and positions and positions != self._committed:
                await consumer.commit(positions)
                self._committed = positions

        return commit

    async def _finish(self) -> None:
        """What is in hand is brought to its end and told; what is not begun is read again by the next process."""
        for queue in self._lanes.values():
            await queue.join()
        self._delivery.close()
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=FAREWELL_S)

    @contextlib.asynccontextmanager
    async def _reading(self, group: str | None, parts: list[TopicPartition]) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **kafka.client(kafka.cluster(self._settings)),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_MS,
        )
        try:
            await consumer.start()
            consumer.assign(parts)
            yield consumer
        finally:
            await consumer.stop()


def main(settings: Settings) -> int:
    """Runs until it is told to stop; the exit code says what its supervisor should do."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logs.begin(settings.log_format, "act")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it writes ten lines a second while a broker is away
    try:
        rules, folder = setup.rules(settings)
        signer = keys.load_private(settings.actuator_key_file)
        trusted = setup.trusted(settings, rules, folder)
        book = Ledger(folder / rules.ledger)
    except (setup.UnusableError, keys.KeyFileError, ledger.InUse, ledger.Unusable) as error:
        return _say(error, OPERATOR)
    try:
        hands = Hands.of(rules, folder, book, settings.data_folder / KILL_FILE, setup.now)

        async def run() -> int:
            return await Act(settings, hands, signer, trusted).run()

        return asyncio.run(run())
    except Exception:  # the outermost loop: the supervisor starts it again, and it begins with the truth
        log.exception("act cannot go on")
        return AGAIN
    finally:
        book.close()


def _tell(outcome: Outcome) -> None:
    """One line in the log; a forger's line feeds and control characters are written as escapes."""
    line = f"{outcome.kind.value} {outcome.command} at {outcome.target}: {outcome.status.value}"
    why = f" ({outcome.reason.value}) {outcome.detail}" if outcome.reason != "none" else f" {outcome.detail}"
    about = {"command": outcome.command, "incident": outcome.incident, "shard": outcome.shard}
    log.info("%s", (line + why).encode("unicode_escape").decode()[:LOG_CHARACTERS_MAX], extra=about)


def _say(error: Exception, code: int) -> int:
    print(logs.line(f"douse act: {error}", "critical"), file=sys.stderr, flush=True)
    return code
