"""The jars that Apache Kafka runs from: named in jars.txt, fetched once, checked by SHA-256 at every start.

A jar enters the cache folder by a rename after its sum was right, so a fetch that breaks off leaves only whole jars
behind and the next one asks for what is missing.
"""

import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jgo.maven import MavenContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stream.broker.errors import BrokerError

THREADS = 8  # 45 jars are 43 MB; more threads were not faster, and a mirror may count connections
TRIES_MAX = 3  # a connection that breaks once is common, one that breaks three times is a refusal
TIMEOUT_S = 20
SCRATCH = "fetch-"
LINES_EVERY = 10  # without a terminal: one line for so many jars


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact of a Maven repository at one version, and the sum that its bytes must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True)
class Source:
    """Where jars are kept, and the Maven repository that they come from (None: Maven Central)."""

    cache: Path
    maven_repo: str | None = None


def source(environ: Mapping[str, str]) -> Source:
    """Read DOUSE_CACHE, or the XDG cache folder, and DOUSE_MAVEN_REPO."""
    default = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "douse"
    return Source(Path(environ.get("DOUSE_CACHE") or default).expanduser(), environ.get("DOUSE_MAVEN_REPO") or None)


def listing() -> str:
    """The committed list: one `group:artifact:version sha256:...` a line."""
    return resources.files("stream.broker").joinpath("jars.txt").read_text()


def parse(text: str) -> tuple[Jar, ...]:
    """Read a list of jars; a line that is none is an AssertionError, since the list is ours."""
    jars = []
    for line in text.splitlines():
        if not line.strip():
            continue
        coordinate, digest = line.split()
        group, artifact, version = coordinate.split(":")
        assert re.fullmatch("sha256:[0-9a-f]{64}", digest), f"not a SHA-256: {line}"
        jars.append(Jar(group, artifact, version, digest.removeprefix("sha256:")))
    return tuple(jars)


def folder(cache: Path, text: str) -> Path:
    """The folder of exactly these jars: another list has another folder, so versions never mix on a class path."""
    return cache / f"kafka-4.4.0-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def fetch(where: Source, text: str | None = None) -> Path:
    """Return the folder that holds every listed jar with its right bytes; fetch what is missing or wrong.

    Two processes may call it at once on one cache: the second waits and finds everything there.
    Raises BrokerError naming the artifact when the network or the repository refuses.
    """
    text = listing() if text is None else text
    target = folder(where.cache, text)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(
            f"cannot make the cache folder {target}: {error.strerror}; name another with DOUSE_CACHE"
        ) from error
    wanted = parse(text)
    if not missing(target, wanted):
        return target
    with locked(target / "lock"):
        for half in target.glob(f"{SCRATCH}*"):  # a fetch that was killed; under the lock nobody else is at it
            shutil.rmtree(half, ignore_errors=True)
        _fetch_all(where, target, missing(target, wanted), len(wanted))
    return target


def missing(target: Path, wanted: tuple[Jar, ...]) -> list[Jar]:
    """Jars that are not there or have other bytes than listed. Hashing all of them takes about 0.1 s."""
    return [jar for jar in wanted if not _right(target / jar.file, jar.sha256)]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock of this file; the system lets go of it when the process ends, however it ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _right(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _fetch_all(where: Source, target: Path, wanted: list[Jar], listed: int) -> None:
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=target) as scratch, _progress(len(wanted), listed) as advance:
        remotes = {"mirror": where.maven_repo.rstrip("/")} if where.maven_repo else None
        context = MavenContext(repo_cache=Path(scratch), remote_repos=remotes, timeout=TIMEOUT_S)
        pool = ThreadPoolExecutor(THREADS)
        try:
            for done in as_completed([pool.submit(_fetch_one, context, jar, target) for jar in wanted]):
                done.result()
                advance()
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch_one(context: MavenContext, jar: Jar, target: Path) -> None:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for tries_left in reversed(range(TRIES_MAX)):
        try:
            path = artifact.resolve()
        except (RuntimeError, OSError) as error:  # jgo: not found; requests: every failure of the network is an OSError
            reason = " ".join(str(error).split())[:300]
        else:
            if _right(path, jar.sha256):
                os.replace(path, target / jar.file)
                return
            reason = "its bytes do not have the SHA-256 of jars.txt"
        if artifact.cached_path is not None:  # jgo writes in place: half a file would be taken for a whole one
            artifact.cached_path.unlink(missing_ok=True)
        if tries_left:
            time.sleep(0.5)
    raise BrokerError(
        f"cannot fetch {jar.coordinate}: {reason}. Check the network, or set DOUSE_MAVEN_REPO to a Maven "
        f"repository that you can reach, then run the same command again: jars that are in {target} stay"
    )


@contextmanager
def _progress(wanted: int, listed: int) -> Iterator[Callable[[], None]]:
    """A bar where somebody watches, plain lines elsewhere. Always on stderr: stdout belongs to the command."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("Apache Kafka 4.4.0, jars", total=listed, completed=listed - wanted)
            yield lambda: bar.advance(task)
        return
    done = listed - wanted

    def advance() -> None:
        nonlocal done
        done += 1
        if done % LINES_EVERY == 0 or done == listed:
            print(f"Apache Kafka 4.4.0: {done} of {listed} jars", file=sys.stderr, flush=True)

    yield advance
