"""What a person may write in OpenSLO, what becomes of it, and what is said about everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import openslo, tiers, yamlfile
from schemas.slo import DAY_S, Severity, Slo
from schemas.yamlfile import Problem

RATIO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: shop-availability
  annotations: {douse.dev/acts: "true"}
spec:
  service: shop-api
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator:
    metadata: {name: shop-requests}
    spec:
      ratioMetric:
        good: {metricSource: {type: douse/spans, spec: {service: shop-api, kind: server, good: {errorFree: true}}}}
        total: {metricSource: {type: douse/spans, spec: {service: shop-api, kind: server}}}
  objectives:
    - target: 0.999
"""
LATENCY = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-latency}
spec:
  service: shop-api
  budgetingMethod: Occurrences
  timeWindow: [{duration: 28d, isRolling: true}]
  indicatorRef: shop-duration
  objectives:
    - {op: lte, value: 0.25, targetPercent: 99}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: shop-duration}
spec:
  thresholdMetric:
    metricSource: {type: douse/spans, spec: {service: shop-api, match: {http.route: /cart}}}
"""


def read(text: str) -> tuple[list[Slo], list[str], list[str]]:
    documents, broken = yamlfile.read(text, "slos.yaml")
    problems: list[Problem] = list(broken)
    found = openslo.read(documents, problems)
    return [slo for slo, _ in found.slos], list(found.notes), [str(problem) for problem in sorted(problems)]


def refusals(text: str) -> list[str]:
    slos, _, problems = read(text)
    assert bool(slos) != bool(problems), "a document is either read or refused"
    return problems


def test_a_ratio_of_spans_is_read_whole() -> None:
    (slo,), notes, problems = read(RATIO)
    assert not problems
    assert not notes
    assert (slo.name, slo.target_ppm, slo.period_s) == ("shop-availability", 999_000, 30 * DAY_S)
    assert (slo.acts, slo.page_acts) == (True, False)
    assert slo.sli.fields() == {"service": "shop-api", "kinds": ["server"], "match": {}, "error_free": True}
    assert [(tier.long_s, tier.short_s, tier.factor_milli) for tier in slo.tiers] == [
        (60, 5, 43_200),
        (3_600, 300, 14_400),
        (21_600, 1_800, 6_000),
        (86_400, 7_200, 3_000),
        (259_200, 21_600, 1_000),
    ]


def test_a_threshold_in_seconds_becomes_milliseconds_of_an_sli_that_is_named_later() -> None:
    (slo,), _, problems = read(LATENCY)
    assert not problems
    assert slo.sli.latency_ms_max == 250
    assert slo.sli.error_free
    assert slo.sli.match == {"http.route": "/cart"}
    assert slo.sli.kinds == ("server", "consumer")
    assert slo.target_ppm == 990_000
    assert not slo.acts


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("target: 0.999", "target: 1.5", "slos.yaml:17: spec.objectives[0].target: 1.5 is not below 1; write 0.999"),
        ("target: 0.999", "target: 0", "slos.yaml:17: spec.objectives[0].target: 0 is not above 0; write 0.999"),
        (
            "target: 0.999",
            "target: 0.9999999",
            "slos.yaml:17: spec.objectives[0].target: 0.9999999 is finer than one event in a million; write 0.999",
        ),
        (
            "target: 0.999",
            "target: high",
            "slos.yaml:17: spec.objectives[0].target: 'high' is not a number; write 0.999",
        ),
        (
            "target: 0.999",
            "targetPercent: 100",
            "slos.yaml:17: spec.objectives[0].targetPercent: 100 is not below 100; write 99.9",
        ),
        (
            "budgetingMethod: Occurrences",
            "budgetingMethod: Timeslices",
            "slos.yaml:8: spec.budgetingMethod: Timeslices is not read: douse weighs every event alike; "
            "write Occurrences",
        ),
        (
            "duration: 30d",
            "duration: 1M",
            "slos.yaml:9: spec.timeWindow[0].duration: '1M' is not from 7d to 30d in whole days; write 30d or 28d",
        ),
        (
            "isRolling: true",
            "isRolling: false",
            "slos.yaml:9: spec.timeWindow[0].isRolling: calendar windows are not read; write isRolling: true",
        ),
        (
            "total: {metricSource: {type: douse/spans, spec: {service: shop-api, kind: server}}}",
            "total: {metricSource: {type: prometheus, spec: {query: up}}}",
            "slos.yaml:15: spec.indicator.spec.ratioMetric.total.metricSource.type: 'prometheus' is not read; "
            "write douse/spans",
        ),
        (
            "total: {metricSource: {type: douse/spans, spec: {service: shop-api, kind: server}}}",
            "total: {metricSource: {type: douse/spans, spec: {service: other, kind: server}}}",
            "slos.yaml:14: spec.indicator.spec.ratioMetric.good: its service differs from total's; good spans are "
            "those of total that pass `good`",
        ),
        (
            "good: {errorFree: true}",
            "good: {errorFree: false}",
            "slos.yaml:14: spec.indicator.spec.ratioMetric.good: every span would be good; write "
            "good: {errorFree: true, latencyMsMax: 250}",
        ),
        (
            "kind: server, good",
            "kind: sever, good",
            "slos.yaml:14: spec.indicator.spec.ratioMetric.good.metricSource.spec.kind: 'sever' is not one of server, "
            "consumer, client, producer, internal (did you mean 'server'?)",
        ),
        (
            'douse.dev/acts: "true"',
            'douse.dev/act: "true"',
            "slos.yaml:5: metadata.annotations.douse.dev/act: is not known (did you mean 'douse.dev/acts'?); known are "
            "douse.dev/acts, douse.dev/page-acts, douse.dev/tiers",
        ),
        (
            'douse.dev/acts: "true"',
            'douse.dev/page-acts: "true"',
            "slos.yaml:5: metadata.annotations.douse.dev/page-acts: is true while douse.dev/acts is not; write "
            "douse.dev/acts: 'true' as well",
        ),
        (
            "kind: SLO",
            "kind: SLOO",
            "slos.yaml:2: kind: 'SLOO' is not one of SLO, SLI, Service, DataSource, AlertPolicy, AlertCondition, "
            "AlertNotificationTarget (did you mean 'SLO'?)",
        ),
        (
            "    - target: 0.999",
            "    []",
            "slos.yaml:16: spec.objectives: must be a sequence that is not empty; write [{target: 0.999}]",
        ),
    ],
)
def test_a_refusal_names_file_line_field_and_what_would_be_right(old: str, new: str, said: str) -> None:
    assert old in RATIO
    assert refusals(RATIO.replace(old, new, 1)) == [said]


def test_a_misspelt_field_is_named_with_the_nearest_one() -> None:
    assert refusals(RATIO.replace("target: 0.999", "targt: 0.999")) == [
        "slos.yaml:17: spec.objectives[0].target: is missing; write 0.999",
        "slos.yaml:17: spec.objectives[0].targt: is not a known field (did you mean 'target'?); known are displayName, "
        "target, targetPercent",
    ]


def test_an_operator_other_than_lte_and_a_threshold_in_milliseconds_are_refused() -> None:
    assert refusals(LATENCY.replace("op: lte, value: 0.25", "op: gte, value: 250000")) == [
        "slos.yaml:10: spec.objectives[0].op: 'gte' is not read: good is at most the threshold; write lte",
        "slos.yaml:10: spec.objectives[0].value: 250000 is not from 0.001 to 600 seconds in whole ms; "
        "write 0.25 for 250 ms",
    ]


def test_an_indicator_that_nobody_wrote_is_refused_with_the_nearest_one() -> None:
    assert refusals(LATENCY.replace("indicatorRef: shop-duration", "indicatorRef: shop-durations")) == [
        "slos.yaml:8: spec.indicatorRef: no SLI is named 'shop-durations' (did you mean 'shop-duration'?); "
        "known are shop-duration"
    ]


@pytest.mark.parametrize("hollow", ["indicator: {}", "indicator: {spec: {}}", "indicator: {spec: {ratioMetric: {}}}"])
def test_an_slo_without_an_indicator_is_never_dropped_silently(hollow: str) -> None:
    assert refusals(LATENCY.replace("indicatorRef: shop-duration", hollow))


def test_all_mistakes_of_a_document_are_found_at_once() -> None:
    wrong = (
        RATIO.replace("target: 0.999", "target: 2").replace("duration: 30d", "duration: 3y").replace("Occurr", "Occ")
    )
    assert [line.split(": ")[1] for line in refusals(wrong)] == [
        "spec.budgetingMethod",
        "spec.timeWindow[0].duration",
        "spec.objectives[0].target",
    ]


def test_other_kinds_are_accepted_and_named_as_not_used() -> None:
    text = RATIO + "---\napiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: any}\nspec: {whatever: 1}\n"
    slos, notes, problems = read(text)
    assert len(slos) == 1
    assert not problems
    assert notes == ["slos.yaml:20: kind AlertPolicy is not used by douse"]


def test_a_default_tier_that_can_never_fire_is_left_out_with_a_note_and_a_written_one_refused() -> None:
    loose = RATIO.replace("0.999", "0.95").replace('{douse.dev/acts: "true"}', "{}")
    (slo,), notes, problems = read(loose)
    assert not problems
    assert Severity.ACT not in [tier.severity for tier in slo.tiers]
    assert notes == [
        "slos.yaml:2: SLO shop-availability: tier act-1m is left out: its factor 43.2 is not below 20, the burn of a "
        "total outage"
    ]
    written = loose.replace("annotations: {}", "annotations: {douse.dev/tiers: 'page 1h/5m 20'}")
    assert refusals(written) == [
        "slos.yaml:5: metadata.annotations.douse.dev/tiers: page-1h can never fire: its factor 20 is not below 20, the "
        "burn of a total outage; write a smaller factor"
    ]


def test_an_slo_that_may_act_needs_a_tier_that_acts() -> None:
    (said,) = refusals(RATIO.replace("0.999", "0.95"))
    assert "no tier that is watched may act" in said


def test_written_tiers_replace_the_defaults() -> None:
    annotations = '{douse.dev/acts: "true", douse.dev/tiers: "act 30s/5s 43.2, ticket 1d/2h 3"}'
    (slo,), _, problems = read(RATIO.replace('{douse.dev/acts: "true"}', annotations))
    assert not problems
    assert [(tier.name, tier.factor_milli) for tier in slo.tiers] == [("act-30s", 43_200), ("ticket-1d", 3_000)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("act 60s 43.2", "'act 60s 43.2' is not a tier"),
        ("wake 60s/5s 43.2", "'wake' is not one of act, page, ticket"),
        ("act 5s/60s 43.2", "windows go from 5s to 72h, long one first"),
        ("act 60s/5s 0", "a factor of 0 fires always"),
        ("page 1h/125s 14.4", "125s is kept in steps of 10s"),
        ("page 1h/5m 14.4, page 1h/6m 13", "page-1h is there twice"),
        ("page 4d/5m 14.4", "windows go from 5s to 72h"),
    ],
)
def test_a_wrong_tier_says_what_is_wrong(text: str, said: str) -> None:
    assert said in tiers.parse(text)[1]


@pytest.mark.parametrize(
    ("days", "factors"), [(30, [43_200, 14_400, 6_000, 3_000, 1_000]), (28, [40_320, 13_440, 5_600, 2_800, 933])]
)
def test_factors_follow_from_the_share_of_the_budget(days: int, factors: list[int]) -> None:
    assert [tier.factor_milli for tier in tiers.defaults(999_000, days * DAY_S)[0]] == factors


@given(st.integers(1, 999_999), st.integers(7, 30))
def test_every_default_tier_that_is_kept_fires_on_a_total_outage(target_ppm: int, days: int) -> None:
    kept, notes = tiers.defaults(target_ppm, days * DAY_S)
    assert len(kept) + len(notes) == len(tiers.DEFAULTS)
    for tier in kept:
        assert tier.factor_milli / 1000 < 1_000_000 / (1_000_000 - target_ppm)
        assert tier.long_s % tiers.step_s(tier.long_s) == tier.short_s % tiers.step_s(tier.short_s) == 0
