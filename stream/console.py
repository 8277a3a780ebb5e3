"""What all commands share: settings read once, exit codes, words to people on stderr and data on stdout."""

import asyncio
import json
import logging
import os
import pwd
import sys
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperGroup

from stream import settings
from stream.broker.errors import BrokerError
from stream.settings import Settings
from stream.trouble import OperatorNeededError

if TYPE_CHECKING:  # aiokafka is slow to import, and help needs it not
    from stream.kafka import Cluster

OK, USAGE, BROKER_AWAY, AGAIN, OPERATOR = 0, 2, 69, 70, 78
WAIT_S = 30.0
PROSE_CHARS_MIN = 15  # the longest word of an incident is `pool_exhausted,`
BORDER_CHARS = 3  # a line between two columns, and a space on each side of it

Result = TypeVar("Result")


class Group(TyperGroup):
    """Turns what can go wrong outside into one line and an exit code, for every command below it."""

    ORDER: Sequence[str] = (
        *("run", "demo", "specs", "watch", "incidents", "report", "suggestions", "approve", "reject", "changes"),
        *("revert", "kill", "thaw", "keys", "topics", "doctor", "dead-letter", "broker", "ingest"),
        *("detect", "act", "state"),
        *("archive", "replay", "test"),
    )

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002  # as above
        """What is needed first comes first."""
        return sorted(self.commands, key=self.ORDER.index)

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
    print(f"douse: {clean(text)}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Data for a program, alone on stdout."""
    print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def load(ctx: typer.Context) -> Settings:
    """The settings of this command."""
    config: Path | None = ctx.find_root().obj
    return settings.load(os.environ, config)


def cluster(settings: Settings) -> "Cluster":
    """The Kafka of these settings."""
    from stream import kafka

    return kafka.cluster(settings)


def wait(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine to its end; Ctrl-C ends it as 130, the shell's own code for that."""
    # aiokafka logs what it also raises; with a handler of its own that goes only where a worker has set up a log.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error


def person() -> str:
    """Who gives this command, by the host's own word."""
    return pwd.getpwuid(os.getuid()).pw_name


def count(number: int, what: str) -> str:
    """`1 incident`, `2 incidents`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def clean(text: str) -> str:
    """The text with everything that a terminal would obey, or show as something else, written out: names come from
    telemetry, and what a person says yes to must be what is there."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def on_terminal() -> bool:
    """Whether a person reads stdout on a screen; if not, it is a pipe or a file, and a row is a line."""
    return sys.stdout.isatty()


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table on stdout: on a screen with a title and folded to its width, elsewhere a line a row and nothing cut."""
    if not on_terminal():
        for line in lines(columns, rows):
            print(line)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    screen, cells = Console(), [tuple(columns), *(tuple(map(clean, row)) for row in rows)]
    widths = [max(len(part) for cell in column for part in cell.split("\n")) for column in zip(*cells, strict=True)]
    # The last column, which has the prose, gives way first; all do where even that is not enough.
    roomy = sum(widths[:-1]) + PROSE_CHARS_MIN + len(widths) * BORDER_CHARS <= screen.width
    grid = Table(title=title, title_justify="left")
    for name, width in zip(cells[0][:-1], widths, strict=False):
        grid.add_column(name, overflow="fold", width=width if roomy else None)
    grid.add_column(cells[0][-1], overflow="fold")
    for row in cells[1:]:
        grid.add_row(*map(escape, row))
    screen.print(grid)


def lines(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The head and each row as one line, cells below each other; an empty cell is `-`, so columns can be counted."""
    cells = [tuple(columns), *(tuple(", ".join(clean(cell).split("\n")) or "-" for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
