"""How often would healthy tenants be acted on? A month of chance failures, read by the product's own burn windows.

    python -m benchmarks.healthy [--tenants N] [--days N] [--seed N]

Each tenant fails at half the rate that its objective (99.9 % over 30 days) allows, by chance alone, at a rate of its
own between 0.2 and 200 requests a second that goes up and down by half over the day. Every failure that has others near
it is put into rings of the product with the traffic around it, and `detectors.burn` says whether the act tier fires.

Simplified, each to the worse side: every firing counts as an act, though an act also needs a named cause, which
healthy pools do not give; firings within two minutes are one, since one incident acts once. Simplified, to neither: no
fold, no journal, no late data; a minute with less than half of its expected requests is not looked at.

Claimed is at most 0.01 acts per tenant and month where a verdict can prove a success. Where it cannot (below about 1.8
requests a second) two or three failures in a minute are a burn of 43 times the budget, and the figure is reported
apart. The last line is JSON; the exit code is 1 where the claim does not hold.
"""

import argparse
import itertools
import json
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import burn, verdict_deadline, windows
from detectors import verdict_question as ask
from schemas import tiers
from schemas.slo import DAY_S, Severity, Slo, SpanSli

TARGET_PPM, PERIOD_S = 999_000, 30 * DAY_S
SHARE = 0.5 * (1 - TARGET_PPM / ask.PPM)  # half of the budgeted errors
RATE_MIN, RATE_MAX, SWING = 0.2, 200.0, 0.5
CLASSES = (0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 200.0)
ACTS_MAX = 0.01
INCIDENT_S = 120
HISTORY_S = 70  # the act tier's long window and the seconds in which its short one still holds the failure
ROWS_MAX = 20_000  # 340 MB of rings at once
START_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """Tenants of one class of traffic, from `low` to `high` requests a second."""

    low: float
    high: float
    tenants: int
    failures: int
    looked_at: int
    acts: int


def objective() -> Slo:
    found, _ = tiers.defaults(TARGET_PPM, PERIOD_S)
    act = tuple(tier for tier in found if tier.severity is Severity.ACT)
    return Slo(name="availability", sli=SpanSli(service="shop"), target_ppm=TARGET_PPM, tiers=act)


def rate_at(rate: float, at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return rate * (1 + SWING * np.sin(2 * np.pi * at_s / DAY_S))


def failures(rate: float, length_s: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Seconds in which a request fails, each as often as requests fail in it; a thinned Poisson process."""
    most = rate * (1 + SWING)
    at_s = np.sort(rng.uniform(0, length_s, rng.poisson(most * SHARE * length_s)))
    kept = rng.uniform(0, most, len(at_s)) < rate_at(rate, at_s)
    return at_s[kept].astype(np.int64)


def near(at_s: NDArray[np.int64], rate: float, slo: Slo) -> NDArray[np.int64]:
    """Places of the failures that could make the act tier fire: enough of them within its long window."""
    tier = slo.tiers[0]
    share = tier.factor_milli / 1_000 * float(slo.budget)
    within = np.arange(1, len(at_s) + 1) - np.searchsorted(at_s, at_s - tier.long_s, side="right")
    expected = rate_at(rate, at_s.astype(np.float64)) * tier.long_s
    return np.flatnonzero(within > share * np.maximum(1 / share, expected / 2))


def fires(
    at_s: NDArray[np.int64], places: NDArray[np.int64], rate: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """For each of these failures: does the act tier fire in one of the five seconds that end after it?"""
    slo, k = objective(), len(places)
    series = windows.table(START_S)
    rows = series.rows([("live", str(place), "shop", slo.name, "0") for place in range(k)])
    windows.advance(series, START_S + HISTORY_S)
    level = rate_at(rate, at_s[places].astype(np.float64))
    last_s = START_S + HISTORY_S - slo.tiers[0].short_s
    for second in range(START_S, START_S + HISTORY_S):
        then_s = at_s[places] + second - last_s
        bad = np.searchsorted(at_s, then_s, side="right") - np.searchsorted(at_s, then_s, side="left")
        good = rng.poisson(level * (1 - SHARE))
        windows.add(series, rows, np.full(k, second), good, good + bad)
    book = burn.book([slo], rows, np.zeros(k, np.int64))
    found = np.zeros(k, np.bool_)
    for end_s in range(last_s + 1, last_s + 1 + slo.tiers[0].short_s):
        found |= burn.rates(series, book, np.full(k, end_s)).fires[0]
    return found


def tenant(rate: float, days: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Failures, those looked at, and acts of one tenant."""
    at_s = failures(rate, days * DAY_S, rng)
    places = near(at_s, rate, objective())
    fired: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for first in range(0, len(places), ROWS_MAX):
        part = places[first : first + ROWS_MAX]
        fired.append(at_s[part][fires(at_s, part, rate, rng)])
    moments = np.concatenate(fired)
    acts = int(len(moments) > 0) + int(np.count_nonzero(np.diff(moments) > INCIDENT_S))
    return len(at_s), len(places), acts


def provable_rate() -> float:
    """The lowest rate at which a verdict can prove a success within its longest watch."""
    p0 = ask.p0_ppm(TARGET_PPM, objective().tiers[0].factor_milli)
    for mps in range(100, 100_000, 100):
        before = ask.Before(0, 60, 1, 1, mps, mps, 0)
        if verdict_deadline.plan(p0, before, freshness_p99_ms=1_000, roll_out_ms=0).provable:
            return mps / 1_000
    raise AssertionError("no rate is enough")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How often would healthy tenants be acted on?")
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=20_260_101)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    rates = np.exp(rng.uniform(np.log(RATE_MIN), np.log(RATE_MAX), options.tenants))
    limit = provable_rate()
    months = options.days * DAY_S / PERIOD_S
    print(f"seed {options.seed}, {options.tenants} tenants, {options.days} days; provable from {limit:g} req/s")
    print(f"{'req/s':>12} {'tenants':>8} {'failures':>10} {'looked at':>10} {'acts':>6} {'per tenant-month':>17}")
    counted = [(rate, *tenant(rate, options.days, rng)) for rate in np.sort(rates).tolist()]
    for low, high in itertools.pairwise(CLASSES):
        part = [one for one in counted if low <= one[0] < high]
        row = Row(low, high, len(part), *(sum(one[column] for one in part) for column in (1, 2, 3)))
        each = row.acts / max(row.tenants * months, 1e-9)
        edges = f"{row.low:g} - {row.high:g}"
        print(f"{edges:>12} {row.tenants:8} {row.failures:10} {row.looked_at:10} {row.acts:6} {each:17.4f}")
    provable = [one[3] for one in counted if one[0] * (1 - SWING) >= limit]
    others = [one[3] for one in counted if one[0] * (1 - SWING) < limit]
    acts = sum(provable) / max(len(provable) * months, 1e-9)
    summary = {
        "acts_per_tenant_month": round(acts, 5),
        "holds": acts <= ACTS_MAX,
        "provable_from_requests_per_s": limit,
        "tenants_provable": len(provable),
        "tenants_unprovable": len(others),
        "unprovable_firings_per_tenant_month": round(sum(others) / max(len(others) * months, 1e-9), 4),
        "seed": options.seed,
        "days": options.days,
    }
    print(json.dumps(summary, sort_keys=True))
    return 0 if summary["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
