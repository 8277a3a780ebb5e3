"""The table that ends `make proof`: each claim, what was seen, whether it holds; on screen and in a file."""

import json
from pathlib import Path
from typing import Any

import pytest

COLUMN_MAX = 100


def write(path: Path, terminal: Any) -> None:
    """One row a claim that a test recorded; a test that recorded none is a row itself."""
    rows = [row for report in _reports(terminal) for row in _rows(report)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps([dict(zip(("claim", "seen", "holds"), row, strict=True)) for row in rows], indent=2) + "\n"
    )
    terminal.section("proof")
    for claim, seen, holds in rows:
        terminal.write_line(f"{'holds ' if holds else 'BROKEN'} {claim[:COLUMN_MAX]:{COLUMN_MAX}} {seen[:COLUMN_MAX]}")
    broken = sum(not holds for _, _, holds in rows)
    terminal.write_line(f"{len(rows)} claims, {broken} broken; written to {path}")


def _reports(terminal: Any) -> list[pytest.TestReport]:
    found = [report for kind in ("passed", "failed", "error", "skipped") for report in terminal.stats.get(kind, [])]
    return [report for report in found if isinstance(report, pytest.TestReport)]


def _rows(report: pytest.TestReport) -> list[tuple[str, str, bool]]:
    claims = [value for name, value in report.user_properties if name == "claim"]
    rows = [(str(text), str(seen), bool(holds)) for text, seen, holds in claims]  # type: ignore[misc]
    words = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    if report.skipped:
        return [*rows, (words, f"not run: {report.longrepr}", False)]
    if report.failed or not rows:
        rows.append((words, "passed" if report.passed else "failed, see above", report.passed))
    return rows
