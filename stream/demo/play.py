"""One scenario from calm to its end: waits until douse may act, does the fault, waits for what events tell."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from schemas.otlp import spans
from schemas.otlp.columns import Spans
from stream import reach, topics
from stream.demo.feed import Feed
from stream.demo.scenario import Ending, Fault
from stream.demo.stage import Cast, Stage

AVAILABILITY = "shop-availability"
QUIET_S = 60.0
READY_S_MAX = 90.0
END_S_MAX = (
    150.0  # a fault burns for 8 s before it is seen, a plan is watched for 22 s, a confirmation takes up to 60 s
)
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
    running: dict[str, dict[str, int]]
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

    await until(calm, "telemetry of all tenants is fresh and douse may act", READY_S_MAX)


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
    tenant = cast.tenant.name
    match cast.scenario.ending:
        case Ending.QUIET:
            await asyncio.sleep(QUIET_S)
        case Ending.CONFIRMED:
            await until(lambda: bool(feed.incidents("closed", tenant, AVAILABILITY)), "the incident closes", END_S_MAX)
        case Ending.HANDED:
            done = lambda: bool(feed.incidents("handed_over", tenant, AVAILABILITY))  # noqa: E731
            await until(done, "the incident is handed to a person", END_S_MAX)
        case Ending.TAKEN_BACK:
            await until(lambda: _status(feed, tenant, "live"), "the change is live", END_S_MAX)
            await asyncio.to_thread(stage.kill_apps, ("ingest", "detect"))
            await until(lambda: _status(feed, tenant, "reverted"), "act takes the change back by itself", END_S_MAX)
    await asyncio.sleep(SETTLE_S)
    return Played(cast, before, fault_ms, await count_spans(stage), await feed.command_ends())


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
    match cast.scenario.fault:
        case Fault.SPIKE:
            stage.clients[tenant.name].post("/tabs", {"tabs": tenant.tabs_spike})
        case Fault.SLOW_REPLICA:
            replica: dict[str, object] = {"query_ms": world.slow_query_ms, "knee": world.slow_knee}
            stage.services[tenant.name].post("/admin/replica", replica)
        case Fault.BROKEN_ROUTE:
            stage.services[tenant.name].post("/admin/failing", {"route": "/search"})
        case Fault.NONE:
            pass


def _status(feed: Feed, tenant: str, status: str) -> bool:
    return any(event.data["status"] == status for event in feed.outcomes(tenant))
