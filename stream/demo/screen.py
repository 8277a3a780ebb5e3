"""The demo's screen: lines as things happen, below them a table of all tenants; without a terminal, lines alone,
and of a tenant only when something about it changed.
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from stream.demo import claims, telling
from stream.demo.feed import Feed
from stream.demo.play import AVAILABILITY
from stream.demo.stage import Running, Stage

REFRESH_S = 0.5
SEEN_S = 3


class Screen:
    """Prints the feed's new events and keeps the table fresh until it is left."""

    def __init__(self, stage: Stage, feed: Feed) -> None:
        self._stage, self._feed = stage, feed
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started_s = time.monotonic()
        self._told = 0
        self._shown: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._events()
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """One line with the demo's own clock before it."""
        self._console.print(f"{time.monotonic() - self._started_s:6.1f} s  {text}", markup=False)

    async def _run(self) -> None:
        while True:
            self._events()
            rows = await asyncio.to_thread(self._rows)
            if self._console.is_terminal:
                self._live.update(_table(rows), refresh=True)
            else:
                for line in plain(rows, self._shown):
                    self.say(line)
            await asyncio.sleep(REFRESH_S)

    def _events(self) -> None:
        for event in self._feed.events[self._told :]:
            for line in telling.lines(event):
                self.say(line)
        self._told = len(self._feed.events)

    def _rows(self) -> list[dict[str, Any]]:
        """What douse says of each tenant beside what the target and the load generator say themselves."""
        seen = self._feed.rows(AVAILABILITY)
        rows = []
        for tenant in self._stage.world.tenants:
            try:
                failed, total = claims.client_failures(self._stage, tenant.name, SEEN_S)
                running = pools(self._stage.running(tenant.name))
            except OSError:
                failed, total, running = 0, 0, "does not answer"
            rows.append(
                {"tenant": tenant.name, "failed": failed, "total": total, "running": running}
                | seen.get(tenant.name, {})
            )
        return rows


def pools(running: Running) -> str:
    """`service 32, worker 32`."""
    sizes = {name.removesuffix(" pool_size"): value for name, value in running.items() if name.endswith(" pool_size")}
    return ", ".join(f"{name} {value}" for name, value in sizes.items())


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="douse beside what the load generator and the target say themselves", title_justify="left")
    for name in ("tenant", "data", "burn 60 s", "burn 5 s", "p99", "clients' failures", "running pool", "incident"):
        table.add_column(name, justify="left" if name in ("tenant", "data", "running pool", "incident") else "right")
    for row in rows:
        table.add_row(*_cells(row), style="bold red" if row.get("fires") else None)
    return table


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    share = f"{row['failed'] / row['total']:.0%} of {row['total']}" if row["total"] else "-"
    p99_us = row.get("p99_us")
    return (
        row["tenant"],
        row.get("data_state", "-"),
        f"{row['long_milli'] / 1000:.1f}x" if "long_milli" in row else "-",
        f"{row['short_milli'] / 1000:.1f}x" if "short_milli" in row else "-",
        f"{p99_us / 1000:.0f} ms" if p99_us else "-",
        share,
        row["running"],
        row.get("phase", "-"),
    )


def plain(rows: list[dict[str, Any]], told: dict[str, str]) -> list[str]:
    """A short line of each tenant about which something changed since `told`, which is brought up to date.

    Burn, p99 and failures change all the time: they are shown as they are when something else changes.
    """
    lines = []
    for row in rows:
        parts = [row["tenant"], "burning" if row.get("fires") else "not burning", f"pool {row['running']}"]
        parts += [f"incident {row['phase']}"] if row.get("phase") else []
        parts += [f"data {row['data_state']}"] if row.get("data_state", "ok") != "ok" else []
        changed = ", ".join(parts)
        if told.get(row["tenant"]) != changed:
            told[row["tenant"]] = changed
            _, _, long, short, _, share, _, _ = _cells(row)
            lines.append(f"{changed}; burn {long}/{short}, clients fail {share}")
    return lines
