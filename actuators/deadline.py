"""When a change that nobody confirms is due to be taken back: by the clock that runs while the machine sleeps.

The boot clock (CLOCK_BOOTTIME) cannot be set and counts a suspended machine, but starts again with each boot. So a
deadline is kept three ways: on the boot clock with the id of that boot, on the wall clock, and as the length of the
wait.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks of the host."""

    wall_ms: int
    boot_ms: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """`wait_ms` after the change was accepted."""

    boot_id: str
    boot_ms: int
    wall_ms: int
    wait_ms: int


def after(accepted: Instant, wait_ms: int) -> Deadline:
    """The deadline of a change that was accepted then."""
    return Deadline(accepted.boot_id, accepted.boot_ms + wait_ms, accepted.wall_ms + wait_ms, wait_ms)


def passed(deadline: Deadline, now: Instant) -> bool:
    """Within one boot the boot clock alone decides: setting the wall clock neither hurries nor delays anything.

    After a reboot whichever comes first: the wall clock says so, or this boot alone has lasted as long as the whole
    wait (a wall clock that came up wrong cannot hold the change for ever).
    """
    if now.boot_id == deadline.boot_id:
        return now.boot_ms >= deadline.boot_ms
    return now.wall_ms >= deadline.wall_ms or now.boot_ms >= deadline.wait_ms
