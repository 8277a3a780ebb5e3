"""OTLP records by chance, for tests: protobuf built span by span, with every shape that counting has to tell apart."""

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from schemas.slo import Severity, Slo, SpanSli, Tier
from schemas.specs import SpecSet

TENANTS = ("acme", "globex", "initech")
SERVICES = ("shop", "cart", "unknown_service:java")
NAMES = ("GET /", "POST /order", "query", "wait")
TIERS = (Tier(name="act", severity=Severity.ACT, long_s=60, short_s=5, factor_milli=43_200),)
SLOS = (
    Slo(name="availability", sli=SpanSli(service="shop"), target_ppm=999_000, tiers=TIERS),
    Slo(
        name="latency",
        sli=SpanSli(service="shop", error_free=False, latency_ms_max=250),
        target_ppm=990_000,
        tiers=TIERS,
    ),
    Slo(
        name="orders",
        sli=SpanSli(service="shop", kinds=("server", "client"), match={"name": "POST /order"}),
        target_ppm=999_000,
        tiers=TIERS,
    ),
    Slo(
        name="route",
        sli=SpanSli(service="cart", match={"http.route": "/a", "http.response.status_code": "200"}),
        target_ppm=999_000,
        tiers=TIERS,
    ),
)
SPECS = SpecSet(slos=SLOS)
START_NS = 1_790_000_000_000_000_000

durations_ns = st.one_of(st.sampled_from([0, 1, 250_000_000, 250_000_001, 2**30]), st.integers(-1000, 20_000_000_000))
status_codes = st.sampled_from([200, 404, 499, 500, 503])


def attribute(key: str, value: str | int | bool) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))


@st.composite
def span(draw: st.DrawFn) -> Span:
    attributes = []
    if draw(st.booleans()):
        attributes.append(attribute("http.request.method", "GET"))
    codes = draw(st.lists(status_codes, max_size=2))
    attributes += [attribute("http.response.status_code", code) for code in codes]
    if draw(st.booleans()):
        attributes.append(attribute("http.route", draw(st.sampled_from(["/a", "/b"]))))
    if draw(st.integers(0, 9)) == 0:
        attributes.append(attribute("user_agent.synthetic.type", "bot"))
    end_ns = START_NS + draw(st.integers(0, 3_000_000_000))
    return Span(
        trace_id=draw(st.binary(min_size=16, max_size=16)),
        span_id=draw(st.binary(min_size=8, max_size=8)),
        name=draw(st.one_of(st.sampled_from(NAMES), st.integers(0, 200).map(lambda i: f"op-{i}"))),
        kind=draw(st.integers(0, 5)),
        start_time_unix_nano=end_ns - draw(durations_ns),
        end_time_unix_nano=end_ns,
        status=Status(code=draw(st.sampled_from([0, 0, 1, 2]))),
        trace_state=draw(st.sampled_from(["", "ot=th:0", "ot=th:8", "other=th:8"])),
        attributes=attributes,
    )


@st.composite
def resource(draw: st.DrawFn) -> Resource:
    attributes = []
    named = draw(st.dictionaries(st.sampled_from(["tenant.id", "tenant_id"]), st.sampled_from(TENANTS)))
    attributes += [attribute(key, tenant) for key, tenant in named.items()]
    if draw(st.integers(0, 5)):
        attributes.append(attribute("service.name", draw(st.sampled_from(SERVICES))))
    if draw(st.booleans()):
        attributes.append(attribute("deployment.environment.name", "prod"))
    return Resource(attributes=attributes)


@st.composite
def traces(draw: st.DrawFn, spans_max: int = 30) -> TracesData:
    blocks = draw(st.lists(st.tuples(resource(), st.lists(span(), max_size=spans_max)), max_size=4))
    return TracesData(
        resource_spans=[ResourceSpans(resource=owner, scope_spans=[ScopeSpans(spans=spans)]) for owner, spans in blocks]
    )
