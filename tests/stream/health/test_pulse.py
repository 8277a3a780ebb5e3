"""The endpoint tells what the loop noted, and goes on telling when the loop does not turn."""

import logging
import socket
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope, signing
from schemas.events import HEARTBEAT_TYPE, Heartbeat
from stream.detect import watch
from stream.health import server, vitals
from stream.health.act import ActFamilies
from stream.health.pulse import Pulse
from stream.health.server import CONNECTIONS_MAX, Server
from stream.health.vitals import LOOP_S_MAX, STANDS_S_MAX, Look, Vitals
from stream.settings import Settings
from tests.faults import harness
from tests.stream.health.exposition import free_address, get, value


@pytest.fixture
def served() -> Iterator[tuple[Server, Vitals]]:
    seen = Vitals()
    made = Server("127.0.0.1", 0, ActFamilies().registry, seen)
    made.begin()
    yield made, seen
    made.shutdown()
    made.server_close()


def test_before_its_first_beat_a_worker_lives_and_is_not_ready() -> None:
    assert vitals.sick(Vitals(), 1e9) == ""
    assert "waits for its start" in vitals.unready(Vitals(), 1e9)


def test_a_loop_that_does_not_turn_is_sick_and_not_ready() -> None:
    seen = Vitals(beat_s=100.0, waits_for="")
    assert vitals.unready(seen, 100.0 + LOOP_S_MAX) == ""
    assert "has not turned" in vitals.sick(seen, 101.0 + LOOP_S_MAX)
    assert "has not turned" in vitals.unready(seen, 101.0 + LOOP_S_MAX)


def test_a_position_that_stands_with_more_to_read_is_told_and_no_heartbeat_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pulse = Pulse(Settings(), ActFamilies())
    behind = Look({"a": (5, 9), "b": (9, 9)})
    pulse.beat(behind, 0.0, 1000.0)
    pulse.beat(behind, STANDS_S_MAX - 1, 1029.0)
    assert pulse.vitals.stalled == ""
    pulse.beat(behind, STANDS_S_MAX, 1030.0)
    assert vitals.sick(pulse.vitals, STANDS_S_MAX) == "a stands still although there is more to read"
    assert "a stands still" in caplog.text
    text = server.choose_encoder("")[0](pulse.families.registry).decode()
    assert value(text, "douse_heartbeat_timestamp_seconds", app="act") == 1029
    assert value(text, "douse_stalled") == 1
    pulse.beat(Look({"a": (6, 9)}), STANDS_S_MAX + 1, 1031.0)
    assert pulse.vitals.stalled == ""


def test_a_partition_that_was_away_did_not_stand_still() -> None:
    pulse = Pulse(Settings(), ActFamilies())
    pulse.beat(Look({"a": (5, 9)}), 0.0, 0.0)
    pulse.beat(Look(), 1.0, 0.0)
    pulse.beat(Look({"a": (5, 9)}), STANDS_S_MAX, 0.0)
    assert pulse.vitals.stalled == ""


def test_the_endpoint_answers_by_what_was_noted(served: tuple[Server, Vitals]) -> None:
    made, seen = served
    assert get(made.address, "/readyz") == (503, "waits for its start\n")
    assert get(made.address, "/healthz") == (200, "ok\n")
    seen.beat_s, seen.waits_for = time.monotonic(), ""
    assert get(made.address, "/readyz") == (200, "ok\n")
    seen.beat_s -= LOOP_S_MAX + 1
    assert get(made.address, "/healthz")[0] == 503
    status, text = get(made.address, "/metrics")
    assert (status, value(text, "douse_ready")) == (200, 0)
    assert get(made.address, "/else")[0] == 404


def test_more_connections_than_the_limit_are_turned_away_at_once(served: tuple[Server, Vitals]) -> None:
    made, _ = served
    host, _, port = made.address.partition(":")
    idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(CONNECTIONS_MAX)]
    assert get(made.address, "/healthz")[0] == 0
    for one in idle:
        one.close()
    harness.until(lambda: get(made.address, "/healthz")[0] == 200, "a free place", pause_s=0.01)


@pytest.mark.parametrize(("part_s", "whole_s"), [(0.1, 60.0), (60.0, 0.1)])
def test_a_client_that_says_nothing_or_trickles_is_ended(
    served: tuple[Server, Vitals], monkeypatch: pytest.MonkeyPatch, part_s: float, whole_s: float
) -> None:
    made, _ = served
    monkeypatch.setattr(server.Answer, "timeout", part_s)
    monkeypatch.setattr(server, "REQUEST_S_MAX", whole_s)
    host, _, port = made.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as slow:
        slow.sendall(b"GET /met")
        assert slow.recv(1) == b""
    assert get(made.address, "/healthz")[0] == 200


def test_an_address_that_is_taken_costs_the_endpoint_and_is_said(
    served: tuple[Server, Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    made, _ = served
    with caplog.at_level(logging.WARNING):
        Pulse(Settings(), ActFamilies()).serve(made.address)
        Pulse(Settings(), ActFamilies()).serve("127.0.0.1:99999")
    assert caplog.text.count("`act_metrics_address`") == 2


def test_off_opens_nothing() -> None:
    address = free_address()
    pulse = Pulse(Settings(act_metrics_address="off"), ActFamilies())
    pulse.serve("off")
    assert get(address, "/healthz")[0] == 0


def test_a_heartbeat_is_an_event_with_its_workers_signature() -> None:
    key = Ed25519PrivateKey.generate()
    pulse = Pulse(Settings(), ActFamilies(), "host", ("k", key))
    first, second = pulse.heartbeat(1_000), pulse.heartbeat(2_000)
    assert first.id != second.id
    event = envelope.decode(*envelope.encode(second))
    assert signing.holds(key.public_key(), event.signature, event.type, event.id, event.source, event.data)
    told = Heartbeat.read(event.data)
    assert (event.type, told.app, told.actuator, told.sequence) == (HEARTBEAT_TYPE, "act", "host", 2)
    assert Pulse(Settings(), ActFamilies()).heartbeat(1).signature == ""


def test_the_readers_of_digests_pass_over_heartbeats_and_warn_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard = watch.Watch(4, "k", Ed25519PrivateKey.generate().public_key())
    heard.hear(*envelope.encode(Pulse(Settings(), ActFamilies()).heartbeat(1)))
    assert caplog.text == ""
    assert heard.news(0, 1.0) is None
