"""What the supervisor does when a process ends: again for everything that may pass, stop where a person is needed."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stream import supervisor
from stream.broker.errors import BrokerError
from stream.supervisor import Again, Child, Stop


async def nothing() -> None:
    """What there is to prepare."""


def python(name: str, code: str) -> Child:
    return Child(name, (sys.executable, "-c", code))


@pytest.mark.parametrize("code", [0, 1, 69, 70, -9, -15])
def test_what_may_pass_by_itself_is_started_again(code: int) -> None:
    assert supervisor.next_step(code, lived_s=1.0, tries=0) == Again(1.0, 1)


@pytest.mark.parametrize("code", [78, 2])
def test_what_needs_a_person_stops_all(code: int) -> None:
    assert supervisor.next_step(code, lived_s=1000.0, tries=0) == Stop(78)


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_life() -> None:
    pauses, tries = [], 0
    for _ in range(7):
        step = supervisor.next_step(70, lived_s=0.1, tries=tries)
        assert isinstance(step, Again)
        tries = step.tries
        pauses.append(step.pause_s)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert supervisor.next_step(70, lived_s=supervisor.STEADY_S, tries=tries) == Again(1.0, 1)


def test_a_child_that_needs_a_person_ends_the_others_and_its_last_words_are_shown(tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    steady = python(
        "steady",
        "import pathlib, signal, sys\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(mark)!r}).touch(), sys.exit(0)))\n"
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch()\n"
        "signal.pause()\n",
    )
    failing = python(
        "failing",
        "import pathlib, sys, time\n"
        f"while not pathlib.Path({str(tmp_path / 'up')!r}).exists(): time.sleep(0.01)\n"
        "print('journal offset 7 is missing', file=sys.stderr)\n"
        "sys.exit(78)\n",
    )
    said: list[str] = []
    assert asyncio.run(supervisor.run([steady, failing], nothing(), said.append)) == 78
    assert mark.exists()
    assert said[-1].startswith("failing needs a person (exit code 78); all others are stopped")
    assert "journal offset 7 is missing" in said[-1]


def test_a_killed_child_is_started_again_and_a_signal_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_S", (0.0, 0.0))
    count = tmp_path / "count"
    child = python(
        "worker",
        f"import os, pathlib, signal\np = pathlib.Path({str(count)!r})\n"
        "n = len(p.read_text()) if p.exists() else 0\np.write_text('x' * (n + 1))\n"
        f"os.kill(os.getpid(), signal.SIGKILL) if n < 2 else os.kill({os.getpid()}, signal.SIGTERM)\n"
        "signal.pause()\n",
    )
    said: list[str] = []
    assert asyncio.run(supervisor.run([child], nothing(), said.append)) == 0
    assert count.read_text() == "xxx"
    assert [line for line in said if "ended" in line] == ["worker ended with signal 9; started again in 0 s"] * 2
    assert said[-1] == "all stopped"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_process_that_holds_unconfirmed_changes_stays_until_they_are_taken_back(tmp_path: Path) -> None:
    lasting = tmp_path / "lasting"
    actor = python(
        "act",
        f"import pathlib, signal\npathlib.Path({str(lasting)!r}).touch()\nsignal.pause()\n",
    )
    answers = iter([1, 1, 0])
    asked = []

    def waits() -> int:
        asked.append(lasting.exists())
        return next(answers)

    failing = python("failing", "import sys; sys.exit(78)")
    said: list[str] = []
    assert asyncio.run(supervisor.run([failing, replace(actor, waits=waits)], nothing(), said.append)) == 78
    assert len(asked) == 3
    assert said[-1] == "act stays until 1 unconfirmed change is taken back at the deadline"


def test_what_holds_changes_is_started_before_there_is_a_broker_and_the_rest_never(tmp_path: Path) -> None:
    up = tmp_path / "up"

    async def prepare() -> None:
        while not up.exists():
            await asyncio.sleep(0.01)
        raise BrokerError("no broker")

    actor = python("act", f"import pathlib, signal\npathlib.Path({str(up)!r}).touch()\nsignal.pause()\n")
    other = python("ingest", f"import pathlib\npathlib.Path({str(tmp_path / 'never')!r}).touch()")
    with pytest.raises(BrokerError):
        asyncio.run(supervisor.run([other, replace(actor, waits=lambda: 0)], prepare(), lambda _: None))
    assert up.exists()
    assert not (tmp_path / "never").exists()
