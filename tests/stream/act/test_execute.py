"""What act does with its orders, on real files and processes, with a clock of the test's own."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actuators.deadline import Instant
from actuators.drivers import files
from actuators.ledger import KEEP_MS, State
from schemas.actuator import Actuator
from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from stream.act import execute
from stream.act.execute import Hands
from stream.act.inbox import Unfit
from tests.actuators import commands
from tests.actuators.drivers.world import CONFIG
from tests.stream.act.bench import Bed, Bench, bedded

NEW = CONFIG.replace(b"32", b"64")
CONFIRM, REVERT = CommandKind.CONFIRM, CommandKind.REVERT


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with bedded(tmp_path) as made:
        yield made


def test_an_apply_is_live_in_the_processes_and_says_all_that_a_person_needs(bed: Bed) -> None:
    bench = bed.bench()
    outcome = bench.do(commands.command())
    assert (outcome.status, outcome.before, outcome.after) == (OutcomeStatus.LIVE, "32", "64")
    assert bench.world.file.read_bytes() == NEW
    assert bench.world.size("service") == bench.world.size("worker") == 64
    assert "-size = 32 # connections\n+size = 64 # connections\n" in outcome.diff
    assert "hunter2" not in outcome.model_dump_json()
    assert [(each.process, each.before, each.after) for each in outcome.reloads] == [
        ("service", "32", "64"),
        ("worker", "32", "64"),
    ]
    assert outcome.live_ms == max(each.live_ms or 0 for each in outcome.reloads)
    assert outcome.confirm_by_ms == bench.now.wall_ms + 90_000
    assert outcome.undo.startswith(f"set pool.size to 32 in {bench.world.file}, then: kill -HUP $(cat ")
    assert outcome.shard == 3


def test_a_repeated_id_is_answered_with_its_outcome_and_applied_once(bed: Bed) -> None:
    bench = bed.bench()
    first = bench.do(commands.command())
    bench.wait(60_000)
    assert bench.do(commands.command(), age_ms=60_000) == first, "a known id is not expired"
    assert bench.do(commands.command(), signer=None) == first
    assert bench.world.says("service")["reloads"] == 1


def test_an_id_is_never_used_twice_however_old_its_answer(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.do(commands.command("r", REVERT))
    for each in bench.hands.ledger.unsent():
        bench.hands.ledger.acknowledged(each.number)
    bench.wait(KEEP_MS + 1)
    bench.hands.ledger.prune(bench.now.wall_ms)
    assert bench.hands.ledger.recorded("c1") is None
    for _ in range(2):
        again = bench.do(commands.command())
        assert (again.status, again.reason) == (OutcomeStatus.EXPIRED, OutcomeReason.NOT_AFTER)
        bench.hands.ledger.prune(bench.now.wall_ms + KEEP_MS + 1)
    assert bench.world.file.read_bytes() == CONFIG


def test_two_names_of_one_file_have_one_lock(bed: Bed) -> None:
    bench = bed.bench()
    other = bench.world.target.model_copy(update={"id": "else", "file": "./shop.toml"})
    hands = bench.hands
    both = Hands.of(commands.rules(bench.world.target, other), hands.folder, hands.ledger, hands.kill_file, hands.clock)
    assert both.locks["shop.toml"] is both.locks["./shop.toml"]


def test_a_kill_file_that_cannot_be_seen_counts_as_there(bed: Bed) -> None:
    bench = bed.bench()
    bench.hands = replace(bench.hands, kill_file=bench.hands.folder / ("k" * 5_000))
    assert bench.do(commands.command()).reason is OutcomeReason.KILL_SWITCH


def test_a_refusal_is_remembered_but_a_forgery_is_not(bed: Bed) -> None:
    bench = bed.bench()
    forged = bench.do(commands.command(), signer=None)
    assert (forged.status, forged.reason) == (OutcomeStatus.REFUSED, OutcomeReason.BAD_SIGNATURE)
    expired = bench.do(commands.command("late"), age_ms=10_001)
    assert (expired.status, expired.reason) == (OutcomeStatus.EXPIRED, OutcomeReason.NOT_AFTER)
    assert bench.do(commands.command("late"), age_ms=0) == expired
    assert bench.world.file.read_bytes() == CONFIG
    assert bench.do(commands.command()).status is OutcomeStatus.LIVE, "the forger did not use up the true command's id"


def test_an_answer_that_is_given_again_has_the_bytes_that_it_had(bed: Bed) -> None:
    bench = bed.bench()
    first = bench.do(commands.command(), signer=None)
    (sent,) = bench.hands.ledger.unsent()
    bench.wait(5_000)
    assert bench.do(commands.command(incident="another"), signer=None) == first
    (again,) = bench.hands.ledger.unsent()
    assert (again.id, again.outcome, again.time_ms) == (sent.id, sent.outcome, sent.time_ms)


def test_a_record_that_is_no_command_is_refused(bed: Bed) -> None:
    bench = bed.bench()
    outcome = execute.execute(bench.hands, Unfit("x", 2, {"tenant": "acme"}, "field action: missing"), lambda: 0)
    assert (outcome.command, outcome.shard, outcome.reason) == ("x", 2, OutcomeReason.MALFORMED)
    assert bench.hands.ledger.recorded("x") is None


def test_a_confirmed_change_stands(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    assert bench.do(commands.command("w", CONFIRM)).status is OutcomeStatus.CONFIRMED
    bench.wait(1_000_000)
    assert bench.due() == []
    assert bench.world.size("service") == 64


def test_an_unconfirmed_change_is_taken_back_at_its_deadline(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.wait(89_999)
    assert bench.due() == []
    bench.wait(1)
    (outcome,) = bench.due()
    assert (outcome.status, outcome.reason, outcome.kind) == (
        OutcomeStatus.REVERTED,
        OutcomeReason.CONFIRM_DEADLINE,
        REVERT,
    )
    assert outcome.command == "c1"
    assert bench.world.file.read_bytes() == CONFIG
    assert bench.world.size("service") == bench.world.size("worker") == 32
    assert bench.due() == []


def test_a_confirm_that_comes_too_late_confirms_nothing(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.wait(90_000)
    outcome = bench.do(commands.command("w", CONFIRM))
    assert (outcome.command, outcome.status, outcome.reason) == (
        "w",
        OutcomeStatus.REVERTED,
        OutcomeReason.CONFIRM_DEADLINE,
    )
    assert bench.world.file.read_bytes() == CONFIG


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_revert_takes_back_what_stands_confirmed_or_not(bed: Bed, confirmed: bool) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    if confirmed:
        bench.do(commands.command("w", CONFIRM))
    outcome = bench.do(commands.command("r", REVERT))
    assert (outcome.command, outcome.status, outcome.reason) == ("r", OutcomeStatus.REVERTED, OutcomeReason.NONE)
    assert bench.world.file.read_bytes() == CONFIG
    again = bench.do(commands.command("r2", REVERT))
    assert again.status is OutcomeStatus.REVERTED
    assert bench.world.says("service")["reloads"] == 2, "the second one had nothing to do"


def test_a_word_of_another_tenant_or_without_signature_moves_nothing(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    assert bench.do(commands.command("r", REVERT, tenant="globex")).reason is OutcomeReason.TENANT_NOT_ALLOWED
    assert bench.do(commands.command("f", CONFIRM), signer=None).reason is OutcomeReason.BAD_SIGNATURE
    assert bench.do(commands.command("u", REVERT, applies="nothing")).reason is OutcomeReason.UNKNOWN_COMMAND
    assert bench.state() is State.STANDING


def test_the_kill_switch_stops_applies_and_neither_confirms_nor_reverts(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.hands.kill_file.touch()
    assert bench.do(commands.command("w", CONFIRM)).status is OutcomeStatus.CONFIRMED
    assert bench.do(commands.command("r", REVERT)).status is OutcomeStatus.REVERTED
    assert bench.do(commands.command("c2")).reason is OutcomeReason.KILL_SWITCH
    bench.hands.kill_file.unlink()
    bench.hands.ledger.note_kill("tenant:default:acme", True, 1, b"{}")
    assert bench.do(commands.command("c3")).reason is OutcomeReason.KILL_SWITCH
    bench.hands.ledger.note_kill("tenant:default:acme", False, 2, b"{}")
    assert bench.do(commands.command("c4")).status is OutcomeStatus.LIVE


def test_a_target_with_an_unconfirmed_change_is_busy_and_the_hour_has_its_cap(bed: Bed) -> None:
    bench = bed.bench(applies_per_hour=2)
    bench.do(commands.command())
    assert bench.do(commands.command("c2")).reason is OutcomeReason.BUSY
    bench.do(commands.command("r", REVERT))
    assert bench.do(commands.command("c3")).status is OutcomeStatus.LIVE
    bench.do(commands.command("r3", REVERT, applies="c3"))
    assert bench.do(commands.command("c4")).reason is OutcomeReason.CAP_REACHED
    bench.wait(3_600_001)
    assert bench.do(commands.command("c5")).status is OutcomeStatus.LIVE


def test_a_target_that_ignores_the_signal_fails_and_has_its_file_back(bed: Bed) -> None:
    bench = bed.bench("deaf", live_ms_max=300)
    outcome = bench.do(commands.command())
    assert (outcome.status, outcome.reason) == (OutcomeStatus.FAILED, OutcomeReason.NOT_LIVE)
    assert "service: the new value was not live after 300 ms; the file is restored" in outcome.detail
    assert bench.world.file.read_bytes() == CONFIG
    assert bench.world.says("service")["reloads"] == 2
    assert bench.world.size("worker") == 32
    assert bench.state() is State.FAILED


def test_a_target_that_does_not_go_back_is_unknown_and_frozen(bed: Bed) -> None:
    bench = bed.bench("stubborn", live_ms_max=300)
    bench.do(commands.command())
    outcome = bench.do(commands.command("r", REVERT))
    assert (outcome.status, outcome.reason) == (OutcomeStatus.UNKNOWN, OutcomeReason.NOT_LIVE)
    assert bench.world.file.read_bytes() == CONFIG
    assert "frozen" in bench.do(commands.command("c2")).detail
    assert bench.hands.ledger.thaw("pool", bench.now.wall_ms + 1)
    assert bench.do(commands.command("c3")).reason is OutcomeReason.NOT_LIVE, "the file and the process still differ"


def test_a_value_that_somebody_else_has_set_is_left_alone_and_the_target_frozen(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    theirs = NEW.replace(b"64", b"48")
    bench.world.file.write_bytes(theirs)
    outcome = bench.do(commands.command("r", REVERT))
    assert (outcome.status, outcome.reason) == (OutcomeStatus.UNKNOWN, OutcomeReason.PRE_IMAGE_CHANGED)
    assert bench.world.file.read_bytes() == theirs
    assert bench.do(commands.command("c2")).reason is OutcomeReason.BUSY


def test_what_cannot_be_taken_back_now_is_said_once_and_tried_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.wait(90_000)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert [each.status for each in bench.due()] == [OutcomeStatus.UNKNOWN]
        sent = len(bench.hands.ledger.unsent())
        bench.due()
        assert len(bench.hands.ledger.unsent()) == sent
        assert bench.state() is State.TAKING_BACK
    assert [each.status for each in bench.due()] == [OutcomeStatus.REVERTED]
    assert bench.world.file.read_bytes() == CONFIG


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.unlink(), OutcomeReason.UNREADABLE),
        (lambda file: file.write_bytes(b"[pool]\n"), OutcomeReason.KEY_MISSING),
        (lambda file: file.write_bytes(b"[pool\n"), OutcomeReason.EDIT_REFUSED),
    ],
)
def test_an_unusable_file_is_a_failed_outcome_and_stays_as_it_is(bed: Bed, damage: Any, reason: OutcomeReason) -> None:
    bench = bed.bench()
    damage(bench.world.file)
    left = bench.world.file.read_bytes() if bench.world.file.exists() else None
    outcome = bench.do(commands.command())
    assert (outcome.status, outcome.reason) == (OutcomeStatus.FAILED, reason)
    assert (bench.world.file.read_bytes() if bench.world.file.exists() else None) == left


def interrupted(bench: Bench, *, written: bool, told: bool) -> None:
    """As far as an apply came before a kill: the intent, perhaps the file, perhaps the signals."""
    target = bench.hands.actuator.targets[0]
    change = files.plan(target, bench.hands.folder, 64, bench.hands.ledger.salt)
    bench.hands.ledger.intend(commands.command(), target, change, bench.now)
    if written:
        files.write(target, bench.hands.folder, change)
    if told:
        assert files.reload(target, bench.hands.folder, 64).agreed


def test_a_kill_before_the_file_leaves_nothing(bed: Bed) -> None:
    bench = bed.bench()
    interrupted(bench, written=False, told=False)
    (outcome,) = bench.restart()
    assert (outcome.status, outcome.reason) == (OutcomeStatus.FAILED, OutcomeReason.NOT_LIVE)
    assert bench.world.file.read_bytes() == CONFIG
    assert bench.do(commands.command()) == outcome, "the same command is not applied after all"


def test_a_kill_between_file_and_signal_is_put_right(bed: Bed) -> None:
    bench = bed.bench()
    interrupted(bench, written=True, told=False)
    (outcome,) = bench.restart()
    assert (outcome.status, outcome.reason) == (OutcomeStatus.FAILED, OutcomeReason.NOT_LIVE)
    assert bench.world.file.read_bytes() == CONFIG
    assert bench.world.size("service") == 32


def test_a_kill_between_live_and_outcome_loses_nothing_and_the_deadline_runs_on(bed: Bed) -> None:
    bench = bed.bench()
    interrupted(bench, written=True, told=True)
    bench.wait(40_000)
    (outcome,) = bench.restart()
    assert (outcome.command, outcome.status, outcome.after) == ("c1", OutcomeStatus.LIVE, "64")
    assert outcome.confirm_by_ms == bench.now.wall_ms + 50_000
    assert bench.world.says("service")["reloads"] == 1, "it was only looked at"
    bench.wait(50_000)
    assert [each.status for each in bench.due()] == [OutcomeStatus.REVERTED]


def test_after_a_reboot_the_deadline_still_holds(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.now = Instant(bench.now.wall_ms + 90_000, 5_000, "another boot")
    assert bench.restart() == []
    assert [each.reason for each in bench.due()] == [OutcomeReason.CONFIRM_DEADLINE]
    assert bench.world.file.read_bytes() == CONFIG


def test_a_revert_that_a_kill_interrupted_is_finished_in_the_name_of_its_command(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    bench.hands.ledger.begin_taking_back("c1", commands.command("r", REVERT))
    bench.restart()
    (outcome,) = bench.due()
    assert (outcome.command, outcome.status, outcome.reason) == ("r", OutcomeStatus.REVERTED, OutcomeReason.NONE)
    assert bench.do(commands.command("r", REVERT)) == outcome


def test_a_change_is_taken_back_as_it_was_made_even_if_its_target_left_the_configuration(bed: Bed) -> None:
    bench = bed.bench()
    bench.do(commands.command())
    other = commands.target(id="else", file="else.toml")
    bench.hands = replace(bench.hands, actuator=Actuator(**{**dict(bench.hands.actuator), "targets": (other,)}))
    bench.wait(90_000)
    bench.restart()
    assert [each.status for each in bench.due()] == [OutcomeStatus.REVERTED]
    assert bench.world.file.read_bytes() == CONFIG


def test_values_of_secret_keys_leave_the_host_as_hashes_only(bed: Bed) -> None:
    bench = bed.bench()
    shutil.copy(bench.world.file, bench.hands.folder / "other.toml")
    content = CONFIG.replace(b"size = 32", b"pin_size = 4711")
    bench.world.file.write_bytes(content)
    target = bench.hands.actuator.targets[0].model_copy(update={"key": "pool.pin_size", "maximum": 9_999})
    change = files.plan(target, bench.hands.folder, 4712, bench.hands.ledger.salt)
    entry = bench.hands.ledger.intend(commands.command(), target, change, bench.now)
    outcome = execute._settle(bench.hands, entry, State.FAILED, OutcomeStatus.FAILED, OutcomeReason.NOT_LIVE, "")
    text = outcome.model_dump_json()
    assert "4711" not in text
    assert "4712" not in text
    assert outcome.before.startswith("hash:")


def test_one_target_is_changed_no_more_often_than_its_own_actuator_allows(bed: Bed) -> None:
    bench = bed.bench()
    rules = bench.hands.actuator.model_copy(update={"applies_per_hour_target": 1})
    bench.hands = replace(bench.hands, actuator=rules)
    assert bench.do(commands.command()).status is OutcomeStatus.LIVE
    assert bench.do(commands.command("r", REVERT)).status is OutcomeStatus.REVERTED
    again = bench.do(commands.command("c2"))
    assert (again.status, again.reason) == (OutcomeStatus.REFUSED, OutcomeReason.CAP_REACHED)
    bench.wait(3_600_001)
    assert bench.do(commands.command("c3")).status is OutcomeStatus.LIVE


def test_a_target_rests_after_a_change_where_its_actuator_says_so(bed: Bed) -> None:
    bench = bed.bench()
    bench.hands = replace(bench.hands, actuator=bench.hands.actuator.model_copy(update={"cooldown_s": 60}))
    bench.do(commands.command())
    bench.do(commands.command("r", REVERT))
    bench.wait(59_000)
    assert bench.do(commands.command("c2")).reason is OutcomeReason.CAP_REACHED
    bench.wait(1_000)
    assert bench.do(commands.command("c3")).status is OutcomeStatus.LIVE
