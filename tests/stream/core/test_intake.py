"""Telemetry into tables: every row once, whatever is repeated, split, late or early."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors import windows
from detectors.evidence import operations, pools
from schemas import journal
from schemas.journal import (
    Kind,
    Position,
    Quantity,
    Record,
    Strings,
    Table,
    Telemetry,
    Tick,
    Unattributed,
)
from schemas.otlp.columns import Temporality
from stream import engine, shard
from stream.core import intake
from stream.core.intake import SourceGap
from stream.shard import ShardState
from tests.stream.core.tables_made import NOW_S, fold, state, table

ROW = ("live", "north", "basket", "availability", f"{7:016x}")


def observations(
    offsets: list[int], source: list[int] | None = None, bad: int = 1, sampled: bool = False, at_s: int = NOW_S - 2
) -> Table:
    k = len(offsets)
    return {
        **table(offsets, source, slo=["availability"] * k, bucket_s=[at_s] * k, sampled=[sampled] * k),
        "sli": np.full(k, 7, np.uint64),
        "good": np.full(k, 10 - bad, np.uint32),
        "total": np.full(k, 10, np.uint32),
    }


def calls(offsets: list[int], names: list[str]) -> Table:
    k = len(offsets)
    return {
        **table(offsets, name=names, bucket_s=[NOW_S - 2] * k),
        "kind": np.full(k, 3, np.uint8),
        "calls": np.ones(k, np.uint32),
        "errors": np.zeros(k, np.uint32),
        "duration_us": np.full(k, 100, np.uint64),
    }


def connections(offsets: list[int], instances: list[str], used: float) -> Table:
    k = len(offsets)
    return {
        **table(offsets, instance=instances, pool=["main"] * k),
        "quantity": np.full(k, Quantity.USED, np.uint8),
        "temporality": np.full(k, Temporality.UNSPECIFIED, np.uint8),
        "start_ms": np.zeros(k, np.int64),
        "time_ms": np.full(k, (NOW_S - 2) * 1000),
        "value": np.full(k, used),
        "count": np.zeros(k, np.uint64),
        "sum": np.zeros(k),
    }


def counted(made: ShardState, end_s: int = NOW_S) -> list[int]:
    row = made.rows.rows([ROW])
    return [int(count[0]) for count in windows.counts(made.rows, row, np.array([end_s]), 60)]


def image(made: ShardState) -> dict[str, bytes]:
    """The tables' segments; not `core`, whose counters tell of repetitions."""
    for name in ("rows", "entities", "pools", "operations", "retries", "memory", "logs"):
        series = getattr(made, name)
        series.touch(np.arange(len(series)))
    return {key: data for key, data in shard.dirty_segments(made) if not key.startswith("core")}


def test_a_record_that_comes_again_counts_once() -> None:
    once = fold(state(), -1, observations=observations([3, 4, 9]))
    twice = fold(fold(state(), -1, observations=observations([3, 4, 9])), -1, observations=observations([3, 4, 9]))
    assert counted(once) == counted(twice) == [27, 30]
    assert image(once) == image(twice)
    assert twice.marks == {("spans", 0): 9}
    assert twice.counters["rows_repeated"] == 3


def test_of_a_record_that_overlaps_only_the_new_positions_count() -> None:
    made = fold(state(), -1, observations=observations([3, 4]))
    fold(made, -1, observations=observations([3, 4, 5, 6]), operations=calls([4, 6], ["a", "b"]))
    assert counted(made) == [36, 40]
    assert [key[4] for key in made.operations.keys] == ["b"]


def test_all_tables_of_a_position_enter_or_none() -> None:
    """Marks move after the whole record: a table must not hide another's rows of the same position."""
    made = fold(state(), -1, observations=observations([3]), operations=calls([3], ["a"]))
    assert counted(made) == [9, 10]
    assert len(made.operations) == 1


def test_partitions_and_topics_have_marks_of_their_own() -> None:
    made = state()
    sources = (Position("spans", 0, -1), Position("spans", 1, -1), Position("logs", 0, -1))
    rows = observations([5, 2, 9, 1], source=[0, 1, 2, 1])
    intake.fold(made, Telemetry(sources, {"observations": rows}), 0)
    assert made.marks == {("spans", 0): 5, ("spans", 1): 2, ("logs", 0): 9}
    intake.fold(made, Telemetry(sources[::-1], {"observations": observations([9, 3, 5], source=[0, 1, 2])}), 1)
    assert counted(made) == [45, 50]


def test_a_record_after_one_that_was_never_seen_is_a_gap_and_changes_nothing() -> None:
    made = fold(state(), -1, observations=observations([3]))
    before = image(made)
    message = r"journal partition 0 offset 5: rows of spans\[0\] follow position 8, but only 3 was folded"
    with pytest.raises(SourceGap, match=message):
        fold(made, 8, observations=observations([9]))
    assert image(made) == before
    assert made.marks == {("spans", 0): 3}


def test_a_fresh_stream_with_no_previous_position_may_begin_anywhere_above() -> None:
    made = fold(fold(state(), -1, observations=observations([3])), -1, observations=observations([90]))
    assert counted(made) == [18, 20]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.lists(st.integers(0, 12), max_size=4))
@settings(max_examples=40, deadline=None)
def test_how_rows_are_split_into_records_changes_nothing(names: list[str], cuts: list[int]) -> None:
    offsets = list(range(len(names)))
    whole = fold(state(), -1, observations=observations(offsets), operations=calls(offsets, names))
    parts, edges = state(), sorted({0, len(names), *(cut for cut in cuts if cut < len(names))})
    for first, last in pairwise(edges):
        here = offsets[first:last]
        fold(parts, first - 1, observations=observations(here), operations=calls(here, names[first:last]))
    assert counted(parts) == counted(whole)
    assert parts.marks == whole.marks
    sums = [
        {
            key[4]: operations.totals(made.operations, row, NOW_S - 9, NOW_S).tolist()
            for key, row in made.operations.index.items()
        }
        for made in (parts, whole)
    ]
    assert sums[0] == sums[1]


def test_what_arrives_while_nobody_ticks_counts_as_if_somebody_had() -> None:
    """Between an owner's death and its successor's first tick telemetry goes on; the records' own time is the clock."""
    made = shard.fresh(0, 1)
    bodies = [
        (NOW_S, Kind.TICK, journal.encode_tick(Tick(250, -1))),
        *((NOW_S + age, Kind.TELEMETRY, encoded(age, NOW_S + age - 1)) for age in (1, 20, 45)),
        (NOW_S + 46, Kind.TICK, journal.encode_tick(Tick(250, -1))),
    ]
    for offset, (at_s, kind, value) in enumerate(bodies):
        engine.fold(made, Record(0, offset, at_s * 1000, kind.value, journal.VERSION, value))
    assert counted(made, NOW_S + 46) == [27, 30]
    assert made.counters.get("future", 0) == 0


def test_telemetry_before_the_first_tick_of_all_counts() -> None:
    made = shard.fresh(0, 1)
    engine.fold(made, Record(0, 0, NOW_S * 1000, "telemetry", journal.VERSION, encoded(0, NOW_S - 1)))
    assert counted(made) == [9, 10]


def encoded(offset: int, at_s: int) -> bytes:
    rows = {**observations([offset], at_s=at_s), "hash": np.zeros(1, np.uint64)}
    return journal.encode_telemetry((Position("spans", 0, -1),), {"observations": rows})


@given(
    st.lists(st.tuples(*[st.integers(0, 65_535)] * 5, st.integers(0, 2**64 - 1)), min_size=1, max_size=20),
    st.integers(1, 3),
)
@example([(1, 0, 0, 0, 0, 7), (2, 0, 0, 0, 0, 7)], 1)  # 65,536^4 is 2^64
@settings(max_examples=60, deadline=None)
def test_names_are_found_whatever_the_size_of_their_dictionaries(
    rows: list[tuple[int, int, int, int, int, int]], again: int
) -> None:
    rows = rows * again
    columns: dict[str, Any] = {
        name: Strings(np.array([row[place] for row in rows], np.int32), NAMES) for place, name in enumerate("abcde")
    }
    columns |= {"sli": np.array([row[5] for row in rows], np.uint64), "offset": np.zeros(len(rows))}
    keys, inverse = intake.unique_keys(columns, (*"abcde", "sli"))
    wanted = [(*(NAMES[code] for code in row[:5]), f"{row[5]:016x}") for row in rows]
    assert [keys[place] for place in inverse] == wanted
    assert sorted(keys) == sorted(set(wanted))


NAMES = tuple(f"n{number}" for number in range(65_536))


@pytest.mark.parametrize(("age_s", "marked"), [(2, True), (-5, True), (-6, False), (-86_400 * 365, False)])
def test_a_sampled_span_marks_its_row_unless_its_clock_is_far_ahead(age_s: int, marked: bool) -> None:
    made = fold(state(), -1, observations=observations([3]))
    fold(made, 3, observations=observations([4], sampled=True, at_s=NOW_S - age_s))
    assert made.rows.columns["sampled_s"][0] == (NOW_S - age_s if marked else windows.NEVER)


def test_whatever_a_record_changes_is_in_the_next_snapshot() -> None:
    """Also where its counts were too late to enter any window."""
    made = fold(state(), -1, observations=observations([3]))
    kept = dict(shard.dirty_segments(made))
    fold(made, 3, observations=observations([4], sampled=True, at_s=NOW_S - 86_400 * 40))
    kept |= dict(shard.dirty_segments(made)) | {"manifest": shard.manifest(made)}
    assert image(shard.restore(0, 1, kept)) == image(made)


def test_late_and_early_counts_are_told() -> None:
    made = fold(state(), -1, observations=observations([3], at_s=NOW_S - 86_400 * 40))
    fold(made, 3, observations=observations([4, 5], at_s=NOW_S + 60))
    assert (made.counters["late"], made.counters["future"]) == (10, 20)
    assert counted(made) == [0, 0]


def test_beyond_the_limit_new_operations_are_left_out_and_known_ones_count_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "OPERATIONS_PER_SHARD_MAX", 2)
    made = fold(state(), -1, operations=calls([1, 1], ["a", "b"]))
    fold(made, 1, operations=calls([2, 2, 2], ["a", "c", "b"]))
    assert [operations.totals(made.operations, row, NOW_S - 9, NOW_S)[0] for row in range(2)] == [2, 2]
    assert (len(made.operations), made.counters["operations_left_out"]) == (2, 1)


def test_beyond_the_limit_new_pools_are_left_out_and_known_ones_count_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "POOLS_PER_SHARD_MAX", 1)
    made = fold(state(), -1, pools=connections([1], ["i-1"], 8.0))
    fold(made, 1, pools=connections([2, 2], ["i-1", "i-2"], 32.0))
    assert pools.sample(made.pools, 0, NOW_S - 9, NOW_S).used == 32.0
    assert (len(made.pools), made.counters["pools_left_out"]) == (1, 1)


def requests(offset: int, end_ms: int) -> Table:
    one = {name: np.ones(1, np.uint32) for name in ("requests", "errors", "incomplete")}
    return {**table([offset], bucket_s=[end_ms // 1000], oldest_end_ms=[end_ms]), **one}


def test_an_entity_is_heard_when_its_rows_arrive_whatever_their_time_says() -> None:
    made = fold(state(), -1, requests=requests(1, (NOW_S - 30) * 1000))
    assert made.entities.columns["heard_s"][0] == NOW_S
    assert dict(made.entities.index) == {("live", "north", "basket"): 0}


def exemplars(offset: int, traces: list[tuple[str, int, bool]]) -> Table:
    return table(
        [offset] * len(traces),
        trace_id=[trace for trace, _, _ in traces],
        bucket_s=[second for _, second, _ in traces],
        error=[failed for _, _, failed in traces],
    )


def test_failed_and_newer_traces_push_the_others_out() -> None:
    made = state()
    for offset in range(20):
        fold(made, offset - 1, exemplars=exemplars(offset, [(f"t{offset:02}", NOW_S + offset, offset % 4 == 0)]))
    found = made.exemplars["live", "north", "basket"]
    assert len(found) == intake.EXEMPLARS_PER_ENTITY
    assert [trace for trace, _, _ in found[:6]] == ["t16", "t12", "t08", "t04", "t00", "t19"]


def test_what_fits_no_tenant_is_counted_by_its_reason() -> None:
    rows = {
        **table([1, 1, 1], tenant=["", "", ""]),
        "reason": np.array([Unattributed.MISSING, Unattributed.CONFLICT, Unattributed.MISSING], np.uint8),
        "spans": np.array([5, 7, 1], np.uint32),
        "points": np.array([0, 2, 0], np.uint32),
        "logs": np.array([0, 0, 3], np.uint32),
    }
    made = fold(state(), -1, unattributed=rows)
    assert made.counters == {
        "unattributed_spans_missing": 6,
        "unattributed_spans_conflict": 7,
        "unattributed_points_conflict": 2,
        "unattributed_logs_missing": 3,
    }
