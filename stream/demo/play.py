"""One scenario from calm to its end: waits until douse may act, does the fault, waits for what events tell."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from schemas.otlp import spans
from schemas.otlp.columns import Spans
from stream import reach, topics
from stream.demo.feed import Feed
from stream.demo.scenario import Ending, Fault
from stream.demo.stage import ROOT, Cast, Running, Stage

AVAILABILITY = "shop-availability"
QUIET_S = 60.0
READY_S_MAX = 90.0
# A fault burns for 8 s before it is seen (44 s in `story`, and a leak takes a minute to fill what there is), a plan is
# watched for 22 s, a confirmation takes up to 60 s, and so does each of two trials.
END_S_MAX = 300.0
SLOWER = {"fast": 1.0, "default": 3.0}  # exports every 60 s have everything wait for the next one
HISTORY_S = {"fast": 0.0, "default": 130.0}  # two exports of metrics: without a before nothing can be compared with it
UNTOUCHED_S = 5.0  # for so long nothing may happen where nothing should
PERTURBED_S = 1.5  # as long as a checkpoint of a database takes; a cured storm does not forgive it
SLOW_PARTNER_MS = 2_000.0
APPROVE_S_MAX = 60.0
SETTLE_S = 2.0  # after the last event, for the last outcome to arrive
POLL_S = 0.1


class NotInTimeError(RuntimeError):
    """Something that the scenario waits for did not happen within its named time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files and running values of every tenant, and the ends of the commands topic, before the fault."""

    hashes: dict[str, tuple[str, ...]]
    owners: dict[str, tuple[tuple[int, int], ...]]
    """Mode and owner of each file."""
    running: dict[str, Running]
    command_ends: dict[int, int]


@dataclass(frozen=True, slots=True)
class Played:
    """What happened to one victim. `fault_ms` is this machine's clock."""

    cast: Cast
    before: Snapshot
    fault_ms: int
    spans: dict[str, int]
    """Spans of each tenant that the source topic holds."""
    command_ends: dict[int, int]
    """Ends of the commands topic after the scenario's ending."""
    left_alone: bool | None = None
    """Nothing changed, and nothing was ordered, while a person had not decided yet; None where nobody was asked."""
    approve_said: str = ""
    """What the product's own command answered to the approval."""


async def until(condition: Callable[[], bool], what: str, limit_s: float) -> None:
    """Waits for `condition`; raises NotInTimeError naming `what`."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise NotInTimeError(f"not within {limit_s:g} s: {what}")
        await asyncio.sleep(POLL_S)


async def ready(stage: Stage, feed: Feed) -> None:
    """Returns when every tenant's data is ok and douse may act; raises NotInTimeError."""
    wanted = {tenant.name for tenant in stage.world.tenants}

    def calm() -> bool:
        rows = feed.rows(AVAILABILITY)
        if stage.douse is not None and stage.douse.poll() is not None:
            raise NotInTimeError(f"douse ended by itself; see {stage.log}")
        return wanted <= rows.keys() and all(
            row["data_state"] == "ok" and row["at_ms"] >= row["act_from_ms"] for row in rows.values()
        )

    limit_s = READY_S_MAX * SLOWER[stage.world.telemetry]
    await until(calm, "telemetry of all tenants is fresh and douse may act", limit_s)
    await asyncio.sleep(HISTORY_S[stage.world.telemetry])


async def snapshot(stage: Stage, feed: Feed) -> Snapshot:
    names = [tenant.name for tenant in stage.world.tenants]
    return Snapshot(
        {name: stage.hashes(name) for name in names},
        {name: stage.owners(name) for name in names},
        {name: await asyncio.to_thread(stage.running, name) for name in names},
        await feed.command_ends(),
    )


async def play(stage: Stage, feed: Feed, cast: Cast, before: Snapshot) -> Played:
    """Does the fault to the victim and returns when its scenario has ended."""
    fault_ms = time.time_ns() // 1_000_000
    await asyncio.to_thread(_do, stage, cast)
    tenant, limit_s = cast.tenant.name, END_S_MAX * SLOWER[stage.world.telemetry]
    left_alone, said = None, ""

    def told(name: str) -> Callable[[], bool]:
        return lambda: bool(feed.incidents(name, tenant, AVAILABILITY))

    def over() -> bool:
        """Closed, or with a person, who would wait in vain for more; the claims then tell what is missing."""
        return told("closed")() or told("handed_over")()

    match cast.scenario.ending:
        case Ending.QUIET:
            await asyncio.sleep(QUIET_S)
        case Ending.CONFIRMED:
            perturbing = asyncio.create_task(_perturb(stage, feed, cast))
            try:
                await until(over, "the incident closes", limit_s)
            finally:
                perturbing.cancel()
        case Ending.APPROVED:
            await until(told("suggested"), "the plan is suggested", limit_s)
            left_alone = await untouched(stage, feed, cast, before)
            plan = feed.incidents("suggested", tenant, AVAILABILITY)[0].data["plan"]
            said = await asyncio.to_thread(_approve, stage, plan)
            await until(over, "the incident closes", limit_s)
        case Ending.REFUSED:
            await until(lambda: cast.scenario.refused in refusals(feed, tenant), "the guard refuses", limit_s)
            await asyncio.sleep(UNTOUCHED_S)
        case Ending.HANDED:
            await until(told("handed_over"), "the incident is handed to a person", limit_s)
        case Ending.TAKEN_BACK:
            await until(lambda: _status(feed, tenant, "live"), "the change is live", limit_s)
            await asyncio.to_thread(stage.kill_apps, ("ingest", "detect"))
            await until(lambda: _status(feed, tenant, "reverted"), "act takes the change back by itself", limit_s)
        case _:
            assert_never(cast.scenario.ending)
    await asyncio.sleep(SETTLE_S)
    return Played(cast, before, fault_ms, await count_spans(stage), await feed.command_ends(), left_alone, said)


async def untouched(stage: Stage, feed: Feed, cast: Cast, before: Snapshot) -> bool:
    """After a while: every file and running value of the victim as before, and no command on the topic."""
    await asyncio.sleep(UNTOUCHED_S)
    tenant = cast.tenant.name
    running = await asyncio.to_thread(stage.running, tenant)
    ordered = len(feed.commands(tenant))
    return (stage.hashes(tenant), running, ordered) == (before.hashes[tenant], before.running[tenant], 0)


def refusals(feed: Feed, tenant: str) -> list[str]:
    """The reasons with which the guard refused, oldest first."""
    return [event.data["reason"] for event in feed.incidents("refused", tenant, AVAILABILITY)]


def _approve(stage: Stage, plan: str) -> str:
    """The product's own command, as a person would call it; what it said where it failed."""
    command = [sys.executable, "-m", "stream.cli", "--config", str(stage.config), "approve", plan, "--yes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=APPROVE_S_MAX, check=False)
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"


async def _perturb(stage: Stage, feed: Feed, cast: Cast) -> None:
    """A slow moment of the replica as soon as a step's taking back is tried that a calm moment would not miss."""
    hurts = {name for name, ended in cast.scenario.lifted if ended == "restored"}
    tenant, world = cast.tenant.name, stage.world
    while hurts:
        await asyncio.sleep(POLL_S)
        tried = {
            event.data["step"]["command"]
            for event in feed.incidents("lifted", tenant, AVAILABILITY)
            if event.data["state"] == "trying" and event.data["step"]["mitigation"] in hurts
        }
        if any(e.data["status"] == "reverted" and e.data["applies"] in tried for e in feed.outcomes(tenant)):
            await asyncio.sleep(PERTURBED_S)  # the tabs go by the old policy again within half a second
            service = stage.services[stage.home(tenant)]
            slow: dict[str, object] = {"query_ms": world.slow_query_ms, "knee": world.slow_knee}
            await asyncio.to_thread(service.post, "/admin/replica", slow)
            await asyncio.sleep(PERTURBED_S)
            usual: dict[str, object] = {"query_ms": world.query_ms, "knee": world.knee}
            await asyncio.to_thread(service.post, "/admin/replica", usual)
            return


async def count_spans(stage: Stage) -> dict[str, int]:
    """Spans of each tenant on the source topic, counted from its bytes."""
    found = dict.fromkeys((tenant.name for tenant in stage.world.tenants), 0)
    async for stored in reach.read(stage.bootstrap, topics.names(stage.prefix).spans):
        columns = spans.decode(stored.value or b"")
        if isinstance(columns, Spans):
            names = [str(resource.attributes.get("tenant.id", "")) for resource in columns.resources]
            for name, count in zip(names, np.bincount(columns.resource, minlength=len(names)), strict=True):
                found[name] = found.get(name, 0) + int(count)
    return found


def _do(stage: Stage, cast: Cast) -> None:
    tenant, world = cast.tenant, stage.world
    service = stage.services[stage.home(tenant.name)]
    match cast.scenario.fault:
        case Fault.SPIKE:
            stage.clients[tenant.name].post("/tabs", {"tabs": tenant.tabs_spike, "lookers": tenant.lookers_spike})
        case Fault.SLOW_REPLICA:
            service.post("/admin/replica", {"query_ms": world.slow_query_ms, "knee": world.slow_knee})
        case Fault.BROKEN_ROUTE:
            service.post("/admin/failing", {"route": "/search"})
        case Fault.SLOW_PARTNER:
            service.post("/admin/partner", {"interface": world.interfaces[0], "answer_ms": SLOW_PARTNER_MS})
        case Fault.LEAK:
            service.post("/admin/leak", {"kb_per_s": world.leak_kb_per_s})
        case Fault.NONE:
            pass
        case _:
            assert_never(cast.scenario.fault)


def _status(feed: Feed, tenant: str, status: str) -> bool:
    return any(event.data["status"] == status for event in feed.outcomes(tenant))
