"""Thousands of records that must not be obeyed: none is, each is answered with its reason, no true id is used up."""

import random
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from actuators.ledger import State
from schemas.commands import Command, CommandKind, OutcomeReason, OutcomeStatus
from stream.act import execute, inbox
from stream.act.inbox import Foreign, Order
from tests.actuators.drivers.world import CONFIG
from tests.stream.act import attacks
from tests.stream.act.attacks import TRUE, Attack, Attacker
from tests.stream.act.bench import Bench, bedded

NEW = CONFIG.replace(b"32", b"64")
DONE = {OutcomeStatus.LIVE, OutcomeStatus.CONFIRMED, OutcomeStatus.REVERTED, OutcomeStatus.UNKNOWN}


@pytest.mark.parametrize("cases", [200, pytest.param(10_000, marks=pytest.mark.proof)])
def test_nothing_that_an_attacker_writes_is_obeyed(
    request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None], cases: int
) -> None:
    seed = request.config.getoption("--seed") or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest tests/stream/act/test_adversary.py --seed {seed}")
    attacker = Attacker(random.Random(seed))
    with bedded(tmp_path) as bed:
        bench = bed.bench()
        for _ in range(cases // 2):
            _withstands(bench, attacker.attack())
        assert bench.hands.ledger.recorded(TRUE) is None, "no forgery used up the true command's id"
        assert not bench.hands.ledger.entries(*State)
        assert bench.world.file.read_bytes() == CONFIG
        assert _carried_out(bench, attacks.true()) is OutcomeStatus.LIVE
        assert _carried_out(bench, attacks.true("w", CommandKind.CONFIRM)) is OutcomeStatus.CONFIRMED
        for _ in range(cases - cases // 2):
            _withstands(bench, attacker.attack())
        assert bench.world.file.read_bytes() == NEW
        assert [bench.world.says(name)["reloads"] for name in ("service", "worker")] == [1, 1]
        assert _carried_out(bench, attacks.true("r", CommandKind.REVERT)) is OutcomeStatus.REVERTED
        assert bench.world.file.read_bytes() == CONFIG
    assert len(attacker.made) >= len(attacks.KINDS)
    seen = f"0 of {cases} obeyed ({len(attacker.made)} kinds), each with its reason; seed {seed}"
    record_property("claim", ("no adversary's command is obeyed, and none uses up a true id", seen, True))


def _carried_out(bench: Bench, command: Command) -> OutcomeStatus:
    order = inbox.command("host", attacks.KEYS, b"host/pool", *attacks.record(command.fields()))
    assert isinstance(order, Order)
    return execute.execute(bench.hands, order, lambda: 0).status


def _withstands(bench: Bench, attack: Attack) -> None:
    order = inbox.command("host", attacks.KEYS, attack.key, attack.headers, attack.value)
    if isinstance(order, Foreign):
        assert not attack.reasons, attack
        return
    if isinstance(order, Order):
        assert (order.signer is None) == attack.forged, attack
        recorded = bench.hands.ledger.recorded(order.command.command)
    else:
        recorded = None
    outcome = execute.execute(bench.hands, order, lambda: attack.age_ms)
    if recorded is not None:
        assert outcome == recorded, attack
        assert order.command.command == TRUE, "only the true id is known twice"  # type: ignore[union-attr]
        return
    assert outcome.reason in attack.reasons, (attack, outcome)
    assert outcome.status not in DONE, (attack, outcome)
    assert outcome.detail, attack
    if attack.forged:
        assert bench.hands.ledger.recorded(outcome.command) in (None, bench.hands.ledger.recorded(TRUE))
    for each in bench.hands.ledger.unsent()[-20:]:
        bench.hands.ledger.acknowledged(each.number)


def test_the_reasons_cover_every_rule_that_an_order_can_break() -> None:
    attacker = Attacker(random.Random(1))
    found = {reason for _ in range(2_000) for reason in attacker.attack().reasons}
    assert found >= {
        OutcomeReason.BAD_SIGNATURE, OutcomeReason.MALFORMED, OutcomeReason.NOT_AFTER, OutcomeReason.OUT_OF_BOUNDS,
        OutcomeReason.TENANT_NOT_ALLOWED, OutcomeReason.UNKNOWN_TARGET, OutcomeReason.MITIGATION_NOT_ALLOWED,
        OutcomeReason.UNKNOWN_COMMAND,
    }  # fmt: skip
