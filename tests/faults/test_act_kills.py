"""kill -9 of act before every step between ledger, file, signal, outcome and offsets: once back, all of them agree."""

import random
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import act_kills
from tests.faults.act_kills import KINDS, Round

pytestmark = pytest.mark.broker

STEPS_MIN = {"apply": 18, "confirm": 6, "revert": 14, "deadline": 14}  # each kind has at least so many
STEPS_MAX = 60  # more would mean that the enumeration does not end
OF_EACH = {"ledger begin", "ledger commit", "send", "offsets"}
OF_A_CHANGE = OF_EACH | {"draft", "fsync", "rename", "signal", "probe"}
TWICE = 12  # rounds in which the process dies in its recovery as well


def drawn(request: pytest.FixtureRequest, how: str) -> random.Random:
    seed = request.config.getoption("--seed") or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest {how} tests/faults/test_act_kills.py --seed {seed}")
    return random.Random(seed)


def test_act_is_killed_once_and_everything_agrees(
    request: pytest.FixtureRequest, bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    draw = drawn(request, "-m 'not proof'")
    kind = draw.choice(KINDS)
    with act_kills.shooting_range(bootstrap, prefix, tmp_path) as range_:
        assert range_.play(kind, draw.randint(1, STEPS_MIN[kind])).died_before


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_act_is_killed_before_every_step(
    bootstrap: str, prefix: str, tmp_path: Path, record_property: Callable[[str, object], None], kind: str
) -> None:
    rounds: list[Round] = []
    with act_kills.shooting_range(bootstrap, prefix, tmp_path) as range_:
        while not rounds or rounds[-1].died_before:
            rounds.append(range_.play(kind, len(rounds) + 1))
            assert len(rounds) <= STEPS_MAX
        repeats = len(range_.rig.answers()) - len({event.id for event, _ in range_.rig.answers()})
    points = Counter(one.died_before for one in rounds if one.died_before)
    assert len(rounds) > STEPS_MIN[kind]
    expected = OF_EACH if kind == "confirm" else OF_A_CHANGE
    assert set(points) >= (expected - {"offsets"} if kind == "deadline" else expected)  # it reads nothing from Kafka
    ends = dict(Counter(one.ended for one in rounds))
    seen = f"{points.total()} kills before {dict(points)}; ended {ends}; {repeats} outcomes repeated, byte for byte"
    record_property("claim", (f"act killed before every step of one {kind}: all agree, applied once", seen, True))


@pytest.mark.proof
def test_act_is_killed_again_while_it_recovers(
    request: pytest.FixtureRequest,
    bootstrap: str,
    prefix: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    draw = drawn(request, "-m proof")
    twice = 0
    with act_kills.shooting_range(bootstrap, prefix, tmp_path) as range_:
        for number in range(TWICE):
            kind = draw.choice(KINDS)
            twice += range_.play_twice(kind, number, draw.randint(1, STEPS_MIN[kind]), draw.randint(1, 20))
    assert twice
    seen = f"{TWICE} rounds, in {twice} of them it died in its recovery too"
    record_property("claim", ("act killed again while it recovers: all agree, applied once", seen, True))
