"""Only what a trusted key signed passes the doors of outcomes and control, and only what decodes those of telemetry."""

import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from detectors import observe
from detectors.rows import Reduced
from schemas import commands, envelope, journal
from schemas.envelope import Event
from schemas.otlp.encoding import Encoding
from stream import control, keys
from stream.ingest import batch, doors, signed_doors
from stream.ingest.batch import Held, ToJournal
from stream.ingest.doors import Addressed, Incoming, Nothing, Otherwise, Refused
from stream.reach import Stored
from tests.detectors import otlp_made
from tests.schemas.otlp import otlp_json

SHARDS = 3
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYID = keys.keyid(KEY.public_key())
TRUSTED = {KEYID: KEY.public_key()}
NAMES = {KEYID: "local"}
PLAN = observe.plan(otlp_made.SPECS, SHARDS)


def incoming(event: Event, key: str = "", **signer: Any) -> Incoming:
    signed = envelope.signed(event, signer.get("keyid", KEYID), signer.get("private", KEY))
    headers, value = envelope.encode(signed)
    return Incoming(Stored(0, 5, 0, key, headers, value), 0)


def outcome(**more: Any) -> Event:
    told = commands.Outcome(
        command="c", kind=commands.CommandKind.APPLY, applies="c", status=commands.OutcomeStatus.LIVE, actuator="local",
        target="t", environment="prod", tenant="acme", incident="i", shard=2, mitigation="m", parameter="p",
        accepted_ms=1,
    )  # fmt: skip
    return Event(more.pop("type", signed_doors.OUTCOME), "id", "/douse/act/local", 5, {**told.fields(), **more})


def test_an_outcome_goes_to_the_shard_of_its_command() -> None:
    content = signed_doors.outcomes(TRUSTED, NAMES, SHARDS)(incoming(outcome()))
    assert isinstance(content, Addressed)
    assert (content.kind, content.shards) == (journal.Kind.OUTCOME, (2,))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (incoming(outcome(), private=OTHER), "the signature does not fit"),
        (incoming(outcome(), keyid="ffff"), "not a trusted actuator's key"),
        (incoming(outcome(shard=SHARDS)), "shard 3 is not one of 3"),
        (incoming(outcome(shard=-1)), "shard -1 is not one of 3"),
        (incoming(outcome(extra=1)), "cannot be read"),
        (incoming(outcome(actuator="other")), "signed by actuator local, and speaks of a target of other"),
        (incoming(outcome(type="dev.douse.command.apply")), "is not 'dev.douse.outcome'"),
        (Incoming(Stored(0, 5, 0, "", [], None), 0), "ce_specversion"),
        (Incoming(Stored(0, 5, 0, "", [], b"\xff"), 0), "ce_specversion"),
    ],
)
def test_what_is_no_outcome_of_ours_is_refused_with_the_reason(record: Incoming, reason: str) -> None:
    content = signed_doors.outcomes(TRUSTED, NAMES, SHARDS)(record)
    assert isinstance(content, Refused)
    assert reason in content.reason


def test_a_decision_of_the_operator_goes_to_all_shards() -> None:
    key, event = control.specs_event(otlp_made.SPECS, 7)
    content = signed_doors.controls(TRUSTED, SHARDS)(incoming(event, key))
    assert isinstance(content, Addressed)
    assert (content.kind, content.shards) == (journal.Kind.CONTROL, (0, 1, 2))


def test_a_decision_of_anybody_else_is_refused() -> None:
    key, event = control.specs_event(otlp_made.SPECS, 7)
    assert isinstance(signed_doors.controls(TRUSTED, SHARDS)(incoming(event, key, private=OTHER)), Refused)
    assert isinstance(signed_doors.controls(TRUSTED, SHARDS)(incoming(event, "kill/global")), Refused)


def test_a_tombstone_of_control_decides_nothing() -> None:
    assert signed_doors.controls(TRUSTED, SHARDS)(Incoming(Stored(0, 5, 0, "specs/all", [], None), 0)) == Nothing()


@pytest.mark.parametrize("value", [b"\xff\xff\xff", b'{"took": 3}', b'{"resourceSpans": 3}', b"\x0a\x05abc"])
def test_what_is_no_telemetry_is_refused(value: bytes) -> None:
    stored = Incoming(Stored(0, 5, 0, "", [], value), 0)
    assert isinstance(doors.spans(PLAN)(stored), Refused)
    assert isinstance(doors.metrics(PLAN)(stored), Refused)
    assert isinstance(doors.logs(PLAN)(stored), Refused)


@settings(max_examples=300, deadline=None)
@given(otlp_made.traces(spans_max=4), st.data())
def test_no_bytes_make_a_door_raise(record: otlp_made.TracesData, data: st.DataObject) -> None:
    value = bytearray(record.SerializeToString())
    for _ in range(data.draw(st.integers(0, 5))):
        if value:
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(value)))
    for payload in (bytes(value), bytes(value[:cut])):
        for door in (doors.spans(PLAN), doors.metrics(PLAN), doors.logs(PLAN)):
            content = door(Incoming(Stored(0, 5, 0, "", [], payload), 0))
            assert isinstance(content, Reduced | Refused)
            if isinstance(content, Reduced):
                held = [Held(("t", 0), 5, content, 0, lambda: None)]
                assert all(isinstance(sent, ToJournal) for sent in batch.compose(held, [("t", 0)], batch.Chain()))


def test_the_header_names_the_tenant() -> None:
    named = otlp_made.attribute("service.name", "shop")
    record = otlp_made.TracesData(
        resource_spans=[{"resource": {"attributes": [named]}, "scope_spans": [{"spans": [one_span()]}]}]
    )
    stored = Stored(0, 5, 0, "", [("x-scope-orgid", b"acme")], record.SerializeToString())
    content = doors.spans(PLAN)(Incoming(stored, 0))
    assert isinstance(content, Reduced)
    assert content.tables["requests"]["tenant"].values == ("acme",)


def test_log_lines_come_in_as_templates_of_the_headers_tenant() -> None:
    request = LogsData()
    block = request.resource_logs.add()
    block.resource.attributes.append(otlp_made.attribute("service.name", "shop"))
    block.scope_logs.add().log_records.add(time_unix_nano=5 * 10**9).body.string_value = "order 17 failed"
    stored = Stored(0, 5, 0, "", [("x-scope-orgid", b"acme")], request.SerializeToString())
    content = doors.logs(PLAN)(Incoming(stored, 0))
    assert isinstance(content, Reduced)
    found = content.tables["logs"]
    assert (found["tenant"].values, found["template"].values) == (("acme",), ("order <n> failed",))
    [sent] = batch.compose([Held(("t", 0), 5, content, 0, lambda: None)], [("t", 0)], batch.Chain())
    assert isinstance(sent, ToJournal)
    body = journal.decode(journal.Record(sent.shard, 0, 0, sent.kind, journal.VERSION, sent.value))
    assert isinstance(body, journal.Telemetry)
    assert body.tables["logs"]["count"].tolist() == [1]


def one_span() -> dict[str, Any]:
    ids = {"trace_id": bytes(15) + b"\x01", "span_id": bytes(7) + b"\x01"}
    return {**ids, "kind": 2, "start_time_unix_nano": 1, "end_time_unix_nano": 2}


def test_rows_that_fit_no_journal_record_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RECORD_BYTES_MAX", 1000)
    named = [otlp_made.attribute("service.name", "shop"), otlp_made.attribute("tenant.id", "acme")]
    record = otlp_made.TracesData(
        resource_spans=[{"resource": {"attributes": named}, "scope_spans": [{"spans": [one_span()]}]}]
    )
    content = doors.spans(PLAN)(Incoming(Stored(0, 5, 0, "", [], record.SerializeToString()), 0))
    assert isinstance(content, Refused)
    assert "more than 1000" in content.reason


def test_a_record_in_the_other_encoding_is_read_as_such_and_says_so() -> None:
    binary = otlp_json.drawn(TracesData, random.Random(3))
    text = otlp_json.document(binary)
    for value, promised, other in (
        (text, Encoding.PROTO, Encoding.JSON),
        (binary.SerializeToString(), Encoding.JSON, Encoding.PROTO),
    ):
        incoming = Incoming(Stored(0, 5, 0, "", [], value), 0)
        found = doors.spans(PLAN, promised)(incoming)
        assert isinstance(found, Otherwise) and found.written is other
        assert isinstance(found.content, Reduced)
        assert isinstance(doors.spans(PLAN, other)(incoming), Reduced)
