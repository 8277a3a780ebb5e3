"""`douse run`: keeps the processes of one machine alive, and stops all of them where a person is needed."""

import asyncio
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

AGAIN, OPERATOR, USAGE = 70, 78, 2
BACKOFF_S = (1.0, 30.0)  # first and longest pause before a process is started again
STEADY_S = 60.0  # a process that lived so long begins again with the first pause
STOP_S = 30.0  # detect takes a last snapshot of its shards for up to 20 s
LAST_WORDS_S = 1.0  # a grandchild may hold the pipe open for ever
LOOK_S = 0.5
TAIL_LINES = 5
LINE_BYTES_MAX = 1 << 16  # longer lines of a child come in pieces


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep alive."""

    name: str
    command: tuple[str, ...]
    waits: Callable[[], int] | None = None
    """How many things must still be done by it before it may be stopped for another one's sake."""


@dataclass(frozen=True, slots=True)
class Again:
    """Start it again after this pause; so many tries in a row were short."""

    pause_s: float
    tries: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is started again; douse ends with this code."""

    code: int


@dataclass(slots=True)
class _Ended:
    child: Child
    code: int
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


def next_step(code: int, lived_s: float, tries: int) -> Again | Stop:
    """What follows the end of a process: 78 and 2 need a person; all else, a kill or a crash, may pass by itself."""
    if code in (OPERATOR, USAGE):
        return Stop(OPERATOR)
    tries = 1 if lived_s >= STEADY_S else tries + 1
    first_s, longest_s = BACKOFF_S
    return Again(min(first_s * 2 ** min(tries - 1, 16), longest_s), tries)


async def run(children: Sequence[Child], prepare: Coroutine[Any, Any, None], say: Callable[[str], None]) -> int:
    """Runs the children until SIGTERM or SIGINT (0), or until one of them needs a person (78).

    Those with `waits` start at once, the others when `prepare` is done; what it raises is raised when all have stopped.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    stopping = asyncio.create_task(asked.wait())
    preparing = asyncio.create_task(prepare)
    keeping = {child: asyncio.create_task(_keep(child, say)) for child in children if child.waits is not None}
    try:
        await asyncio.wait([stopping, preparing, *keeping.values()], return_when=asyncio.FIRST_COMPLETED)
        if preparing.done() and preparing.exception() is None:
            keeping |= {child: asyncio.create_task(_keep(child, say)) for child in children if child not in keeping}
            await asyncio.wait([stopping, *keeping.values()], return_when=asyncio.FIRST_COMPLETED)
        ended = next((task.result() for task in keeping.values() if task.done()), None)
        if ended is not None:
            said = "; its last lines:\n" + "\n".join(f"  {line}" for line in ended.tail) if ended.tail else ""
            say(f"{ended.child.name} needs a person (exit code {ended.code}); all others are stopped{said}")
        if not asked.is_set():
            await _linger(keeping, asked, say)
    finally:
        await _cancel([stopping, preparing, *keeping.values()])
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    if not preparing.cancelled():
        preparing.result()
    if ended is None:
        say("all stopped")
    return 0 if ended is None else OPERATOR


async def _linger(keeping: dict[Child, asyncio.Task[_Ended]], asked: asyncio.Event, say: Callable[[str], None]) -> None:
    """Stops what may stop at once; what holds changes that nobody confirms may take them back first."""
    await _cancel([task for child, task in keeping.items() if child.waits is None])
    for child, task in keeping.items():
        told = False
        while child.waits is not None and not asked.is_set() and not task.done() and (number := child.waits()):
            if not told:
                changes = "1 unconfirmed change is" if number == 1 else f"{number} unconfirmed changes are"
                say(f"{child.name} stays until {changes} taken back at the deadline")
                told = True
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), LOOK_S)


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(child: Child, say: Callable[[str], None]) -> _Ended:
    """Starts the child again and again; returns when a person is needed."""
    tries = 0
    while True:
        started_s = time.monotonic()
        ended = await _once(child, say)
        match next_step(ended.code, time.monotonic() - started_s, tries):
            case Stop():
                return ended
            case Again(pause_s, tries):
                say(f"{child.name} ended with {_code_text(ended.code)}; started again in {pause_s:g} s")
                await asyncio.sleep(pause_s)


async def _once(child: Child, say: Callable[[str], None]) -> _Ended:
    # A session of its own: Ctrl-C reaches this process alone, which then asks the children one by one.
    process = await asyncio.create_subprocess_exec(
        *child.command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=LINE_BYTES_MAX,
    )
    say(f"{child.name} started, process {process.pid}")
    ended = _Ended(child, 0)
    assert process.stdout is not None
    reading = asyncio.create_task(_hand_on(process.stdout, child.name, ended.tail))
    try:
        ended.code = await process.wait()
    finally:
        await _end(process)
        await asyncio.wait([reading], timeout=LAST_WORDS_S)
        reading.cancel()
    return ended


async def _hand_on(lines: asyncio.StreamReader, name: str, tail: deque[str]) -> None:
    while chunk := await _line(lines):
        text = chunk.decode(errors="replace").rstrip()
        tail.append(text)
        head = "" if text.startswith("{") else f"[{name}] "  # a JSON line names its app itself
        print(f"{head}{text}", file=sys.stderr, flush=True)


async def _line(lines: asyncio.StreamReader) -> bytes:
    try:
        return await lines.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await lines.readexactly(max(error.consumed, 1))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _code_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
