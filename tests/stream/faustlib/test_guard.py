"""The guard against standing still, on a clock of its own."""

import asyncio

from stream.faustlib import guard


def watched(session_s: float, times: list[float]) -> list[str]:
    """What the guard said when it was checked at these times."""
    said: list[str] = []
    now = iter([0.0, *times])
    watch = guard.Guard(session_s, leave=said.append, clock_s=lambda: next(now))
    for _ in times:
        watch.check()
    return said


def test_a_process_that_beats_in_time_stays() -> None:
    assert watched(6, [0.25, 0.5, 3.5, 6.5]) == []


def test_a_process_that_stood_still_for_half_its_session_leaves() -> None:
    (said,) = watched(6, [0.2, 3.3])
    assert said == "stood still for 3.1 s, more than half of the session (6 s)"


def test_the_time_before_the_start_does_not_count() -> None:
    async def body() -> list[str]:
        said: list[str] = []
        now = [0.0]
        watch = guard.Guard(6, leave=said.append, clock_s=lambda: now[0])
        now[0] = 100.0
        watch.start()
        watch.check()
        await asyncio.sleep(0)  # the task beats as well
        now[0] = 110.0
        watch.check()
        watch.stop()
        return said

    assert asyncio.run(body()) == ["stood still for 10.0 s, more than half of the session (6 s)"]
