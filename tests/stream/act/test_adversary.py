"""Thousands of records that must not be obeyed: none is, each is answered with its reason, no true id is used up."""

import os
import random
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from actuators.drivers import files
from actuators.ledger import State
from schemas.actuator import Allow
from schemas.commands import Command, CommandKind, OutcomeReason, OutcomeStatus
from stream.act import execute, inbox
from stream.act.execute import Hands
from stream.act.inbox import Foreign, Order
from tests.actuators.drivers.world import CONFIG
from tests.stream.act import attacks
from tests.stream.act.attacks import TRUE, Attack, Attacker
from tests.stream.act.bench import Bench, bedded

NEW = CONFIG.replace(b"32", b"64")
OTHERS = "both.toml"
DONE = {OutcomeStatus.LIVE, OutcomeStatus.CONFIRMED, OutcomeStatus.REVERTED, OutcomeStatus.UNKNOWN}


@pytest.mark.parametrize("cases", [1_000, pytest.param(10_000, marks=pytest.mark.proof)])
def test_nothing_that_an_attacker_writes_is_obeyed(
    request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None], cases: int
) -> None:
    seed = request.config.getoption("--seed") or secrets.token_hex(4)
    print(f"seed {seed}; repeat with: pytest tests/stream/act/test_adversary.py --seed {seed}")
    attacker = Attacker(random.Random(seed))
    with bedded(tmp_path) as bed:
        bench = _shared(bed.bench())
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
        assert (tmp_path / OTHERS).read_bytes() == CONFIG, "what two tenants share needs the leave of both"
    assert len(attacker.made) >= len(attacks.KINDS)
    seen = f"0 of {cases} obeyed ({len(attacker.made)} kinds), each with its reason; seed {seed}"
    record_property("claim", ("no adversary's command is obeyed, and none uses up a true id", seen, True))


def _shared(bench: Bench) -> Bench:
    """The same actuator with one target more, which serves acme and globex."""
    ours = bench.hands
    (bench.world.folder / OTHERS).write_bytes(CONFIG)
    more = bench.world.target.model_copy(
        update={"id": attacks.SHARED, "tenants": ("acme", "globex"), "file": OTHERS, "key": "pool.size"}
    )
    leave = Allow(tenant="globex", mitigations=(attacks.GLOBEX_MAY,))
    actuator = ours.actuator.model_copy(
        update={"targets": (*ours.actuator.targets, more), "allow": (*ours.actuator.allow, leave)}
    )
    bench.hands = Hands.of(actuator, ours.folder, ours.ledger, ours.kill_file, ours.clock)
    return bench


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


def _linked(file: Path, elsewhere: Path) -> None:
    file.unlink()
    file.symlink_to(elsewhere)


def _looped(file: Path, _elsewhere: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _named_twice(file: Path, elsewhere: Path) -> None:
    file.unlink()
    os.link(elsewhere, file)


def _gone(file: Path, _elsewhere: Path) -> None:
    file.unlink()


def _foldered(file: Path, _elsewhere: Path) -> None:
    file.unlink()
    file.mkdir()


def _piped(file: Path, _elsewhere: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _rewritten(file: Path, _elsewhere: Path) -> None:
    file.write_bytes(CONFIG + b"# theirs\r\n")


EXCHANGES = (_linked, _looped, _named_twice, _gone, _foldered, _piped, _rewritten)


@pytest.mark.parametrize("moment", ["after the plan", "after the draft"])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each.__name__[1:])
def test_a_file_that_is_exchanged_between_plan_and_write_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: Callable[[Path, Path], None], moment: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(CONFIG)
    with bedded(tmp_path) as bed:
        bench = bed.bench()
        owner, name = (files, "write") if moment == "after the plan" else (os, "fsync")
        original = getattr(owner, name)

        def exchanged(*arguments: object) -> object:
            monkeypatch.setattr(owner, name, original)
            exchange(bench.world.file, elsewhere)
            return original(*arguments)

        monkeypatch.setattr(owner, name, exchanged)
        outcome = bench.do(attacks.true())
        assert outcome.status in (OutcomeStatus.FAILED, OutcomeStatus.UNKNOWN)
        assert outcome.reason in (OutcomeReason.UNREADABLE, OutcomeReason.PRE_IMAGE_CHANGED)
        assert outcome.detail
        assert elsewhere.read_bytes() == CONFIG
        assert not list(tmp_path.glob(".*douse*"))
        assert [bench.world.says(process)["pool"]["size"] for process in ("service", "worker")] == [32, 32]
        again = bench.do(attacks.true("next", applies="next"))
        expected = (OutcomeStatus.LIVE,) if exchange is _rewritten else (OutcomeStatus.REFUSED, OutcomeStatus.FAILED)
        assert again.status in expected, "what is there now is asked again, and nothing is guessed"


@pytest.mark.parametrize("depth", ["conf", "conf/shop"])
@pytest.mark.parametrize("moment", ["after the plan", "after the draft"])
def test_a_folder_that_is_exchanged_for_a_link_between_plan_and_write_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, depth: str
) -> None:
    with bedded(tmp_path) as bed:
        bench = bed.bench(file="conf/shop/shop.toml")
        theirs, place = tmp_path / "theirs", tmp_path / depth
        shutil.copytree(place, theirs)
        stranger = next(theirs.rglob("shop.toml"))
        owner, name = (files, "write") if moment == "after the plan" else (os, "fsync")
        original = getattr(owner, name)

        def exchanged(*arguments: object) -> object:
            monkeypatch.setattr(owner, name, original)
            place.rename(tmp_path / "ours")
            place.symlink_to(theirs)
            return original(*arguments)

        monkeypatch.setattr(owner, name, exchanged)
        outcome = bench.do(attacks.true())
        assert (outcome.status, outcome.reason) == (OutcomeStatus.UNKNOWN, OutcomeReason.UNREADABLE)
        assert "is a link" in outcome.detail
        assert stranger.read_bytes() == CONFIG, "what the link leads to is not ours"
        assert next((tmp_path / "ours").rglob("shop.toml")).read_bytes() == CONFIG
        assert not list(tmp_path.rglob(".*douse*"))
        assert [bench.world.says(process)["pool"]["size"] for process in ("service", "worker")] == [32, 32]


def test_a_link_in_the_drafts_place_leads_nowhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    with bedded(tmp_path) as bed:
        bench = bed.bench()
        draft = bench.world.file.with_name(f".{bench.world.file.name}.douse")
        draft.symlink_to(elsewhere)
        assert bench.do(attacks.true()).status is OutcomeStatus.LIVE
        assert (elsewhere.read_bytes(), bench.world.file.read_bytes()) == (b"theirs", NEW)
        assert not bench.world.file.is_symlink()
