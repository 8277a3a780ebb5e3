"""The other shards as a worker hears them: signed digests only, the newest of each, told when there is news."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope
from schemas.envelope import Event
from schemas.events import STATUS_TYPE, Status
from schemas.fleet import Digest
from stream.detect.watch import Watch

NOW_MS = 1_800_000_000_000
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def record(
    number: int,
    at_ms: int = NOW_MS,
    key: Ed25519PrivateKey = KEY,
    keyid: str = "ours",
    kind: str = STATUS_TYPE,
    **digest: Any,
) -> tuple[envelope.Headers, bytes]:
    status = Status(
        shard=number,
        journal_offset=0,
        at_ms=at_ms,
        stale=False,
        lag_ms=0,
        act_from_ms=0,
        rows=(),
        rows_left_out=0,
        counters={},
        fleet=Digest(**digest),
    )
    event = Event(kind, f"{number}-{at_ms}", "/douse/detect/0", at_ms, status.fields())
    return envelope.encode(envelope.signed(event, keyid, key))


def watch(*records: tuple[envelope.Headers, bytes], shards: int = 2) -> Watch:
    made = Watch(shards, "ours", KEY.public_key())
    for headers, value in records:
        made.hear(headers, value)
    return made


def test_the_newest_digest_of_each_shard_counts() -> None:
    made = watch(record(0, NOW_MS - 2_000, tenants=9), record(1, tenants=2), record(0, tenants=1))
    seen = made.news(0, 0.0)
    assert seen is not None and (seen.tenants, seen.unknown, seen.at_ms) == (3, (), NOW_MS)


def test_a_forged_digest_neither_hides_a_storm_nor_makes_one() -> None:
    honest = record(1, alarming=3)
    headers, value = honest
    swapped = (headers, value.replace(b'"alarming":3', b'"alarming":0'))
    unsigned = ([header for header in headers if header[0] not in ("ce_signature", "ce_keyid")], value)
    forgeries = [
        swapped,
        unsigned,
        record(1, NOW_MS + 1, OTHER, alarming=0),
        record(1, NOW_MS + 1, OTHER, "other", alarming=0),
        record(1, NOW_MS + 1, kind="dev.douse.outcome", alarming=0),
        record(7, NOW_MS + 1, alarming=5),
        ([], b"{}"),
        (headers, b"no json"),
    ]
    seen = watch(honest, *forgeries).news(0, 0.0)
    assert seen is not None and (seen.alarming, seen.at_ms) == (3, NOW_MS)


def test_a_tick_brings_the_fleet_once_a_second_and_at_once_when_it_has_changed() -> None:
    made = watch(record(0), record(1))
    assert made.news(0, 10.0) is not None
    assert made.news(0, 10.25) is None
    made.hear(*record(1, NOW_MS + 300))
    assert made.news(0, 10.5) is None, "nothing but its time is new"
    made.hear(*record(1, NOW_MS + 400, alarming=1))
    seen = made.news(0, 10.75)
    assert seen is not None and seen.alarming == 1
    made.hear(*record(0, NOW_MS + 1_000))
    assert made.news(0, 11.75) is not None
    assert made.news(0, 12.75) is None, "no digest came since: what the fold holds grows old, as it should"


def test_each_shard_is_told_for_itself_and_again_when_it_comes_back() -> None:
    made = watch(record(0), record(1))
    assert made.news(0, 0.0) is not None
    assert made.news(1, 0.0) is not None
    made.forget(1)
    assert made.news(0, 0.25) is None
    assert made.news(1, 0.25) is not None


def test_without_any_digest_nothing_is_told() -> None:
    assert watch().news(0, 0.0) is None
