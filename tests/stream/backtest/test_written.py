"""Written timelines: the example's hold, one that does not says what was seen, and mistakes are named by line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream import cli, specs
from stream.backtest import judged, written

ACME = Path(__file__).parents[3] / "examples" / "acme"
FILES = sorted((ACME / "timelines").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_timelines_of_the_example_hold(path: Path) -> None:
    for timeline in written.read([path]):
        assert judged.play(timeline).differences == ()


def test_every_course_of_the_examples_runbooks_has_a_timeline() -> None:
    courses = {course.steps for book in specs.load(ACME / "specs").specs.runbooks for course in book.courses}
    planned = {one.plan for timeline in written.read(FILES) for one in timeline.expected if one.plan}
    assert planned == courses


def changed(tmp_path: Path, old: str, new: str) -> list[str]:
    text = (ACME / "timelines" / "pool-exhausted.yaml").read_text()
    assert old in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace("../specs", str(ACME / "specs")).replace(old, new))
    return ["test", str(path)]


def test_a_timeline_that_does_not_hold_shows_expected_and_seen(tmp_path: Path) -> None:
    told = CliRunner().invoke(cli.app, changed(tmp_path, "cause: pool_exhausted", "cause: slow_database"))
    assert told.exit_code == 1
    assert "shop-availability: cause: expected slow_database, seen pool_exhausted" in told.output


def test_an_incident_that_nobody_expects_fails_the_timeline(tmp_path: Path) -> None:
    text = (ACME / "timelines" / "pool-exhausted.yaml").read_text()
    path = tmp_path / "changed.yaml"
    path.write_text(text.split("  expect:")[0].replace("../specs", str(ACME / "specs")) + "  expect: none\n")
    told = CliRunner().invoke(cli.app, ["test", str(path)])
    assert told.exit_code == 1
    assert "expected none more, seen one opened" in told.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "failed_per_s: 45",
            "failed_per_s: 450",
            "changed.yaml:18: spec.timeline[1].requests.failed_per_s: 450 of 130",
        ),
        ("for_s: 15", "four_s: 15", "four_s"),
        ("plan: [resize-pool]", "plan: [resize-pol]", "'resize-pol' is not one of"),
        ("slo: shop-availability", "slo: shop", "'shop' is not one of"),
        ("severity: error", "severity: bad", "'bad' is not one of"),
    ],
)
def test_mistakes_are_named_with_file_line_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    told = CliRunner().invoke(cli.app, changed(tmp_path, old, new))
    assert told.exit_code == 78
    assert said in told.output
