"""Truths about the verdict: which timeline gets which word, and what must never change it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks import verdict as benchmark
from detectors import binomial, verdict, verdict_confirm, verdict_deadline, verdict_windows
from detectors import verdict_question as ask
from detectors.verdict import Reason, Verdict
from detectors.verdict_confirm import Standing

LIVE_S = 1_000
FIRST_S = LIVE_S + 1
BEFORE = ask.Before(
    onset_s=990,
    decided_s=1_000,
    errors=1_000,
    total=2_000,
    rate_before_onset_mps=200_000,
    rate_before_decision_mps=250_000,
    longest_clean_run_s=0,
)
QUESTION = ask.Question(
    target_ppm=999_000, tier_factor_milli=43_200, live_ms=LIVE_S * 1_000, deadline_ms=1_022_000, before=BEFORE
)
DEADLINE_S = 1_022


def counts(errors, total, start_s=FIRST_S):
    total = np.array(total, dtype=np.int64)
    return ask.Counts(start_s, total - np.array(errors, dtype=np.int64), total)


def steady(errors, total, seconds, start_s=FIRST_S):
    return counts([errors] * seconds, [total] * seconds, start_s)


def judged(given_counts, question=QUESTION, now_s=DEADLINE_S):
    return verdict.look(question, given_counts, now_s)


timelines = st.lists(
    st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=21
)


class TestBinomial:
    shares = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

    @given(st.integers(0, 3_000), st.floats(0.001, 0.999), st.data())
    def test_tails_are_those_of_the_binomial_distribution(self, n, p, data):
        errors = data.draw(st.integers(0, n))
        below = binomial.at_most(np.array([errors]), np.array([n]), p)[0]
        above = binomial.at_least(np.array([errors]), np.array([n]), p)[0]
        assert below == pytest.approx(stats.binom.cdf(errors, n, p), rel=1e-9, abs=1e-300)
        assert above == pytest.approx(stats.binom.sf(errors - 1, n, p), rel=1e-9, abs=1e-300)

    @settings(deadline=None)
    @given(st.data())
    def test_more_than_is_the_one_sided_exact_test_of_fisher(self, data):
        (k, n), (before_k, before_n) = (data.draw(self.shares) for _ in range(2))
        table = [[k, n - k], [before_k, before_n - before_k]]
        tail = binomial.more_than(np.array([k]), np.array([n]), before_k, before_n)[0]
        assert tail == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue, rel=1e-6)

    @given(st.floats(0.0001, 0.9))
    def test_the_clean_requests_needed_are_the_fewest_that_prove(self, p):
        needed = binomial.clean_needed(p, 5e-4)
        assert (1 - p) ** needed <= 5e-4 * (1 + 1e-9)
        assert (1 - p) ** (needed - 1) > 5e-4 * (1 - 1e-9)


class TestEachWordHasATimeline:
    def test_effective_falls_at_the_first_window_without_the_drain(self):
        found = judged(counts([100] * 3 + [0] * 17, [200] * 20))
        assert (found.verdict, found.reason, found.at_s, found.window_s) == (
            Verdict.EFFECTIVE,
            Reason.BELOW_FAST_PAGE,
            FIRST_S + 6,
            3,
        )
        assert (found.errors, found.n, found.p0_ppm, found.traffic_ratio_milli) == (0, 600, 14_400, 1_000)
        assert found.p_value_ppm == 167  # 0.9856^600
        assert found.control == "no control"

    def test_partial_is_much_better_and_still_burning(self):
        found = judged(steady(40, 200, 21))
        assert (found.verdict, found.reason, found.residual_ppm) == (
            Verdict.PARTIAL,
            Reason.BETTER_STILL_BURNING,
            200_000,
        )

    @pytest.mark.parametrize("errors", [100, 80, 101])
    def test_ineffective_is_not_at_most_half_of_before(self, errors):
        assert judged(steady(errors, 200, 21)).verdict is Verdict.INEFFECTIVE

    def test_harmful_falls_at_the_first_look(self):
        found = judged(steady(180, 200, 21))
        assert (found.verdict, found.at_s) == (Verdict.HARMFUL, FIRST_S + 3)

    def test_inconclusive_where_even_no_error_would_prove_nothing(self):
        question = replace(QUESTION, before=replace(BEFORE, errors=20, rate_before_onset_mps=1_000))
        found = judged(steady(0, 1, 21), question)
        assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_REQUESTS)

    def test_inconclusive_where_no_window_is_longer_than_the_clean_runs(self):
        question = replace(QUESTION, before=replace(BEFORE, longest_clean_run_s=9))
        found = judged(steady(0, 200, 21), question)
        assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.CLEAN_RUNS_TOO_LONG)

    def test_inconclusive_where_the_change_went_live_too_late_to_be_seen(self):
        found = judged(steady(0, 200, 2, DEADLINE_S - 2), replace(QUESTION, live_ms=(DEADLINE_S - 3) * 1_000))
        assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.NO_WINDOW_YET)

    @pytest.mark.parametrize("after", [0, 60])
    def test_no_data_where_less_than_half_of_the_traffic_came(self, after):
        found = judged(steady(after // 2, after, 21))
        assert (found.verdict, found.reason) == (Verdict.NO_DATA, Reason.TRAFFIC_MISSING)

    def test_before_the_deadline_the_watch_goes_on(self):
        found = judged(steady(100, 200, 21), now_s=DEADLINE_S - 1)
        assert (found.verdict, found.reason, found.n) == (None, Reason.NOT_PROVEN_YET, 4_000)
        assert judged(steady(0, 200, 21), now_s=FIRST_S + 2).reason is Reason.NO_WINDOW_YET
        assert judged(steady(0, 200, 21), now_s=FIRST_S - 50).verdict is None


class TestEffective:
    def test_one_request_decides_between_proof_and_none(self):
        assert judged(counts([0, 0, 0], [175, 175, 175]), now_s=FIRST_S + 3).verdict is Verdict.EFFECTIVE
        assert judged(counts([0, 0, 0], [174, 175, 175]), now_s=FIRST_S + 3).verdict is None

    @given(timelines)
    def test_never_without_half_of_the_smaller_rate(self, timeline):
        few = [(errors * 99 // 400, total * 99 // 400) for errors, total in timeline]
        assert judged(counts(*zip(*few, strict=True))).verdict is not Verdict.EFFECTIVE

    def test_half_of_a_storm_is_traffic_enough(self):
        before = replace(BEFORE, rate_before_onset_mps=200_000, rate_before_decision_mps=500_000)
        assert judged(steady(0, 200, 5), replace(QUESTION, before=before)).verdict is Verdict.EFFECTIVE

    def test_never_from_silence_even_when_nothing_was_expected(self):
        before = replace(BEFORE, rate_before_onset_mps=0, rate_before_decision_mps=0)
        assert judged(steady(0, 0, 21), replace(QUESTION, before=before)).verdict is Verdict.NO_DATA

    @pytest.mark.parametrize(("clean_run_s", "at_s"), [(0, 3), (1, 5), (2, 10), (3, 10), (4, 20), (8, 20)])
    def test_a_window_counts_from_three_seconds_and_twice_the_longest_clean_run(self, clean_run_s, at_s):
        question = replace(QUESTION, before=replace(BEFORE, longest_clean_run_s=clean_run_s))
        found = judged(steady(0, 200, 21), question)
        assert (found.verdict, found.at_s, found.window_s) == (Verdict.EFFECTIVE, FIRST_S + at_s, at_s)

    def test_a_retry_storm_that_dips_is_not_cured(self):
        question = replace(QUESTION, before=replace(BEFORE, longest_clean_run_s=3))
        dips = counts(([0] * 3 + [100] * 7) * 2, [200] * 20)
        assert judged(dips, question).verdict is Verdict.INEFFECTIVE

    def test_long_windows_are_looked_at_every_tenth_of_their_length(self):
        question = replace(
            QUESTION, deadline_ms=1_400_000, before=replace(BEFORE, rate_before_onset_mps=9_000, errors=1_000)
        )
        found = judged(counts([4] * 2 + [0] * 398, [9] * 400), question, now_s=1_400)
        assert (found.verdict, found.window_s, found.at_s) == (Verdict.EFFECTIVE, 60, FIRST_S + 66)

    def test_the_slow_tier_asks_for_less_burn(self):
        slow = replace(QUESTION, tier_factor_milli=6_000)
        assert (slow.p0_ppm, slow.confirm_ppm) == (6_000, 6_000)
        assert (QUESTION.p0_ppm, QUESTION.confirm_ppm) == (14_400, 6_000)
        assert judged(steady(0, 200, 5), slow, FIRST_S + 5).verdict is None


class TestHarmful:
    def test_not_where_it_is_surely_worse_by_less_than_a_third_of_the_rest(self):
        assert judged(steady(132, 200, 21)).verdict is Verdict.INEFFECTIVE
        assert judged(steady(134, 200, 21)).verdict is Verdict.HARMFUL

    def test_not_where_it_is_much_worse_in_too_few_requests(self):
        before = replace(BEFORE, rate_before_onset_mps=1_000)
        assert judged(steady(1, 1, 3), replace(QUESTION, before=before), FIRST_S + 3).verdict is None
        assert judged(steady(1, 1, 10), replace(QUESTION, before=before), FIRST_S + 10).verdict is None
        assert judged(steady(1, 1, 20), replace(QUESTION, before=before), FIRST_S + 20).verdict is Verdict.HARMFUL

    def test_never_where_the_burn_before_was_not_counted(self):
        before = replace(BEFORE, errors=0, total=0)
        assert judged(steady(200, 200, 21), replace(QUESTION, before=before)).verdict is Verdict.INCONCLUSIVE

    def test_a_few_requests_before_cannot_prove_a_harm_that_many_prove(self):
        few = replace(QUESTION, before=replace(BEFORE, errors=5, total=10))
        assert judged(steady(140, 200, 21), few).verdict is Verdict.INEFFECTIVE
        assert judged(steady(140, 200, 21)).verdict is Verdict.HARMFUL

    def test_waits_for_the_wave_but_not_longer_than_twenty_seconds(self):
        wave = replace(QUESTION, before=replace(BEFORE, longest_clean_run_s=3))
        noisy = replace(QUESTION, before=replace(BEFORE, longest_clean_run_s=30))
        assert judged(steady(200, 200, 21), wave).at_s == FIRST_S + 10
        assert judged(steady(200, 200, 21), noisy).at_s == FIRST_S + 20


class TestWhatMustNotMatter:
    @settings(deadline=None)
    @given(timelines, st.lists(st.integers(FIRST_S, DEADLINE_S + 5), max_size=8))
    def test_how_the_counts_were_batched(self, timeline, calls):
        whole = counts(*zip(*timeline, strict=True))
        at_the_end = judged(whole)
        for now_s in sorted(calls):
            found = judged(whole.between(FIRST_S, now_s), now_s=now_s)
            if found.verdict is not None and now_s < DEADLINE_S:
                assert found == at_the_end
                return
        assert judged(whole, now_s=DEADLINE_S + 100) == at_the_end

    @given(timelines, st.integers(0, 400))
    def test_counts_before_the_change_settled_or_after_the_deadline(self, timeline, other):
        full = [*timeline, *[(100, 200)] * (21 - len(timeline))]
        alone = counts(*zip(*full, strict=True))
        around = [(other, other)] * 5 + full + [(other, other)] * 5
        assert judged(counts(*zip(*around, strict=True), FIRST_S - 5), now_s=DEADLINE_S + 5) == judged(alone)

    @settings(deadline=None)
    @given(timelines, st.data())
    def test_more_errors_never_give_a_better_word(self, timeline, data):
        worse = [(data.draw(st.integers(errors, total)), total) for errors, total in timeline]
        order = [Verdict.EFFECTIVE, Verdict.PARTIAL, Verdict.INEFFECTIVE, Verdict.HARMFUL]
        few, many = (judged(counts(*zip(*each, strict=True))).verdict for each in (timeline, worse))
        if few in order and many in order:
            assert order.index(few) <= order.index(many)
        else:
            assert few is many or many is Verdict.HARMFUL or few is Verdict.EFFECTIVE


class TestConfirm:
    def confirmed(self, given_counts, now_s=FIRST_S + 60):
        return verdict_confirm.confirm(QUESTION, given_counts, FIRST_S, now_s)

    def test_closes_after_fifteen_seconds_and_not_before(self):
        quiet = steady(0, 200, 60)
        assert self.confirmed(quiet, FIRST_S + 14).standing is Standing.WAIT
        found = self.confirmed(quiet)
        assert (found.standing, found.at_s, found.n) == (Standing.CONFIRMED, FIRST_S + 15, 3_000)

    def test_closes_later_where_there_is_less_traffic(self):
        thin = replace(QUESTION, before=replace(BEFORE, rate_before_onset_mps=60_000))
        found = verdict_confirm.confirm(thin, steady(0, 60, 60), FIRST_S, FIRST_S + 60)
        assert (found.standing, found.at_s) == (Standing.CONFIRMED, FIRST_S + 22)  # 1,264 requests and more

    def test_relapse_is_a_burn_above_p0_again(self):
        found = self.confirmed(counts([0] * 10 + [100] * 50, [200] * 60))
        assert found.standing is Standing.RELAPSE
        assert (found.at_s, found.against_ppm) == (FIRST_S + 11, 14_400)

    def test_one_bad_second_within_p0_is_no_relapse(self):
        assert self.confirmed(counts([0] * 5 + [3] + [0] * 54, [200] * 60)).standing is Standing.CONFIRMED

    def test_a_residual_between_the_tiers_is_kept_open(self):
        residual = steady(2, 200, 60)
        assert self.confirmed(residual, FIRST_S + 59).standing is Standing.WAIT
        found = self.confirmed(residual)
        assert (found.standing, found.residual_ppm, found.at_s) == (Standing.KEEP_OPEN, 10_000, FIRST_S + 60)

    def test_silence_never_closes(self):
        assert self.confirmed(steady(0, 99, 60)).standing is Standing.KEEP_OPEN
        assert self.confirmed(steady(0, 0, 60)).standing is Standing.KEEP_OPEN
        assert self.confirmed(steady(0, 0, 0), FIRST_S).standing is Standing.WAIT

    def test_what_comes_after_sixty_seconds_is_not_read(self):
        late = counts([2] * 60 + [0] * 100, [200] * 160)
        assert self.confirmed(late, FIRST_S + 160) == self.confirmed(late.between(0, FIRST_S + 60))

    @settings(deadline=None)
    @given(timelines, st.integers(FIRST_S, FIRST_S + 20))
    def test_does_not_depend_on_batching(self, timeline, now_s):
        whole = counts(*zip(*timeline, strict=True))
        early = self.confirmed(whole.between(FIRST_S, now_s), now_s)
        if early.standing is not Standing.WAIT:
            assert early == self.confirmed(whole)


class TestBefore:
    def test_is_counted_between_onset_and_decision(self):
        given_counts = counts([0] * 60 + [50, 50, 0, 0, 50, 1], [100] * 60 + [200] * 6, start_s=0)
        before = ask.freeze(given_counts, onset_s=60, decided_s=65, share_ppm=14_400)
        assert (before.errors, before.total, before.share_ppm) == (150, 1_000, 150_000)
        assert (before.rate_before_onset_mps, before.rate_before_decision_mps) == (100_000, 200_000)
        assert before.longest_clean_run_s == 2

    def test_a_silent_second_is_not_clean(self):
        given_counts = counts([0, 50, 0, 0, 0, 50], [200, 200, 200, 0, 200, 200], start_s=0)
        assert ask.freeze(given_counts, 1, 6, 14_400).longest_clean_run_s == 1

    def test_an_onset_older_than_the_buckets_is_cut(self):
        before = ask.freeze(steady(50, 200, 10, 100), 40, 110, 14_400)
        assert (before.total, before.rate_before_onset_mps) == (2_000, 200_000)

    @given(st.lists(st.booleans()))
    def test_longest_run_is_the_longest(self, clean):
        runs = "".join("c" if each else " " for each in clean).split()
        assert ask.longest_run(np.array(clean, dtype=bool)) == max(map(len, runs), default=0)


class TestRecovered:
    def test_at_the_end_of_the_first_of_three_clean_seconds_running(self):
        given_counts = counts([0, 0, 0, 100, 0, 0, 100, 0, 0, 2], [200] * 10, LIVE_S - 3)
        assert verdict_confirm.recovered_s(QUESTION, given_counts) == LIVE_S - 3 + 8

    def test_silence_is_not_recovery(self):
        assert verdict_confirm.recovered_s(QUESTION, counts([0] * 9, [0] * 9, LIVE_S)) is None
        assert verdict_confirm.recovered_s(QUESTION, counts([0] * 2, [200] * 2, LIVE_S)) is None


class TestDeadline:
    def plan(self, rate_mps, clean_run_s=0, **times):
        before = replace(BEFORE, rate_before_onset_mps=rate_mps, longest_clean_run_s=clean_run_s)
        return verdict_deadline.plan(14_400, before, **{"freshness_p99_ms": 1_000, "roll_out_ms": 0, **times})

    def test_is_twenty_seconds_of_buckets_and_what_comes_before_them(self):
        assert self.plan(226_000).watch_ms == 22_000
        assert self.plan(226_000, freshness_p99_ms=5_000, roll_out_ms=7_000).watch_ms == 22_000 + 12_000 + 7_000

    def test_waits_for_twice_the_needed_requests_and_at_most_ten_minutes(self):
        assert self.plan(2_000).watch_ms == 2_000 + 525_000
        assert self.plan(1_750).watch_ms == 2_000 + 600_000

    def test_says_beforehand_that_too_little_traffic_proves_nothing(self):
        assert self.plan(1_750).provable
        assert not self.plan(1_749).provable
        assert not self.plan(0).provable

    @settings(deadline=None, max_examples=200)
    @given(st.integers(1, 500), st.integers(0, 100))
    def test_what_is_called_provable_is_proven_by_clean_traffic_after_a_drain(self, rate, clean_run_s):
        before = replace(
            BEFORE, rate_before_onset_mps=rate * 1_000, rate_before_decision_mps=rate * 1_000,
            longest_clean_run_s=clean_run_s,
        )  # fmt: skip
        plan = verdict_deadline.plan(14_400, before, freshness_p99_ms=1_000, roll_out_ms=0)
        deadline_s = LIVE_S + plan.watch_ms // 1_000
        question = replace(QUESTION, before=before, deadline_ms=deadline_s * 1_000)
        found = judged(counts([rate // 2] * 2 + [0] * 698, [rate] * 700), question, deadline_s)
        assert (found.verdict is Verdict.EFFECTIVE) == plan.provable
        assert found.window_s == plan.window_s or not plan.provable


class TestBenchmark:
    def test_repeats_itself_and_ends_in_one_line_of_json(self, capsys):
        seen = []
        for _ in range(2):
            code = benchmark.main(["--runs", "20", "--seed", "7"])
            seen.append(capsys.readouterr().out)
            summary = json.loads(seen[-1].splitlines()[-1])
            assert summary["holds"] == (code == 0) == (not summary["fails"])
        assert seen[0] == seen[1]

    def test_fails_when_the_test_is_too_easy(self, capsys, monkeypatch):
        monkeypatch.setattr(verdict, "ALPHA_PPM", 100_000)
        assert benchmark.main(["--runs", "40"]) == 1
        fails = json.loads(capsys.readouterr().out.splitlines()[-1])["fails"]
        assert any("exactly p0" in each and "effective" in each for each in fails)


def test_every_window_is_a_trailing_sum():
    given_counts = counts(range(30), [100] * 30)
    sums = verdict_windows.trailing(given_counts)
    assert sums.errors[9].tolist()[:3] == [7 + 8 + 9, 5 + 6 + 7 + 8 + 9, 45]
    assert sums.fits[9].tolist() == [True, True, True, False, False, False, False]


def test_looks_are_the_windows_due_in_so_many_seconds():
    for seconds in (1, 3, 20, 61, 130, 400):
        assert verdict_windows.looks(seconds) == verdict_windows.trailing(steady(0, 1, seconds)).due.sum()
