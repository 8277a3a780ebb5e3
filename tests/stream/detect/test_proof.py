"""The long matrix of faults of detect on a real broker: every kill point, two workers, pauses over the session."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from stream.faustlib import exits
from tests import seeds
from tests.faults import counting, harness

pytestmark = [pytest.mark.broker, pytest.mark.proof]

ROUNDS = 5
KILLS = [(point, after) for point in ("send", "commit", "ack") for after in (False, True)]


@pytest.mark.parametrize(("point", "after"), KILLS, ids=lambda value: str(value))
def test_every_kill_point_again_and_again(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path, point: str, after: bool
) -> None:
    world = harness.world(bootstrap, prefix, tmp_path)
    draw = seeds.draw(request)
    most = {"send": 60, "commit": 8, "ack": 400}[point]
    fed = dict.fromkeys(range(world.shards), 0)
    for _ in range(ROUNDS):
        for shard in fed:
            fed[shard] += _feed(world, shard, fed[shard], 300)
        nth = draw.randint(1, most)
        with harness.running(world, "--point", point, "--nth", str(nth), *(["--after"] if after else [])) as worker:
            assert worker.wait(60) == -signal.SIGKILL, harness.log(world)
    with harness.running(world) as worker:
        harness.until(lambda: _caught_up(world, fed) or worker.poll() is not None, "all rows in snapshots")
        assert harness.stop(world, worker) == 0, harness.log(world)
    harness.check(world)


def test_two_workers_killed_paused_and_stopped_at_random(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    world = harness.world(bootstrap, prefix, tmp_path, 4)
    draw = seeds.draw(request)
    fed = dict.fromkeys(range(world.shards), 0)
    workers = [harness.start(world), harness.start(world)]
    codes: list[int] = []
    try:
        end = time.monotonic() + 100
        while time.monotonic() < end:
            for shard in fed:
                fed[shard] += _feed(world, shard, fed[shard], 50)
            time.sleep(draw.uniform(0.5, 4))
            number = draw.randrange(2)
            if draw.random() < 0.4:
                _fault(world, workers[number].pid, draw)
            for index, worker in enumerate(workers):
                if worker.poll() is not None:
                    codes.append(worker.returncode)
                    workers[index] = harness.start(world)
        harness.until(lambda: _caught_up(world, fed), "all rows in snapshots", within_s=60)
        for worker in workers:
            assert harness.stop(world, worker) == 0, harness.log(world)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    print(f"{sum(fed.values())} rows, exits {sorted(codes)}")
    assert set(codes) <= {0, -signal.SIGKILL, exits.AGAIN}, harness.log(world)
    harness.check(world)


def _fault(world: harness.World, pid: int, draw: random.Random) -> None:
    """A worker that has not loaded a shard may not listen to a SIGTERM yet, and is left alone."""
    match draw.choice(["kill", "pause", "stop"]):
        case "kill":
            os.kill(pid, signal.SIGKILL)
        case "pause":
            os.kill(pid, signal.SIGSTOP)
            time.sleep(draw.uniform(7, 12))
            os.kill(pid, signal.SIGCONT)
        case "stop":
            if f"[{pid}] [INFO] shard " in harness.log(world):
                os.kill(pid, signal.SIGTERM)
    time.sleep(0.5)


def _feed(world: harness.World, shard: int, start: int, count: int) -> int:
    """Rows `start` and following, with a repeated prefix before them; how many are new."""
    first = max(0, start - 7)
    rows = [counting.row("spans", offset, offset * 7919 % 50) for offset in range(first, start + count)]
    harness.feed(world, {shard: rows})
    return count


def _caught_up(world: harness.World, fed: dict[int, int]) -> bool:
    states = harness.snapshots(world)
    return all(
        sum(states[shard].totals().values()) >= count if shard in states else False for shard, count in fed.items()
    )
