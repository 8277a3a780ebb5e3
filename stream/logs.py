"""A worker's log: lines for people, or JSON lines for machines, by the setting `log_format`."""

import logging
import time
from typing import Any

import orjson

from schemas.envelope import rfc3339

JSON = "json"
IDS = ("incident", "command", "shard")  # of what a line is about; nothing else of an event goes into it
_app = ""  # whose JSON lines they are; empty: lines for people. Set once, before the first line


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, app, message, the ids that the line is about, an exception."""

    def __init__(self, app: str) -> None:
        super().__init__()
        self._app = app

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        ids = {name: getattr(record, name) for name in IDS if getattr(record, name, "") != ""}
        wrong = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        time_ms = int(record.created * 1000)
        return _line(self._app, time_ms, record.levelname.lower(), record.name, record.getMessage(), **ids, **wrong)


def begin(form: str, app: str) -> None:
    """From now on this process logs in the form `form` as `app`."""
    global _app  # the end of a process (faustlib/exits.py) speaks from any depth
    _app = app if form == JSON else ""
    dress()


def dress() -> None:
    """Gives the form to the handlers that are there; again after a library has set up its own."""
    if _app:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines(_app))


def line(text: str, level: str = "info") -> str:
    """A line that does not go through a logger, in the form of this process."""
    return _line(_app, int(time.time() * 1000), level, "douse", text) if _app else text


def _line(app: str, time_ms: int, level: str, logger: str, message: str, **more: Any) -> str:
    found = {"time": rfc3339(time_ms), "level": level, "logger": logger, "app": app, "message": message, **more}
    return orjson.dumps(found, default=str).decode()
