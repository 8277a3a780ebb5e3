"""Ends of a process: the exit code says who goes on, the last line says why, and nothing else runs."""

import subprocess
import sys

import pytest

from stream.faustlib import exits


@pytest.mark.parametrize(("name", "code"), [("again", 70), ("operator", 78)])
def test_a_process_ends_at_once_with_its_code_and_one_line(name: str, code: int) -> None:
    program = (
        "import atexit; from stream.faustlib import exits\n"
        "atexit.register(print, 'clean-up')\n"
        f"try: exits.{name}('two\\nlines')\n"
        "finally: print('finally')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20)
    assert ended.returncode == code
    assert ended.stderr.decode() == f"douse: two lines (exit {code})\n"
    assert ended.stdout == b""


def test_the_codes_are_those_of_the_supervisor() -> None:
    assert (exits.AGAIN, exits.OPERATOR) == (70, 78)
