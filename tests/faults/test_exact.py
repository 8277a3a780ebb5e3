"""kill -9 in the middle of a load: afterwards every bucket holds what was sent, once."""

import random
import secrets
import signal
from pathlib import Path

import pytest

from tests.faults import harness, pipeline

pytestmark = pytest.mark.broker

LOAD_S = 30  # with the 15 s until the snapshots are read well within the 2 min of 1 s buckets
POINTS = {"ingest": [("send", 40), ("ack", 200)], "detect": [("send", 60), ("commit", 8), ("ack", 200)]}


def test_one_worker_of_each_kind_is_killed_and_the_buckets_are_exact(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    seed = request.config.getoption("--seed") or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest tests/faults/test_exact.py --seed {seed}")
    draw = random.Random(seed)
    made = pipeline.world(bootstrap, prefix, tmp_path)
    with pipeline.workers(made, 1) as kept:
        for kind, points in POINTS.items():
            point, most = draw.choice(points)
            after = ["--after"] if draw.random() < 0.5 else []
            kept.start(kind, 0, "--point", point, "--nth", str(draw.randint(most // 4, most)), *after)
        with pipeline.load(made, seed):
            killed = {"ingest", "detect"}

            def both_died() -> bool:
                kept.tend()
                return killed == {kind for kind, code in kept.codes if code == -signal.SIGKILL}

            harness.until(both_died, "both workers reach their kill point", within_s=LOAD_S + 15)

        def caught_up() -> bool:
            kept.tend()
            return not pipeline.behind(made)

        harness.until(caught_up, "the snapshots have all that was sent", within_s=40, pause_s=1)
        assert kept.stop() == [0, 0]
    pipeline.check(made)
    assert pipeline.dead_letters(made).keys() == pipeline.garbage_sent(made).keys()
    assert pipeline.dead_letters(made) >= pipeline.garbage_sent(made)
