"""All scenarios of the demo on real parts: `pool` five times, the others once, and the table of what was seen.

    python -m benchmarks.scenarios [--pool 5] [--only NAME ...]

The last line is JSON. Times are in seconds; the median of `pool` is what the README quotes.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from examples.acme.world import World
from stream.broker import process
from stream.demo.scenario import SCENARIOS, Scenario
from stream.demo.session import Seen, session
from stream.demo.stage import Cast, Stage

OUT = Path("out/scenarios")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario."""

    seen: Seen
    took_s: float

    @property
    def name(self) -> str:
        return self.seen.cast.scenario.name


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pool", type=int, default=5, help="how often the scenario pool is played")
    options.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    wanted = options.parse_args()
    found = []
    with process.running(OUT / "broker") as broker:
        for name in wanted.only:
            for _ in range(wanted.pool if name == "pool" else 1):
                found.append(_once(SCENARIOS[name], broker.bootstrap))
                print(_line(found[-1]), flush=True)
    result = _summary(found)
    print(json.dumps(result))
    return 0 if result["holds"] else 1


def _once(scenario: Scenario, bootstrap: str) -> Run:
    started_s, world = time.monotonic(), World()
    unique = f"{scenario.name}-{time.time_ns()}"
    stage = Stage(OUT / unique, bootstrap, f"{unique}.", world, (Cast(world.tenants[0], scenario),))
    (seen,) = asyncio.run(session(stage))
    return Run(seen, time.monotonic() - started_s)


def _line(run: Run) -> str:
    broken = "; ".join(f"{claim.text}: {claim.seen}" for claim in run.seen.claims if not claim.holds)
    said = run.seen.report.state_says if run.seen.report else "no incident"
    shown = ", ".join(f"{name} {value:.1f}" for name, value in _times(run).items())
    holds = "holds " if run.seen.holds else "BROKEN"
    return f"{run.name:9} {holds} {run.took_s:4.0f} s  {said}  [{shown}] {broken}"


def _times(run: Run) -> dict[str, float]:
    """MTTM, its parts and what stands beside it in seconds, as far as the report has them."""
    if run.seen.report is None:
        return {}
    fields = run.seen.report.mttm.fields()
    return {name.removesuffix("_ms"): value / 1000 for name, value in fields.items() if name.endswith("_ms")}


def _summary(runs: list[Run]) -> dict[str, object]:
    pools = [_times(run) for run in runs if run.name == "pool"]
    names = sorted({name for times in pools for name in times})
    medians = {name: round(statistics.median(t[name] for t in pools if name in t), 2) for name in names}
    return {
        "holds": all(run.seen.holds for run in runs),
        "pool_median_s": medians,
        "pool_runs": len(pools),
        "scenarios": {run.name: run.seen.holds for run in runs},
    }


if __name__ == "__main__":
    sys.exit(main())
