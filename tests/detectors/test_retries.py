"""What is sent again is counted on the side that serves it, whoever says so and however."""

import numpy as np
import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from detectors import calls, observe, observe_retries
from detectors.calls import Call
from detectors.evidence import retries
from detectors.rows import Builder, Source
from detectors.spans_seen import Seen
from schemas.otlp import spans as otlp_spans
from schemas.otlp.columns import Spans
from tests.detectors import observe_loop, otlp_made

PLAN = observe.plan(otlp_made.SPECS, 5)
START_NS = otlp_made.START_NS
START_S = START_NS // 10**9
SERVER, CLIENT, CONSUMER = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_CONSUMER
COUNT, ENVOY = "http.request.resend_count", "http.request.header.x-envoy-attempt-count"


def span(kind: int = SERVER, at_s: int = 0, name: str = "GET /") -> Span:
    return Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name=name,
        kind=Span.SpanKind.Name(kind),
        start_time_unix_nano=START_NS,
        end_time_unix_nano=START_NS + at_s * 10**9,
    )


def told(key: str, *values: str | int, kind: int = SERVER, at_s: int = 0) -> list[Span]:
    found = []
    for value in values:
        found.append(span(kind, at_s))
        found[-1].attributes.extend([otlp_made.attribute(key, value)])
    return found


def seen(*spans: Span, tenant: str = "acme") -> Seen:
    named = {"service.name": "shop"} | ({"tenant.id": tenant} if tenant else {})
    owner = Resource(attributes=[otlp_made.attribute(key, value) for key, value in named.items()])
    record = TracesData(resource_spans=[ResourceSpans(resource=owner, scope_spans=[ScopeSpans(spans=spans)])])
    columns = otlp_spans.decode(record.SerializeToString())
    assert isinstance(columns, Spans)
    return observe._seen(columns, observe._owners(columns.resources, columns.resource, PLAN, ""))


def rows(*spans: Span, tenant: str = "acme") -> list[tuple[int, int, int]]:
    """(second, attempts, resends)"""
    one = seen(*spans, tenant=tenant)
    builder = Builder(Source(0, 3, 4), one.entities)
    observe_retries.retries(builder, one)
    table = builder.reduced(0).tables.get("retries")
    return [
        (second - START_S, attempts, resends)
        for second, attempts, resends in observe_loop.listed(table, "bucket_s", "attempts", "resends")
    ]


def test_each_operation_counts_all_its_attempts_though_the_first_says_nothing() -> None:
    eight_tries = [span(), *told(COUNT, 1, 2, 3, 4, 5, 6, 7)]
    assert rows(*eight_tries) == [(0, 8, 7)]
    assert rows(*eight_tries, *told(COUNT, 1), *[span()] * 50) == [(0, 10, 8)]


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ([span()] * 3, "first attempts say nothing"),
        (told(COUNT, 0, 0), "or say that they are the first"),
        (told(COUNT, 1, 2, kind=CLIENT), "a client span tries another service"),
        (told(COUNT, "many", -3), "a count is a number from 0"),
        (told(ENVOY, 1, "1"), "the first attempt is no resend"),
    ],
)
def test_no_row_where_nothing_was_sent_again(spans: list[Span], why: str) -> None:
    assert rows(*spans) == [], why


def test_no_row_without_a_tenant_or_for_synthetic_traffic() -> None:
    assert rows(*told(COUNT, 1), tenant="") == []
    probe = told(COUNT, 1)[0]
    probe.attributes.append(otlp_made.attribute("user_agent.synthetic.type", "bot"))
    assert rows(probe) == []


@pytest.mark.parametrize("kind", [SERVER, CONSUMER])
@pytest.mark.parametrize("header", observe_retries.ATTEMPT_HEADERS)
def test_headers_count_attempts_from_one_as_text_or_number(header: str, kind: int) -> None:
    assert rows(*told(header, "2", 3, kind=kind)) == [(0, 3, 2)]


def test_the_highest_of_what_a_span_says_counts_once() -> None:
    both = told(COUNT, 1)[0]
    both.attributes.append(otlp_made.attribute(ENVOY, "4"))
    assert rows(both) == [(0, 1, 1)]


def test_rows_are_by_the_second_of_the_end() -> None:
    assert rows(*told(COUNT, 1, at_s=2), *told(COUNT, 1, 2, at_s=1)) == [(1, 3, 2), (2, 2, 1)]


def test_the_table_keeps_seconds_and_gives_sums_of_what_it_holds() -> None:
    table = retries.table(1005)
    row = table.rows([("live", "north", "basket")])
    retries.add(table, row.repeat(4), np.array([990, 990, 991, 700]), np.array([[8, 2, 3, 9], [7, 1, 2, 8]]))
    assert retries.seconds(table, 0, 989, 992).tolist() == [[0, 10, 3, 0], [0, 8, 2, 0]]
    assert retries.totals(table, 0, 600, 2000).tolist() == [13, 10]
    table.advance(1005 + 180)
    assert retries.totals(table, 0, 600, 2000).tolist() == [0, 0]


def test_a_snapshot_brings_the_table_back() -> None:
    table, again = retries.table(1005), retries.table(1005)
    retries.add(table, table.rows([("live", "north", "basket")]), np.array([1000]), np.array([[8], [7]]))
    for number, data in table.dirty_segments():
        again.load(number, data)
    assert again.keys == table.keys
    assert retries.totals(again, 0, 990, 1005).tolist() == [8, 7]


def client(name: str, **more: str) -> Span:
    one = span(CLIENT, name=name)
    one.attributes.extend([KeyValue(key=a.key, value=a.value) for a in (otlp_made.attribute(*i) for i in more.items())])
    return one


def test_a_call_is_a_databases_by_its_attributes_and_others_carry_their_peer() -> None:
    one = seen(
        client("SELECT", **{"db.system.name": "postgresql", "server.address": "replica"}),
        client("SELECT", **{"db.system": "mysql"}),
        client("SELECT", **{"server.address": "replica"}),
        client("GET", **{"server.address": "egress", "peer.service": "payments"}),
        client("GET", **{"server.address": "egress"}),
        client("GET"),
        span(Span.SPAN_KIND_INTERNAL, name="pool.acquire"),
    )
    kind, texts, name = calls.named(one, np.arange(7))
    assert [(Call(k), texts[n]) for k, n in zip(kind.tolist(), name.tolist(), strict=True)] == [
        (Call.DATABASE, "SELECT"),
        (Call.DATABASE, "SELECT"),
        (Call.CLIENT, "SELECT -> replica"),
        (Call.CLIENT, "GET -> payments"),
        (Call.CLIENT, "GET -> egress"),
        (Call.CLIENT, "GET"),
        (Call.INTERNAL, "pool.acquire"),
    ]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("GET -> egress", False),
        ("HTTP POST -> egress", False),
        ("GET egress:443 -> egress", False),
        ("GET /v1/charges -> egress", True),
        ("payments.Charge/Create -> egress", True),
        ("GET -> payments.example", False),
        ("GET", False),
    ],
)
def test_a_method_and_a_host_do_not_say_which_interface_is_called(name: str, named: bool) -> None:
    assert calls.names_the_peer(name) is named
