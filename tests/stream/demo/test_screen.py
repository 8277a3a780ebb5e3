"""The demo off a terminal: a line says what changed, and nothing is said while nothing does."""

from typing import Any

from stream.demo import screen

CALM = {"tenant": "acme-corp", "failed": 0, "total": 300, "running": "service 32", "data_state": "ok", "fires": False}


def said(*turns: dict[str, Any]) -> list[list[str]]:
    told: dict[str, str] = {}
    return [screen.plain([CALM | {"tenant": "globex"}, turn], told) for turn in turns]


def test_each_tenant_is_told_once_and_then_only_what_changes() -> None:
    first, second, third = said(CALM, CALM | {"failed": 2, "total": 290, "p99_us": 5}, CALM | {"fires": True})
    assert first == [
        "globex, not burning, pool service 32; burn -/-, clients fail 0% of 300",
        "acme-corp, not burning, pool service 32; burn -/-, clients fail 0% of 300",
    ]
    assert second == []
    assert [line.split(",")[:2] for line in third] == [["acme-corp", " burning"]]


def test_pool_phase_and_data_state_are_news() -> None:
    changes: list[dict[str, Any]] = [{"running": "service 64"}, {"phase": "watching"}, {"data_state": "stale"}]
    for change in changes:
        assert len(said(CALM, CALM | change)[1]) == 1


def test_a_line_fits_a_narrow_screen_of_a_log() -> None:
    row = CALM | {"phase": "watching", "long_milli": 67_400, "short_milli": 83_500, "running": "service 64, worker 64"}
    assert max(len(line) for line in screen.plain([row], {})) <= 120
