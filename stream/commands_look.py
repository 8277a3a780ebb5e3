"""`douse incidents` and `douse report`: what happened, from the public topics alone."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream import console
from stream.settings import Settings

if TYPE_CHECKING:  # aiokafka is slow to import, and help needs it not
    from stream.incidents import Board

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker before exit code 69.")]


def incidents(
    ctx: typer.Context,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """List all incidents that the topic holds, each at its latest event.

    Example: douse incidents --tenant acme-corp
    """
    from stream.incidents import NARROW, WIDE

    board = console.wait(_board(console.load(ctx), wait))
    for line in board.rejected:
        console.say(f"incidents topic, not counted: {line}")
    lines = [line for line in board.lines.values() if tenant in (None, line.tenant)]
    if json_output:
        console.print_json([line.fields() for line in lines])
        return
    if not lines:
        print("no incidents")
        return
    now_ms = time.time_ns() // 1_000_000
    title = f"{console.count(len(lines), 'incident')}, times in UTC"
    if console.on_terminal():
        console.table(title, NARROW, (line.narrow(now_ms) for line in lines))
    else:
        console.table(title, WIDE, (line.wide(now_ms) for line in lines))


def report(
    ctx: typer.Context,
    incident: Annotated[str, typer.Argument(help="Its id, the first digits of it, or `latest`.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where report.json and report.md are written.")] = Path(
        "out"
    ),
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Write report.json and report.md of one incident.

    Example: douse report latest, or douse report 0f3a --folder out/
    """
    from stream import reach

    settings = console.load(ctx)
    console.wait(reach.broker(settings.bootstrap, wait, console.say))
    from stream.report import command as report_command

    raise typer.Exit(report_command.main(settings, incident, folder, json_output))


async def _board(settings: Settings, wait: float) -> "Board":
    from stream import incidents as board
    from stream import keys, reach, topics

    trusted = keys.trusted(settings.trusted_command_keys)
    await reach.broker(settings.bootstrap, wait, console.say)
    topic = topics.names(settings.topic_prefix).incidents
    return await board.fold(reach.read(settings.bootstrap, topic), trusted)
