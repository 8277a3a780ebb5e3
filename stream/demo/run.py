"""`douse demo`: one scenario on real parts, from an empty folder to the report, and a verdict on douse itself."""

import asyncio
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.acme.world import World
from stream import topics
from stream.broker import process
from stream.broker.errors import BrokerError
from stream.demo import claims, forgery, play
from stream.demo.claims import Claim
from stream.demo.feed import Feed
from stream.demo.play import NotInTimeError
from stream.demo.scenario import SCENARIOS, Ending, Scenario
from stream.demo.screen import Screen
from stream.demo.stage import Cast, Stage
from stream.report import build as report
from stream.report import markdown as report_markdown

OUT = Path("out/demo")
PREFIX = "demo."
OK, FAILED, USAGE, NO_BROKER = 0, 1, 2, 69
REFUSAL_S_MAX = 15.0


def main(scenario: str, out: Path = OUT) -> int:
    """Plays the scenario and prints its report. 0 only if everything that it claims was seen from outside."""
    if scenario not in SCENARIOS:
        print(f"no scenario {scenario!r}; there are {', '.join(SCENARIOS)}", file=sys.stderr)
        return USAGE
    chosen = SCENARIOS[scenario]
    shutil.rmtree(out, ignore_errors=True)
    started_s = time.monotonic()
    print(f"douse demo: {chosen.name}: {chosen.story}", flush=True)
    try:
        with process.running(out / "broker") as broker:
            held = asyncio.run(_demo(chosen, out, broker.bootstrap))
    except BrokerError as error:
        print(f"douse demo: {error}", file=sys.stderr)
        return NO_BROKER
    except (NotInTimeError, RuntimeError) as error:
        print(f"douse demo failed: {error}; logs are in {out}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; everything that was started is ended", file=sys.stderr)
        return 130
    print(f"{'every claim holds' if held else 'NOT every claim holds'}; {time.monotonic() - started_s:.0f} s in all")
    return OK if held else FAILED


async def _demo(scenario: Scenario, out: Path, bootstrap: str) -> bool:
    world = World()
    victim, other = world.tenants[0], world.tenants[1]
    stage = Stage(out / "run", bootstrap, PREFIX, world, (Cast(victim, scenario),))
    try:
        await stage.open()
        async with Feed(bootstrap, topics.names(PREFIX)) as feed:
            async with Screen(stage, feed) as screen:
                screen.say(f"everything runs; douse may act after 30 s of fresh telemetry (logs: {out}/run)")
                await play.ready(stage, feed)
                before = play.snapshot(stage, feed)
                screen.say(f"the fault: {scenario.fault.value} at {victim.name}")
                played = await play.play(stage, feed, stage.cast[0], before)
                found = await asyncio.to_thread(claims.check, stage, feed, played)
                if scenario.ending is not Ending.TAKEN_BACK:
                    screen.say(f"now two forged orders in the name of {other.name}")
                    found += await _forge(stage, feed, victim.name, other.name)
            _show(feed, out, victim.name)
    finally:
        await stage.close()
    for claim in found:
        print(f"  {'holds ' if claim.holds else 'BROKEN'}  {claim.text}: {claim.seen}")
    return all(claim.holds for claim in found)


async def _forge(stage: Stage, feed: Feed, victim: str, other: str) -> list[Claim]:
    """Each forged order is refused for its own reason, and nothing of either tenant changes."""
    before = [stage.hashes(name) for name in (victim, other)]
    sent = await forgery.send(stage, victim, other)
    wanted = {one.command for one in sent}

    def answers() -> dict[str, Mapping[str, Any]]:
        return {event.data["command"]: event.data for event in feed.outcomes() if event.data["command"] in wanted}

    await play.until(lambda: answers().keys() == wanted, "act refuses the forged orders", REFUSAL_S_MAX)
    found = []
    for one in sent:
        answer = answers()[one.command]
        seen = f"{answer['status']}, {answer['reason']}"
        found.append(Claim(f"{one.text} is refused", seen, seen == f"refused, {one.reason}"))
    same = before == [stage.hashes(name) for name in (victim, other)]
    return [*found, Claim("the forged orders changed no file", "SHA-256 equal" if same else "SHA-256 differs", same)]


def _show(feed: Feed, out: Path, tenant: str) -> None:
    """Writes and prints the report of the victim's incident, if there was one."""
    opened = feed.incidents("opened", tenant, play.AVAILABILITY)
    if not opened:
        print(f"\nNo incident of {tenant}; nothing to report.\n")
        return
    built = report.build(feed.events, opened[0].data["incident"])
    report.write(built, out)
    print("\n" + report_markdown.markdown(built))
    print(f"written to {out / 'report.json'} and {out / 'report.md'}")
