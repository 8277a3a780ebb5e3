"""The product on real parts: the main scenario and two others at once, each with its own tenant, in a drawn world."""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas import envelope, journal, signing
from schemas.envelope import Event
from stream import engine, reach, shard, topics
from stream.demo.claims import Claim
from stream.demo.scenario import SCENARIOS
from stream.demo.session import session
from stream.demo.stage import SHARDS, Stage
from stream.effects import Outlet
from tests.scenarios import renamed

pytestmark = pytest.mark.broker
PLAYED = ("acme", "unknown", "deaf")


@dataclass(frozen=True)
class Evening:
    """What was seen of all scenarios, and what the topics held when everything had ended."""

    claims: dict[str, tuple[Claim, ...]]
    journal: dict[int, list[journal.Record]]
    decided: list[Event]


@pytest.fixture(scope="module")
def evening(request: pytest.FixtureRequest, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """Plays all scenarios on one set of apps; the seed is printed where one fails."""
    seed = request.config.getoption("--seed") or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest -m broker tests/scenarios --seed {seed}")
    return asyncio.run(_play(bootstrap, f"s{seed}.", seed, tmp_path_factory.mktemp("scenarios")))


async def _play(bootstrap: str, prefix: str, seed: str, folder: Path) -> Evening:
    world, cast = renamed.draw(seed, [SCENARIOS[name] for name in PLAYED])
    stage = Stage(folder, bootstrap, prefix, world, cast)
    seen = await session(stage)
    names = topics.names(prefix)
    records: dict[int, list[journal.Record]] = {number: [] for number in range(SHARDS)}
    async for stored in reach.read(bootstrap, names.journal):
        header = dict(stored.headers)
        assert stored.value is not None
        records[stored.partition].append(
            journal.Record(
                stored.partition,
                stored.offset,
                stored.timestamp_ms,
                header["kind"].decode(),
                int(header["version"]),
                stored.value,
            )
        )
    decided = []
    for topic in (names.incidents, names.commands):
        decided += [envelope.decode(stored.headers, stored.value) async for stored in reach.read(bootstrap, topic)]
    return Evening({one.cast.scenario.name: one.claims for one in seen}, records, decided)


@pytest.mark.parametrize("name", PLAYED)
def test_everything_that_a_scenario_claims_is_seen_from_outside(evening: Evening, name: str) -> None:
    assert evening.claims[name]
    assert [claim for claim in evening.claims[name] if not claim.holds] == []


def test_the_journal_folded_again_gives_the_decisions_that_were_published(evening: Evening) -> None:
    incidents = {event.data["incident"] for event in evening.decided if event.type.startswith("dev.douse.incident.")}
    # The orders that the scenarios forged stand on the topic as well; no incident knows them.
    ours = [event for event in evening.decided if event.data["incident"] in incidents]
    ours.sort(key=_place)  # of each partition the topic's own order stays where places are equal
    published: dict[tuple[str, str], bytes] = {}
    for event in ours:
        published.setdefault((event.type, event.id), _unsigned(event.type, event.id, event.source, event.data))
    assert len(published) > 10
    again: dict[tuple[str, str], bytes] = {}
    for number, records in evening.journal.items():
        state = shard.fresh(number, SHARDS)
        for record in records:
            for effect in engine.fold(state, record):
                if effect.outlet is not Outlet.STATUS:
                    text = _unsigned(effect.type, effect.id, effect.source, effect.data)
                    assert again.setdefault((effect.type, effect.id), text) == text
    assert [one for one in again.items() if one[0] in published] == list(published.items())
    # What the last records decide may not have left before douse was stopped.
    assert len(again.keys() - published.keys()) <= 2


def _place(event: Event) -> tuple[int, int, int]:
    """Where in the journal the decision follows from."""
    return event.data["shard"], event.data["journal_offset"], event.data["index"]


def _unsigned(ce_type: str, ce_id: str, ce_source: str, data: Any) -> bytes:
    """The canonical form that a signature covers."""
    return signing.signed_bytes(ce_type, ce_id, ce_source, data)
