"""W3C Trace Context between a tab and the service: every attempt of one operation belongs to one trace."""

import re
from dataclasses import dataclass

PARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
ATTEMPT_HEADER = "x-retry-attempt"  # counts attempts, the first is 1
ATTEMPTS_MAX = 1_000  # what counts higher is no count of ours


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one operation: the operation's trace, the attempt's own span, and its number from 1."""

    trace_id: bytes
    span_id: bytes
    number: int


def headers(attempt: Attempt) -> str:
    """The header lines that tell the service."""
    parent = f"00-{attempt.trace_id.hex()}-{attempt.span_id.hex()}-01"
    return f"traceparent: {parent}\r\n{ATTEMPT_HEADER}: {attempt.number}\r\n"


def read(parent: str | None, number: str | None) -> Attempt | None:
    """What a request's headers tell; None without a usable parent, the first attempt without a usable number."""
    found = PARENT.fullmatch(parent or "")
    if found is None:
        return None
    usable = number is not None and number.isascii() and number.isdigit() and 1 <= int(number) <= ATTEMPTS_MAX
    return Attempt(bytes.fromhex(found[1]), bytes.fromhex(found[2]), int(number) if usable and number else 1)
