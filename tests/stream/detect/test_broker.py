"""detect on a real broker: killed, fenced, stopped, started again, it counts each position once and never differs."""

import random
import signal
from pathlib import Path

import pytest

from stream import shard
from stream.faustlib import exits
from tests import seeds
from tests.faults import counting, harness

pytestmark = pytest.mark.broker


def rows(shard: int, count: int, seed: int) -> list[bytes]:
    """One source's positions for one shard, with the repeated prefixes that a restarted ingest writes."""
    draw = random.Random(seed * 31 + shard)
    written: list[bytes] = []
    position = 0
    while position < count:
        run = draw.randint(5, 40)
        written += [
            counting.row("spans", offset, offset * 7919 % 50) for offset in range(position, min(count, position + run))
        ]
        position = max(0, position + run - draw.choice([0, 0, 3, run]))
    return written


def test_a_killed_and_a_stopped_worker_lose_and_repeat_nothing(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    world = harness.world(bootstrap, prefix, tmp_path)
    fed = {shard: rows(shard, 1500, seed=1) for shard in range(world.shards)}
    harness.feed(world, {shard: values[:400] for shard, values in fed.items()})
    point = seeds.draw(request).choice(["commit", "send", "ack"])
    nth = {"commit": 3, "send": 25, "ack": 420}[point]
    print(f"kill point: {point} {nth}")

    with harness.running(world, "--point", point, "--nth", str(nth)) as worker:
        assert worker.wait(40) == -signal.SIGKILL, harness.log(world)
    harness.feed(world, {shard: values[400:] for shard, values in fed.items()})
    with harness.running(world) as worker:
        last = {shard: len(values) for shard, values in fed.items()}
        harness.until(lambda: _marks(world, last), "snapshots beyond all rows")
        assert harness.stop(world, worker) == 0, harness.log(world)
    before = harness.check(world)

    with harness.running(world) as worker:
        harness.until(lambda: _marks(world, {s: state.mark + 8 for s, state in before.items()}), "two seconds more")
        assert harness.stop(world, worker) == 0
    after = harness.check(world)
    assert {shard: state.totals() for shard, state in after.items()} == {
        s: state.totals() for s, state in before.items()
    }
    assert all(state.ticks > before[shard].ticks for shard, state in after.items())


def test_without_a_snapshot_and_without_the_journals_beginning_an_operator_is_needed(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    world = harness.world(bootstrap, prefix, tmp_path)
    harness.feed(world, {0: rows(0, 20, seed=2)})
    harness.forget(world, shard=0)
    with harness.running(world) as worker:
        assert worker.wait(30) == exits.OPERATOR, harness.log(world)
    last = harness.log(world).strip().splitlines()[-1]
    assert "shard 0: there is no snapshot, and the journal begins at offset" in last
    assert "douse state rebase --shard 0" in last


def test_the_products_engine_goes_on_from_its_own_snapshot(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    world = harness.world(bootstrap, prefix, tmp_path)
    marks: list[int] = []
    for _ in range(2):
        with harness.running(world, engine="") as worker:
            floor = marks[-1] if marks else 0
            harness.until(lambda floor=floor: _lowest_mark(world) > floor, "a snapshot of each shard")
            assert harness.stop(world, worker) == 0, harness.log(world)
        marks.append(_lowest_mark(world))
    assert marks[1] > marks[0] > 0
    assert f"mark {marks[0]} from" in harness.log(world)


def _lowest_mark(world: harness.World) -> int:
    """Of the product's own snapshots; -1 while a shard has none."""
    states = [shard.restore(number, world.shards, held) for number, held in harness.segments(world).items()]
    return min((state.mark for state in states), default=-1) if len(states) == world.shards else -1


def _marks(world: harness.World, wanted: dict[int, int]) -> bool:
    states = harness.snapshots(world)
    return all(shard in states and states[shard].mark >= mark for shard, mark in wanted.items())
