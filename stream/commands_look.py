"""`douse incidents`, `report`, `suggestions`, `changes` and `watch`: what happens, from the public topics alone."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream import commands_control, console
from stream.settings import Settings

if TYPE_CHECKING:  # aiokafka is slow to import, and help needs it not
    from stream.control import Control
    from stream.incidents import Board
    from stream.people.book import Book

LEFT_OUT_SHOWN_MAX = 5  # a flooded topic must not bury what is asked for

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
    console.wait(reach.broker(console.cluster(settings), wait, console.say))
    from stream.report import command as report_command

    raise typer.Exit(report_command.main(settings, incident, folder, json_output))


def suggestions(ctx: typer.Context, json_output: Json = False, wait: Wait = console.WAIT_S) -> None:
    """List the suggestions that wait for a person: plans to carry out, steps to take back.

    Example: douse suggestions --json
    """
    from stream.incidents import clock
    from stream.people import telling, waiting

    book, control = console.wait(_book(console.load(ctx), wait))
    now_ms = time.time_ns() // 1_000_000
    found = waiting.waiting(book, waiting.plan_words(control.words), now_ms)
    if json_output:
        console.print_json([one.fields() for one in found])
        return
    if not found:
        print("no suggestion waits")
        return
    console.table(
        f"{console.count(len(found), 'suggestion')}, times in UTC; `douse approve` and `douse reject` answer one",
        ("plan", "incident", "tenant", "since", "kind", "autonomy", "cause", "tenants on the targets", "steps"),
        (
            (
                *(one.told.plan[: telling.ID_DIGITS], one.told.incident[: telling.ID_DIGITS], one.whose),
                *(clock(one.told.at_ms, now_ms), one.told.kind.value, one.told.autonomy.value),
                " + ".join((one.told.cause, *one.told.amplifiers)),
                f"shared: {one.told.tenants}" if one.told.tenants > 1 else "1",
                telling.steps(one.told.steps),
            )
            for one in found
        ),
    )


def changes(
    ctx: typer.Context,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """List every change that stands: whose, what, how old, confirmed or until when, how to undo it.

    Example: douse changes --tenant acme-corp
    """
    from stream.people import standing

    book, _ = console.wait(_book(console.load(ctx), wait))
    found = [one for one in standing.changes(book) if tenant in (None, one.tenant)]
    if json_output:
        console.print_json([one.fields() for one in found])
        return
    if not found:
        print("no change stands")
        return
    now_ms = time.time_ns() // 1_000_000
    title = f"{console.count(len(found), 'change')} standing, times in UTC; `douse revert` takes one back"
    console.table(title, standing.COLUMNS, (standing.cells(one, now_ms) for one in found))


def watch(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object with --once, else one line an event.")
    ] = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Show live how it goes: tenants and their burn, incidents and steps in progress, the last refusals.

    On a screen it is redrawn until Ctrl-C; elsewhere a line says what changed.

    Example: douse watch
    """
    from stream import reach
    from stream.people import live
    from stream.people.trust import Trust

    settings = console.load(ctx)
    trust = Trust.of(settings)

    async def work() -> None:
        await reach.broker(console.cluster(settings), wait, console.say)
        await (live.once if once else live.go_on)(settings, trust, json_output)

    console.wait(work())


async def _book(settings: Settings, wait: float) -> "tuple[Book, Control]":
    """What the topics tell, and what operators have decided."""
    from stream.people import follow
    from stream.people.trust import Trust

    trust = Trust.of(settings)
    control = await commands_control.read_control(settings, wait)
    book = await follow.read(settings, trust)
    for line in book.left_out[:LEFT_OUT_SHOWN_MAX]:
        console.say(f"not counted: {line}")
    if len(book.left_out) > LEFT_OUT_SHOWN_MAX:
        console.say(f"not counted: {len(book.left_out) - LEFT_OUT_SHOWN_MAX} more records")
    return book, control


async def _board(settings: Settings, wait: float) -> "Board":
    from stream import incidents as board
    from stream import keys, reach, topics

    trusted = keys.trusted(settings.trusted_command_keys)
    await reach.broker(console.cluster(settings), wait, console.say)
    topic = topics.names(settings.topic_prefix).incidents
    return await board.fold(reach.read(console.cluster(settings), topic), trusted)
