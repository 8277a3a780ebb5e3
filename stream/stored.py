"""One record of a topic, wherever it comes from: apart from the clients, so that a replay needs none of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stored:
    """One record of a topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: str
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None
    raw_key: bytes | None = None
