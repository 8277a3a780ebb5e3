"""Log lines, resends, memory and skeletons into their tables: by their names, once, within limits."""

import numpy as np
import pytest

from detectors.evidence import logs, memory, retries
from schemas.identity import Entity
from schemas.journal import Malformed, Memory, Table
from schemas.otlp.columns import Severity, SpanKind
from stream import shard
from tests.stream.core.tables_made import NOW_S, fold, state, table

SHOP = Entity("live", "north", "basket")


def lines(offsets: list[int], templates: list[str], count: int = 1, severity: Severity = Severity.ERROR) -> Table:
    k = len(offsets)
    return {
        **table(offsets, template=templates, bucket_s=[NOW_S - 2] * k, trace_id=[""] * k),
        "severity": np.full(k, severity, np.uint8),
        "count": np.full(k, count, np.uint32),
    }


def test_log_lines_count_by_template_and_severity_and_once() -> None:
    made = fold(state(), -1, logs=lines([1, 1], ["a", "b"], 3))
    fold(made, -1, logs=lines([1, 2], ["a", "a"], 4))
    fold(made, 2, logs=lines([3], ["a"], 1, Severity.WARN))
    assert logs.rates(made.logs, SHOP, NOW_S - 2, NOW_S - 2) == (
        ("a", Severity.ERROR, 7.0),
        ("b", Severity.ERROR, 3.0),
        ("a", Severity.WARN, 1.0),
    )


def test_a_service_that_only_logs_is_not_heard() -> None:
    made = fold(state(), -1, logs=lines([1], ["a"]))
    assert len(made.entities) == 0


def test_log_lines_without_room_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TEMPLATES_PER_SHARD_MAX", 1)
    made = fold(state(), -1, logs=lines([1, 1], ["a", "b"], 3))
    assert made.counters == {"logs_left_out": 3}


def test_resends_count_by_service_and_second() -> None:
    rows = {**table([1, 2], bucket_s=[NOW_S - 2] * 2)}
    rows |= {"attempts": np.array([5, 3], np.uint32), "resends": np.array([2, 1], np.uint32)}
    made = fold(state(), -1, retries=rows)
    assert retries.totals(made.retries, 0, NOW_S - 9, NOW_S).tolist() == [8, 3]


def test_memory_is_kept_by_instance() -> None:
    rows = {
        **table([1, 1], instance=["i-1", "i-2"]),
        "quantity": np.full(2, Memory.USED, np.uint8),
        "time_ms": np.full(2, (NOW_S - 20) * 1000),
        "value": np.array([7e6, 9e6]),
    }
    made = fold(state(), -1, memory=rows)
    last = {key[3]: memory.values(made.memory, row, Memory.USED, NOW_S) for row, key in enumerate(made.memory.keys)}
    assert {instance: float(np.nanmax(used)) for instance, used in last.items()} == {"i-1": 7e6, "i-2": 9e6}


TRACES = [f"{number:032x}" for number in range(400)]


def skeletons(offset: int, traces: list[str], failed: bool = True) -> Table:
    """Two services in each trace: the basket calls the stock, which fails."""
    k = 2 * len(traces)
    rows = table(
        [offset] * k, service=["basket", "stock"] * len(traces), trace_id=[trace for trace in traces for _ in "ab"],
        name=["POST stock", "POST /stock"] * len(traces),
    )  # fmt: skip
    return {
        **rows,
        "span_id": np.tile(np.array([2**63 + 5, 6], np.uint64), len(traces)),
        "parent_id": np.tile(np.array([1, 2**63 + 5], np.uint64), len(traces)),
        "kind": np.tile(np.array([SpanKind.CLIENT, SpanKind.SERVER], np.uint8), len(traces)),
        "start_us": np.tile(np.array([(NOW_S - 2) * 10**6, (NOW_S - 2) * 10**6 + 300]), len(traces)),
        "end_us": np.tile(np.array([(NOW_S - 2) * 10**6 + 1000, (NOW_S - 2) * 10**6 + 700]), len(traces)),
        "error": np.full(k, failed, np.bool_),
    }


def test_skeletons_of_several_records_and_services_meet() -> None:
    made = fold(state(), -1, skeletons=skeletons(1, TRACES[:200]))
    fold(made, 1, skeletons=skeletons(2, TRACES[200:]))
    [edge] = made.skeletons.edges(SHOP, NOW_S - 5, NOW_S)
    assert (edge.name, edge.peer, edge.client_us, edge.server_us) == ("POST stock", "stock", 1000.0, 400.0)
    assert 10 < edge.calls < 50, "a sixteenth of 400"
    [first] = made.skeletons.first_failures("live", "north", NOW_S - 5, NOW_S)
    assert (first.service, first.traces, first.alone) == ("stock", 400, 400)


def test_skeletons_come_back_from_a_snapshot() -> None:
    made = fold(state(), -1, skeletons=skeletons(1, TRACES))
    kept = dict(shard.dirty_segments(made)) | {"manifest": shard.manifest(made)}
    again = shard.restore(0, 1, kept)
    assert again.skeletons.edges(SHOP, NOW_S - 5, NOW_S) == made.skeletons.edges(SHOP, NOW_S - 5, NOW_S) != ()


def test_a_trace_id_of_another_length_stops_the_shard() -> None:
    with pytest.raises(Malformed, match="not of 32 characters"):
        fold(state(), -1, skeletons=skeletons(1, ["abc"]))
