"""Skeletons of traces: the same ones everywhere, and what their join says of callers, first failures and attempts."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from detectors import observe, observe_skeletons
from detectors.evidence import skeletons
from detectors.evidence.skeletons import Attempts, Edge, FirstFailure, Traces
from detectors.rows import Reduced, Source
from schemas.identity import Entity
from schemas.otlp import spans as otlp_spans
from schemas.otlp.columns import SpanKind, Spans
from tests.detectors import observe_loop, otlp_made

PLAN = observe.plan(otlp_made.SPECS, 4)
SECOND = 1_800_000_000
SHOP, CART = Entity("live", "north", "shop"), Entity("live", "north", "cart")
COLUMNS = ("tenant", "service", "trace_id", "span_id", "parent_id", "kind", "name", "start_us", "end_us", "error")


def hashes(traces: Sequence[bytes]) -> np.ndarray:
    ids = np.frombuffer(b"".join(traces), np.uint8).reshape(-1, 16)
    return observe_skeletons.trace_hash(*observe_skeletons.halves(ids))


def trace_ids(count: int, chosen: bool = True, seed: int = 1) -> list[bytes]:
    """Ids whose traces are chosen, or are not."""
    draw = random.Random(seed)
    found: list[bytes] = []
    while len(found) < count:
        made = [draw.randbytes(16) for _ in range(4096)]
        mask = observe_skeletons.is_chosen(hashes(made))
        found += [one for one, kept in zip(made, mask.tolist(), strict=True) if kept is chosen]
    return found[:count]


def record(*spans: Span, tenant: str = "acme") -> Spans:
    named = [otlp_made.attribute("service.name", "shop"), otlp_made.attribute("tenant.id", tenant)]
    made = TracesData(resource_spans=[{"resource": {"attributes": named}, "scope_spans": [{"spans": spans}]}])
    columns = otlp_spans.decode(made.SerializeToString())
    assert isinstance(columns, Spans)
    return columns


def otlp(trace: bytes, number: int = 1, error: bool = False) -> Span:
    times = {"start_time_unix_nano": SECOND * 10**9, "end_time_unix_nano": SECOND * 10**9 + 5_000}
    ids = {"trace_id": trace, "span_id": number.to_bytes(8, "big"), "parent_span_id": (number + 1).to_bytes(8, "big")}
    return Span(**ids, **times, name="GET /", kind=2, status={"code": 2 if error else 0})


def listed(part: Reduced, *columns: str) -> list[tuple[Any, ...]]:
    return observe_loop.listed(part.tables.get("skeletons"), *columns)


def reduced(*spans: Span) -> Reduced:
    return observe.spans(record(*spans), PLAN, Source(0, 3, 4))


def test_a_chosen_span_is_its_skeleton() -> None:
    [trace] = trace_ids(1)
    assert listed(reduced(otlp(trace)), *COLUMNS) == [
        ("acme", "shop", trace.hex(), 1, 2, 2, "GET /", SECOND * 10**6, SECOND * 10**6 + 5, False)
    ]


@pytest.mark.parametrize("draw", ["random", "counting"])
def test_the_share_is_kept_whatever_the_ids_look_like(draw: str) -> None:
    source = random.Random(3)
    ids = [source.randbytes(16) if draw == "random" else n.to_bytes(16, "big") for n in range(40_000)]
    share = float(observe_skeletons.is_chosen(hashes(ids)).mean())
    assert share == pytest.approx(observe_skeletons.SHARE, rel=0.1)


def test_spans_of_other_traces_are_left_out_but_for_their_errors() -> None:
    others = trace_ids(40, chosen=False)
    part = reduced(*[otlp(trace, error=number < 3) for number, trace in enumerate(others)])
    assert [trace for (trace,) in listed(part, "trace_id")] == [trace.hex() for trace in others[:3]]


def test_errors_of_other_traces_have_a_bound_and_the_same_ones_stay_whatever_comes_with_them() -> None:
    others = trace_ids(200, chosen=False)
    errors = [otlp(trace, error=True) for trace in others]
    kept = {trace for (trace,) in listed(reduced(*errors), "trace_id")}
    assert len(kept) == observe_skeletons.ERRORS_MAX
    again = {trace for (trace,) in listed(reduced(*errors[::-1], *map(otlp, trace_ids(9))), "trace_id")}
    assert kept <= again


def test_whole_traces_have_a_bound_and_a_trace_that_stays_is_whole() -> None:
    chosen = trace_ids(200)
    spans = [otlp(trace, number) for trace in chosen for number in (1, 2)]
    rows = listed(reduced(*spans), "trace_id", "span_id")
    assert len(rows) == observe_skeletons.SPANS_MAX
    assert all((trace, 3 - number) in rows for trace, number in rows)


def test_every_record_keeps_the_same_traces() -> None:
    ids = trace_ids(5) + trace_ids(50, chosen=False)
    first = {trace for (trace,) in listed(reduced(*map(otlp, ids)), "trace_id")}
    second = {trace for (trace,) in listed(reduced(*[otlp(trace, 9) for trace in ids[::-1]]), "trace_id")}
    assert first == second == {trace.hex() for trace in ids[:5]}


def test_what_fits_no_tenant_leaves_no_skeleton() -> None:
    part = observe.spans(record(otlp(trace_ids(1)[0]), tenant=""), PLAN, Source(0, 3, 4))
    assert "skeletons" not in part.tables


@dataclass(frozen=True)
class One:
    """A span as the fold gets it."""

    trace: bytes
    span: int
    parent: int = 0
    entity: Entity = SHOP
    kind: SpanKind = SpanKind.SERVER
    name: str = "GET /"
    at_ms: int = 0
    took_us: int = 1000
    error: bool = False


def add(traces: Traces, *spans: One) -> Traces:
    high, low = observe_skeletons.halves(np.frombuffer(b"".join(s.trace for s in spans), np.uint8).reshape(-1, 16))
    entities = sorted({span.entity for span in spans})
    names = tuple(sorted({span.name for span in spans}))
    end_us = [(SECOND * 1000 + span.at_ms) * 1000 for span in spans]
    traces.add(
        entities,
        np.array([entities.index(span.entity) for span in spans], np.int64),
        names,
        {
            "high": high,
            "low": low,
            "span": np.array([span.span for span in spans], np.uint64),
            "parent": np.array([span.parent for span in spans], np.uint64),
            "name": np.array([names.index(span.name) for span in spans], np.int32),
            "start_us": np.array([end - span.took_us for end, span in zip(end_us, spans, strict=True)], np.int64),
            "end_us": np.array(end_us, np.int64),
            "kind": np.array([span.kind for span in spans], np.uint8),
            "error": np.array([span.error for span in spans], np.bool_),
        },
    )
    return traces


def call(trace: bytes, took_us: int = 9000, served_us: int = 1000, number: int = 10) -> tuple[One, One]:
    """The shop calls the cart."""
    client = One(trace, number, 1, SHOP, SpanKind.CLIENT, "POST cart", took_us=took_us)
    return client, One(trace, number + 1, number, CART, SpanKind.SERVER, "POST /cart", took_us=served_us)


def test_an_edge_is_the_clients_time_less_its_peers() -> None:
    first, second = trace_ids(2)
    traces = add(Traces(), *call(first), *call(second, 5000, 3000))
    [edge] = traces.edges(SHOP, SECOND - 1, SECOND)
    assert edge == Edge("POST cart", "cart", 2, 0, 7000.0, 2000.0, 5000.0)


def test_a_call_that_nobody_answered_has_no_peer() -> None:
    [trace] = trace_ids(1)
    external = One(trace, 5, 1, SHOP, SpanKind.CLIENT, "POST api.example", took_us=400, error=True)
    [edge] = add(Traces(), external).edges(SHOP, SECOND, SECOND)
    assert (edge.name, edge.peer, edge.calls, edge.errors, edge.client_us) == ("POST api.example", "", 1, 1, 400.0)
    assert np.isnan(edge.server_us)
    assert np.isnan(edge.gap_us)


def test_equal_span_ids_of_two_traces_are_two_calls() -> None:
    first, second = trace_ids(2)
    client, _ = call(first)
    _, server = call(second)
    [edge] = add(Traces(), client, server).edges(SHOP, SECOND, SECOND)
    assert edge.peer == ""


def test_edges_are_of_chosen_traces_and_of_the_window_alone() -> None:
    [chosen], [other] = trace_ids(1), trace_ids(1, chosen=False)
    late = [replace(span, at_ms=60_000) for span in call(chosen, number=30)]
    traces = add(Traces(), *call(chosen), *call(other), *late)
    assert [edge.calls for edge in traces.edges(SHOP, SECOND, SECOND)] == [1]


def test_another_tenants_spans_are_in_no_join() -> None:
    [trace] = trace_ids(1)
    client, server = call(trace)
    foreign = replace(server, entity=CART._replace(tenant="south"))
    [edge] = add(Traces(), client, foreign).edges(SHOP, SECOND, SECOND)
    assert edge.peer == ""


def test_what_the_exporter_sent_twice_counts_once() -> None:
    [trace] = trace_ids(1)
    traces = add(add(Traces(), *call(trace)), *call(trace))
    assert traces.edges(SHOP, SECOND, SECOND)[0].calls == 1


def failed(trace: bytes, deepest_ms: int = 0) -> tuple[One, ...]:
    """The cart fails, so the shop's call and the shop fail as well."""
    client, server = call(trace)
    return (
        One(trace, 1, 0, SHOP, SpanKind.SERVER, "GET /", at_ms=deepest_ms + 2, error=True),
        replace(client, error=True, at_ms=deepest_ms + 1),
        replace(server, error=True, at_ms=deepest_ms),
    )


def test_an_error_was_born_where_no_child_failed() -> None:
    ids = [*trace_ids(1), *trace_ids(2, chosen=False)]
    traces = add(Traces(), *[span for trace in ids for span in failed(trace)])
    assert traces.first_failures("live", "north", SECOND, SECOND) == (
        FirstFailure("cart", SpanKind.SERVER, "POST /cart", 3, 3),
    )


def test_of_two_that_fail_in_one_trace_the_first_to_end_counts_and_neither_is_alone() -> None:
    [trace] = trace_ids(1)
    mail = One(trace, 70, 1, Entity("live", "north", "mail"), SpanKind.SERVER, "send", at_ms=1, error=True)
    found = add(Traces(), mail, *failed(trace)).first_failures("live", "north", SECOND, SECOND)
    assert found == (FirstFailure("cart", SpanKind.SERVER, "POST /cart", 1, 0),)


def test_a_service_that_fails_by_itself_is_told_from_one_that_was_failed() -> None:
    first, second = trace_ids(2)
    own = One(second, 1, 0, SHOP, SpanKind.SERVER, "GET /", error=True)
    found = add(Traces(), *failed(first), own).first_failures("live", "north", SECOND, SECOND)
    assert {(one.service, one.traces, one.alone) for one in found} == {("cart", 1, 1), ("shop", 1, 1)}


def test_attempts_are_the_requests_of_one_name_in_one_trace() -> None:
    first, second = trace_ids(2)
    tries = [One(first, number, 99, at_ms=number) for number in (1, 2, 3)]
    traces = add(Traces(), *tries, One(second, 1, 99), One(second, 2, 99, name="GET /other"))
    assert traces.attempts_per_trace(SHOP, SECOND, SECOND) == (
        Attempts("GET /", 2, 4, 3),
        Attempts("GET /other", 1, 1, 1),
    )


def test_where_nothing_is_known_nothing_is_said() -> None:
    traces = Traces()
    assert traces.edges(SHOP, 0, SECOND) == ()
    assert traces.first_failures("live", "north", 0, SECOND) == ()
    assert traces.attempts_per_trace(SHOP, 0, SECOND) == ()


def test_the_newest_spans_stay_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeletons, "SPANS_MAX", 8)
    traces = Traces()
    for number, trace in enumerate(trace_ids(40)):
        add(traces, One(trace, 1, name=f"n{number}"))
        assert len(traces) == min(number + 1, 8)
    names = [each.name for each in traces.attempts_per_trace(SHOP, SECOND, SECOND)]
    assert sorted(names) == sorted(f"n{number}" for number in range(32, 40))


def test_of_one_record_larger_than_the_ring_the_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeletons, "SPANS_MAX", 8)
    traces = add(Traces(), *[One(trace, 1, name=f"n{n:02}") for n, trace in enumerate(trace_ids(20))])
    names = [each.name for each in traces.attempts_per_trace(SHOP, SECOND, SECOND)]
    assert names == [f"n{number}" for number in range(12, 20)]


def test_names_and_entities_that_no_span_has_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeletons, "SPANS_MAX", 8)
    monkeypatch.setattr(skeletons, "NAMES_MAX", 10)
    traces = Traces()
    for number, trace in enumerate(trace_ids(60)):
        add(traces, One(trace, 1, name=f"n{number}", entity=SHOP._replace(service=f"s{number}")))
    dumped = traces.dump()
    assert len(dumped["names"]) <= 12
    assert len(dumped["entities"]) <= 12
    for number in range(52, 60):
        [found] = traces.attempts_per_trace(SHOP._replace(service=f"s{number}"), SECOND, SECOND)
        assert found.name == f"n{number}"


@given(st.integers(0, 30), st.integers(1, 6))
@settings(deadline=None, max_examples=30)
def test_a_dump_goes_on_as_if_nothing_had_been(before: int, after: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skeletons, "SPANS_MAX", 16)
        whole = Traces()
        ids = trace_ids(before + after)
        for trace in ids[:before]:
            add(whole, *failed(trace))
        parts = Traces.load(json.loads(json.dumps(whole.dump())))
        for trace in ids[before:]:
            for traces in (whole, parts):
                add(traces, *failed(trace))
        assert parts.dump() == whole.dump()
        assert parts.edges(SHOP, SECOND - 9, SECOND) == whole.edges(SHOP, SECOND - 9, SECOND)
        assert parts.first_failures("live", "north", SECOND, SECOND) != ()
