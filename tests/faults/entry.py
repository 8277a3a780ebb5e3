"""Starts a worker that kills its own process (SIGKILL) at the n-th send, commit or acknowledgement. Test-only.

    python -m tests.faults.entry detect [--engine tests.faults.counting] [--point commit --nth 3 [--after]]

Points: `send` and `commit` are those of all aiokafka producers, `ack` is Faust's. With `--after` the call takes
effect first. With `--topic douse.commands` only sends to topics whose name ends so are counted.
"""

import argparse
import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from faust.events import Event

from stream import settings

POINTS: dict[str, tuple[type, str]] = {
    "send": (AIOKafkaProducer, "send"),
    "commit": (AIOKafkaProducer, "commit_transaction"),
    "ack": (Event, "ack"),
}


def arm(point: str, nth: int, after: bool, topic: str = "") -> None:
    """The n-th call of the point in this process is its last, before or after it took effect."""
    owner, name = POINTS[point]
    original = getattr(owner, name)
    calls = 0

    def count(*args: Any) -> bool:
        nonlocal calls
        if topic and not args[1].endswith(topic):
            return False
        calls += 1
        return calls == nth

    if point == "ack":
        setattr(owner, name, _plain(original, count, after))
    else:
        setattr(owner, name, _awaited(original, count, after))


def _plain(original: Callable[..., Any], last: Callable[..., bool], after: bool) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        dying = last(*args)
        if dying and not after:
            _die()
        result = original(*args, **kwargs)
        if dying:
            _die()
        return result

    return wrapped


def _awaited(original: Callable[..., Any], last: Callable[..., bool], after: bool) -> Callable[..., Any]:
    @functools.wraps(original)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        dying = last(*args)
        if dying and not after:
            _die()
        result = await original(*args, **kwargs)
        if dying:
            _die()
        return result

    return wrapped


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("ingest", "detect"))
    parser.add_argument("--engine", help="module that stands for both engine and shard")
    parser.add_argument("--point", choices=sorted(POINTS))
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--after", action="store_true")
    parser.add_argument("--topic", default="")
    wanted = parser.parse_args()
    if wanted.point:
        arm(wanted.point, wanted.nth, wanted.after, wanted.topic)
    app = importlib.import_module(f"stream.apps.{wanted.kind}")
    if wanted.engine:
        engine = importlib.import_module(wanted.engine)
        return int(app.main(settings.load(os.environ), engine, engine))
    return int(app.main(settings.load(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
