"""One evening on a stage: everything is started, the faults are done, what followed is checked, everything is ended.

The demo, the tests and the benchmark play it alike; they differ in who watches.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from stream import topics
from stream.demo import claims, forgery, play, secrets
from stream.demo.claims import Claim
from stream.demo.feed import Feed
from stream.demo.play import Played
from stream.demo.scenario import Ending
from stream.demo.stage import Cast, Stage
from stream.report import build
from stream.report.model import Report

Say = Callable[[str], None]
Watcher = Callable[[Stage, Feed], AbstractAsyncContextManager[Say]]
REFUSAL_S_MAX = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one victim: each claim of its scenario, and the report of its incident, if there was one."""

    cast: Cast
    claims: tuple[Claim, ...]
    report: Report | None

    @property
    def holds(self) -> bool:
        return all(claim.holds for claim in self.claims)


@asynccontextmanager
async def unwatched(_stage: Stage, _feed: Feed) -> AsyncIterator[Say]:
    """Nobody watches."""
    yield lambda _text: None


async def session(stage: Stage, watcher: Watcher = unwatched) -> list[Seen]:
    """Plays all of the stage's cast at the same time. Raises NotInTimeError or RuntimeError where a part fails."""
    try:
        await stage.open()
        async with Feed(stage.bootstrap, topics.names(stage.prefix)) as feed, watcher(stage, feed) as say:
            say(f"everything runs; douse may act after 30 s of fresh telemetry (logs: {stage.folder})")
            await play.ready(stage, feed)
            before = await play.snapshot(stage, feed)
            for one in stage.cast:
                say(f"the fault: {one.scenario.fault.value} at {one.tenant.name}")
            played = await asyncio.gather(*(play.play(stage, feed, one, before) for one in stage.cast))
            seen = [await _seen(stage, feed, one, say) for one in played]
            kept = _secrets_kept(await secrets.found(stage))
            return [replace(one, claims=(*one.claims, kept)) for one in seen]
    finally:
        ending = asyncio.create_task(stage.close())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending  # told to end while it ends: what was started must still be ended
            raise


async def _seen(stage: Stage, feed: Feed, played: Played, say: Say) -> Seen:
    tenant = played.cast.tenant.name
    found = await asyncio.to_thread(claims.check, stage, feed, played)
    if played.cast.scenario.ending is not Ending.TAKEN_BACK:
        victims = {one.tenant.name for one in stage.cast}
        others = [one.name for one in stage.world.tenants if not {one.name, one.lives_with} & victims]
        if others:  # where all burn at once nobody is left in whose name to forge
            say(f"now two forged orders in the name of {others[0]}")
            found += await _forge(stage, feed, tenant, others[0])
    opened = feed.incidents("opened", tenant, play.AVAILABILITY)
    report = build.build(feed.events, opened[0].data["incident"]) if opened else None
    return Seen(played.cast, tuple(found), report)


def _secrets_kept(places: Sequence[str]) -> Claim:
    text = "no planted secret left its place: not in a topic of douse, not in its log"
    return Claim(text, "; ".join(places) or "none found", not places)


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
