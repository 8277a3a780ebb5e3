"""Change one value of a file and have every process of the target run with it, or put everything back.

plan -> write -> reload and observe -> take back: each step stands alone, so that after a crash the next one can be
told from the ledger and from what is true at the target. Only this process changes the file (the ledger's lock);
against others each write first compares the file with what it was planned on. Between that look and the rename some
microseconds remain in which another writer would be overwritten: the file system has no compare-and-rename.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from actuators.drivers import processes
from actuators.drivers.errors import DriverError, Permanent, Temporary
from actuators.drivers.processes import Identity, Report
from actuators.edits import document, spans
from actuators.edits.spans import Edit, Refused, Value
from schemas import actuator
from schemas.commands import OutcomeReason


@dataclass(frozen=True, slots=True)
class Change:
    """All that is needed to make a change and to take it back, whatever happens in between; kept in the ledger."""

    before: Value
    after: Value
    raw_before: bytes
    pre_image: bytes
    post_image: bytes
    diff: str

    @property
    def pre_sha(self) -> str:
        return sha256(self.pre_image).hexdigest()

    @property
    def post_sha(self) -> str:
        return sha256(self.post_image).hexdigest()


class Stands(StrEnum):
    """What a file holds, seen from one change of it."""

    BEFORE = "before"
    """The bytes of the pre-image, or at least the old value."""
    AFTER = "after"
    """Our bytes."""
    AFTER_TOUCHED = "after_touched"
    """Our value, but somebody else has changed other parts of the file since."""
    OTHER = "other"
    """Neither value: somebody else owns it now."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the processes of a target say; `agreed` if each one that runs said the value that was waited for."""

    agreed: bool
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The old value is in the file; `observed` is what the processes made of it."""

    observed: Observed
    exact: bool
    """The very bytes of the pre-image; False where only the value was set back: somebody else changed the rest."""


def in_force(target: actuator.FileTarget, folder: Path) -> Value:
    """The value in the file now. Raises DriverError."""
    found = document.read_value(_bytes(folder / target.file), target.key, target.file)
    if isinstance(found, Refused):
        raise Permanent(found.reason, f"{target.file}: {found.detail}")
    return found


def plan(target: actuator.FileTarget, folder: Path, value: Value, salt: bytes) -> Change:
    """The change that sets the target's key to `value`; nothing is touched. Raises DriverError."""
    path = folder / target.file
    content = _bytes(path)
    edit = document.set_value(content, target.key, value, salt, path.name)
    if isinstance(edit, Refused):
        raise Permanent(edit.reason, f"{target.file}: {edit.detail}")
    return _change(content, edit)


def ready(target: actuator.FileTarget, folder: Path, before: Value) -> Observed:
    """Every process runs and says the value that the file holds: a known beginning. Raises DriverError."""
    running = _running(target, folder)
    absent = {process.name for process in target.processes} - {identity.name for _, identity in running}
    if absent:
        raise Permanent(OutcomeReason.NOT_LIVE, f"nothing was changed: not running: {', '.join(sorted(absent))}")
    deadly = [(process, identity) for process, identity in running if not processes.hears(process, identity)]
    if deadly:
        named = ", ".join(f"{process.signal} would end {process.name} (pid {who.pid})" for process, who in deadly)
        raise Permanent(OutcomeReason.NOT_LIVE, f"nothing was changed: no handler, so {named}")
    observed = _observed(running, spans.text(before), target.live_ms_max)
    if silent(target, observed):
        said = ", ".join(
            f"{report.name} {'runs with another value' if report.value else 'does not answer'}"
            for report in observed.reports
            if report.live_ms is None
        )
        raise Permanent(OutcomeReason.NOT_LIVE, f"nothing was changed: the file and its processes differ: {said}")
    return observed


def write(target: actuator.FileTarget, folder: Path, change: Change) -> None:
    """The new bytes take the file's place at once and whole. Raises DriverError; then the old ones still stand."""
    _replace(folder / target.file, change.pre_image, change.post_image)


def reload(target: actuator.FileTarget, folder: Path, value: Value) -> Observed:
    """Tell every process that runs to read the file, and wait until each says `value`. Raises DriverError.

    One that watches its file itself is not told (signal "none"); one that does not run reads the file when it starts.
    """
    running = [
        (process, identity) for process, identity in _running(target, folder) if processes.tell(process, identity)
    ]
    return _observed(running, spans.text(value), target.live_ms_max)


def observe(target: actuator.FileTarget, folder: Path, value: Value) -> Observed:
    """Ask every process that runs, once, without telling it anything."""
    return _observed(_running(target, folder), spans.text(value), 0)


def silent(target: actuator.FileTarget, observed: Observed) -> list[str]:
    """Processes of the target that do not run, or did not say the value; one that died of it is among them."""
    live = {report.name for report in observed.reports if report.live_ms is not None}
    return [process.name for process in target.processes if process.name not in live]


def stands(target: actuator.FileTarget, folder: Path, change: Change) -> Stands:
    """Whose value the file holds. Raises DriverError."""
    content = _bytes(folder / target.file)
    if content == change.pre_image:
        return Stands.BEFORE
    if content == change.post_image:
        return Stands.AFTER
    found = document.read_value(content, target.key, target.file)
    if not isinstance(found, Refused) and spans.same(found, change.before):
        return Stands.BEFORE
    return Stands.AFTER_TOUCHED if not isinstance(found, Refused) and spans.same(found, change.after) else Stands.OTHER


def take_back(target: actuator.FileTarget, folder: Path, change: Change, salt: bytes) -> TakenBack:
    """The old value is in the file again and runs; done twice it does no harm.

    Bytes that somebody else has written meanwhile stay: then only the value is set back, and only where ours still
    stands. Raises DriverError: Permanent(PRE_IMAGE_CHANGED) where it does not.
    """
    path = folder / target.file
    content = _bytes(path)
    match stands(target, folder, change):
        case Stands.AFTER:
            _replace(path, content, change.pre_image)
        case Stands.AFTER_TOUCHED:
            edit = document.put_back(
                content, target.key, change.after, change.before, change.raw_before, salt, path.name
            )
            if isinstance(edit, Refused):
                raise Permanent(edit.reason, f"{target.file}: {edit.detail}")
            _replace(path, content, edit.content)
        case Stands.OTHER:
            raise Permanent(
                OutcomeReason.PRE_IMAGE_CHANGED,
                f"{target.file}: somebody else has changed {target.key} since; it is left alone",
            )
        case Stands.BEFORE:
            pass
    observed = reload(target, folder, change.before)
    return TakenBack(observed, exact=_bytes(path) == change.pre_image)


def undo(target: actuator.FileTarget, folder: Path, before: str) -> str:
    """How a person takes the change back by hand."""
    told = [
        f"kill -{process.signal.removeprefix('SIG')} $(cat {folder / process.pid_file})"
        for process in target.processes
        if process.signal != actuator.NO_SIGNAL
    ]
    then = f", then: {'; '.join(told)}" if told else ""
    return f"set {target.key} to {before} in {folder / target.file}{then}"


def _change(content: bytes, edit: Edit) -> Change:
    return Change(edit.before, edit.after, edit.raw_before, content, edit.content, edit.diff)


def _running(target: actuator.FileTarget, folder: Path) -> list[tuple[actuator.Process, Identity]]:
    found = [(process, processes.identify(process, folder)) for process in target.processes]
    return [(process, identity) for process, identity in found if identity is not None]


def _observed(running: list[tuple[actuator.Process, Identity]], value: str, wait_ms: int) -> Observed:
    reports = processes.await_value(running, value, wait_ms)
    living = {identity.name for _, identity in running if processes.alive(identity)}
    agreed = all(report.live_ms is not None for report in reports if report.name in living)
    return Observed(agreed, reports)


def _bytes(path: Path) -> bytes:
    """The whole file, if it is a plain one with one name: a link would be replaced by a copy. Raises DriverError."""
    with _named(path), _held(path) as folder:
        return _content(folder / path.name)


def _content(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Permanent(OutcomeReason.UNREADABLE, f"{path.name} is not a regular file")
        if found.st_nlink > 1:
            raise Permanent(OutcomeReason.UNREADABLE, f"{path.name} has {found.st_nlink} names (hard links)")
        content = file.read(spans.CONTENT_BYTES_MAX + 1)
    if len(content) > spans.CONTENT_BYTES_MAX:
        raise Permanent(OutcomeReason.UNREADABLE, f"{path.name} is larger than {spans.CONTENT_BYTES_MAX} bytes")
    return content


def _replace(path: Path, expected: bytes, content: bytes) -> None:
    """Owner and mode are kept; the draft stands in the same folder, so the rename is one step of the file system."""
    with _named(path), _held(path) as folder:
        place, draft = folder / path.name, folder / f".{path.name}.douse"
        owner = os.lstat(place)
        draft.unlink(missing_ok=True)  # ours, from a crash: the ledger's lock keeps a second writer out
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(handle, owner.st_uid, owner.st_gid)
                os.fchmod(handle, stat.S_IMODE(owner.st_mode))
                file.write(content)
                file.flush()
                os.fsync(handle)
            # By its whole name as well: the folder that is held may lie elsewhere by now.
            if _bytes(path) != expected or _content(place) != expected:
                raise Permanent(OutcomeReason.PRE_IMAGE_CHANGED, f"{path.name} was changed by somebody else meanwhile")
            os.rename(draft, place)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[Path]:
    """The folder of a file, opened from the root on without following one link, and held until the end of the block.

    Gives a name that leads to the held folder itself (proc_pid_fd(5)), whatever stands at its old name by now.
    """
    handle = os.open(path.anchor, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.parent.parts[1:]:
            above = handle
            try:
                handle = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            except NotADirectoryError as error:
                detail = f"{path.name}: {part}, on the way to it, is a link or no folder; the folder must be named"
                raise Permanent(OutcomeReason.UNREADABLE, detail) from error
            os.close(above)
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the file system as Temporary or Permanent, with the file's name in front."""
    try:
        yield
    except DriverError:
        raise
    except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError) as error:
        raise Permanent(OutcomeReason.UNREADABLE, f"{path.name}: {error.strerror}") from error
    except OSError as error:
        if error.errno in (40, 6):  # ELOOP, ENXIO: a symbolic link, a socket or a device
            raise Permanent(
                OutcomeReason.UNREADABLE, f"{path.name} is a link or a device; the file itself must be named"
            ) from error
        raise Temporary(OutcomeReason.UNREADABLE, f"{path.name}: {error.strerror}") from error
