"""The files driver on real files and real processes."""

import os
import signal
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from actuators.drivers import files, processes
from actuators.drivers.errors import Permanent, Temporary
from actuators.drivers.files import Stands
from schemas.actuator import FileTarget, Process
from schemas.commands import OutcomeReason
from tests.actuators.drivers import world
from tests.actuators.drivers.world import CONFIG

SALT = b"salt"
NEW = CONFIG.replace(b"32", b"64")


def test_a_change_is_live_in_every_process_and_goes_back(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys", "worker": "obeys"}) as here:
        change = files.plan(here.target, tmp_path, 64, SALT)
        assert here.file.read_bytes() == CONFIG, "planning touches nothing"
        assert (change.pre_sha, change.post_sha) == (sha256(CONFIG).hexdigest(), sha256(NEW).hexdigest())
        assert files.ready(here.target, tmp_path, change.before).agreed
        files.write(here.target, tmp_path, change)
        assert here.file.read_bytes() == NEW
        assert here.size("service") == 32, "what runs is not what stands in the file"
        observed = files.reload(here.target, tmp_path, 64)
        assert observed.agreed
        assert [(report.name, report.value) for report in observed.reports] == [("service", "64"), ("worker", "64")]
        assert (here.size("service"), here.size("worker")) == (64, 64)
        back = files.take_back(here.target, tmp_path, change, SALT)
        assert back.observed.agreed
        assert back.exact
        assert here.file.read_bytes() == CONFIG
        assert (here.size("service"), here.size("worker")) == (32, 32)


JSON = b'{\n  // read twice a second\n  "pool": {"size": 32, "password": "hunter2"},\n}\n'
PLAIN = b'{"pool": {"size": "linear"}, "password": "hunter2"}'


def test_a_process_that_watches_its_file_is_not_told_and_live_is_what_it_says(tmp_path: Path) -> None:
    new = PLAIN.replace(b"linear", b"exponential")
    with world.world(tmp_path, {"tabs": "watches"}, file="client.json", content=PLAIN) as here:
        change = files.plan(here.target, tmp_path, "exponential", SALT)
        assert "hunter2" not in change.diff
        assert files.ready(here.target, tmp_path, "linear").agreed
        files.write(here.target, tmp_path, change)
        assert here.file.read_bytes() == new
        observed = files.reload(here.target, tmp_path, "exponential")
        assert [(report.value, report.live_ms is not None) for report in observed.reports] == [("exponential", True)]
        assert here.children["tabs"].poll() is None, "a signal would have ended it"
        assert not files.reload(here.target.model_copy(update={"live_ms_max": 100}), tmp_path, "linear").agreed
        assert files.take_back(here.target, tmp_path, change, SALT).exact
        assert here.file.read_bytes() == PLAIN


def test_a_watching_process_that_ended_is_not_live(tmp_path: Path) -> None:
    with world.world(tmp_path, {"tabs": "watches"}, file="client.json", content=PLAIN) as here:
        process = here.target.processes[0]
        identity = processes.identify(process, tmp_path)
        assert identity is not None
        assert processes.tell(process, identity)
        here.children["tabs"].kill()
        here.children["tabs"].wait()
        assert not processes.tell(process, identity)


def test_how_a_person_takes_a_change_back_names_only_signals_that_are_sent(tmp_path: Path) -> None:
    with world.world(tmp_path, {"tabs": "watches"}, file="client.json", content=PLAIN) as here:
        assert files.undo(here.target, tmp_path, "linear") == f"set pool.size to linear in {tmp_path}/client.json"
    with world.world(tmp_path, {"service": "obeys"}) as here:
        told = f"then: kill -HUP $(cat {tmp_path}/service.pid)"
        assert files.undo(here.target, tmp_path, "32") == f"set pool.size to 32 in {tmp_path}/shop.toml, {told}"


@pytest.mark.parametrize(
    ("file", "content"),
    [("a.jsonc", JSON), ("a.yaml", b"pool:\r\n  size: 32 # c\r\npassword: hunter2"), ("a.yml", b"pool: {size: 32}")],
)
def test_every_format_is_changed_and_goes_back(tmp_path: Path, file: str, content: bytes) -> None:
    gone = Process(name="service", pid_file="no.pid", probe_url="http://127.0.0.1:9/", probe_field="size")
    target = FileTarget(
        id="pool", tenants=("acme",), parameter="size", file=file, key="pool.size", maximum=100, processes=(gone,)
    )
    path = tmp_path / file
    path.write_bytes(content)
    assert files.in_force(target, tmp_path) == 32
    change = files.plan(target, tmp_path, 64, SALT)
    assert "hunter2" not in change.diff
    files.write(target, tmp_path, change)
    assert path.read_bytes() == content.replace(b"32", b"64")
    path.write_bytes(path.read_bytes() + b"\n")
    assert files.stands(target, tmp_path, change) is Stands.AFTER_TOUCHED
    assert not files.take_back(target, tmp_path, change, SALT).exact
    assert path.read_bytes() == content + b"\n"


def test_owner_and_mode_are_kept_and_no_draft_is_left(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        os.chmod(here.file, 0o640)
        if os.geteuid() == 0:
            os.chown(here.file, 1234, 2345)
        before = here.file.stat()
        (tmp_path / ".shop.toml.douse").write_bytes(b"left by a crash")
        files.write(here.target, tmp_path, files.plan(here.target, tmp_path, 64, SALT))
        after = here.file.stat()
        assert stat.S_IMODE(after.st_mode) == 0o640
        assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
        assert not list(tmp_path.glob(".*douse*"))


def test_a_process_that_ignores_the_signal_is_not_live(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys", "worker": "deaf"}, live_ms_max=300) as here:
        change = files.plan(here.target, tmp_path, 64, SALT)
        files.write(here.target, tmp_path, change)
        observed = files.reload(here.target, tmp_path, 64)
        assert not observed.agreed
        assert {report.name: report.value for report in observed.reports} == {"service": "64", "worker": "32"}
        back = files.take_back(here.target, tmp_path, change, SALT)
        assert back.observed.agreed
        assert here.file.read_bytes() == CONFIG
        assert here.says("worker")["reloads"] == 2, "it was told again"


def test_somebody_elses_bytes_are_not_overwritten(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        change = files.plan(here.target, tmp_path, 64, SALT)
        files.write(here.target, tmp_path, change)
        theirs = NEW.replace(b"orders", b"sales")
        here.file.write_bytes(theirs)
        assert files.stands(here.target, tmp_path, change) is Stands.AFTER_TOUCHED
        back = files.take_back(here.target, tmp_path, change, SALT)
        assert not back.exact
        assert here.file.read_bytes() == theirs.replace(b"64", b"32")
        assert here.size("service") == 32


def test_a_value_that_somebody_else_has_set_since_is_left_alone(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        change = files.plan(here.target, tmp_path, 64, SALT)
        files.write(here.target, tmp_path, change)
        theirs = NEW.replace(b"64", b"48")
        here.file.write_bytes(theirs)
        with pytest.raises(Permanent) as error:
            files.take_back(here.target, tmp_path, change, SALT)
        assert error.value.reason is OutcomeReason.PRE_IMAGE_CHANGED
        assert here.file.read_bytes() == theirs


def test_a_file_that_changed_since_the_plan_is_not_written(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        change = files.plan(here.target, tmp_path, 64, SALT)
        theirs = CONFIG + b"# hello\r\n"
        here.file.write_bytes(theirs)
        with pytest.raises(Permanent) as error:
            files.write(here.target, tmp_path, change)
        assert error.value.reason is OutcomeReason.PRE_IMAGE_CHANGED
        assert here.file.read_bytes() == theirs
        assert not list(tmp_path.glob(".*douse*"))


def test_links_folders_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        here.file.rename(tmp_path / "real.toml")
        here.file.symlink_to("real.toml")
        assert reason(here) is OutcomeReason.UNREADABLE
        here.file.unlink()
        assert reason(here) is OutcomeReason.UNREADABLE
        here.file.mkdir()
        assert reason(here) is OutcomeReason.UNREADABLE
        here.file.rmdir()
        os.mkfifo(here.file)
        assert reason(here) is OutcomeReason.UNREADABLE
        here.file.unlink()
        os.link(tmp_path / "real.toml", here.file)
        assert reason(here) is OutcomeReason.UNREADABLE


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}, key="pool.depth") as here:
        with pytest.raises(Permanent) as error:
            files.plan(here.target, tmp_path, 64, SALT)
        assert error.value.reason is OutcomeReason.KEY_MISSING
        assert "shop.toml: there is no pool.depth" in error.value.detail


def test_nothing_begins_where_a_process_is_gone_or_runs_with_another_value(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "deaf", "worker": "obeys"}, live_ms_max=100) as here:
        here.file.write_bytes(NEW)
        with pytest.raises(Permanent, match="the file and its processes differ: service runs with another value"):
            files.ready(here.target, tmp_path, 64)
        here.file.write_bytes(CONFIG)
        here.children["worker"].kill()
        here.children["worker"].wait()
        with pytest.raises(Permanent, match="not running: worker"):
            files.ready(here.target, tmp_path, 32)


def test_a_process_that_does_not_answer_is_not_live(tmp_path: Path) -> None:
    mute = world.world(tmp_path, {"service": "mute"}, live_ms_max=100)
    with mute as here, pytest.raises(Permanent, match="service does not answer"):
        files.ready(here.target, tmp_path, 32)


def test_a_pid_that_now_belongs_to_another_process_is_not_signalled(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        process = here.target.processes[0]
        identity = processes.identify(process, tmp_path)
        assert identity is not None
        assert identity.pid == here.children["service"].pid
        stranger = processes.Identity("service", identity.pid, identity.start_ticks - 1)
        assert not processes.tell(process, stranger)
        assert here.says("service")["reloads"] == 0
        os.utime(tmp_path / "service.pid", (1, 1))
        with pytest.raises(Permanent, match="stale"):
            processes.identify(process, tmp_path)


def test_a_process_that_ended_is_nobody(tmp_path: Path) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        process = here.target.processes[0]
        identity = processes.identify(process, tmp_path)
        assert identity is not None
        here.children["service"].send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, identity.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet waited for
        assert processes.identify(process, tmp_path) is None
        assert not processes.tell(process, identity)


@pytest.mark.parametrize("text", ["", "abc", "-5", "1", "12 13"])
def test_a_pid_file_without_a_pid_is_refused(tmp_path: Path, text: str) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        (tmp_path / "service.pid").write_text(text)
        with pytest.raises(Permanent, match="holds no pid"):
            processes.identify(here.target.processes[0], tmp_path)


def test_a_full_disk_is_a_failure_for_now_and_leaves_the_old_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.world(tmp_path, {"service": "obeys"}) as here:
        change = files.plan(here.target, tmp_path, 64, SALT)

        def full(_handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Temporary, match="No space left"):
            files.write(here.target, tmp_path, change)
        assert here.file.read_bytes() == CONFIG
        assert not list(tmp_path.glob(".*douse*"))


def reason(here: world.World) -> OutcomeReason:
    with pytest.raises(Permanent) as error:
        files.plan(here.target, here.folder, 64, SALT)
    return error.value.reason
