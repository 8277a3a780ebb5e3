"""A target that lies, hangs or is exchanged under act's hands: a failed outcome with its reason, nothing half-written.

Where neither value can be had any more the outcome is `unknown` and the target frozen: a person has to look.
"""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actuators.drivers import files
from actuators.drivers.files import Change
from schemas import canonical
from schemas.actuator import FileTarget
from schemas.commands import CommandKind, Outcome, OutcomeReason, OutcomeStatus
from tests.actuators import commands
from tests.actuators.drivers.world import CONFIG
from tests.stream.act.bench import Bed, Bench, bedded

S, R = OutcomeStatus, OutcomeReason
OUTCOME_BYTES_MAX = 500_000  # far below what a topic takes


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with bedded(tmp_path) as made:
        yield made


def untouched(bench: Bench, content: bytes = CONFIG) -> bool:
    """The old bytes, no draft, and the honest process of the target runs with the old value."""
    whole = bench.world.file.read_bytes() == content and not list(bench.hands.folder.glob(".*douse*"))
    return whole and bench.world.size("worker") == 32


def said(outcome: Outcome) -> tuple[OutcomeStatus, OutcomeReason]:
    assert len(canonical.dumps(outcome.fields())) < OUTCOME_BYTES_MAX
    return outcome.status, outcome.reason


@pytest.mark.parametrize("manner", ["flips", "shouts"])
def test_what_a_process_says_once_or_at_length_is_not_live(bed: Bed, manner: str) -> None:
    bench = bed.bench(manner, live_ms_max=300)
    outcome = bench.do(commands.command())
    assert said(outcome)[1] is R.NOT_LIVE
    assert "service" in outcome.detail
    assert untouched(bench)


def test_a_process_that_dies_of_the_new_value_is_not_live(bed: Bed) -> None:
    bench = bed.bench("dies", live_ms_max=300)
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.FAILED, R.NOT_LIVE)
    assert "service: the new value was not live" in outcome.detail
    assert untouched(bench)


def test_a_probe_that_never_ends_its_answer_holds_nobody(bed: Bed) -> None:
    bench = bed.bench("drips", live_ms_max=100)
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.FAILED, R.NOT_LIVE)
    assert "nothing was changed" in outcome.detail
    assert untouched(bench)


def test_a_probe_that_hangs_after_the_reload_leaves_the_old_bytes_and_a_frozen_target(bed: Bed) -> None:
    bench = bed.bench("hangs", live_ms_max=100)
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.UNKNOWN, R.NOT_LIVE)
    assert untouched(bench)
    assert "frozen" in bench.do(commands.command("c2")).detail


def test_another_program_in_the_pid_file_is_neither_told_nor_killed(bed: Bed) -> None:
    bench = bed.bench()
    code = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_DFL); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout is not None
            stranger.stdout.readline()
            (bench.hands.folder / "service.pid").write_text(str(stranger.pid))
            outcome = bench.do(commands.command())
            assert said(outcome) == (S.FAILED, R.NOT_LIVE)
            assert f"SIGHUP would end service (pid {stranger.pid})" in outcome.detail
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert untouched(bench)


def test_a_stranger_that_takes_the_pid_files_place_after_the_look_is_spared(bed: Bed) -> None:
    bench = bed.bench(live_ms_max=300)
    pid_file = bench.hands.folder / "service.pid"
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            right = pid_file.read_text()
            during(pytest.MonkeyPatch(), "write", lambda: pid_file.write_text(str(stranger.pid)))
            outcome = bench.do(commands.command())
            assert stranger.poll() is None
            pid_file.write_text(right)
        finally:
            stranger.kill()
    assert said(outcome)[1] is R.NOT_LIVE
    assert untouched(bench)
    assert bench.world.size("service") == 32


def test_a_pid_that_was_given_to_another_process_is_told_nothing(bed: Bed) -> None:
    bench = bed.bench()
    os.utime(bench.hands.folder / "service.pid", (1, 1))
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.FAILED, R.NOT_LIVE)
    assert "stale" in outcome.detail
    assert untouched(bench)
    assert bench.world.says("service")["reloads"] == 0


@pytest.mark.parametrize("content", ["9" * 5_000, "4194305", "-1", "1", "", "12\n34", None])
def test_a_pid_file_that_holds_no_pid_is_named(bed: Bed, content: str | None) -> None:
    bench = bed.bench()
    place = bench.hands.folder / "service.pid"
    place.unlink()
    os.mkfifo(place) if content is None else place.write_text(content)
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.FAILED, R.UNREADABLE)
    assert "pid file of service" in outcome.detail
    assert untouched(bench)


def during(monkeypatch: pytest.MonkeyPatch, step: str, happens: Callable[[], Any]) -> None:
    """Something happens at the target just before this step of the driver, once."""
    original = getattr(files, step)

    def wrapped(*arguments: Any) -> Any:
        monkeypatch.undo()
        happens()
        return original(*arguments)

    monkeypatch.setattr(files, step, wrapped)


def test_a_file_that_somebody_replaced_after_the_plan_stays_theirs(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bed.bench()
    theirs = CONFIG + b"# theirs\r\n"
    during(monkeypatch, "write", lambda: bench.world.file.write_bytes(theirs))
    assert said(bench.do(commands.command())) == (S.FAILED, R.PRE_IMAGE_CHANGED)
    assert untouched(bench, theirs)


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_vanishes_or_becomes_a_link_after_the_plan_is_not_made_anew(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    bench = bed.bench()
    elsewhere = bench.hands.folder / "elsewhere.toml"

    def exchanged() -> None:
        bench.world.file.rename(elsewhere)
        if linked:
            bench.world.file.symlink_to(elsewhere)

    during(monkeypatch, "write", exchanged)
    assert said(bench.do(commands.command())) == (S.UNKNOWN, R.UNREADABLE)
    assert bench.world.file.is_symlink() is linked
    assert elsewhere.read_bytes() == CONFIG
    assert not list(bench.hands.folder.glob(".*douse*"))
    assert bench.do(commands.command("c2")).reason is R.BUSY


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ENOSPC])
def test_a_folder_that_takes_no_new_file_leaves_the_old_one(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    bench = bed.bench()
    opened = os.open

    def refusing(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_EXCL:
            raise OSError(number, os.strerror(number))
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refusing)
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.FAILED, R.UNREADABLE)
    assert os.strerror(number) in outcome.detail
    assert untouched(bench)


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may write everywhere; the case above stands for it")
def test_a_read_only_folder_leaves_the_old_file(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bed.bench()
    during(monkeypatch, "write", lambda: bench.hands.folder.chmod(0o555))
    try:
        assert said(bench.do(commands.command())) == (S.FAILED, R.UNREADABLE)
    finally:
        bench.hands.folder.chmod(0o755)
    assert untouched(bench)


def test_a_disk_that_is_full_in_the_middle_of_the_write_leaves_the_old_file(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bed.bench()
    write = files.write

    def cramped(target: FileTarget, folder: Path, change: Change) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONFIG) // 2, hard))
        try:
            write(target, folder, change)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(files, "write", cramped)
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.FAILED, R.UNREADABLE)
    assert os.strerror(errno.EFBIG) in outcome.detail
    assert untouched(bench)


def test_a_file_with_endless_lines_still_has_an_outcome_that_a_topic_takes(bed: Bed) -> None:
    bench = bed.bench()
    bench.world.file.write_bytes(CONFIG.replace(b"connections", b"c " * 400_000))
    outcome = bench.do(commands.command())
    assert said(outcome) == (S.LIVE, R.NONE)
    assert outcome.diff.endswith("(cut)")
    assert bench.do(commands.command("r", CommandKind.REVERT)).status is S.REVERTED
