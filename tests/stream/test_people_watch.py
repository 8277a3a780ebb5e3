"""The live screen: what is shown of tenants, incidents, steps and refusals follows from the events alone."""

from typing import Any

from schemas.commands import CommandKind, OutcomeStatus
from schemas.envelope import Event
from schemas.events import STATUS_TYPE, Ending, Status, StatusRow
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy
from stream.people import scene
from stream.people.scene import Board, Scene
from tests.stream.report import timelines
from tests.stream.report.timelines import ONSET_S, Timeline, burning, live

NOW_MS = ONSET_S * 1000 + 10_000


def row(tenant: str, **fields: Any) -> StatusRow:
    shown: dict[str, Any] = {"environment": "default", "tenant": tenant, "service": "shop", "slo": "availability"}
    shown |= {"data_state": "ok", "tier": "act", "factor_milli": 43_200, "long_milli": 200, "short_milli": 0}
    return StatusRow(**(shown | {"requests": 1_000, "fires": False} | fields))


def status(*rows: StatusRow, at_ms: int = NOW_MS, shard: int = 0, left: int = 0) -> Event:
    model = Status(
        shard=shard,
        journal_offset=1,
        at_ms=at_ms,
        stale=False,
        lag_ms=0,
        act_from_ms=0,
        rows=rows,
        rows_left_out=left,
        counters={},
    )
    return Event(STATUS_TYPE, f"{shard}-{at_ms}", "/douse/detect/0", at_ms, model.fields())


def fold(*events: Event) -> Scene:
    found = Scene()
    for event in events:
        found.take(event)
    return found


def board(found: Scene, columns: tuple[str, ...], now_ms: int = NOW_MS) -> Board:
    return next(one for one in found.boards(now_ms) if one.columns == columns)


FIRING = row("acme-corp", long_milli=67_400, short_milli=83_500, fires=True, p99_us=1_210_000, phase="watching")


def test_burning_tenants_come_first_with_both_windows_of_the_fastest_tier() -> None:
    held = row("aaa", phase="handed")
    shown = board(fold(status(held, row("zzz", fires=True))), scene.TENANT_COLUMNS)
    assert [cells[0] for cells in shown.rows] == ["zzz", "aaa"]
    shown = board(fold(status(row("aaa"), FIRING)), scene.TENANT_COLUMNS)
    assert shown.rows[0] == ("acme-corp", "availability", "ok", "67.4x / 83.5x (act)", "1.21 s", "watching")
    assert shown.rows[1][0] == "aaa"
    assert shown.urgent == {0}


def test_the_newest_status_of_each_shard_counts() -> None:
    found = fold(status(row("a"), shard=1), status(row("b"), at_ms=NOW_MS + 1), status(row("c"), at_ms=NOW_MS - 1))
    assert [cells[0] for cells in board(found, scene.TENANT_COLUMNS).rows] == ["a", "b"]


def test_a_shard_that_fell_silent_is_called_so() -> None:
    found = fold(status(row("a")))
    assert board(found, scene.TENANT_COLUMNS, NOW_MS + scene.SILENT_MS).rows[0][2] == "ok"
    late = board(found, scene.TENANT_COLUMNS, NOW_MS + scene.SILENT_MS + 1)
    assert late.rows[0][2] == "silent for 3 s"
    assert late.title == "1 shard, 1 of them silent"


def test_a_full_screen_counts_what_it_does_not_show() -> None:
    rows = [row(f"t{number:03}") for number in range(scene.TENANTS_MAX + 3)]
    shown = board(fold(status(*rows, left=7)), scene.TENANT_COLUMNS)
    assert len(shown.rows) == scene.TENANTS_MAX
    assert shown.title == "1 shard; 10 rows not shown"


def now(story: Timeline) -> str:
    shown = [one for one in fold(*story.events).boards(NOW_MS) if one.columns == scene.INCIDENT_COLUMNS]
    return shown[0].rows[0][3] if shown else ""


def test_the_step_in_progress_is_named() -> None:
    assert now(burning().planned()) == "step 1 of 1: raise_pool on local/acme-pool: waits for its order, 6.3 s"
    ordered = burning().planned().ordered(CommandKind.APPLY)
    assert now(ordered) == "step 1 of 1: raise_pool on local/acme-pool: ordered, 6.3 s"
    assert now(live()) == "1 of 1 steps live, their effect is counted"
    failed = burning().planned().ordered(CommandKind.APPLY).outcome(OutcomeStatus.FAILED)
    assert now(failed) == "step 1 of 1: raise_pool on local/acme-pool: failed"
    assert now(live().handed("relapse", "it burns")) == "handed over relapse: it burns"


def test_an_incident_that_is_over_is_not_shown() -> None:
    assert now(burning().closed(Ending.RECOVERED)) == ""


def test_refusals_are_shown_with_reason_and_numbers_the_newest_first() -> None:
    story = burning()
    for number in range(scene.REFUSALS_MAX + 2):
        story.refused(RefusalReason.LAG, f"try {number}", permanent=False, lag_ms=number)
    shown = board(fold(*story.events, *story.events), scene.REFUSAL_COLUMNS)
    assert len(shown.rows) == scene.REFUSALS_MAX
    assert shown.rows[0][2] == "refused: lag (lag_ms 6): try 6"


def test_what_waits_for_a_person_is_shown_with_its_answer() -> None:
    story = burning()
    steps = (live().step("raise_pool", timelines.Scale(numerator=2)),)
    fields = {"plan": "4f21", "cause": "pool_exhausted", "steps": steps, "tenants": 2}
    story.told("suggested", autonomy=Autonomy.APPROVE, **fields)
    shown = board(fold(*story.events), scene.WAITING_COLUMNS)
    assert shown.rows[0][2:] == (
        "apply; shared by 2 tenants",
        "raise_pool on local/acme-pool",
        "douse approve 4f21",
    )


def test_off_a_screen_a_tenant_is_told_once_and_then_only_what_changes() -> None:
    told: dict[str, str] = {}
    turns = [status(row("a")), status(row("a", p99_us=5, long_milli=300)), status(row("a", fires=True))]
    lines = [scene.plain(fold(turn).boards(NOW_MS), told) for turn in turns]
    assert [len(one) for one in lines] == [1, 0, 1]
    assert lines[2][0].startswith("a availability: burning, data ok, incident -; burn 0.2x / 0.0x (act)")


def test_the_same_frame_is_data_for_a_program() -> None:
    fields = fold(status(FIRING, left=2), *live().events).fields(NOW_MS + 500)
    assert fields["tenants"][0]["tenant"] == "acme-corp"
    assert fields["tenants"][0]["age_ms"] == 500
    assert fields["incidents"][0]["now"] == "1 of 1 steps live, their effect is counted"
    assert (fields["left_out"], fields["waiting"], fields["refusals"]) == (2, [], [])


def test_a_status_that_cannot_be_read_is_left_out() -> None:
    found = fold(Event(STATUS_TYPE, "x", "/douse/detect/0", 0, {"shard": 1}))
    assert found.status == {}
    assert len(found.book.left_out) == 1
