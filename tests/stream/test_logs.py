"""A log for machines: one object a line, the ids that a line is about, and nothing that the line for people has not."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stream import logs
from stream.detect import telling
from stream.effects import Outlet, Publish


@pytest.fixture(autouse=True)
def _plain_again() -> Iterator[None]:
    handlers = {handler: handler.formatter for handler in logging.getLogger().handlers}
    yield
    logs.begin("console", "")
    for handler, formatter in handlers.items():
        handler.setFormatter(formatter)


def record(text: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("douse.x", logging.WARNING, "", 0, text, (), None)
    made.created = 1_000.5
    made.__dict__.update(more)
    return made


def test_a_line_has_its_time_level_logger_app_and_ids() -> None:
    assert json.loads(logs.JsonLines("detect").format(record("two\nlines", incident="i", shard=0, tenant="t"))) == {
        "time": "1970-01-01T00:16:40.500Z",
        "level": "warning",
        "logger": "douse.x",
        "app": "detect",
        "message": "two\nlines",
        "incident": "i",
        "shard": 0,
    }


def test_an_exception_stays_within_its_line() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        wrong = record("failed", exc_info=sys.exc_info())
    line = logs.JsonLines("act").format(wrong)
    assert "\n" not in line
    assert "ValueError: bad" in json.loads(line)["exception"]


def test_lines_for_people_stay_as_they_are() -> None:
    logs.begin("console", "act")
    assert logs.line("douse act: x") == "douse act: x"
    logs.begin("json", "act")
    assert json.loads(logs.line("x", "critical"))["level"] == "critical"


def test_what_detect_tells_names_incident_command_and_shard_and_nothing_else() -> None:
    data = {"incident": "i", "command": "c", "shard": 2, "tenant": "secret", "before": "pa55"}
    effect = Publish(Outlet.COMMANDS, "k", "dev.douse.command.apply", "c", "/", 1, data)
    assert telling.ids(effect) == {"incident": "i", "command": "c", "shard": 2}


def test_the_last_line_of_a_process_has_the_form_of_the_others() -> None:
    program = (
        "from stream import logs\nfrom stream.faustlib import exits\nlogs.begin('json', 'ingest')\nexits.again('why')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20)
    assert ended.returncode == 70
    assert json.loads(ended.stderr)["message"] == "douse: why (exit 70)"
