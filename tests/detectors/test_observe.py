"""Counts of a record of spans equal an independent loop over its protobuf, however records are batched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from detectors import observe, observe_requests, rows
from detectors.rows import Reduced, Source
from schemas import identity, journal
from schemas.journal import TABLES, Position, Strings
from schemas.otlp import spans as otlp_spans
from schemas.otlp.columns import Spans
from schemas.slo import Slo, SpanSli
from schemas.specs import SpecSet
from tests.detectors import observe_loop, otlp_made

SHARDS = 5
PLAN = observe.plan(otlp_made.SPECS, SHARDS)


def decoded(record: TracesData) -> Spans:
    columns = otlp_spans.decode(record.SerializeToString())
    assert isinstance(columns, Spans)
    return columns


def reduced(record: TracesData, offset: int = 7, header: str = "") -> Reduced:
    return observe.spans(decoded(record), PLAN, Source(0, offset, 99), header)


def read(parts: list[Reduced]) -> observe_loop.Read:
    counted = observe_loop.Read()
    for tables in rows.split(parts).values():
        counted.read(tables)
    return counted


@settings(max_examples=200, deadline=None)
@given(otlp_made.traces(), st.sampled_from(["", "acme", "globex"]))
def test_counts_equal_an_independent_loop(record: TracesData, header: str) -> None:
    loop = observe_loop.Counted()
    loop.add(record, otlp_made.SPECS, header)
    got = read([reduced(record, header=header)])
    for name in vars(loop):
        if name != "exemplars":
            assert getattr(got, name) == getattr(loop, name), name
    assert sorted(e[:3] + e[4:] for e in got.exemplars) == sorted(e[:3] + e[4:] for e in loop.exemplars)


@settings(max_examples=50, deadline=None)
@given(st.lists(otlp_made.traces(spans_max=8), max_size=5))
def test_counts_do_not_depend_on_batching(records: list[TracesData]) -> None:
    parts = [reduced(record, offset) for offset, record in enumerate(records)]
    together, alone = read(parts), observe_loop.Read()
    for part in parts:
        for tables in rows.split([part]).values():
            alone.read(tables)
    assert together.same(alone)


@settings(max_examples=50, deadline=None)
@given(otlp_made.traces())
def test_the_same_bytes_give_the_same_rows(record: TracesData) -> None:
    first, second = (
        {
            shard: journal.encode_telemetry((Position("t", 0, -1),), tables)
            for shard, tables in rows.split([part]).items()
        }
        for part in (reduced(record), reduced(record))
    )
    assert first == second


@settings(max_examples=50, deadline=None)
@given(st.lists(otlp_made.traces(spans_max=8), min_size=1, max_size=4))
def test_a_shard_gets_rows_and_strings_of_its_own_tenants_only(records: list[TracesData]) -> None:
    parts = [reduced(record, offset) for offset, record in enumerate(records)]
    for shard, tables in rows.split(parts).items():
        for name, table in tables.items():
            owners = observe_loop.listed(table, "environment", "tenant")
            assert {identity.shard(*owner, SHARDS) for owner in owners} == {shard}
            for column in table.values():
                if isinstance(column, Strings):
                    assert len(set(column.values)) == len(column.values) == len(set(column.codes.tolist())), name


@settings(max_examples=50, deadline=None)
@given(otlp_made.traces())
def test_no_row_is_named_twice_and_rows_are_sorted(record: TracesData) -> None:
    part = reduced(record)
    keys = {
        "observations": (*observe_loop.ENTITY, "slo", "sli", "bucket_s"),
        "requests": (*observe_loop.ENTITY, "bucket_s"),
        "latency": (*observe_loop.ENTITY, "bucket_s", "index"),
        "operations": (*observe_loop.ENTITY, "kind", "name", "bucket_s"),
        "unattributed": (*observe_loop.ENTITY, "reason"),
    }
    for name, columns in keys.items():
        named = observe_loop.listed(part.tables.get(name), *columns)
        assert named == sorted(set(named)), name


@settings(max_examples=50, deadline=None)
@given(otlp_made.traces())
def test_tables_survive_the_journal_and_keep_within_their_bound(record: TracesData) -> None:
    part = reduced(record)
    bounds = rows.bytes_max(part)
    for shard, tables in rows.split([part]).items():
        value = journal.encode_telemetry((Position("topic", 3, 5),), tables)
        assert len(value) <= bounds[shard]
        entry = journal.Record(shard, 0, 0, journal.Kind.TELEMETRY, journal.VERSION, value)
        body = journal.decode(entry)
        assert isinstance(body, journal.Telemetry)
        assert set(body.tables) == set(tables)
        for name, table in tables.items():
            assert list(table) == list(TABLES[name])
            assert observe_loop.listed(body.tables[name], *table) == observe_loop.listed(table, *table)


@given(st.integers(0, 2**63 - 1))
def test_a_latency_lies_in_its_bucket(duration: int) -> None:
    index = int(observe_requests.latency_index(np.array([duration], np.int64))[0])
    if duration == 0:
        assert index == observe_requests.ZERO_INDEX
    else:
        # (2^(i/8), 2^((i+1)/8)] seconds, compared in eighth powers of nanoseconds: whole numbers only.
        scaled = duration**8 << 512
        low = 10**72 << 512 + index if index >= 0 else 10**72 << 512 >> -index
        high = 10**72 << 513 + index if index >= -1 else 10**72 << 512 >> -(index + 1)
        assert low < scaled <= high


@pytest.mark.parametrize(("seconds", "index"), [(1.0, -1), (0.25, -17), (0.5, -9), (2.0, 7), (1.001, 0)])
def test_known_latencies(seconds: float, index: int) -> None:
    assert observe_requests.latency_index(np.array([round(seconds * 1e9)])).tolist() == [index]


def test_an_unanswered_request_is_never_good() -> None:
    made = one_span(kind=Span.SPAN_KIND_SERVER, attributes=[otlp_made.attribute("http.request.method", "GET")])
    table = reduced(made).tables["observations"]
    assert observe_loop.listed(table, "slo", "good", "total") == [("availability", 0, 1), ("latency", 0, 1)]


def test_a_record_without_spans_has_no_rows() -> None:
    part = reduced(TracesData())
    assert part == Reduced({}, {}, -1)


def test_many_names_share_one_row() -> None:
    spans = [Span(name=f"op-{i:03}", kind=Span.SPAN_KIND_CLIENT) for i in range(100)]
    spans += [Span(name="op-099", kind=Span.SPAN_KIND_CLIENT)]
    table = reduced(of_shop(spans)).tables["operations"]
    named = observe_loop.listed(table, "name", "calls")
    assert len(named) == observe_requests.OPERATIONS_MAX + 1
    assert ("op-099", 2) in named
    assert ("__overflow__", 36) in named


def test_exemplars_are_errors_first_then_the_slowest() -> None:
    spans = [Span(kind=Span.SPAN_KIND_SERVER, end_time_unix_nano=1000 * i) for i in range(10)]
    spans[3].status.code = 2
    table = reduced(of_shop(spans)).tables["exemplars"]
    assert observe_loop.listed(table, "duration_us", "error") == [(3, True), (9, False), (8, False), (7, False)]


def test_a_spec_set_with_an_unknown_kind_is_refused() -> None:
    slo = Slo(name="x", sli=SpanSli(service="s", kinds=("sever",)), target_ppm=999_000, tiers=())
    with pytest.raises(ValueError, match="'sever' is none of"):
        observe.plan(SpecSet(slos=(slo,)), SHARDS)


def test_two_versions_of_an_slo_are_two_rows() -> None:
    old = Slo(name="x", sli=SpanSli(service="shop"), target_ppm=999_000, tiers=())
    new = Slo(name="x", sli=SpanSli(service="shop", error_free=False), target_ppm=999_000, tiers=())
    made = of_shop([Span(kind=Span.SPAN_KIND_SERVER, status={"code": 2})])
    part = observe.spans(decoded(made), observe.plan(SpecSet(slos=(old, new)), SHARDS), Source(0, 0, 0))
    got = sorted(observe_loop.listed(part.tables["observations"], "sli", "good", "total"))
    assert got == sorted([(old.sli.hash, 0, 1), (new.sli.hash, 1, 1)])


def of_shop(spans: list[Span]) -> TracesData:
    owner = {"attributes": [otlp_made.attribute("tenant.id", "acme"), otlp_made.attribute("service.name", "shop")]}
    for number, span in enumerate(spans, 1):
        span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
    return TracesData(resource_spans=[ResourceSpans(resource=owner, scope_spans=[ScopeSpans(spans=spans)])])


def one_span(**fields: object) -> TracesData:
    return of_shop([Span(**fields)])
