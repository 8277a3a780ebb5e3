"""Archives made for tests."""

from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

from stream.archive.record import Stored
from stream.archive.writing import Writer

HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple)


def stored(topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None = b"v") -> Stored:
    return Stored(
        topic=topic, partition=partition, offset=offset, timestamp_ms=timestamp_ms, key=None, headers=(), value=value
    )


@st.composite
def partitions(draw: st.DrawFn) -> list[list[Stored]]:
    """A few partitions with offsets that rise with gaps, and times that may go back."""
    found = []
    names = draw(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=4, unique=True))
    for topic, partition in names:
        offset, records = draw(st.integers(0, 5)), []
        for _ in range(draw(st.integers(1, 8))):
            records.append(
                Stored(
                    topic=topic,
                    partition=partition,
                    offset=offset,
                    timestamp_ms=draw(st.integers(0, 20)),
                    key=draw(st.none() | st.binary(max_size=4)),
                    headers=draw(HEADERS),
                    value=draw(st.none() | st.binary(max_size=30)),
                )
            )
            offset += draw(st.sampled_from((1, 1, 1, 3)))
        found.append(records)
    return found


def write(folder: Path, records: Iterable[Stored]) -> None:
    with Writer(folder, "test") as writer:
        for record in records:
            writer.add(record)
