"""All scenarios of the demo on real parts: `acme` five times, the others once; what was expected beside what was seen.

    python -m benchmarks.scenarios [--times 5] [--only NAME ...]

The last line is JSON. Times are in seconds; the medians of `acme` are what the README quotes.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stream.broker import process
from stream.demo import casting
from stream.demo.play import NotInTimeError
from stream.demo.scenario import SCENARIOS, Scenario
from stream.demo.session import Seen, session
from stream.demo.stage import Stage

OUT = Path("out/scenarios")
MEDIANS_OF = "acme"
COLUMNS = ("cause", "amplifiers", "steps", "verdict", "files")
WIDTH = 200  # of the table where it goes to a file


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario, with each of its victims."""

    scenario: Scenario
    seen: tuple[Seen, ...]
    took_s: float
    error: str = ""
    """What it waited for in vain; then nothing was seen."""

    @property
    def holds(self) -> bool:
        return not self.error and all(one.holds for one in self.seen)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=5, help=f"how often {MEDIANS_OF} is played")
    options.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    options.add_argument("--telemetry", default="fast", help="fast, or default: as rarely as the SDKs export")
    wanted = options.parse_args()
    found = []
    with process.running(OUT / "broker") as broker:
        for name in wanted.only:
            for _ in range(wanted.times if name == MEDIANS_OF else 1):
                found.append(_once(SCENARIOS[name], broker.bootstrap, wanted.telemetry))
                print(_line(found[-1]), flush=True)
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    console.print(_table(found))
    result = _summary(found)
    print(json.dumps(result))
    return 0 if result["holds"] else 1


def _once(scenario: Scenario, bootstrap: str, telemetry: str) -> Run:
    started_s = time.monotonic()
    world, cast = casting.default(scenario, telemetry)
    unique = f"{scenario.name}-{time.time_ns()}"
    stage = Stage((OUT / unique).resolve(), bootstrap, f"{unique}.", world, cast)
    seen: tuple[Seen, ...] = ()
    error = ""
    try:
        seen = tuple(asyncio.run(session(stage)))
    except NotInTimeError as late:
        error = f"{late}; logs are in {OUT / unique}"
    return Run(scenario, seen, time.monotonic() - started_s, error)


def _line(run: Run) -> str:
    broken = "; ".join(f"{claim.text}: {claim.seen}" for one in run.seen for claim in one.claims if not claim.holds)
    report = run.seen[0].report if run.seen else None
    said = report.state_says if report else "no incident"
    shown = ", ".join(f"{name} {value:.1f}" for name, value in _times(run).items())
    holds = "holds " if run.holds else "BROKEN"
    return f"{run.scenario.name:13} {holds} {run.took_s:4.0f} s  {said}  [{shown}] {run.error or broken}"


def _table(runs: list[Run]) -> Table:
    """Each scenario once: what was expected, and below it what was seen where that is something else."""
    table = Table(title="expected, and (seen) where it differs", title_justify="left")
    for name in ("scenario", "holds", *COLUMNS):
        table.add_column(name)
    for run in runs:
        if run.error:
            table.add_row(run.scenario.name, "NO", run.error)
        for one in run.seen:
            cells = {claim.column: claim for claim in one.claims}
            told = [
                _cell(cells[name].wanted, cells[name].seen, cells[name].holds) if name in cells else "-"
                for name in COLUMNS
            ]
            table.add_row(run.scenario.name, "yes" if one.holds else "NO", *told)
    return table


def _cell(wanted: str, seen: str, holds: bool) -> str:
    return wanted if holds else f"{wanted} ({seen})"


def _times(run: Run) -> dict[str, float]:
    """MTTM, its parts and what stands beside it in seconds, as far as the report has them."""
    report = run.seen[0].report if run.seen else None
    if report is None:
        return {}
    fields = report.mttm.fields()
    return {name.removesuffix("_ms"): value / 1000 for name, value in fields.items() if name.endswith("_ms")}


def _summary(runs: list[Run]) -> dict[str, object]:
    repeated = [_times(run) for run in runs if run.scenario.name == MEDIANS_OF]
    names = sorted({name for times in repeated for name in times})
    medians = {name: round(statistics.median(t[name] for t in repeated if name in t), 2) for name in names}
    return {
        "holds": all(run.holds for run in runs),
        f"{MEDIANS_OF}_median_s": medians,
        f"{MEDIANS_OF}_runs": len(repeated),
        "scenarios": {run.scenario.name: run.holds for run in runs},
    }


if __name__ == "__main__":
    sys.exit(main())
