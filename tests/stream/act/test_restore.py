"""A change that act took back on order, and may put in place again once, whatever the target's own limits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actuators.ledger import RESTORE_MS_MAX
from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from schemas.runbook import Scale
from tests.actuators import commands
from tests.actuators.drivers.world import CONFIG
from tests.stream.act.bench import Bed, Bench, bedded

CONFIRM, REVERT = CommandKind.CONFIRM, CommandKind.REVERT
S, R = OutcomeStatus, OutcomeReason
LIMITS = [{"cooldown_s": 60}, {"applies_per_hour_target": 1}]


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with bedded(tmp_path) as made:
        yield made


def on_trial(bed: Bed, limits: dict[str, Any], confirmed: bool = True) -> Bench:
    """The change c1, confirmed and taken back by the word of a command."""
    bench = bed.bench(**limits)
    assert bench.do(commands.command()).status is S.LIVE
    if confirmed:
        assert bench.do(commands.command("w", CONFIRM)).status is S.CONFIRMED
    assert bench.do(commands.command("r", REVERT)).status is S.REVERTED
    return bench


@pytest.mark.parametrize("limits", LIMITS)
def test_what_was_taken_back_on_trial_can_be_put_in_place_again_at_once(bed: Bed, limits: dict[str, Any]) -> None:
    bench = on_trial(bed, limits)
    assert bench.restart() == []
    assert bench.do(commands.command("c2", step=1)).status is S.LIVE
    assert bench.world.size("service") == 64
    assert bench.do(commands.command("w2", CONFIRM, applies="c2")).status is S.CONFIRMED


@pytest.mark.parametrize("limits", LIMITS)
def test_one_trial_is_good_for_one_restoring(bed: Bed, limits: dict[str, Any]) -> None:
    bench = on_trial(bed, limits)
    first = bench.do(commands.command("c2", step=1))
    assert bench.do(commands.command("c2", step=1)) == first, "a replay is answered and not carried out"
    bench.do(commands.command("w2", CONFIRM, applies="c2"))
    assert bench.do(commands.command("r2", REVERT, applies="c2")).status is S.REVERTED
    assert bench.world.file.read_bytes() == CONFIG
    assert bench.do(commands.command("c3", step=2)).reason is R.CAP_REACHED, "what was restored gives no leave anew"
    assert bench.do(commands.command("r3", REVERT)).status is S.REVERTED
    assert bench.do(commands.command("c4", step=3)).reason is R.CAP_REACHED


@pytest.mark.parametrize(
    "other",
    [
        {"plan": "q"}, {"incident": "j"}, {"revision": 2}, {"attempt": 1}, {"service": "else"}, {"minimum": 9},
        {"maximum": 99}, {"action": Scale(numerator=3)},
    ],
)  # fmt: skip
def test_another_change_is_no_restoring(bed: Bed, other: dict[str, Any]) -> None:
    bench = on_trial(bed, {"cooldown_s": 60})
    assert bench.do(commands.command("c2", **other)).reason is R.CAP_REACHED


def test_a_forgery_does_not_use_up_the_restoring(bed: Bed) -> None:
    bench = on_trial(bed, {"cooldown_s": 60})
    assert bench.do(commands.command("c2"), signer=None).reason is R.BAD_SIGNATURE
    assert bench.do(commands.command("c2")).status is S.LIVE


def test_what_never_stood_confirmed_was_on_no_trial(bed: Bed) -> None:
    bench = on_trial(bed, {"cooldown_s": 60}, confirmed=False)
    assert bench.do(commands.command("c2")).reason is R.CAP_REACHED


def test_a_value_that_somebody_has_set_meanwhile_is_not_restored_from(bed: Bed) -> None:
    bench = on_trial(bed, {"cooldown_s": 60})
    bench.world.file.write_bytes(CONFIG.replace(b"32", b"16"))
    assert bench.do(commands.command("c2")).reason is R.CAP_REACHED


def test_a_trial_is_not_open_for_ever(bed: Bed) -> None:
    bench = on_trial(bed, {"cooldown_s": 86_400})
    bench.wait(RESTORE_MS_MAX + 1)
    assert bench.do(commands.command("c2")).reason is R.CAP_REACHED


def test_a_kill_switch_and_the_cap_of_the_whole_actuator_stop_a_restoring_too(bed: Bed) -> None:
    bench = on_trial(bed, {"applies_per_hour": 1})
    assert bench.do(commands.command("c2")).reason is R.CAP_REACHED
    bench.hands = replace(bench.hands, actuator=bench.hands.actuator.model_copy(update={"applies_per_hour": 9}))
    bench.hands.kill_file.touch()
    assert bench.do(commands.command("c3")).reason is R.KILL_SWITCH


def test_a_restored_change_lets_the_target_rest_and_counts_not_against_its_cap(bed: Bed) -> None:
    bench = on_trial(bed, {"cooldown_s": 60, "applies_per_hour_target": 2})
    bench.wait(60_000)
    bench.do(commands.command("c2"))
    bench.do(commands.command("w2", CONFIRM, applies="c2"))
    assert "rests for" in bench.do(commands.command("c3", plan="q", action=Scale(numerator=3, denominator=2))).detail
    bench.wait(60_000)
    assert bench.do(commands.command("c4", plan="q", action=Scale(numerator=3, denominator=2))).status is S.LIVE
