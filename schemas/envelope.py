"""CloudEvents 1.0 in Kafka's binary mode: the headers beside the data, and the signature over both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import canonical, signing

CONTENT_TYPE = "application/json"
TYPE_PREFIX = "dev.douse."
Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it stands on a topic; `keyid` and `signature` are empty for an unsigned one."""

    type: str
    id: str
    source: str
    time_ms: int
    data: Mapping[str, Any]
    keyid: str = ""
    signature: str = ""


class NotAnEvent(ValueError):
    """Headers or data of a record are not those of a CloudEvent of ours."""


def encode(event: Event) -> tuple[Headers, bytes]:
    """Headers and value of the Kafka record. The time is RFC 3339 in UTC with milliseconds."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", event.type.encode()),
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_time", rfc3339(event.time_ms).encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]
    if event.signature:
        headers += [("ce_signature", event.signature.encode()), ("ce_keyid", event.keyid.encode())]
    return headers, canonical.dumps(event.data)


def signed(event: Event, keyid: str, key: Ed25519PrivateKey) -> Event:
    """The same event with its signature."""
    signature = signing.sign(key, event.type, event.id, event.source, event.data)
    return Event(event.type, event.id, event.source, event.time_ms, event.data, keyid, signature)


def decode(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event:
    """Reads a record. Raises NotAnEvent, naming the header or the data, for anything else."""
    found = {name: _text(name, raw) for name, raw in headers if name.startswith("ce_")}
    if found.get("ce_specversion") != "1.0":
        raise NotAnEvent(f"header ce_specversion is {found.get('ce_specversion')!r}, expected '1.0'")
    for name in ("ce_type", "ce_id", "ce_source", "ce_time"):
        if not found.get(name):
            raise NotAnEvent(f"header {name} is missing")
    try:
        data = canonical.loads(value or b"")
    except ValueError as error:
        raise NotAnEvent(f"data is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise NotAnEvent("data is not a JSON object")
    time_ms = from_rfc3339(found["ce_time"])
    return Event(
        found["ce_type"],
        found["ce_id"],
        found["ce_source"],
        time_ms,
        data,
        found.get("ce_keyid", ""),
        found.get("ce_signature", ""),
    )


def rfc3339(time_ms: int) -> str:
    """`2026-01-31T12:00:00.000Z` of Unix milliseconds, by the civil calendar (H. Hinnant, chrono-compatible date
    algorithms)."""
    days, day_ms = divmod(time_ms, 86_400_000)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    hours, rest = divmod(day_ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{year:04d}-{month:02d}-{day:02d}T{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}Z"


def from_rfc3339(text: str) -> int:
    """Unix milliseconds of what `rfc3339` writes. Raises NotAnEvent for any other form."""
    try:
        assert len(text) == 24
        year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
        day_ms = int(text[11:13]) * 3_600_000 + int(text[14:16]) * 60_000 + int(text[17:19]) * 1000 + int(text[20:23])
    except (AssertionError, ValueError) as error:
        raise NotAnEvent(f"time {text!r} is not like 2026-01-31T12:00:00.000Z") from error
    shifted_year = year - (month <= 2)
    era, year_of_era = divmod(shifted_year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    time_ms = (era * 146_097 + day_of_era - 719_468) * 86_400_000 + day_ms
    if rfc3339(time_ms) != text:
        raise NotAnEvent(f"time {text!r} is not like 2026-01-31T12:00:00.000Z")
    return time_ms


def _text(name: str, raw: bytes | None) -> str:
    try:
        return (raw or b"").decode()
    except UnicodeDecodeError as error:
        raise NotAnEvent(f"header {name} is not UTF-8") from error
