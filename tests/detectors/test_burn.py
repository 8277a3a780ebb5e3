"""Burn rates against the workbook's own arithmetic: when tiers fire, and when they must not."""

import numpy as np
import pytest

from benchmarks import tick
from detectors import burn, windows
from detectors.burn import Book, Burn
from detectors.series import Series
from schemas import tiers
from schemas.slo import DAY_S, HOUR_S, Severity, Slo, SpanSli, Tier

MONTH_S = 30 * DAY_S
START_S = 1_800_000_000
PAST_S = 2 * HOUR_S  # a calm history before the fault; longer than the fast page tier's window
ACT = frozenset({Severity.ACT})
PAGE = frozenset({Severity.PAGE})
TICKET = frozenset({Severity.TICKET})


def slo(target_ppm: int, watched: tuple[Tier, ...] | None = None) -> Slo:
    return Slo(
        name=f"at-{target_ppm}",
        sli=SpanSli(service="basket"),
        target_ppm=target_ppm,
        tiers=tiers.defaults(target_ppm, MONTH_S)[0] if watched is None else watched,
    )


class World:
    """Rows of one objective each, told second by second."""

    def __init__(self, *slos: Slo, past_s: int = PAST_S, rate: int = 200) -> None:
        self.slos, self.now_s = slos, START_S
        self.series: Series = windows.table()
        self.rows = self.series.rows([("live", "north", "basket", one.name, str(n)) for n, one in enumerate(slos)])
        self.book: Book = burn.book(slos, self.rows, np.arange(len(slos)))
        windows.advance(self.series, START_S)
        self.past(past_s, rate)

    def past(self, seconds: int, rate: int) -> None:
        """Ten seconds at a time, the last hundred one by one: a lump at a window's edge would be a rate of its own."""
        for age_s in range(110, seconds + 1, 10):
            self.count(START_S - age_s, rate * 10, 0)
        for age_s in range(1, min(seconds, 100) + 1):
            self.count(START_S - age_s, rate, 0)

    def count(self, second: int, total: int, bad: int) -> None:
        k = len(self.rows)
        windows.add(self.series, self.rows, np.full(k, second), np.full(k, total - bad), np.full(k, total))

    def run(self, seconds: int, total: int, bad: int) -> None:
        for _ in range(seconds):
            self.count(self.now_s, total, bad)
            self.now_s += 1
            windows.advance(self.series, self.now_s)

    def see(self) -> Burn:
        return burn.rates(self.series, self.book, np.full(len(self.rows), self.now_s))

    def fires(self, severities: frozenset[Severity], lane: int = 0) -> tuple[int, ...]:
        return burn.firing(self.see(), self.book, self.slos, lane, severities)

    def fires_after(self, severities: frozenset[Severity], total: int, bad: int, limit_s: int, step_s: int = 1) -> int:
        """Seconds of this traffic until one of the tiers fires."""
        for second in range(step_s, limit_s + 1, step_s):
            self.run(step_s, total, bad)
            if self.fires(severities):
                return second
        raise AssertionError(f"nothing fired within {limit_s} s")


@pytest.mark.parametrize(("bad", "seconds"), [(200, 2.592), (40, 12.96)], ids=["outage", "20 %"])
@pytest.mark.parametrize("past_s", [PAST_S, 0], ids=["with a history", "on the first day"])
def test_the_act_tier_fires_in_the_first_complete_second_after_its_share_is_spent(
    bad: int, seconds: float, past_s: int
) -> None:
    assert World(slo(999_000), past_s=past_s).fires_after(ACT, 200, bad, 60) == int(seconds) + 1


@pytest.mark.parametrize(
    ("target_ppm", "bad", "seconds"),
    [(999_000, 200, 51.84), (999_000, 40, 259.2), (999_000, 10, 1036.8), (990_000, 200, 518.4)],
    ids=["outage", "20 %", "5 %", "outage at 99 %"],
)
def test_the_workbooks_fast_page_tier_fires_when_the_workbook_says(target_ppm: int, bad: int, seconds: float) -> None:
    watched = tuple(tier for tier in tiers.defaults(target_ppm, MONTH_S)[0] if tier.name == "page-1h")
    fired_s = World(slo(target_ppm, watched)).fires_after(PAGE, 200, bad, 1_100)
    longest_s = seconds * (1 + 10 / HOUR_S)  # the window's start is rounded down to ten seconds
    assert int(seconds) + 1 <= fired_s <= int(longest_s) + 1


def test_the_act_tiers_factor_is_a_thousandth_of_the_budget_in_a_minute() -> None:
    (act,) = [tier for tier in tiers.defaults(999_000, MONTH_S)[0] if tier.severity is Severity.ACT]
    assert act.factor_milli == 43_200 == 1000 * MONTH_S // 1000 // 60


def test_a_rate_of_exactly_the_factor_does_not_fire_and_one_failure_more_does() -> None:
    watched = (Tier(name="act-60s", severity=Severity.ACT, long_s=60, short_s=5, factor_milli=50_000),)
    for bad, fires in ((10, ()), (11, (0,))):
        world = World(slo(999_000, watched), rate=0)
        world.run(60, 200, 10)
        world.count(world.now_s - 1, 0, bad - 10)
        assert world.fires(ACT) == fires


@pytest.mark.parametrize(
    "told", [((50, 10), (5, 0), (5, 20)), ((55, 11), (5, 10))], ids=["long window", "short window"]
)
def test_both_windows_must_burn_faster_than_the_factor(told: tuple[tuple[int, int], ...]) -> None:
    """Each case burns at exactly the factor in one window and above it in the other."""
    watched = (Tier(name="act-60s", severity=Severity.ACT, long_s=60, short_s=5, factor_milli=50_000),)
    world = World(slo(999_000, watched), rate=0)
    for seconds, bad in told:
        world.run(seconds, 200, bad)
    assert sorted(round(rate, 6) for rate in world.see().rate[:, 0].tolist())[0] == 50.0
    assert not world.fires(ACT)


@pytest.mark.parametrize(("target_ppm", "events"), [(990_000, 7), (999_000, 70), (999_900, 695)])
def test_one_failure_fires_no_tier_however_few_events_there_are(target_ppm: int, events: int) -> None:
    watched = tuple(tier for tier in tiers.defaults(target_ppm, MONTH_S)[0] if tier.name == "page-1h")
    for total in (1, 2, events - 1, events, events + 1):
        world = World(slo(target_ppm, watched), past_s=0)
        world.count(START_S - PAST_S, 0, 0)
        world.count(START_S - 2, total, 1)
        seen = world.see()
        assert not seen.fires.any()
        assert bool(seen.thin[0, 0]) is (total < events)


def test_one_failure_fires_nothing_while_its_second_passes_through_every_window() -> None:
    world = World(slo(999_000), slo(990_000), slo(999_900), past_s=0)
    world.run(60, 1, 0)
    world.run(1, 1, 1)
    for step_s in (1, 1, 3, 10, 60, 300, 3600, 20_000, DAY_S, 2 * DAY_S):
        assert not world.see().fires.any()
        world.run(1, 1, 0)
        world.now_s += step_s
        windows.advance(world.series, world.now_s)


def test_a_steady_failure_of_one_request_a_minute_fires_on_a_long_window() -> None:
    world = World(slo(999_000), past_s=0)
    for _ in range(3 * 60):
        world.run(1, 1, 1)
        world.now_s += 59
        windows.advance(world.series, world.now_s)
        if fired := world.fires(PAGE | TICKET):
            break
    assert [world.slos[0].tiers[level].name for level in fired] == ["page-6h"]
    assert not world.fires(ACT)


@pytest.mark.parametrize(("per_hour", "fires"), [(13, False), (15, True)])
def test_at_99_9_per_cent_fewer_than_fourteen_requests_an_hour_can_fire_nothing(per_hour: int, fires: bool) -> None:
    """1,000 events must fit into the three days of the slowest tier: below that a total outage stays unseen."""
    world = World(slo(999_000), past_s=0)
    for hour in range(80):
        world.count(START_S - hour * HOUR_S - 2, per_hour, per_hour)
    assert bool(world.see().fires.any()) is fires


def test_a_healthy_row_raises_nothing_in_its_first_ten_minutes_and_neither_does_a_small_spike() -> None:
    generator = np.random.default_rng(11)
    world = World(slo(999_000), slo(990_000), slo(999_900), past_s=0)
    for second in range(600):
        world.run(1, 200, 12 if second == 20 else int(generator.binomial(200, 0.0005)))
        assert not world.see().fires.any(), f"second {second}"


def test_a_missing_history_counts_as_good_at_the_observed_rate() -> None:
    world = World(slo(999_000), past_s=0)
    world.run(15, 200, 20)
    seen = world.see()
    place = world.book.window_s.index(60)
    assert seen.coverage[place, 0] == 0.25
    assert seen.rate[place, 0] == pytest.approx(0.25 * 100)
    assert (seen.good[place, 0], seen.total[place, 0]) == (15 * 180, 15 * 200)


def test_a_row_without_traffic_burns_nothing() -> None:
    seen = World(slo(999_000), past_s=0).see()
    assert not seen.rate.any()
    assert not seen.fires.any()


def test_a_fixed_outage_keeps_the_five_minute_window_hot_for_five_minutes() -> None:
    world = World(slo(999_000))
    world.run(60, 200, 200)
    world.run(290, 200, 0)
    assert world.fires(PAGE)
    world.run(20, 200, 0)
    assert not world.fires(PAGE)
    assert not world.fires(ACT)


def test_rows_of_different_objectives_are_judged_side_by_side_as_alone() -> None:
    own = (Tier(name="act-30s", severity=Severity.ACT, long_s=30, short_s=10, factor_milli=2_000),)
    slos = [slo(999_000), slo(990_000), slo(950_000), slo(999_999, own)]
    together = World(*slos)
    together.run(30, 1000, 70)
    seen = together.see()
    for lane, one in enumerate(slos):
        alone = World(one)
        alone.run(30, 1000, 70)
        single = alone.see()
        levels = len(one.tiers)
        assert seen.fires[:levels, lane].tolist() == single.fires[:, 0].tolist()
        assert not seen.fires[levels:, lane].any()
        for severities in (ACT, PAGE, TICKET):
            assert together.fires(severities, lane) == alone.fires(severities)


def test_a_book_without_rows_or_objectives_sees_nothing() -> None:
    empty = burn.book((), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert burn.rates(windows.table(), empty, np.zeros(0, np.int64)).fires.size == 0


def test_a_plain_loop_over_lists_comes_to_the_same_tiers_and_states() -> None:
    assert tick.main(["--rows", "300", "--sample", "300", "--ticks", "1"]) == 0
