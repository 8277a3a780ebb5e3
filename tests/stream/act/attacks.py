"""What an attacker may write to the commands topic: each attack gives a record and the reasons it may be refused for.

Some attackers only write to the topic; others hold the command key and order what the actuator's own rules forbid.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import envelope
from schemas.commands import Command, CommandKind, OutcomeReason
from schemas.envelope import Event, Headers
from stream.act import progress
from tests.actuators import commands

TRUSTED, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYID = "trusted"
KEYS = {KEYID: TRUSTED.public_key()}
TRUE = "c1"
"""The id of the true command, which no attack may use up."""
R = OutcomeReason
SHARED, GLOBEX_MAY = "shared", "shed"
"""A target of acme and globex, and the one mitigation that globex gives leave for."""
PLACE: Mapping[str, Any] = {
    "plan": "q", "step": 1, "revision": 2, "attempt": 1, "index": 1, "journal_offset": 11, "incident": "j", "shard": 4,
    "decided_ms": commands.DECIDED_MS + 1_000,
}  # fmt: skip
"""Where another step of another plan stands."""
YEAR_MS = 365 * 86_400_000
LOOK_ALIKE = str.maketrans({"a": "а", "c": "с", "e": "е", "o": "о", "p": "р"})  # Cyrillic
PATHS = ("../{}", "{}/../{}", "/etc/{}", "{}\x00", "file:///{}", "~/{}", "{}.toml", "./{}", "$({})", "{};id", "{}\n{}")
WILD = ("*", "", "%", ".*", "?", "{}*", "*{}", "[a-z]*", "all", "null")
HUGE = (2**63, 2**64 - 1, -(2**63), 2**63 - 1, 10**18)


@dataclass(frozen=True, slots=True)
class Attack:
    """One record, and what may be the reason of its outcome; none for a record that is not this actuator's."""

    name: str
    headers: Headers
    value: bytes | None
    reasons: frozenset[OutcomeReason]
    key: bytes = b"host/pool"
    age_ms: int = 0
    forged: bool = True
    """True where no trusted key signed it, so that it must not use up an id."""


@dataclass(slots=True)
class Attacker:
    """Draws attacks; the same seed gives the same ones."""

    draw: random.Random
    number: int = 0
    made: dict[str, int] = field(default_factory=dict)

    def attack(self) -> Attack:
        kind = self.draw.choice(KINDS)
        made = kind(self)
        self.made[made.name] = self.made.get(made.name, 0) + 1
        return made

    def fresh(self) -> str:
        self.number += 1
        return f"id-{self.number}"

    def disguised(self, text: str) -> str:
        """Looks like the text, is not it."""
        ways: tuple[Callable[[], str], ...] = (
            lambda: text.translate(LOOK_ALIKE),
            lambda: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
            lambda: text + self.draw.choice("\u200b\u00ad\u2060 \t\u202e\u0301"),
            lambda: self.draw.choice("\ufeff\u200f ") + text,
            text.upper,
            text.title,
            lambda: self.draw.choice(PATHS).replace("{}", text),
            lambda: self.draw.choice(WILD).replace("{}", text),
            lambda: text * 2,
            lambda: text[:-1],
        )
        while (found := self.draw.choice(ways)()) == text:
            pass
        return found


def record(
    data: Mapping[str, Any],
    key: Ed25519PrivateKey | None = TRUSTED,
    keyid: str = KEYID,
    ce_type: str = "",
    ce_id: str = "",
) -> tuple[Headers, bytes]:
    event = Event(ce_type or f"dev.douse.command.{data['kind']}", ce_id or data["command"], "/douse/detect/3", 1, data)
    return envelope.encode(event if key is None else envelope.signed(event, keyid, key))


def true(name: str = TRUE, kind: CommandKind = CommandKind.APPLY, **more: Any) -> Command:
    return commands.command(name, kind, **more)


def unsigned(by: Attacker) -> Attack:
    kind = by.draw.choice(list(CommandKind))
    name = TRUE if kind is CommandKind.APPLY else by.fresh()
    keyed: tuple[Ed25519PrivateKey | None, str] = by.draw.choice([(None, ""), (FOREIGN, KEYID), (FOREIGN, "their-own")])
    return Attack("no trusted signature", *record(true(name, kind).fields(), *keyed), frozenset({R.BAD_SIGNATURE}))


def swapped(by: Attacker) -> Attack:
    """One field of a signed command is another afterwards."""
    data = true().fields()
    headers, _ = record(data)
    name = by.draw.choice(sorted(data))
    old = data[name]
    if isinstance(old, str):
        data[name] = by.draw.choice([by.disguised(old), by.draw.choice(["apply", "confirm", "revert", "other"]) + "x"])
    elif isinstance(old, int):
        data[name] = by.draw.choice([old + 1, -old - 1, *HUGE])
    else:
        data[name] = by.draw.choice([None, {"op": "set", "value": 99}, {"op": "scale", "numerator": 3}, {"op": "rm"}])
    _, value = record(data)
    return Attack("one field swapped", headers, value, frozenset({R.BAD_SIGNATURE, R.MALFORMED}))


def moved(by: Attacker) -> Attack:
    """A signature under other headers than those that it was made for."""
    headers, value = record(true().fields())
    other = {
        "ce_type": b"dev.douse.command.revert", "ce_id": b"c9", "ce_source": b"/douse/detect/4",
        "ce_keyid": b"their-own", "ce_signature": b"AAAA", "ce_specversion": b"2.0",
    }  # fmt: skip
    name = by.draw.choice(sorted(other))
    if by.draw.random() < 0.5:
        changed = [(header, other[name] if header == name else raw) for header, raw in headers]
    else:
        changed = [*headers, (name, other[name])]
    return Attack("a header exchanged", changed, value, frozenset({R.BAD_SIGNATURE, R.MALFORMED}))


def replayed(by: Attacker) -> Attack:
    """The true signature and content under another id."""
    data = true().fields()
    headers, value = record(data)
    name = by.fresh().encode()
    if by.draw.random() < 0.5:
        value = value.replace(b'"command":"c1"', b'"command":"' + name + b'"')
    headers = [(header, name if header == "ce_id" else raw) for header, raw in headers]
    return Attack("replayed under another id", headers, value, frozenset({R.BAD_SIGNATURE, R.MALFORMED}))


def expired(by: Attacker) -> Attack:
    data = true(by.fresh(), applies=f"id-{by.number}").fields()
    age_ms = by.draw.choice([10_001, 86_400_000, 2**63])
    return Attack("expired", *record(data), frozenset({R.NOT_AFTER}), age_ms=age_ms, forged=False)


def copied(by: Attacker) -> Attack:
    """An old order that nobody here has seen, signed as it was, written again: the broker's time of the copy is new."""
    name, old_ms = by.fresh(), by.draw.choice([10_001, 3_600_000, YEAR_MS, by.draw.randint(10_001, YEAR_MS)])
    data = true(name, applies=name).fields()
    written_ms = data["decided_ms"] + old_ms
    fetched_ms = written_ms + by.draw.choice([-3_600_000, 0, 50, 3_600_000])  # the host's clock is another
    waited_ms = progress.age_ms_at_fetch(written_ms, fetched_ms, fetched_ms - by.draw.randint(0, 300))
    age_ms = progress.order_age_ms(waited_ms, written_ms, data["decided_ms"])
    return Attack("an old order copied", *record(data), frozenset({R.NOT_AFTER}), age_ms=age_ms, forged=False)


def rearranged(by: Attacker) -> Attack:
    """Two true steps: one under the other's signature, or with its place in the plan exchanged for the other's."""
    one = true(name := by.fresh(), applies=name).fields()
    other = {**one, **PLACE, "command": (name := by.fresh()), "applies": name}
    headers, value = record(one)
    if by.draw.random() < 0.3:
        _, value = record(other)
    else:
        names = by.draw.sample([*PLACE, "command", "applies"], by.draw.randint(1, 4))
        _, value = record({**one, **{each: other[each] for each in names}})
    return Attack("a step in another's place", headers, value, frozenset({R.BAD_SIGNATURE, R.MALFORMED}))


def shared(by: Attacker) -> Attack:
    """A target of two tenants, each of which gives leave for what the other does not."""
    tenant, mitigation = by.draw.choice(["acme", "globex"]), by.draw.choice(["raise-pool", GLOBEX_MAY])
    name = by.fresh()
    data = true(name, applies=name, target=SHARED, tenant=tenant, mitigation=mitigation).fields()
    reasons = frozenset({R.TENANT_NOT_ALLOWED, R.MITIGATION_NOT_ALLOWED})
    return Attack("shared, without the other's leave", *record(data), reasons, key=b"host/shared", forged=False)


def forbidden(by: Attacker) -> Attack:
    """The command key's owner names what is not for him, or something that looks like it."""
    fields = {
        "tenant": {R.TENANT_NOT_ALLOWED},
        "target": {R.UNKNOWN_TARGET},
        "parameter": {R.UNKNOWN_TARGET},
        "mitigation": {R.MITIGATION_NOT_ALLOWED},
        "environment": {R.TENANT_NOT_ALLOWED},
    }
    name = by.draw.choice(sorted(fields))
    data = true(by.fresh(), applies=f"id-{by.number}").fields()
    said = by.draw.choice(
        [by.disguised(data[name]), by.draw.choice(["globex", "idle"]) if name == "tenant" else "other"]
    )
    data[name] = "prod" if name == "environment" and said == "" else said  # none is the default environment
    key = f"host/{by.disguised('pool')}".encode()
    return Attack(f"{name} not allowed", *record(data), frozenset(fields[name]), key=key, forged=False)


def huge(by: Attacker) -> Attack:
    """Numbers that no value may have, signed by the command key's owner."""
    name = by.fresh()
    data = true(name, applies=name, minimum=-(2**63), maximum=2**64 - 1).fields()
    reasons = {R.OUT_OF_BOUNDS}
    match by.draw.randrange(4):
        case 0:
            data["action"] = {"op": "scale", "numerator": by.draw.choice([2**64 - 1, 2**63, 10**9]), "denominator": 1}
        case 1:
            data["action"] = {"op": "set", "value": by.draw.choice([*HUGE, 101, 7, 0, -1, True, "64", "∞"])}
        case 2:
            data["confirm_ms"] = by.draw.choice([0, -1, 2**64 - 1, 2**63, -(2**63)])
        case _:
            data["action"] = {"op": "scale", "numerator": by.draw.choice([0, -2, 2**64 - 1]), "denominator": 2**64 - 1}
            reasons = {R.OUT_OF_BOUNDS, R.MALFORMED, R.NO_CHANGE}
    return Attack("huge numbers", *record(data), frozenset(reasons | {R.OUT_OF_BOUNDS}), forged=False)


def words(by: Attacker) -> Attack:
    """Confirms and reverts of what was never applied, or of somebody else's change."""
    kind = by.draw.choice([CommandKind.CONFIRM, CommandKind.REVERT])
    more: dict[str, Any] = by.draw.choice(
        [{"applies": by.disguised(TRUE)}, {"tenant": by.disguised("acme")}, {"target": by.disguised("pool")}]
    )
    reasons = frozenset({R.UNKNOWN_COMMAND, R.TENANT_NOT_ALLOWED, R.UNKNOWN_TARGET})
    return Attack("a word about nothing", *record(true(by.fresh(), kind, **more).fields()), reasons, forged=False)


def foreign(by: Attacker) -> Attack:
    """Another actuator's: under its own key it is not even answered, under ours it is refused."""
    data = true(actuator=by.disguised("host")).fields()
    if by.draw.random() < 0.5:
        key = f"{data['actuator']}/pool".encode()
        reasons = {R.MALFORMED} if key.startswith(b"host/") else set()
        return Attack("another actuator's", *record(data), frozenset(reasons), key=key)
    return Attack("another actuator's under our key", *record(data), frozenset({R.MALFORMED}))


def malformed(by: Attacker) -> Attack:
    headers, value = record(true().fields())
    text = value.decode()
    place = by.draw.randrange(len(value))
    deep = by.draw.choice([70, 5_000])
    wrong: list[bytes | None] = [
        None, b"", b"{}", b"[]", b"null", b"\x00\xff", value[:place], value + b"}", b"\xef\xbb\xbf" + value,
        value[:place] + bytes([value[place] ^ (1 << by.draw.randrange(8))]) + value[place + 1 :],
        b"[" * deep + b"]" * deep, b'{"actuator":"host","x":' + b"[" * deep + b"]" * deep + b"}",
        text.replace('"tenant":"acme"', '"tenant":"acme","tenant":"globex"').encode(),
        text.replace('"maximum":100', f'"maximum":{by.draw.choice(["100.0", "1e2", "1e999", "NaN", 2**70])}').encode(),
        text.replace('"shop"', '"\\ud800"').encode(),
        text.replace('"shop"', json.dumps("s" * 100_000)).encode(),
        text.replace('"action":', '"path":"/etc/passwd","action":').encode(),
        by.draw.randbytes(200),
    ]  # fmt: skip
    return Attack("malformed", headers, by.draw.choice(wrong), frozenset({R.MALFORMED, R.BAD_SIGNATURE}))


def headless(by: Attacker) -> Attack:
    """Headers that are missing, doubled or broken. The time is not signed, and nothing is decided by it."""
    headers, value = record(true().fields())
    name, raw = by.draw.choice([each for each in headers if each[0].startswith("ce_")])
    broken: list[Any] = [None, b"", b"\xff\xfe", b"x" * 70_000, raw + b"x", raw[:-1], "\u202e".encode() + raw]
    ways = [[each for each in headers if each[0] != name], [*headers, (name, by.draw.choice(broken))], []]
    return Attack("broken headers", by.draw.choice(ways), value, frozenset({R.MALFORMED, R.BAD_SIGNATURE}))


KINDS: tuple[Callable[[Attacker], Attack], ...] = (
    unsigned, swapped, moved, replayed, expired, copied, rearranged, shared, forbidden, huge, words, foreign, malformed,
    headless,
)  # fmt: skip
