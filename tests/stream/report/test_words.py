"""Causes, amplifiers and reasons have words that a person understands, each of them."""

import re
from pathlib import Path

import pytest

import detectors
from detectors import verdict
from schemas.commands import OutcomeReason
from schemas.events import AmplifierRow, FindingRow, LiftState, RefusalReason
from stream.report import build as report
from stream.report import cause as report_cause
from stream.report import markdown as report_markdown
from stream.report import reasons
from stream.report.model import Standing
from stream.report.paragraph import paragraph
from tests.stream.report import timelines as made
from tests.stream.report.timelines import DATABASE, POOL, UNKNOWN, Timeline, finding

FINDING = re.compile(r'Finding\(\s*"(\w+)"(?:\s+if [^"]+ else "(\w+)")?')

SPIKE = AmplifierRow(
    amplifier="traffic_spike",
    present=False,
    log_odds_milli=-3_000,
    findings=(finding("first_attempts_per_s", 180_000, 175_000, 0), finding("deviations", 900, 0, 0)),
)
STORM = AmplifierRow(
    amplifier="retry_storm",
    present=True,
    log_odds_milli=4_000,
    findings=(
        finding("attempts_per_resent_operation", 7_900, 1_000, 2_500),
        finding("resends_per_request_ratio", 840, 0, 1_500),
        finding("offered_per_s", 435_000, 90_000, 1_000),
        finding("good_per_request_ratio", 390, 1_000, 1_000),
    ),
)


def test_every_finding_has_words() -> None:
    sources = [path for room in ("causes", "amplifiers") for path in (Path(detectors.__path__[0]) / room).glob("*.py")]
    names = {name for path in sources for found in FINDING.findall(path.read_text()) for name in found if name}
    assert len(names) > 10, "the pattern finds them"
    assert names <= set(report_cause.WORDS)


def test_a_finding_that_is_not_known_here_is_told_as_it_is_spelt() -> None:
    assert report_cause.says(finding("steal_time_s", 1_500, 0, 0)) == "steal time s 1.50 s (before 0 ms)"


@pytest.mark.parametrize(
    ("name", "value", "before", "said"),
    [
        ("used_bytes", 512_000_000_000, 128_000_000_000, "memory in use 512 MB (before 128 MB)"),
        ("slope_bytes_per_s", 2_000_000_000, 0, "memory grows by 2 MB/s"),
        ("used_of_limit_ratio", 970, 250, "share of the memory limit in use 97 % (before 25 %)"),
        ("peer_named", 1_000, 0, "spans or log lines name it yes"),
        ("peer_call_duration_ratio", 25_000, 1_000, "duration of calls to it, against before 25x"),
        ("log_lines_per_s", 12_500, 100, "log lines a second that name it 12.5 (before 0.1)"),
    ],
)
def test_findings_are_told_in_their_units(name: str, value: int, before: int, said: str) -> None:
    assert report_cause.says(finding(name, value, before, 0)) == said


def test_what_was_not_measured_is_said_to_be_so() -> None:
    row = FindingRow(name="offered_per_s", value_milli=None, before_milli=None, weight_milli=0)
    assert report_cause.says(row) == "requests a second not measured"


@pytest.mark.parametrize("kind", [RefusalReason, OutcomeReason, verdict.Reason, verdict.Verdict])
def test_every_reason_has_words(kind: type[RefusalReason]) -> None:
    assert {one.value for one in kind} <= set(reasons.WORDS)


def test_one_cause_stands_beside_its_amplifiers_and_why_each() -> None:
    story = Timeline().at(3.2).opened()
    story.at(3.7).diagnosed("pool_exhausted", POOL, UNKNOWN, DATABASE, amplifiers=(SPIKE, STORM))
    told = report.build(story.events, story.incident)
    assert told.cause is not None
    storm, spike = told.cause.amplifiers
    assert (storm.amplifier, storm.present, spike.amplifier, spike.present) == (
        *("retry_storm", True),
        *("traffic_spike", False),
    )
    assert storm.why.startswith("attempts of an operation that is sent again 7.9 (before 1); share of the requests")
    assert spike.why.startswith("nothing speaks for it: first attempts a second 180 (before 175)")
    assert [one.name for one in storm.findings] == [one.name for one in STORM.findings]
    assert "Cause: pool exhausted at replica@acme-1 (95.3 %). Made worse by: retry storm." in paragraph(told)
    page = report_markdown.markdown(told)
    assert "- retry storm: at work; attempts" in page and "- traffic spike: not seen; nothing" in page


def test_what_the_control_group_did_is_told_with_the_verdict() -> None:
    story = made.live().at(30)
    story.verdict("inconclusive", "control_alike", "confirm", control="3 untouched tenants: 34 % before, 0 % after")
    told = report.build(story.events, story.incident)
    assert told.verdicts[-1].control.startswith("3 untouched tenants")
    page = report_markdown.markdown(told)
    assert page.count("3 untouched tenants: 34 % before, 0 % after") == 2, "in the timeline and with the verdict"
    assert "Judged inconclusive (tenants that nobody touched recovered alike)." in paragraph(told)


def test_the_page_about_the_report_names_every_standing_and_trial() -> None:
    page = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    assert [one.value for one in (*Standing, *LiftState) if f"`{one.value}`" not in page] == []
