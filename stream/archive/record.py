"""One record of an archive, as the broker had it, and what is wrong where one cannot be read."""

from dataclasses import dataclass

RECORD_BYTES_MAX = 128 << 20  # a Kafka record is 1 MB by default; the largest seen in use is 100 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One record: where it stood, when, and its bytes untouched."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Damage:
    """A place that could not be used; everything around it was. `file` is relative to the folder that was read."""

    file: str
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}: byte {self.offset}: {self.what}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets `first` to `last` of a partition that the archive does not have, although it has some on both sides."""

    topic: str
    partition: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}: offsets {self.first} to {self.last} are not there"
