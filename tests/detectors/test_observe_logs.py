"""Log records become counts of templates: nobody's logs in somebody's rows, no body as it was, nothing twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData

from detectors import observe, observe_logs, rows
from detectors.rows import Reduced, Source
from schemas.journal import Unattributed
from schemas.otlp import logs
from schemas.otlp.columns import Logs, Severity
from tests.detectors import observe_loop, otlp_made

PLAN = observe.plan(otlp_made.SPECS, 8)
SECOND = 1_800_000_000
SHOP = {"service.name": "shop", "tenant.id": "acme"}


def line(body: str = "it broke", at_s: float = 0.0, severity: int = 17, **fields: Any) -> LogRecord:
    attributes = [otlp_made.attribute(key, value) for key, value in fields.pop("attributes", {}).items()]
    time_ns = SECOND * 10**9 + round(at_s * 10**9)
    return LogRecord(
        time_unix_nano=time_ns,
        severity_number=severity,
        body={"string_value": body} if body else None,
        attributes=attributes,
        **fields,
    )


def reduced(*blocks: tuple[Mapping[str, str], Sequence[LogRecord]], header: str = "") -> Reduced:
    request = LogsData()
    for named, lines in blocks:
        block = request.resource_logs.add()
        block.resource.attributes.extend(otlp_made.attribute(key, value) for key, value in named.items())
        block.scope_logs.add().log_records.extend(lines)
    columns = logs.decode(request.SerializeToString())
    assert isinstance(columns, Logs)
    return observe.logs(columns, PLAN, Source(0, 3, 4), header)


def listed(part: Reduced, *columns: str) -> list[tuple[Any, ...]]:
    return observe_loop.listed(part.tables.get("logs"), *columns)


def raised(kind: str, message: str = "", **fields: Any) -> LogRecord:
    return line(attributes={"exception.type": kind, "exception.message": message}, **fields)


def test_lines_count_by_entity_severity_template_and_second() -> None:
    lines = [line("slow: 3 ms"), line("slow: 45 ms", 0.9), line("slow: 7 ms", 1.0), line("slow: 7 ms", severity=13)]
    part = reduced((SHOP, lines), ({**SHOP, "tenant.id": "globex"}, [line("slow: 1 ms")]))
    assert listed(part, "tenant", "service", "severity", "template", "bucket_s", "count") == [
        ("acme", "shop", Severity.WARN, "slow: <n> ms", SECOND, 1),
        ("acme", "shop", Severity.ERROR, "slow: <n> ms", SECOND, 2),
        ("acme", "shop", Severity.ERROR, "slow: <n> ms", SECOND + 1, 1),
        ("globex", "shop", Severity.ERROR, "slow: <n> ms", SECOND, 1),
    ]


def test_each_tenants_rows_go_to_its_shard_and_carry_the_records_position() -> None:
    part = reduced((SHOP, [line()]), ({**SHOP, "tenant.id": "globex"}, [line()]))
    assert listed(part, "source", "offset", "hash") == [(0, 3, 4)] * 2
    assert len(set(part.shards["logs"].tolist())) == 2
    assert part.newest_ms == SECOND * 1000


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({"service.name": "shop"}, Unattributed.MISSING),
        ({**SHOP, "service.tenant": "globex"}, Unattributed.CONFLICT),
        ({"tenant.id": "acme"}, Unattributed.UNKNOWN_SERVICE),
    ],
)
def test_what_fits_no_tenant_is_counted_and_says_nothing_else(named: dict[str, str], reason: Unattributed) -> None:
    part = reduced((named, [line("the secret of somebody")] * 3))
    assert set(part.tables) == {"unattributed"}
    counted = observe_loop.listed(part.tables["unattributed"], "reason", "spans", "points", "logs")
    assert counted == [(reason, 0, 0, 3)]


def test_a_header_that_names_another_tenant_makes_it_nobodys() -> None:
    part = reduced((SHOP, [line()]), header="globex")
    assert set(part.tables) == {"unattributed"}


def test_an_exception_is_its_type_and_its_masked_message() -> None:
    part = reduced((SHOP, [raised("java.net.SocketTimeoutException", "no answer from api.example in 3012 ms")]))
    assert listed(part, "template") == [("java.net.SocketTimeoutException: no answer from api.example in <n> ms",)]


def test_an_exception_without_a_message_is_told_by_the_body() -> None:
    assert listed(reduced((SHOP, [raised("Timeout")])), "template") == [("Timeout: it broke",)]


def test_a_record_without_text_is_named_by_its_event() -> None:
    part = reduced((SHOP, [line("", event_name="device.boot"), line("")]))
    assert listed(part, "template", "count") == [("<no text>", 1), ("device.boot", 1)]


TRACE, SPAN = b"t" * 16, b"s" * 8


def test_one_exception_of_a_span_counts_once_however_often_it_is_logged() -> None:
    again = [raised("Timeout", f"try {n}", trace_id=TRACE, span_id=SPAN) for n in range(3)]
    others = [
        raised("Refused", trace_id=TRACE, span_id=SPAN),
        raised("Timeout", trace_id=TRACE, span_id=b"u" * 8),
        raised("Timeout", trace_id=b"v" * 16, span_id=SPAN),
    ]
    assert sum(count for (count,) in listed(reduced((SHOP, [*again, *others])), "count")) == 4


def test_lines_of_a_span_that_are_no_exceptions_and_exceptions_of_no_span_all_count() -> None:
    lines = [line(trace_id=TRACE, span_id=SPAN)] * 3 + [raised("Timeout")] * 2
    assert sum(count for (count,) in listed(reduced((SHOP, lines)), "count")) == 5


def test_a_row_names_the_first_trace_that_any_of_its_lines_names() -> None:
    part = reduced((SHOP, [line(), line(trace_id=TRACE), line(trace_id=b"u" * 16), line("other")]))
    assert listed(part, "template", "trace_id") == [("it broke", TRACE.hex()), ("other", "")]


def test_beyond_the_limit_the_rarest_templates_share_a_name_and_none_is_lost() -> None:
    names = [f"{a}{b} broke" for a in "abcdefghij" for b in "abcdefghij"][: observe_logs.TEMPLATES_MAX + 5]
    lines = [line(name) for name in names] + [line(name) for name in names[5:]]
    found = dict(listed(reduced((SHOP, lines)), "template", "count"))
    assert len(found) == observe_logs.TEMPLATES_MAX + 1
    assert found[rows.OVERFLOW] == 5
    assert sum(found.values()) == len(lines)


@pytest.mark.parametrize(
    ("number", "text", "severity"),
    [(number, "", Severity((number + 3) // 4)) for number in range(25)]
    + [
        (0, "warning", Severity.WARN),
        (0, "ERR", Severity.ERROR),
        (0, "Critical", Severity.FATAL),
        (0, "information", Severity.INFO),
        (0, "er", Severity.UNSPECIFIED),
        (0, "what I always wanted to say", Severity.UNSPECIFIED),
        (9, "ERROR", Severity.INFO),
    ],
)
def test_severities_fall_in_otlps_classes(number: int, text: str, severity: Severity) -> None:
    assert listed(reduced((SHOP, [line(severity=number, severity_text=text)])), "severity") == [(severity,)]


def test_rows_do_not_depend_on_the_order_of_lines() -> None:
    lines = [line(f"{word} {n}", n % 3, severity) for n in range(9) for word in "ab" for severity in (9, 17)]
    columns = ("severity", "template", "bucket_s", "count")
    assert listed(reduced((SHOP, lines)), *columns) == listed(reduced((SHOP, lines[::-1])), *columns)


def test_no_number_of_a_body_reaches_a_table() -> None:
    part = reduced((SHOP, [line(f"card 4111111111111{n} declined") for n in range(111, 200)]))
    for column in part.tables["logs"].values():
        texts = column.values if hasattr(column, "values") else np.unique(column).astype(str)
        assert not any("4111" in str(text) for text in texts)
