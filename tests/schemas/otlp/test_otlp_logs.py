"""What the columns of logs say, and which records are refused and why."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.otlp import logs
from schemas.otlp.columns import Logs, Rejected, ValueKind

Make = Callable[..., bytes]


def read(record: bytes) -> Logs:
    table = logs.decode(record)
    assert isinstance(table, Logs), table
    return table


def test_an_empty_payload_is_a_request_without_logs() -> None:
    table = read(b"")
    assert len(table) == 0
    assert table.strings == ("",)
    assert table.trace_id.shape == (0, 16)


def test_one_log_record_is_read_whole(log: Make) -> None:
    attributes = [{"key": "exception.type", "value": {"string_value": "Timeout"}}, {"key": "n", "value": {}}]
    table = read(
        log(
            severity_text="ERROR",
            trace_id=bytes(range(16)),
            span_id=b"\1" + bytes(7),
            event_name="call.failed",
            attributes=attributes,
        )
    )
    assert table.severity.tolist() == [17]
    assert [table.strings[code] for code in (table.body[0], table.severity_text[0], table.event_name[0])] == [
        "no connection",
        "ERROR",
        "call.failed",
    ]
    assert table.trace_id.tobytes() == bytes(range(16))
    assert table.span_id.tolist() == [2**56]
    assert [ValueKind(kind) for kind in table.attributes.kind] == [ValueKind.STRING, ValueKind.NONE]
    assert table.resources[0].attributes == {"service.name": "cart"}


@pytest.mark.parametrize(("times", "counts"), [((5, 9), 5), ((0, 9), 9), ((5, 0), 5), ((0, 0), 0)])
def test_the_time_of_the_event_counts_else_that_of_its_observation(
    times: tuple[int, int], counts: int, log: Make
) -> None:
    assert read(log(time_unix_nano=times[0], observed_time_unix_nano=times[1])).time_ns.tolist() == [counts]


MAP = {"kvlist_value": {"values": [{"key": "level", "value": {"string_value": "warn"}}]}}
SAID = {"kvlist_value": {"values": [{"key": "msg", "value": {"string_value": "it broke"}}]}}


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ({"string_value": "it broke"}, ValueKind.STRING, "it broke"),
        (SAID, ValueKind.KVLIST, "it broke"),
        (MAP, ValueKind.KVLIST, ""),
        ({"int_value": 3}, ValueKind.INT, ""),
        ({"array_value": {"values": [{"string_value": "a"}]}}, ValueKind.ARRAY, ""),
        ({"bytes_value": b"x"}, ValueKind.BYTES, ""),
        ({}, ValueKind.NONE, ""),
    ],
)
def test_a_body_is_its_text_or_the_message_of_a_map(
    body: Mapping[str, Any], kind: ValueKind, text: str, log: Make
) -> None:
    table = read(log(body=body))
    assert (ValueKind(table.body_kind[0]), table.strings[table.body[0]]) == (kind, text)


def test_a_severity_that_otlp_does_not_have_is_none(log: Make) -> None:
    assert [read(log(severity_number=number)).severity[0] for number in (0, 24, 25, -1)] == [0, 24, 0, 0]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b"short"}, "a trace id of 5 bytes, not 16 or none"),
        ({"span_id": b"short"}, "a span id of 5 bytes, not 8 or none"),
        ({"time_unix_nano": 2**63}, "a time beyond the year 2262"),
        ({"observed_time_unix_nano": 2**64 - 1}, "a time beyond the year 2262"),
    ],
)
def test_what_cannot_be_a_log_record_is_refused(fields: dict[str, Any], reason: str, log: Make) -> None:
    refused = logs.decode(log(**fields))
    assert isinstance(refused, Rejected)
    assert f"log record 0 has {reason}" in refused.reason


def test_a_span_and_a_metric_are_refused_by_name(span: Make, metric: Make) -> None:
    for record, name in ((span(), "spans"), (metric(name="m", gauge={"data_points": [{"as_int": 1}]}), "metrics")):
        refused = logs.decode(record)
        assert isinstance(refused, Rejected)
        assert f"this is an OTLP {name} request" in refused.reason
