"""Ticks: one an interval for each shard at work, no pile while the broker stalls, an end if they do not come back."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from schemas import journal
from schemas.fleet import Fleet
from stream.detect import ticker
from stream.faustlib import exits


@dataclass
class Shard:
    number: int
    mark: int


@dataclass
class Broker:
    """Notes ticks; acknowledges them at once, or when told."""

    at_once: bool = True
    ticks: list[tuple[int, journal.Tick]] = field(default_factory=list)
    waiting: list[asyncio.Future[Any]] = field(default_factory=list)

    async def tick(self, shard: int, tick: journal.Tick) -> asyncio.Future[Any]:
        self.ticks.append((shard, tick))
        self.waiting.append(asyncio.get_running_loop().create_future())
        if self.at_once:
            self.acknowledge(len(self.waiting) - 1)
        return self.waiting[-1]

    def acknowledge(self, number: int) -> None:
        self.waiting[number].set_result(SimpleNamespace(offset=number))


@dataclass
class Fleets:
    """What is new about the other shards: told once, and again to a shard that was forgotten."""

    new: Fleet | None = None
    told: set[int] = field(default_factory=set)

    def news(self, shard: int, _now_s: float) -> Fleet | None:
        if shard in self.told:
            return None
        self.told.add(shard)
        return self.new

    def forget(self, shard: int) -> None:
        self.told.discard(shard)


def made(broker: Broker, shards: list[Shard], stuck_s: float = 12, fleets: Fleets | None = None) -> ticker.Ticker:
    return ticker.Ticker(broker, 250, stuck_s, lambda: shards, fleets or Fleets())  # type: ignore[arg-type]


async def beats(each: ticker.Ticker, times: list[float]) -> None:
    for now_s in times:
        await each.beat(now_s)
        await asyncio.sleep(0)


def test_each_shard_at_work_gets_a_tick_with_its_mark() -> None:
    async def body() -> None:
        broker = Broker()
        shards = [Shard(0, 41), Shard(3, -1)]
        each = made(broker, shards)
        await beats(each, [0])
        shards.pop(0)
        await beats(each, [1])
        assert broker.ticks == [(0, journal.Tick(250, 41)), (3, journal.Tick(250, -1)), (3, journal.Tick(250, -1))]

    asyncio.run(body())


def test_a_stalled_broker_gets_no_pile_of_ticks() -> None:
    async def body() -> None:
        broker = Broker(at_once=False)
        each = made(broker, [Shard(0, 1)])
        await beats(each, [float(second) for second in range(20)])
        assert len(broker.ticks) == ticker.IN_FLIGHT_MAX
        broker.acknowledge(0)
        await beats(each, [20, 21])
        assert len(broker.ticks) == ticker.IN_FLIGHT_MAX + 1

    asyncio.run(body())


def test_a_shard_whose_ticks_do_not_come_back_starts_the_process_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(exits, "again", said.append)

    async def body() -> None:
        broker = Broker()
        shard = Shard(7, 0)
        each = made(broker, [shard])
        await beats(each, [0, 1, 2])
        shard.mark = 1
        await beats(each, [12, 23.9])
        assert said == []
        await beats(each, [24])

    asyncio.run(body())
    assert said == ["shard 7 stands still at journal offset 1, its ticks are at 4"]


def test_a_shard_that_was_given_up_meanwhile_did_not_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(exits, "again", said.append)

    async def body() -> None:
        shards = [Shard(7, 0)]
        each = made(Broker(), shards)
        await beats(each, [0, 1, 2])
        gone = shards.pop()
        await beats(each, [10])
        shards.append(gone)
        await beats(each, [20, 21, 22])

    asyncio.run(body())
    assert said == []


def test_a_tick_brings_what_is_new_of_the_fleet_and_again_to_a_shard_that_came_back() -> None:
    async def body() -> None:
        broker, fleet = Broker(), Fleet(at_ms=1, shards=16)
        shards = [Shard(7, 0)]
        each = made(broker, shards, fleets=Fleets(fleet))
        await beats(each, [0, 1])
        gone = shards.pop()
        await beats(each, [2])
        shards.append(gone)
        await beats(each, [3])
        assert [tick.fleet for _, tick in broker.ticks] == [fleet, None, fleet]

    asyncio.run(body())
