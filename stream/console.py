"""What all commands share: settings read once, exit codes, words to people on stderr and data on stdout."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

from stream import settings
from stream.broker.errors import BrokerError
from stream.settings import Settings
from stream.trouble import OperatorNeededError

OK, USAGE, BROKER_AWAY, AGAIN, OPERATOR = 0, 2, 69, 70, 78
WAIT_S = 30.0

Result = TypeVar("Result")


class Group(TyperGroup):
    """Turns what can go wrong outside into one line and an exit code, for every command below it."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer.Context is click's
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except OperatorNeededError as error:
            for line in str(error).splitlines():
                say(line)
            raise typer.Exit(OPERATOR) from error
        except BrokerError as error:
            say(str(error))
            raise typer.Exit(BROKER_AWAY) from error
        except OSError as error:
            say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(OPERATOR) from error


def say(text: str) -> None:
    """One line to a person."""
    print(f"douse: {text}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Data for a program, alone on stdout."""
    print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def load(ctx: typer.Context) -> Settings:
    """The settings of this command."""
    config: Path | None = ctx.find_root().obj
    return settings.load(os.environ, config)


def wait(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine to its end; Ctrl-C ends it as 130, the shell's own code for that."""
    # aiokafka logs what it also raises; with a handler of its own that goes only where a worker has set up a log.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    grid = Table(title=title, title_justify="left")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    Console().print(grid)
