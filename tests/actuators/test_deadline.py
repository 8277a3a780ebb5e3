"""Deadlines hold over suspends, set clocks and reboots."""

from actuators import deadline
from actuators.deadline import Instant

START = Instant(wall_ms=1_000_000, boot_ms=500_000, boot_id="one")
DUE = deadline.after(START, 90_000)


def test_within_one_boot_only_the_boot_clock_counts() -> None:
    assert not deadline.passed(DUE, Instant(9_000_000, 589_999, "one"))
    assert deadline.passed(DUE, Instant(0, 590_000, "one"))


def test_after_a_reboot_the_wall_clock_counts() -> None:
    assert not deadline.passed(DUE, Instant(1_089_999, 20_000, "two"))
    assert deadline.passed(DUE, Instant(1_090_000, 20_000, "two"))


def test_after_a_reboot_a_wall_clock_that_came_up_wrong_cannot_hold_a_change_for_ever() -> None:
    assert not deadline.passed(DUE, Instant(0, 89_999, "two"))
    assert deadline.passed(DUE, Instant(0, 90_000, "two"))
