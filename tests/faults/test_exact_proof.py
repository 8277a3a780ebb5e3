"""Two ingest and two detect workers, killed and paused at drawn moments while a load runs: every bucket is exact."""

import itertools
import os
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.faustlib import exits
from tests.faults import harness, pipeline
from tests.faults.pipeline import Workers

pytestmark = [pytest.mark.broker, pytest.mark.proof]

LOAD_S = 60  # with the time to catch up within the 2 min of 1 s buckets
STRIKE_S = (2.0, 6.0)  # from kill to kill: with the recoveries at least three, so workers of both kinds
PAUSE_S = harness.SESSION_S + 2.0
POINTS = {"ingest": [("send", 80), ("ack", 400)], "detect": [("send", 120), ("commit", 10), ("ack", 400)]}


@pytest.mark.parametrize("faults", ["kill points", "during recovery", "one pause past the session"])
def test_two_workers_of_each_kind_count_every_span_once(
    request: pytest.FixtureRequest,
    bootstrap: str,
    prefix: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    faults: str,
) -> None:
    seed = request.config.getoption("--seed") or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest -m proof tests/faults/test_exact_proof.py --seed {seed}")
    draw = random.Random(seed)
    made = pipeline.world(bootstrap, prefix, tmp_path)
    with pipeline.workers(made, 2) as kept:
        for kind in POINTS:
            for number in range(2):
                kept.start(kind, number, *(_point(draw, kind) if faults == "kill points" else ()))
        with pipeline.load(made, seed):
            _disturb(kept, draw, faults)

        def caught_up() -> bool:
            kept.tend()
            return not pipeline.behind(made)

        harness.until(caught_up, "the snapshots have all that was sent", within_s=45, pause_s=1)
        codes = kept.stop()
    assert codes == [0, 0, 0, 0]
    counters = pipeline.check(made)
    assert pipeline.dead_letters(made).keys() == pipeline.garbage_sent(made).keys()
    decided = pipeline.check_decisions(made)
    killed = Counter(kind for kind, code in kept.codes if code == -signal.SIGKILL)
    ended_again = sum(code == exits.AGAIN for _, code in kept.codes)
    if faults == "during recovery":
        assert all(killed[kind] > 0 for kind in POINTS), kept.codes
    if faults == "one pause past the session":
        assert ended_again > 0, kept.codes
    repeated = counters.get("rows_repeated", 0)
    total = sum(pipeline.truth(made, 1)[1].values())
    seen = f"{total} requests exact; killed {dict(killed)}, exit {exits.AGAIN} {ended_again} times"
    record_property("claim", (f"2 + 2 workers, {faults}: buckets exact", seen, True))
    record_property("claim", (f"2 + 2 workers, {faults}: decisions of the offline fold", f"{decided} events", True))
    if faults == "kill points":
        record_property("claim", ("repeats were really seen", f"{repeated} rows dropped by their mark", repeated > 0))
        assert repeated > 0
        assert sum(killed.values()) >= 4


def _point(draw: random.Random, kind: str) -> tuple[str, ...]:
    point, most = draw.choice(POINTS[kind])
    after = ("--after",) if draw.random() < 0.5 else ()
    return ("--point", point, "--nth", str(draw.randint(most // 4, most)), *after)


def _disturb(kept: Workers, draw: random.Random, faults: str) -> None:
    """Lets the load run for LOAD_S while workers die or stand still."""
    end_s = time.monotonic() + LOAD_S
    paused = False
    victims = itertools.cycle(draw.sample(list(kept.running), len(kept.running)))
    strike_s = end_s - LOAD_S + draw.uniform(*STRIKE_S)
    while time.monotonic() < end_s:
        time.sleep(0.2)
        left_s = end_s - time.monotonic()
        for (kind, number), process in list(kept.running.items()):
            if process.poll() is not None:
                kept.codes.append((kind, process.returncode))
                # Near the end nobody is armed any more: what still dies then could not be caught up with in time.
                kept.start(kind, number, *(_point(draw, kind) if faults == "kill points" and left_s > 25 else ()))
                if faults == "during recovery" and left_s > 25:
                    time.sleep(draw.uniform(1.0, 3.0))
                    kept.running[kind, number].kill()
        if faults == "during recovery" and left_s > 25 and time.monotonic() > strike_s:
            kept.running[next(victims)].kill()
            strike_s = time.monotonic() + draw.uniform(*STRIKE_S)
        if faults == "one pause past the session" and not paused and left_s < LOAD_S - 20:
            paused = True
            for kind in POINTS:
                os.kill(kept.running[kind, draw.randrange(2)].pid, signal.SIGSTOP)
            time.sleep(PAUSE_S)
            for process in kept.running.values():
                os.kill(process.pid, signal.SIGCONT)
