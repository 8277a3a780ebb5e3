"""How long does a tick take over 100,000 (tenant, SLO) rows, and how long would a plain loop take?

    python -m benchmarks.tick [--rows N] [--sample N] [--ticks N] [--seed N]

One tick reads all rows through all windows of all tiers with the product's own functions (what a shard does four times
a second). The same look-ups and arithmetic in a Python loop over lists run over a sample of the rows in the same
process and are scaled up; on the sample both must agree, else the exit code is 1. The last line is JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors import burn, state, windows
from detectors.burn import Book, Burn
from detectors.series import Series
from detectors.state import QUIET_S, DataState
from schemas import tiers
from schemas.slo import DAY_S, Slo, SpanSli

START_S = 1_800_000_000
HISTORY_S = (1, 4, 11, 47, 170, 900, 2_900, 9_000, 40_000, 150_000, 500_000)  # ages of counts: some in every window
TARGETS_PPM = (990_000, 999_000, 999_900)
FIRST_S = START_S - HISTORY_S[-1]


WRAP = 2**32
Levels = list[list[tuple[int, int]]]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class World:
    series: Series
    slos: tuple[Slo, ...]
    book: Book
    end_s: NDArray[np.int64]
    good: NDArray[np.int64]
    total: NDArray[np.int64]
    """(ages, rows) what was counted at each age of HISTORY_S."""


def world(rows: int, seed: int) -> World:
    """Rows with traffic at every age; most are healthy, some burn."""
    generator = np.random.default_rng(seed)
    slos = tuple(
        Slo(
            name=f"slo-{target_ppm}",
            sli=SpanSli(service="basket"),
            target_ppm=target_ppm,
            tiers=tiers.defaults(target_ppm, 30 * DAY_S)[0],
        )
        for target_ppm in TARGETS_PPM
    )
    series = windows.table()
    windows.advance(series, START_S)
    lanes = series.rows([("live", f"tenant-{row // 3}", "basket", slos[row % 3].name, "0") for row in range(rows)])
    total = generator.integers(0, 2_000, (len(HISTORY_S), rows))
    bad = generator.binomial(total, generator.choice([0.0, 0.0005, 0.02, 0.4], (1, rows), p=[0.5, 0.4, 0.05, 0.05]))
    for place, age_s in enumerate(HISTORY_S):
        windows.add(series, lanes, np.full(rows, START_S - age_s), (total - bad)[place], total[place])
    book = burn.book(slos, lanes, lanes % 3)
    return World(series, slos, book, np.full(rows, START_S), total - bad, total)


def tick(made: World) -> tuple[Burn, NDArray[np.uint8]]:
    """The vectorised part of a tick: burn rates, tiers, data states."""
    seen = burn.rates(made.series, made.book, made.end_s)
    quiet = windows.counts(made.series, made.book.rows, made.end_s, QUIET_S)[windows.TOTAL]
    never = np.full(len(made.end_s), -1)
    return seen, state.states(
        made.end_s, quiet, seen.thin[0], made.end_s, never, made.book.acting_s, -1, never > 0, False
    )


def histories(made: World, sample: int) -> list[Levels]:
    """The first `sample` rows' rings as lists of (good, total), as a plain program would keep them."""
    rings = made.series.rings.values()
    return [
        [[(good, total) for good, total in ring.values[:, :, row].tolist()] for ring in rings] for row in range(sample)
    ]


def loop(made: World, rows: list[Levels]) -> list[tuple[list[bool], int]]:
    """The same for each row in turn: which tiers fire, and the data state."""
    lookups = {window_s: _lookup(window_s) for window_s in (*made.book.window_s, QUIET_S)}
    last = (START_S - 1) % windows.LEVELS["1s"].slots
    result = []
    for row, levels in enumerate(rows):
        slo = made.slos[row % 3]
        budget = (1_000_000 - slo.target_ppm) / 1_000_000
        total_now, events, rates = levels[0][last], {}, {}
        for window_s, (level, slot) in lookups.items():
            then = levels[level][slot]
            good, total = (total_now[0] - then[0]) % WRAP, (total_now[1] - then[1]) % WRAP
            covered = min((START_S - FIRST_S) / window_s, 1.0)
            events[window_s] = total
            rates[window_s] = (total - good) * covered / total / budget if total else 0.0
        fires, thin = [], []
        for tier in slo.tiers:
            factor = tier.factor_milli / 1000
            thin.append(events[tier.long_s] * factor * budget <= 1.0)
            fires.append(rates[tier.long_s] > factor and rates[tier.short_s] > factor and not thin[-1])
        found = DataState.NO_TRAFFIC if events[QUIET_S] == 0 else DataState.LOW_N if thin[0] else DataState.OK
        result.append((fires, int(found)))
    return result


def _lookup(window_s: int) -> tuple[int, int]:
    """Level and slot of the count at a window's start."""
    width_s = tiers.step_s(window_s)
    level, shape = next((n, one) for n, one in enumerate(windows.LEVELS.values()) if one.width_s == width_s)
    return level, ((START_S - window_s) // width_s - 1) % shape.slots


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How long does a tick take?")
    parser.add_argument("--rows", type=int, default=100_000, help="(tenant, SLO) rows")
    parser.add_argument("--sample", type=int, default=1_000, help="rows of the plain loop")
    parser.add_argument("--ticks", type=int, default=7, help="of which the median counts")
    parser.add_argument("--seed", type=int, default=20_260_101)
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}, {options.rows} rows; {options.rows * 16_896 / 1e9:.2f} GB of rings", flush=True)
    made = world(options.rows, options.seed)
    plain = histories(made, min(options.sample, options.rows))
    ticks_ms, loops_ms = [], []
    for _ in range(options.ticks):
        (seen, states), took_ms = _timed(tick, made)
        ticks_ms.append(took_ms)
        found, took_ms = _timed(loop, made, plain)
        loops_ms.append(took_ms * options.rows / len(plain))
    differ = sum(
        seen.fires[: len(fires), row].tolist() != fires or int(states[row]) != one
        for row, (fires, one) in enumerate(found)
    )
    tick_ms, loop_ms = float(np.median(ticks_ms)), float(np.median(loops_ms))
    print(f"one tick over all tiers          {tick_ms:9.1f} ms   ({min(ticks_ms):.1f} to {max(ticks_ms):.1f})")
    print(f"plain loop, {len(plain)} rows scaled up {loop_ms:9.1f} ms   ({min(loops_ms):.1f} to {max(loops_ms):.1f})")
    print(
        f"ratio {loop_ms / tick_ms:.0f}; {int(seen.fires.any(axis=0).sum())} rows fire; {differ} of the sample differ"
    )
    summary = {
        "agree": differ == 0,
        "loop_ms": round(loop_ms, 1),
        "ratio": round(loop_ms / tick_ms, 1),
        "rows": options.rows,
        "rows_firing": int(seen.fires.any(axis=0).sum()),
        "sample": len(plain),
        "tick_ms": round(tick_ms, 1),
        "windows": len(made.book.window_s),
    }
    print(json.dumps(summary, sort_keys=True))
    return 0 if differ == 0 else 1


def _timed(
    function: Callable[Arguments, Result], *args: Arguments.args, **more: Arguments.kwargs
) -> tuple[Result, float]:
    began = time.perf_counter()
    result = function(*args, **more)
    return result, (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    sys.exit(main())
