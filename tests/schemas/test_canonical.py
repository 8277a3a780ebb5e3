"""The canonical form: one text for one value, and no value that has two."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import canonical

WHOLE = st.integers(-(2**63), 2**64 - 1)
JSON: Any = st.recursive(
    st.none() | st.booleans() | WHOLE | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_is_written_reads_back_and_is_written_the_same(value: Any) -> None:
    data = canonical.dumps(value)
    assert canonical.loads(data) == value
    assert canonical.dumps(canonical.loads(data)) == data


@given(st.dictionaries(st.text(), st.integers(0, 9), min_size=2))
def test_the_order_of_keys_is_not_part_of_the_value(value: dict[str, int]) -> None:
    assert canonical.dumps(dict(reversed(value.items()))) == canonical.dumps(value)


def test_the_form_itself() -> None:
    value: Any = {"z": [1, True, None], "a": {"é": "\n", "b": -5}}
    assert canonical.dumps(value) == '{"a":{"b":-5,"é":"\\n"},"z":[1,true,null]}'.encode()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (1.0, r"\$"),
        ({"a": [0, {"b": float("nan")}]}, r"\$\.a\[1\]\.b"),
        ((1, 2.5), r"\$\[1\]"),
        ({"a": 1e300}, r"\$\.a"),
    ],
)
def test_a_float_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(TypeError, match=f"^{place} is a float"):
        canonical.dumps(value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, {1: 2}, b"bytes", {"a": {1, 2}}])
def test_what_json_readers_elsewhere_could_not_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical.dumps(value)


@pytest.mark.parametrize("depth", [200, 255, 900, 1000, 5000])
def test_depth_is_refused_by_a_plain_error_and_never_by_a_full_stack(depth: int) -> None:
    """Anyone who may write to a topic may send brackets: they are read before a signature is checked."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]} if depth % 2 else [value]
    with pytest.raises(TypeError, match="deep"):
        canonical.dumps(value)


@given(st.binary(max_size=200))
def test_bytes_that_are_not_json_are_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        canonical.loads(data)


def test_ids_are_the_same_in_every_process_and_differ_where_a_part_differs() -> None:
    assert canonical.digest("plan", "i-1", 0) == "20aff9f1dc06d709cbc5bb808fc583c9"
    parts = [("a", "b"), ("ab",), ("b", "a"), ("a", "b", ""), ("a", 1), ("a", 11), ("", "a", "b")]
    assert len({canonical.digest(*one) for one in parts}) == len(parts)


def test_hash64_is_the_first_eight_bytes_big_endian() -> None:
    assert canonical.hash64(b"") == 0xE4A6A0577479B2B4
