"""`douse demo`: one scenario on real parts, from an empty folder to the report, and a verdict on douse itself."""

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

from examples.acme import export
from stream.broker import process
from stream.broker.errors import BrokerError
from stream.demo import casting
from stream.demo.feed import Feed
from stream.demo.play import NotInTimeError
from stream.demo.scenario import SCENARIOS
from stream.demo.screen import Screen
from stream.demo.session import Say, Seen, session
from stream.demo.stage import Stage
from stream.report import build, markdown

OUT = Path("out/demo")
TOLD_TO_END = (signal.SIGTERM, signal.SIGHUP)  # a service manager's, and that of a terminal that is closed
PREFIX = "demo."
OK, FAILED, USAGE, NO_BROKER, INTERRUPTED = 0, 1, 2, 69, 130


def main(scenario: str, out: Path = OUT, telemetry: str = "fast") -> int:
    """Plays the scenario and prints its report. 0 only if everything that it claims was seen from outside."""
    if scenario not in SCENARIOS:
        print(f"no scenario {scenario!r}; there are {', '.join(SCENARIOS)}", file=sys.stderr)
        return USAGE
    if telemetry not in export.PACES:
        print(f"no telemetry {telemetry!r}; there are {', '.join(export.PACES)}", file=sys.stderr)
        return USAGE
    chosen = SCENARIOS[scenario]
    shutil.rmtree(out, ignore_errors=True)
    started_s = time.monotonic()
    print(f"douse demo: {chosen.name}: {chosen.story}", flush=True)
    world, cast = casting.default(chosen, telemetry)
    try:
        with _ending_like_ctrl_c(), process.running(out.resolve() / "broker") as broker:
            stage = Stage(out.resolve() / "run", broker.bootstrap, PREFIX, world, cast)
            seen = asyncio.run(session(stage, _watched))
    except BrokerError as error:
        print(f"douse demo: {error}", file=sys.stderr)
        return NO_BROKER
    except (NotInTimeError, RuntimeError) as error:
        print(f"douse demo failed: {error}; logs are in {out}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; everything that was started is ended", file=sys.stderr)
        return INTERRUPTED
    for one in reversed(seen):
        _show(one, out)
    holds = all(one.holds for one in seen)
    told = "every claim holds" if holds else "NOT every claim holds"
    print(f"{told}; {time.monotonic() - started_s:.0f} s in all")
    return OK if holds else FAILED


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Any signal that ends us by default leads through every `finally`, so that nothing we started goes on."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in heard:
            signal.signal(each, signal.SIG_IGN)  # told once is enough: a second one would break off the ending
        like_ctrl_c = signal.getsignal(signal.SIGINT)
        assert callable(like_ctrl_c)
        like_ctrl_c(number, frame)

    heard = [each for each in TOLD_TO_END if signal.getsignal(each) is not signal.SIG_IGN]  # nohup wants us to go on
    # Python's own Ctrl-C even where a shell ignores it: only then does asyncio put in its own, which cancels in order.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    before |= {each: signal.signal(each, end) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@asynccontextmanager
async def _watched(stage: Stage, feed: Feed) -> AsyncIterator[Say]:
    async with Screen(stage, feed) as screen:
        yield screen.say


def _show(seen: Seen, out: Path) -> None:
    """The report of the victim's incident, if there was one, and each claim beside what was seen."""
    if seen.report is None:
        print(f"\nNo incident of {seen.cast.tenant.name}; nothing to report.\n")
    else:
        build.write(seen.report, out)
        print("\n" + markdown.markdown(seen.report))
        print(f"written to {out / build.JSON_FILE} and {out / build.MARKDOWN_FILE}\n")
    for claim in seen.claims:
        print(f"  {'holds ' if claim.holds else 'BROKEN'}  {claim.text}: {claim.seen}")
