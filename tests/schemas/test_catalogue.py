"""Freeze windows as people write them."""

import pytest

from schemas import catalogue, yamlfile
from schemas.runbook import FreezeWindow, Limits
from schemas.yamlfile import Problem

HEAD = "apiVersion: douse/v1\nkind: Limits\nspec:\n  cooldown_s: 60\n"


def limits(text: str) -> tuple[Limits | None, list[str]]:
    documents, wrong = yamlfile.read(HEAD + text, "limits.yaml")
    problems: list[Problem] = [*wrong]
    found = catalogue.read(documents, problems).limits
    return (found[0][0] if found else None), [f"{one.field}: {one.text}" for one in problems]


def test_a_weekly_window_and_one_that_comes_once() -> None:
    made, problems = limits(
        "  freeze:\n"
        '  - {days: [fri, sat], from: "22:00", until: "06:00", why: weekend}\n'
        '  - {from: "2026-12-24T00:00:00Z", until: "2026-12-27T00:00:00Z", why: holidays}\n'
    )
    assert problems == []
    assert made is not None and made.freeze == (
        FreezeWindow(days=(4, 5), from_min=1320, until_min=360, why="weekend"),
        FreezeWindow(from_ms=1_798_070_400_000, until_ms=1_798_329_600_000, why="holidays"),
    )


def test_no_window_is_no_freeze() -> None:
    made, problems = limits("")
    assert problems == [] and made is not None and made.freeze == ()


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ('{days: [fry], from: "22:00", until: "06:00"}', "did you mean 'fri'?"),
        ('{from: "24:00", until: "06:00"}', "'24:00' is no time"),
        ('{from: "22:00", until: "2026-12-24T00:00:00Z"}', "write both as"),
        ('{from: "2026-02-30T00:00:00Z", until: "2026-12-24T00:00:00Z"}', "is no time"),
        ('{from: "2026-12-25T00:00:00Z", until: "2026-12-24T00:00:00Z"}', "is not after from"),
        ('{days: [fri], from: "2026-12-24T00:00:00Z", until: "2026-12-25T00:00:00Z"}', "stands beside a date"),
        ('{from: "22:00"}', "is missing"),
        ('{from: "22:00", until: "06:00", when: never}', "is not a known field"),
    ],
)
def test_a_window_that_means_nothing_is_refused_with_the_reason(window: str, said: str) -> None:
    made, problems = limits(f"  freeze:\n  - {window}\n")
    assert made is None
    assert any(said in one for one in problems), problems
