"""The shell of `douse watch`: follows the public topics and keeps a screen fresh; without a terminal, plain lines."""

import json
import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from schemas.model import Model
from stream import console
from stream.people import telling
from stream.people.follow import Follower
from stream.people.scene import Board, Scene, plain
from stream.people.trust import Trust
from stream.settings import Settings

REFRESH_S = 0.5


async def once(settings: Settings, trust: Trust, as_json: bool) -> None:
    """One frame of what the topics hold now."""
    scene, now_ms = Scene(), _now_ms()
    async with Follower(settings, trust, status=True) as follower:
        await _catch_up(follower, scene)
    if as_json:
        console.print_json(scene.fields(now_ms))
        return
    for board in scene.boards(now_ms):
        _print(board)


async def go_on(settings: Settings, trust: Trust, as_json: bool) -> None:
    """Frame after frame until the command is ended."""
    scene = Scene()
    async with Follower(settings, trust, status=True) as follower:
        await _catch_up(follower, scene)
        if as_json or not console.on_terminal():
            await _lines(follower, scene, as_json)
        else:
            await _screen(follower, scene)


async def _catch_up(follower: Follower, scene: Scene) -> None:
    while not await follower.caught_up():
        for event in await follower.next():
            scene.take(event)


async def _screen(follower: Follower, scene: Scene) -> None:
    with Live(console=Console(highlight=False), auto_refresh=False, screen=True) as live:
        while True:
            live.update(_frame(scene, follower.rejected), refresh=True)
            due_s = time.monotonic() + REFRESH_S
            while (left_s := due_s - time.monotonic()) > 0:
                for event in await follower.next(left_s):
                    scene.take(event)


async def _lines(follower: Follower, scene: Scene, as_json: bool) -> None:
    told: dict[str, str] = {}
    while True:
        for line in [] if as_json else plain(scene.boards(_now_ms()), told):
            print(console.clean(f"{telling.clock(_now_ms())}  {line}"), flush=True)
        for event in await follower.next(REFRESH_S):
            model = scene.take(event)
            if model is None:
                continue
            shown = json.dumps({"type": event.type, "data": event.data}, sort_keys=True) if as_json else _said(model)
            print(console.clean(shown), flush=True)


def _said(model: Model) -> str:
    return f"{telling.clock(_now_ms())}  {telling.line(model)}"


def _frame(scene: Scene, rejected: int) -> Group:
    now_ms = _now_ms()
    parts = [_table(board) for board in scene.boards(now_ms)]
    foot = f"{telling.clock(now_ms)} UTC; Ctrl-C ends it"
    foot += f"; {console.count(rejected, 'record')} not counted: no trusted key signed them" if rejected else ""
    return Group(*parts, foot)


def _table(board: Board) -> Table:
    table = Table(title=escape(board.title), title_justify="left", expand=True)
    for name in board.columns:
        table.add_column(name, overflow="fold")
    for number, cells in enumerate(board.rows):
        table.add_row(
            *(escape(console.clean(cell)) for cell in cells), style="bold red" if number in board.urgent else None
        )
    return table


def _print(board: Board) -> None:
    rows: Sequence[Sequence[str]] = board.rows
    if not console.on_terminal():
        print(board.title)
    console.table(board.title, board.columns, rows)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
