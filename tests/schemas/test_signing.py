"""Signatures: they hold for exactly one event of exactly one key, and nothing that is sent can break the check."""

from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import canonical, signing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEYS = {"key": KEY.public_key(), "other": OTHER.public_key()}
EVENT: dict[str, Any] = {
    "ce_type": "dev.douse.command.apply",
    "ce_id": "c-1",
    "ce_source": "/douse/detect/3",
    "data": {"target": "north-pool", "maximum": 64, "action": {"op": "scale", "numerator": 2}, "tenants": ["north"]},
}
SIGNATURE = signing.sign(KEY, **EVENT)


def signer(keyid: str = "key", signature: str = SIGNATURE, **changed: Any) -> str | None:
    return signing.signer(KEYS, keyid, signature, **{**EVENT, **changed})


def test_the_owners_signature_over_the_event_holds() -> None:
    assert signer() == "key"


def test_the_order_of_keys_does_not_matter_and_repeats_keep_their_bytes() -> None:
    assert signer(data=dict(reversed(EVENT["data"].items()))) == "key"
    assert signing.sign(KEY, **EVENT) == SIGNATURE


@pytest.mark.parametrize(
    "changed",
    [
        {"ce_type": "dev.douse.command.revert"},
        {"ce_id": "c-2"},
        {"ce_source": "/douse/detect/4"},
        {"keyid": "other"},
        {"keyid": ""},
        {"keyid": "nobody"},
        {"signature": ""},
        {"signature": signing.sign(OTHER, **EVENT)},
        {"data": {**EVENT["data"], "target": "south-pool"}},
        {"data": {**EVENT["data"], "maximum": 65}},
        {"data": {**EVENT["data"], "maximum": "64"}},
        {"data": {**EVENT["data"], "action": {"op": "scale", "numerator": 3}}},
        {"data": {**EVENT["data"], "tenants": ["north", "south"]}},
        {"data": {**EVENT["data"], "more": None}},
        {"data": {name: value for name, value in EVENT["data"].items() if name != "tenants"}},
        {"data": None},
        {"ce_id": "c-1", "ce_source": ""},
    ],
    ids=str,
)
def test_one_changed_field_fails(changed: dict[str, Any]) -> None:
    assert signer(**changed) is None


def test_fields_cannot_be_moved_into_each_other() -> None:
    event = {**EVENT, "ce_id": "c-1/douse", "ce_source": "/detect/3"}
    assert signing.signed_bytes(**event) != signing.signed_bytes(
        **{**EVENT, "ce_id": "c-1", "ce_source": "/douse/detect/3"}
    )
    assert signer(ce_id="c-1/douse", ce_source="/detect/3") is None


@given(st.integers(0, 511))
@settings(max_examples=64)
def test_one_changed_bit_of_the_signature_fails(bit: int) -> None:
    raw = bytearray(b64decode(SIGNATURE))
    raw[bit // 8] ^= 1 << bit % 8
    assert signer(signature=b64encode(raw).decode()) is None


@given(st.text(max_size=120))
def test_any_text_as_a_signature_is_a_plain_no(signature: str) -> None:
    assert signer(signature=signature) is None


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [1.5, {"a": [float("inf")]}, {"a": 2**70}, {1: 2}, deep(300), deep(1000), deep(5000)],
    ids=["float", "infinity", "too large", "number as key", "300 deep", "1000 deep", "5000 deep"],
)
def test_data_that_has_no_canonical_form_is_a_plain_no(data: Any) -> None:
    assert signer(data=data) is None


def test_signed_are_type_id_source_and_data_in_canonical_form() -> None:
    assert signing.signed_bytes("t", "i", "s", {"b": 1, "a": 2}) == canonical.dumps(
        {"type": "t", "id": "i", "source": "s", "data": {"a": 2, "b": 1}}
    )
