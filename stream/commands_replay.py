"""`douse replay` and `douse test`: the engine over archived telemetry, an archived journal, and written timelines."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream import console
from stream.trouble import OperatorNeededError

if TYPE_CHECKING:  # numpy and pyarrow are slow to import, and help needs neither
    from schemas.specs import SpecSet
    from stream.archive.reading import Archive
    from stream.backtest.answers import Answers
    from stream.backtest.judged import Judged
    from stream.settings import Settings

FAILED = 1
DAMAGES_SHOWN_MAX = 20
REFRESH_RECORDS = 64  # of a progress bar that redraws ten times a second


def replay(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of an archive.")],
    specs: Annotated[list[Path] | None, typer.Option("--specs", help="Folder or file of specs.")] = None,
    slo: Annotated[list[Path] | None, typer.Option("--slo", help="A file of objectives.")] = None,
    runbook: Annotated[list[Path] | None, typer.Option("--runbook", help="A file of runbooks and the like.")] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Folder or file of another whole spec set, for the difference.")
    ] = None,
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, max=1024, help="Default: 1; of a journal, the setting `shards`.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answers to this file.")] = None,
) -> None:
    """Run the engine over an archive: what would have been seen, and what would have been done to whom.

    With specs the OTLP topics are read and every order is refused; without, the archived journal is folded once more.

    Example: douse replay archive/ --specs specs/ --json answers.json
    """
    from stream.archive import reading

    settings = console.load(ctx)
    places = [*(specs or ()), *(slo or ()), *(runbook or ())]
    if compare is not None and not places:
        raise typer.BadParameter("--compare needs the first spec set as well: --specs", param_hint="--compare")
    spec_sets = [_load(places), *([_load([compare])] if compare is not None else [])] if places else []
    archive = reading.open_archive(folder)
    started_s = time.perf_counter()
    found = _sources(archive, spec_sets, settings, shards or 1) if spec_sets else _journal(archive, settings, shards)
    took_s = time.perf_counter() - started_s
    told = [str(each) for each in (*archive.damages, *archive.gaps)]
    _show(found, told, took_s)
    if json_file is not None:
        _write(json_file, found, archive)


def test(
    files: Annotated[list[Path], typer.Argument(help="YAML files of timelines.")],
) -> None:
    """Play written timelines through the engine and compare what it makes of them with what they expect.

    Exit code 1 where one does not hold.

    Example: douse test timelines/pool.yaml
    """
    from stream.backtest import judged, written

    failed = 0
    timelines = written.read(files)
    for timeline in timelines:
        result = judged.play(timeline)
        failed += bool(result.differences)
        _told(result)
    if failed:
        console.say(f"{failed} of {console.count(len(timelines), 'timeline')} do not hold")
        raise typer.Exit(FAILED)
    print(f"{console.count(len(timelines), 'timeline')}, all hold")


def _load(places: Sequence[Path]) -> "SpecSet":
    from stream import specs

    return specs.load(*places).specs


def _sources(archive: "Archive", spec_sets: "list[SpecSet]", settings: "Settings", shards: int) -> "list[Answers]":
    from stream import topics
    from stream.backtest import run, sources

    named = topics.names(settings.topic_prefix)
    names = sources.Names(named.spans, named.metrics, named.logs)
    if not any(topic in archive.topics for topic in (names.spans, names.metrics, names.logs)):
        raise OperatorNeededError(
            f"the archive has none of {names.spans}, {names.metrics} and {names.logs}; it holds "
            f"{', '.join(archive.topics) or 'nothing'}. Set topic_prefix, or leave --specs out to "
            "replay a journal"
        )
    with _bar(archive.count) as advance:
        return run.sources(archive, spec_sets, names, shards, settings.tick_ms, advance)


def _journal(archive: "Archive", settings: "Settings", shards: int | None) -> "list[Answers]":
    from stream import topics
    from stream.backtest import run

    topic = topics.names(settings.topic_prefix).journal
    if topic not in archive.topics:
        raise OperatorNeededError(
            f"the archive has no journal {topic}; it holds {', '.join(archive.topics) or 'nothing'}. To replay OTLP "
            "topics, name the spec set: --specs DIR"
        )
    with _bar(archive.count) as advance:
        return [run.journal(archive, topic, shards or settings.shards, advance)]


def _bar(total: int) -> Any:
    """A progress bar on stderr where a person looks at it; gives what to call once a record."""
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def shown() -> Any:
        columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            task, seen = progress.add_task("replay", total=total), 0

            def advance() -> None:
                nonlocal seen
                seen += 1
                if seen % REFRESH_RECORDS == 0:
                    progress.update(task, completed=seen)

            yield advance
            progress.update(task, completed=seen)

    return shown()


def _show(found: "list[Answers]", damages: list[str], took_s: float) -> None:
    from stream.backtest import difference, show

    for number, answers in enumerate(found):
        if len(found) > 1:
            print(f"configuration {number + 1}:")
        show.answers(answers)
    if len(found) > 1:
        show.changes(difference.between(*found))
    for line in damages[:DAMAGES_SHOWN_MAX]:
        print(f"archive: {console.clean(line)}")
    if len(damages) > DAMAGES_SHOWN_MAX:
        print(f"archive: {len(damages) - DAMAGES_SHOWN_MAX} more of this kind; --json has all")
    span_s = (found[0].last_ms - found[0].first_ms) / 1000
    times = f", {span_s / took_s:.0f} times as fast as it happened" if took_s > 0 else ""
    console.say(f"{span_s:.0f} s of telemetry, {found[0].bytes / 1e6:.1f} MB, in {took_s:.1f} s{times}")


def _write(path: Path, found: "list[Answers]", archive: "Archive") -> None:
    from stream.backtest import difference

    value: dict[str, Any] = {
        "archive": {
            "damages": [str(each) for each in archive.damages],
            "gaps": [str(each) for each in archive.gaps],
            "records": archive.count,
        },
        "answers": found[0].fields(),
    }
    if len(found) > 1:
        value |= {"other": found[1].fields(), "difference": difference.fields(difference.between(*found))}
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _told(result: "Judged") -> None:
    timeline = result.timeline
    print(
        f"{'FAILED' if result.differences else 'ok'}  {timeline.file}:{timeline.line}: {console.clean(timeline.name)}"
    )
    for one in result.differences:
        print(f"  {timeline.file}:{one.line}: {one.what}: expected {one.expected}, seen {console.clean(one.seen)}")
