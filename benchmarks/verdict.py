"""How often is a verdict wrong? Simulated tenants whose truth is known, judged by the product's own functions.

    python -m benchmarks.verdict [--runs N] [--seed N] [--quick]

Each run draws Poisson traffic and binomial errors second by second: a calm minute, a burn until its tier fires, a
change, and the truth after it. A row is one case; a claim that does not hold makes the exit code 1. The last line is
JSON. Claimed are: wrong `effective`, `harmful` and closing where a steady fault did not change, closing where it comes
in bursts or waves, `effective` and closing where the traffic went away, or where the recovery would have come anyway
and two untouched tenants show it, and `inconclusive` where two of them go on burning or were healthy. Reported beside
it: what bursts make of the first test, and what becomes of a recovery by itself without a control group.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors import verdict, verdict_confirm, verdict_control, verdict_deadline
from detectors import verdict_question as ask
from detectors.verdict_control import Likeness, Untouched

TARGET_PPM = 999_000
CALM_S = 60
BURN_S_MAX = 120  # what the 1 s buckets remember; slower tiers fire long after
TRUTH_S = 700  # the longest watch and the closing test after it
HEALTHY = 0.001
ACT_MILLI, PAGE_MILLI, SLOW_MILLI = 43_200, 14_400, 6_000
ERROR_MAX = 0.01  # what the contract of the test allows each case
CONTROLS = 2  # the smallest group that counts
LATE_S_MAX = 4  # so much later than ours the untouched recover
HEADS = {
    "effect.": "effective",
    "partial": "partial",
    "ineff.": "ineffective",
    "harmful": "harmful",
    "inconc.": "inconclusive",
    "no data": "no_data",
    "closed": "confirmed",
    "relapse": "relapse",
    "open": "keep_open",
}
Shares = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Shares]


@dataclass(frozen=True, slots=True)
class Case:
    """One truth: error shares (runs, seconds) from the onset on, and from the change on; None: nothing changed."""

    group: str
    name: str
    rate: int
    tier_milli: int
    burn: Draw
    after: Draw | None = None
    claims: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    traffic: float = 1.0
    """Share of the traffic that is left after the change."""
    control: tuple[float, float] | None = None
    """Error shares of the untouched tenants before and after; None: there are none."""


@dataclass(frozen=True, slots=True)
class Row:
    case: Case
    shares: dict[str, float]
    effective_s: float | None
    confirm_s: float | None
    fails: tuple[str, ...]


def steady(share: float) -> Draw:
    return lambda _rng, runs, seconds: np.full((runs, seconds), share)


def bursts(share: float, variance: float, rate: int, hold_s: int) -> Draw:
    """Gamma-distributed shares, each held for hold_s: error counts vary `variance` times as much as a steady fault's.

    The variance is that of counts over windows longer than a burst, where it no longer depends on the window.
    """
    spread = (variance - 1) / (rate * share * hold_s)

    def draw(rng: np.random.Generator, runs: int, seconds: int) -> Shares:
        levels = rng.gamma(1 / spread, spread * share, (runs, seconds // hold_s + 2))
        return np.minimum(np.repeat(levels, hold_s, axis=1)[:, :seconds], 1.0)

    return draw


def storm(clean_s: int = 3, period_s: int = 10) -> Draw:
    """A retry storm: half of all requests fail, but for `clean_s` in each period, at a phase of its own in each run."""

    def draw(rng: np.random.Generator, runs: int, seconds: int) -> Shares:
        phase = rng.integers(0, period_s, (runs, 1))
        return np.where((np.arange(seconds) + phase) % period_s < clean_s, HEALTHY, 0.5)

    return draw


def drained(before: float, drain_s: int, truth: float) -> Draw:
    return lambda _rng, runs, seconds: np.where(np.arange(seconds) < drain_s, before, np.full((runs, 1), truth))


def cases() -> Iterator[Case]:
    rates = (20, 60, 226, 1_000)
    fires = {6: SLOW_MILLI, 20: PAGE_MILLI, 60: ACT_MILLI, 600: ACT_MILLI}
    unchanged = ("effective", "harmful", "confirmed")
    for rate in rates:
        for factor, tier in fires.items():
            yield Case("unchanged", f"{factor} x", rate, tier, steady(factor / 1_000), claims=unchanged)
        yield Case("unchanged", "exactly p0", rate, PAGE_MILLI, steady(0.0144), claims=unchanged)
        for percent in (2, 4, 6):
            tier = ACT_MILLI if percent * 10_000 > ACT_MILLI else PAGE_MILLI
            for variance, hold_s in ((4, 1), (10, 1), (4, 3), (10, 3)):
                draw = bursts(percent / 100, variance, rate, hold_s)
                name = f"{percent} % x {variance}, {hold_s} s"
                yield Case("bursts", name, rate, tier, draw, None, ("confirmed",), ("harmful", "effective"))
            draw = bursts(percent / 100, 28, rate, 3)
            yield Case(
                "beyond the claim", f"{percent} % x 28, 3 s", rate, tier, draw, None, (), ("harmful", "confirmed")
            )
        for clean_s, period_s in ((3, 10), (2, 6), (5, 15), (8, 20)):
            name, waves = f"storm {clean_s} s in {period_s}", storm(clean_s, period_s)
            yield Case("bursts", name, rate, ACT_MILLI, waves, None, ("confirmed",), ("harmful", "effective"))
        yield Case("residual", "10 x left", rate, ACT_MILLI, steady(0.5), steady(0.01), ("harmful", "confirmed"))
        yield Case("cured", "3 s drain", rate, ACT_MILLI, steady(0.5), drained(0.5, 3, HEALTHY), ("harmful",))
        yield Case("cured", "3 s drain, 60 x", rate, ACT_MILLI, steady(0.06), drained(0.06, 3, HEALTHY), ("harmful",))
        yield Case("harmed", "35 % to 85 %", rate, ACT_MILLI, steady(0.35), steady(0.85), ("effective",))
        yield from shrunk(rate)
        yield from controlled(rate)


def shrunk(rate: int) -> Iterator[Case]:
    """Who failed has gone away: what is left is clean, and proves nothing."""
    for left in (0.0, 0.1, 0.3):
        claims = ("effective", "harmful", "confirmed")
        yield Case(
            "traffic", f"{left:.0%} left, clean", rate, ACT_MILLI, steady(0.5), steady(HEALTHY), claims, (), left
        )


def controlled(rate: int) -> Iterator[Case]:
    """Recoveries by themselves, and cures, beside two untouched tenants."""
    wrong, burn, cured = ("effective", "confirmed"), steady(0.5), drained(0.5, 3, HEALTHY)
    for share in (0.5, 0.06):
        name = f"controls {share:.0%}, recover"
        yield Case("anyway", name, rate, ACT_MILLI, burn, cured, ("confirmed",), wrong[:1], control=(share, HEALTHY))
    yield Case("alone anyway", "no controls", rate, ACT_MILLI, burn, cured, (), wrong)
    for name, control in (("burn on", (0.5, 0.5)), ("burn on at 6 %", (0.06, 0.06)), ("healthy", (HEALTHY, HEALTHY))):
        yield Case("cured", f"controls {name}", rate, ACT_MILLI, burn, cured, ("inconclusive",), (), control=control)


def fired_s(case: Case, errors: NDArray[np.int64], total: NDArray[np.int64]) -> int:
    """Seconds from the onset to the decision: the act tier's two windows over their threshold, and one second more."""
    if case.tier_milli != ACT_MILLI:
        return BURN_S_MAX
    threshold = (1 - TARGET_PPM / ask.PPM) * ACT_MILLI / 1_000
    slow = np.cumsum(errors) >= threshold * 60 * case.rate
    sums, fast = np.cumsum(np.stack((errors, total)), axis=1), np.stack((errors, total))
    fast = sums - np.pad(sums, ((0, 0), (5, 0)))[:, :-5]
    fires = slow & (fast[0] >= threshold * fast[1])
    return min(int(np.argmax(fires)) + 2, BURN_S_MAX) if fires.any() else BURN_S_MAX


def run_once(
    case: Case, burn: Shares, after: Shares | None, rng: np.random.Generator
) -> tuple[verdict.Judgement, verdict_confirm.Confirmation | None, int]:
    """One tenant from calm to verdict and closing test; the third value is the second at which the change is live."""
    total = rng.poisson(case.rate, CALM_S + BURN_S_MAX)
    errors = rng.binomial(total, np.concatenate((np.full(CALM_S, HEALTHY), burn[:BURN_S_MAX])))
    fired = fired_s(case, errors[CALM_S:], total[CALM_S:])
    live_s = CALM_S + fired
    p0_ppm = ask.p0_ppm(TARGET_PPM, case.tier_milli)
    before = ask.freeze(ask.Counts(0, total - errors, total), CALM_S, live_s, p0_ppm)
    plan = verdict_deadline.plan(p0_ppm, before, freshness_p99_ms=1_000, roll_out_ms=0)
    deadline_s = live_s + plan.watch_ms // 1_000
    question = ask.Question(TARGET_PPM, case.tier_milli, live_s * 1_000, deadline_s * 1_000, before)

    fresh_s = deadline_s - live_s + verdict_confirm.CONFIRM_S_MAX
    total = rng.poisson(case.rate * case.traffic, fresh_s)
    errors = rng.binomial(total, burn[fired : fired + fresh_s] if after is None else after[:fresh_s])
    counts = ask.Counts(live_s, total - errors, total)
    group = untouched(case, live_s, live_s + fresh_s, rng)
    frozen = verdict_control.freeze(group, CALM_S, live_s)
    found = verdict.look(question, counts, deadline_s)
    found = verdict_control.lowered(found, verdict_control.compare(question, found, frozen, group))
    if found.verdict is not verdict.Verdict.EFFECTIVE:
        return found, None, live_s
    end_s = found.at_s + verdict_confirm.CONFIRM_S_MAX
    confirmed = verdict_confirm.confirm(question, counts, found.at_s, end_s)
    if confirmed.standing is verdict_confirm.Standing.CONFIRMED:
        alike = verdict_control.compare(question, confirmed, frozen, group).likeness is Likeness.ALIKE
        confirmed = replace(confirmed, standing=verdict_confirm.Standing.KEEP_OPEN) if alike else confirmed
    return found, confirmed, live_s


def untouched(case: Case, live_s: int, end_s: int, rng: np.random.Generator) -> tuple[Untouched, ...]:
    """The control group: calm and burn like the tenant's own, then its own truth, a little later."""
    if case.control is None:
        return ()
    before, after = case.control
    group = []
    for number in range(CONTROLS):
        seconds = np.arange(end_s)
        cured_s = live_s + int(rng.integers(0, LATE_S_MAX + 1))
        share = np.where(seconds < CALM_S, HEALTHY, np.where(seconds < cured_s, before, after))
        total = rng.poisson(case.rate, end_s)
        group.append(Untouched(str(number), ask.Counts(0, total - rng.binomial(total, share), total)))
    return tuple(group)


def judge(case: Case, runs: int, rng: np.random.Generator) -> Row:
    """All runs of one case: how often each answer fell, and how soon."""
    length_s = BURN_S_MAX + TRUTH_S
    burn = case.burn(rng, runs, length_s)
    after = None if case.after is None else case.after(rng, runs, TRUTH_S)
    seen: dict[str, int] = dict.fromkeys([*verdict.Verdict, *verdict_confirm.Standing], 0)
    effective_s: list[int] = []
    confirm_s: list[int] = []
    for run in range(runs):
        found, confirmation, live_s = run_once(case, burn[run], None if after is None else after[run], rng)
        assert found.verdict is not None, "no verdict at the deadline"
        seen[found.verdict] += 1
        if confirmation is None:
            continue
        effective_s.append(found.at_s - live_s)
        seen[confirmation.standing] += 1
        if confirmation.standing is verdict_confirm.Standing.CONFIRMED:
            confirm_s.append(confirmation.at_s - found.at_s)
    shares = {name: count / runs for name, count in seen.items()}
    fails = tuple(claim for claim in case.claims if shares[claim] > ERROR_MAX)
    return Row(case, shares, _median(effective_s), _median(confirm_s), fails)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How often is a verdict wrong?")
    parser.add_argument("--runs", type=int, default=4_000, help="simulated tenants a case")
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--quick", action="store_true", help="a tenth of the tenants: seconds, for the tests")
    options = parser.parse_args(arguments)
    runs = max(1, options.runs // 10) if options.quick else options.runs
    print(f"seed {options.seed}, {runs} tenants a case, at most {ERROR_MAX:.0%} wrong in each; shares in per cent")
    print(f"{'case':34} {'req/s':>5} " + " ".join(f"{name:>7}" for name in HEADS) + "  median s   close s")
    rows = []
    for number, case in enumerate(cases()):
        rows.append(judge(case, runs, np.random.default_rng([options.seed, number])))
        print(line(rows[-1]), flush=True)
    summary = summarise(rows, options.seed, runs)
    print(json.dumps(summary, sort_keys=True))
    return 0 if summary["holds"] else 1


def line(row: Row) -> str:
    figures = " ".join(f"{100 * row.shares[name]:7.2f}" for name in HEADS.values())
    times = " ".join("       -" if value is None else f"{value:8.1f}" for value in (row.effective_s, row.confirm_s))
    flaw = f"  FAILS: {', '.join(row.fails)}" if row.fails else ""
    return f"{row.case.group + ' ' + row.case.name:34} {row.case.rate:5} {figures}  {times}{flaw}"


def summarise(rows: list[Row], seed: int, runs: int) -> dict[str, object]:
    """The worst share of each claim and of what is only reported, the cured case's medians, and whether all holds."""
    worst: dict[str, float] = {}
    false_confirmed = 0.0
    for row in rows:
        if "confirmed" in row.case.claims:
            false_confirmed = max(false_confirmed, row.shares["confirmed"])
        for claim in (*row.case.claims, *row.case.reported):
            name = f"{row.case.group.replace(' ', '_')}_{claim}_worst"
            worst[name] = max(worst.get(name, 0.0), row.shares[claim])
    cured = next(row for row in rows if (row.case.name, row.case.rate) == ("3 s drain", 226))
    return {
        "holds": not any(row.fails for row in rows),
        "seed": seed,
        "tenants_a_case": runs,
        "fails": [f"{row.case.group} {row.case.name} {row.case.rate}: {claim}" for row in rows for claim in row.fails],
        "cured_226_effective_s_median": cured.effective_s,
        "cured_226_confirm_s_median": cured.confirm_s,
        "false_confirmed_worst": false_confirmed,
        **worst,
    }


def _median(values: list[int]) -> float | None:
    return float(np.median(values)) if values else None


if __name__ == "__main__":
    sys.exit(main())
