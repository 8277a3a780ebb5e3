"""`douse archive`: copies topics, or files that a Collector wrote, into a folder that douse can read again."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from stream import console

if TYPE_CHECKING:  # pydantic and aiokafka are slow to import, and help needs neither
    from stream.archive.record import Damage, Gap

SHOWN_MAX = 20  # damages on the screen; --json has them all


class _Group(TyperGroup):
    """`douse archive TOPIC...` is `douse archive topics TOPIC...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts in the subcommand that was left out."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["topics", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Group, no_args_is_help=True, help="Topics and telemetry files as folders: written, imported, checked."
)

Out = Annotated[Path, typer.Option("--out", help="A new or empty folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker before exit code 69.")]


@app.command("topics")
def topics(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="TOPIC...", help="Topics, by their full names.")],
    out: Out,
    begin: Annotated[
        str, typer.Option("--from", help="earliest, latest, a time (2026-11-24T08:00Z), or so long ago (-1h).")
    ] = "earliest",
    end: Annotated[str, typer.Option("--to", help="The same; latest is the end when the command starts.")] = "latest",
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Copy topics from the broker, as they are, between two moments. The word `topics` may be left out.

    Example: douse archive topics otlp_spans otlp_logs --from -1h --out evening
    """
    settings = console.load(ctx)
    from stream import reach
    from stream.archive import capture, times
    from stream.archive.writing import Writer

    now_ms = time.time_ns() // 1_000_000
    moments = times.parse(begin, now_ms), times.parse(end, now_ms)

    async def work() -> int:
        await reach.broker(console.cluster(settings), wait, console.say)
        await capture.require(settings, names)  # before a folder is made
        with Writer(out, f"kafka {settings.bootstrap}") as writer, _progress("offsets") as show:
            await capture.run(settings, names, *moments, writer, show)
        return writer.count

    count = console.wait(work())
    if json_output:
        console.print_json({"folder": str(out), "records": count})
        return
    print(f"{out}: {console.count(count, 'record')} of {', '.join(names)}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A file, or a folder whose files are all read.")],
    out: Out,
    signal: Annotated[
        str, typer.Option("--signal", help="spans, logs or metrics, for protobuf files whose names do not say it.")
    ] = "",
    json_output: Json = False,
) -> None:
    """Make an archive of what a Collector's file exporter wrote; rotated and compressed files as well.

    A broken place is named with its file and byte, the rest is used, and the exit code is 78.

    Example: douse archive import /var/lib/otelcol/export --out evening
    """
    from stream.archive import importing
    from stream.archive.payload import Signal
    from stream.archive.writing import Writer

    known = {each.value.lower(): each for each in Signal}
    if signal and signal not in known:
        raise typer.BadParameter(f"{signal} is none of {', '.join(known)}", param_hint="--signal")
    files = importing.sources(source)
    total = sum(path.stat().st_size for path in files)
    with Writer(out, f"import of {source.name}") as writer, _progress("bytes") as show:
        done_bytes = 0

        def step(size: int) -> None:
            nonlocal done_bytes
            done_bytes += size
            show(done_bytes, total)

        done = importing.run(source, files, writer, known.get(signal), step)
    _tell(out, writer.count, done.records, done.damages, (), json_output)
    if done.damages:
        console.say(f"{console.count(len(done.damages), 'place')} of {source} could not be used; {out} has the rest")
        raise typer.Exit(console.OPERATOR)


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="An archive.")],
    json_output: Json = False,
) -> None:
    """Read an archive whole and compare it with its checksums. Exit code 78 where it is broken or unfinished.

    Example: douse archive check evening
    """
    from stream.archive.reading import open_archive

    archive = open_archive(folder)
    archive.verify()
    counts: dict[str, int] = dict.fromkeys(archive.topics, 0)
    for record in archive.records():
        counts[record.topic] += 1
    _tell(folder, sum(counts.values()), counts, archive.damages, archive.gaps, json_output)
    if not archive.whole:
        console.say(f"{folder} is not whole: its writing was interrupted; what is there can be used")
    if archive.damages:
        console.say(f"{console.count(len(archive.damages), 'place')} of {folder} cannot be used")
    if archive.damages or not archive.whole:
        raise typer.Exit(console.OPERATOR)


def _tell(
    folder: Path,
    count: int,
    counts: Mapping[str, int],
    damages: "Sequence[Damage]",
    gaps: "Sequence[Gap]",
    json_output: bool,
) -> None:
    if json_output:
        found = {"folder": str(folder), "records": count, "topics": dict(counts)}
        found |= {"damages": [{"file": one.file, "offset": one.offset, "what": one.what} for one in damages]}
        found |= {"gaps": [str(one) for one in gaps]}
        console.print_json(found)
        return
    print(f"{folder}: {console.count(count, 'record')}")
    for topic, number in sorted(counts.items()):
        print(f"  {topic}: {number}")
    for kind, places in (("damage", damages), ("gap", gaps)):
        for each in places[:SHOWN_MAX]:
            console.say(f"{kind}: {each}")
        if len(places) > SHOWN_MAX:
            console.say(f"and {console.count(len(places) - SHOWN_MAX, kind)} more; --json has all")


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a person's screen; nothing in a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=1)
        yield lambda done, total: bar.update(task, completed=done, total=max(total, 1))
