"""The watchdog: a partition stands still only if there is more to read and nothing is read."""

from stream.faustlib import watchdog


def barks(steps: list[tuple[int, int, float]]) -> list[bool]:
    """What it says to (position, end, time) of one partition, with a limit of 10 s."""
    dog = watchdog.Watchdog(10)
    return [dog.stuck("p", *step) for step in steps]


def test_an_idle_partition_never_stands_still() -> None:
    assert not any(barks([(5, 5, 0), (5, 5, 100), (5, 5, 1000)]))


def test_a_moving_partition_with_a_long_backlog_does_not_stand_still() -> None:
    assert not any(barks([(1, 900, 0), (2, 900, 9), (3, 900, 18)]))


def test_a_partition_with_more_to_read_stands_still_after_the_limit() -> None:
    assert barks([(5, 6, 0), (5, 7, 9.9), (5, 8, 10)]) == [False, False, True]


def test_the_time_counts_from_when_there_was_more() -> None:
    assert barks([(5, 5, 0), (5, 5, 50), (5, 6, 51), (5, 6, 59), (5, 6, 60)]) == [False, False, False, False, True]
