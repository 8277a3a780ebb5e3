"""What act finds on its host before it begins: its rules, the keys that it trusts, its clocks."""

import time
from pathlib import Path

from actuators.deadline import Instant
from schemas import actuator
from stream import keys
from stream.act.inbox import Keys
from stream.settings import Settings

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


class UnusableError(Exception):
    """The settings or files of this actuator are wrong; the message names what and where."""


def rules(settings: Settings) -> tuple[actuator.Actuator, Path]:
    """The checked `actuator.toml`, and the folder that its relative paths start at. Raises UnusableError."""
    path = settings.actuator_file
    try:
        read = actuator.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableError(f"{path}: cannot be read: {error}; name the actuator's file in actuator_file") from error
    except actuator.NotAnActuator as error:
        raise UnusableError(str(error)) from error
    targets = tuple(_resolved(target) for target in read.targets)
    return read.model_copy(update={"targets": targets}), path.parent.resolve()


def _resolved(target: actuator.FileTarget) -> actuator.FileTarget:
    """Links on the way to an absolute file are followed now, and never again."""
    place = Path(target.file)
    if not place.is_absolute():
        return target
    return target.model_copy(update={"file": str(place.parent.resolve() / place.name)})


def trusted(settings: Settings, read: actuator.Actuator, folder: Path) -> tuple[Keys, Keys]:
    """Keys of commands and of operators: those that `actuator.toml` names, else those of the settings."""
    commands = [folder / name for name in read.command_keys] or list(settings.trusted_command_keys)
    operators = [folder / name for name in read.operator_keys] or list(settings.trusted_operator_keys)
    return keys.trusted(commands), keys.trusted(operators)


def now() -> Instant:
    """This moment on both clocks of the host."""
    boot_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    return Instant(time.time_ns() // 1_000_000, boot_ms, _BOOT_ID)


_BOOT_ID = BOOT_ID_FILE.read_text(encoding="ascii").strip()
