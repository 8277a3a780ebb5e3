"""Any bytes whatever give columns or a reason, never an exception and never a part taken for the whole."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.otlp import logs, metrics, spans
from schemas.otlp.columns import Logs, Metrics, Rejected, Spans

Answer = Spans | Metrics | Logs | Rejected
Decode = Callable[[bytes], Answer]
Make = Callable[..., bytes]
Sample = Callable[[str], list[bytes]]

DECODERS: list[Decode] = [spans.decode, metrics.decode, logs.decode]
SIGNALS: list[tuple[Decode, str]] = [(spans.decode, "spans"), (metrics.decode, "metrics"), (logs.decode, "logs")]


def is_answer(answer: Answer) -> bool:
    if isinstance(answer, Rejected):
        return len(answer.reason) > 10 and answer.offset >= -1
    return len(answer.strings) >= 1


def blocks(answer: Answer) -> int:
    return -1 if isinstance(answer, Rejected) else len(answer.resources)


@pytest.fixture(scope="module")
def small(span: Make, metric: Make, log: Make) -> dict[str, bytes]:
    buckets = {"count": 3, "sum": 1.5, "bucket_counts": [1, 2], "explicit_bounds": [0.1], "time_unix_nano": 2**60}
    return {
        "spans": span(
            attributes=[{"key": "a", "value": {"string_value": "b"}}], events=[{"name": "e"}], status={"code": 2}
        ),
        "metrics": metric(name="duration", unit="s", histogram={"data_points": [buckets]}),
        "logs": log(trace_id=b"t" * 16, span_id=b"s" * 8, attributes=[{"key": "a", "value": {"string_value": "b"}}]),
    }


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
def test_a_record_cut_anywhere_is_refused(decode: Decode, signal: str, small: dict[str, bytes]) -> None:
    whole = small[signal]
    assert blocks(decode(whole)) == 1
    for length in range(1, len(whole)):
        assert isinstance(decode(whole[:length]), Rejected), length


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
def test_a_collectors_record_cut_anywhere_is_refused_or_ends_between_two_blocks(
    decode: Decode, signal: str, sample: Sample
) -> None:
    for record in sorted(sample(f"kafka/{signal}.proto.bin"), key=len)[:2]:
        whole = blocks(decode(record))
        found = [blocks(decode(record[:length])) for length in range(len(record))]
        accepted = [count for count in found if count >= 0]
        assert accepted == list(range(whole)), "nothing, then one block more at each end of a block"


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
def test_one_more_byte_is_refused(decode: Decode, signal: str, small: dict[str, bytes]) -> None:
    for byte in range(256):
        assert isinstance(decode(small[signal] + bytes([byte])), Rejected), byte


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
def test_text_after_a_record_is_refused(decode: Decode, signal: str, small: dict[str, bytes]) -> None:
    for rest in (b"garbage", b"\x00" * 8, b"\x10\x01", b"\x12\x03abc", b"\x0b\x0c", b"\xff" * 12):
        assert isinstance(decode(small[signal] + rest), Rejected), rest


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
def test_every_flipped_bit_gives_an_answer(decode: Decode, signal: str, small: dict[str, bytes]) -> None:
    whole = small[signal]
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            assert is_answer(decode(bytes(flipped))), (place, bit)


@pytest.mark.parametrize(
    ("decode", "other"),
    [
        (spans.decode, "metrics"),
        (spans.decode, "logs"),
        (metrics.decode, "spans"),
        (metrics.decode, "logs"),
        (logs.decode, "spans"),
        (logs.decode, "metrics"),
    ],
)
def test_a_collectors_records_of_the_other_signal_are_refused_by_name(
    decode: Decode, other: str, sample: Sample
) -> None:
    for way in ("proto", "batched", "keyed", "tenant"):
        for record in sample(f"kafka/{other}.{way}.bin"):
            answer = decode(record)
            assert isinstance(answer, Rejected)
            assert f"this is an OTLP {other} request" in answer.reason


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
def test_a_collectors_json_is_refused_by_name(decode: Decode, signal: str, sample: Sample) -> None:
    for record in sample(f"kafka/{signal}.json.bin"):
        answer = decode(record)
        assert isinstance(answer, Rejected)
        assert "otlp_json" in answer.reason


@pytest.mark.parametrize("decode", DECODERS)
@given(payload=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_an_answer(decode: Decode, payload: bytes) -> None:
    assert is_answer(decode(payload))


@pytest.mark.parametrize(("decode", "signal"), SIGNALS)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_damage_to_a_record_gives_an_answer(
    decode: Decode, signal: str, data: st.DataObject, small: dict[str, bytes]
) -> None:
    whole = small[signal]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=30)) + whole[end:]
    assert is_answer(decode(damaged))


@pytest.mark.parametrize("decode", DECODERS)
def test_values_nested_without_end_give_an_answer(decode: Decode) -> None:
    nested = b""
    for _ in range(500):
        nested = b"\x0a" + _varint(len(nested)) + nested
    assert is_answer(decode(nested))


def _varint(number: int) -> bytes:
    low = []
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*low, number])
