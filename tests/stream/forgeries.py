"""What an attacker may write to the control and outcomes topics: each forgery is one that must not enter the journal.

Keys that may not decide, content exchanged under a signature, records in another's place, and what a trusted key signed
that is nothing.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import canonical, commands, envelope
from schemas.control import ChangeReverted, PlanDecided, TargetThawed
from schemas.envelope import Event, Headers
from stream import control, keys
from stream.control import Kill, Word
from stream.ingest import signed_doors
from stream.ingest.doors import Door
from stream.reach import Stored
from tests.stream.act.attacks import HUGE, Attacker
from tests.timeline import specs

SHARDS = 3
OPERATOR, ACTUATOR, NEIGHBOUR, COMMANDER, STRANGER = (Ed25519PrivateKey.generate() for _ in range(5))
ID = {key: keys.keyid(key.public_key()) for key in (OPERATOR, ACTUATOR, NEIGHBOUR, COMMANDER, STRANGER)}
OURS = {ID[ACTUATOR]: "host", ID[NEIGHBOUR]: "other-host"}
CONTROLS = signed_doors.controls({ID[OPERATOR]: OPERATOR.public_key()}, SHARDS)
OUTCOMES = signed_doors.outcomes({ID[key]: key.public_key() for key in (ACTUATOR, NEIGHBOUR)}, OURS, SHARDS)

WHOSE: dict[str, Any] = {"incident": "i1", "environment": "live", "tenant": "acme", "by": "kim", "time_ms": 1_000}
WORDS: tuple[Word, ...] = (
    PlanDecided(plan="p1", approve=True, reason="", expires_ms=601_000, **WHOSE),
    PlanDecided(plan="p1", approve=False, reason="not tonight", expires_ms=1_000, **WHOSE),
    ChangeReverted(command="c1", reason="it is over", **WHOSE),
    TargetThawed(target="pool", by="kim", reason="looked at it", time_ms=1_000),
)
SWITCHES = tuple(
    Kill(scope, on, "kim", "a test", 1_000)
    for scope in ("global", "tenant:live:acme", "mitigation:grow")
    for on in (True, False)
)
TRUE = (
    *(control.word_event(word) for word in WORDS),
    *(control.kill_event(kill) for kill in SWITCHES),
    control.specs_event(specs(), 1_000),
)
"""Everything that an operator may decide, by topic key."""
ENDLESS = control.TIME_MS_MAX + 1


@dataclass(frozen=True, slots=True)
class Forged:
    """One record of a source topic, and what it tries."""

    name: str
    door: Door
    stored: Stored


@dataclass(slots=True)
class Forger:
    """Draws records that must not enter; the same seed gives the same ones."""

    draw: random.Random
    made: Counter[str] = field(default_factory=Counter)

    def forged(self) -> Forged:
        found = self.draw.choice(KINDS)(self)
        self.made[found.name] += 1
        return found

    def disguised(self, text: str) -> str:
        return Attacker(self.draw).disguised(text)

    def true(self) -> tuple[str, Event, Ed25519PrivateKey, Door]:
        """A record that would enter as it is: topic key, event, whose key signs it, and its door."""
        if self.draw.random() < 0.3:
            return "c1", outcome(), ACTUATOR, OUTCOMES
        return (*self.draw.choice(TRUE), OPERATOR, CONTROLS)


def outcome(**more: Any) -> Event:
    told = commands.Outcome(
        command="c1", kind=commands.CommandKind.APPLY, applies="c1", status=commands.OutcomeStatus.LIVE,
        actuator="host", target="pool", environment="live", tenant="acme", incident="i1", shard=2, mitigation="grow",
        parameter="size", accepted_ms=1,
    )  # fmt: skip
    return Event(signed_doors.OUTCOME, "o1", "/douse/act/host", 5, {**told.fields(), **more})


def stored(key: str, event: Event, private: Ed25519PrivateKey | None, keyid: str = "") -> Stored:
    if private is not None:
        event = envelope.signed(event, keyid or ID[private], private)
    headers, value = envelope.encode(event)
    return Stored(0, 5, 0, key, headers, value)


def other(by: Forger, value: Any) -> Any:
    """Another value, most often of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return by.draw.choice([value + 1, -value - 1, *(huge for huge in HUGE if huge != value)])
        case str():
            return by.disguised(value) if value else "x"
        case _:
            return by.draw.choice([None, "x", 1, [1]])


def unentitled(by: Forger) -> Forged:
    """A key that may say other things, one that may say nothing, one under a trusted key's id, or none."""
    key, event, private, door = by.true()
    may = {ID[OPERATOR]} if door is CONTROLS else set(OURS)
    wrong = [each for each in ID if ID[each] not in may]
    signer, keyid = by.draw.choice([(each, "") for each in wrong] + [(each, ID[private]) for each in wrong])
    if by.draw.random() < 0.2:
        return Forged("nobody's", door, stored(key, event, None))
    return Forged("a key that may not", door, stored(key, event, signer, keyid))


def swapped(by: Forger) -> Forged:
    """One field is another after it was signed."""
    key, event, private, door = by.true()
    whole = stored(key, event, private)
    name = by.draw.choice(sorted(event.data))
    value = canonical.dumps({**event.data, name: other(by, event.data[name])})
    if by.draw.random() < 0.1:
        value = canonical.dumps({each: event.data[each] for each in event.data if each != name})
    return Forged("one field swapped", door, replace(whole, value=value))


def moved(by: Forger) -> Forged:
    """A signature under another header than it was made for, or another record's signature."""
    key, event, private, door = by.true()
    whole = stored(key, event, private)
    theirs = {
        "ce_type": by.disguised(event.type), "ce_id": by.disguised(event.id), "ce_source": by.disguised(event.source),
        "ce_keyid": by.draw.choice([by.disguised(ID[private]), ID[STRANGER], ""]), "ce_signature": "AAAA",
    }  # fmt: skip
    if by.draw.random() < 0.3:
        _, another = by.draw.choice([each for each in TRUE if each[1].data != event.data])
        theirs["ce_signature"] = envelope.signed(another, ID[private], private).signature
    name = by.draw.choice(sorted(theirs))
    changed: Headers = [(each, theirs[name].encode() if each == name else raw) for each, raw in whole.headers]
    return Forged("a header exchanged", door, replace(whole, headers=changed))


def misplaced(by: Forger) -> Forged:
    """What an operator signed, under a topic key that it does not name: compaction would forget another's word."""
    key, event = by.draw.choice(TRUE)
    theirs = [by.disguised(key), "", key.partition("/")[2], *(each for each, _ in TRUE if each != key)]
    return Forged("under another topic key", CONTROLS, stored(by.draw.choice(theirs), event, OPERATOR))


def out_of_time(by: Forger) -> Forged:
    """Signed by the operator, and of no time that there is, or over before it began."""
    key, event = by.draw.choice([each for each in TRUE if "time_ms" in each[1].data])
    times = {"time_ms": by.draw.choice([-1, ENDLESS, *HUGE, "1000", True, None])}
    return Forged("of no time", CONTROLS, stored(key, replace(event, data={**event.data, **times}), OPERATOR))


def over(by: Forger) -> Forged:
    """Signed by the operator: an approval or a rejection that is over before it began, or never."""
    key, event = control.word_event(by.draw.choice(WORDS[:2]))
    expires_ms = by.draw.choice([999, 0, by.draw.randrange(1_000), -1, ENDLESS, *HUGE, "601000"])
    return Forged(
        "over", CONTROLS, stored(key, replace(event, data={**event.data, "expires_ms": expires_ms}), OPERATOR)
    )


def empty(by: Forger) -> Forged:
    """Signed by the operator, and no word: nothing in a field, too much, of another kind, or a field of another."""
    key, event = by.draw.choice([control.word_event(word) for word in WORDS])
    named = [name for name, value in event.data.items() if isinstance(value, str) and name != "reason"]
    name = by.draw.choice(named)
    wrong: dict[str, Any] = by.draw.choice(
        [{name: ""}, {name: " \u2003"}, {name: "x" * 1_001}, {name: 5}, {name: None}, {"path": "/etc/passwd"}]
    )
    return Forged("no word", CONTROLS, stored(key, replace(event, data={**event.data, **wrong}), OPERATOR))


def no_specs(by: Forger) -> Forged:
    """Signed by the operator: a spec set that is none, or not the one that its revision names."""
    key, event = control.specs_event(specs(), 1_000)
    held, revision = event.data["specs"], event.data["revision"]
    wrong: dict[str, Any] = by.draw.choice(
        [
            {"revision": by.disguised(revision)},
            {"revision": None},
            {"specs": {**held, "autonomy": []}},
            {"specs": {**held, "more": 1}},
            {"specs": by.draw.choice([None, [], "", 7])},
        ]
    )
    return Forged("no spec set", CONTROLS, stored(key, replace(event, data={**event.data, **wrong}), OPERATOR))


def of_another_type(by: Forger) -> Forged:
    """Signed by the right key, under a type that is not for this topic."""
    key, event, private, door = by.true()
    mine = [signed_doors.OUTCOME] if door is OUTCOMES else list(control.ControlType)
    wrong = ["dev.douse.command.apply", "dev.douse.incident.planned", by.disguised(event.type), f"{event.type}s"]
    wrong += [each for each in (signed_doors.OUTCOME, *control.ControlType) if each not in mine]
    return Forged("of another type", door, stored(key, replace(event, type=by.draw.choice(wrong)), private))


def anothers(by: Forger) -> Forged:
    """An actuator speaks of what stands at another's target, or calls itself nearly like it."""
    signer, name = by.draw.choice([(NEIGHBOUR, "host"), (ACTUATOR, "other-host"), (ACTUATOR, by.disguised("host"))])
    return Forged("another actuator's name", OUTCOMES, stored("c1", outcome(actuator=name), signer))


def no_outcome(by: Forger) -> Forged:
    """Signed by the actuator: for a shard that there is not, or nothing that can be read."""
    wrong: dict[str, Any] = by.draw.choice(
        [
            {"shard": by.draw.choice([SHARDS, -1, *HUGE])},
            {"shard": by.draw.choice([True, "2", None, [2]])},
            {"status": by.draw.choice(["lively", "", None, 1])},
            {"reason": by.disguised("none")},
            {"more": 1},
            {"accepted_ms": by.draw.choice(["1", None, True])},
        ]
    )
    return Forged("no outcome", OUTCOMES, stored("c1", outcome(**wrong), ACTUATOR))


def broken(by: Forger) -> Forged:
    """Values and headers that are no event at all."""
    key, event, private, door = by.true()
    whole = stored(key, event, private)
    value = whole.value or b""
    place = by.draw.randrange(len(value))
    wrong = [b"", b"{}", b"[]", b"null", b"\x00\xff", value[:place], value + b"}", b"[" * 5_000, by.draw.randbytes(99)]
    wrong += [b'{"x":1.5}', b'{"x":1e999}', b'{"x":NaN}', b'{"x":"\\ud800"}', value.replace(b":", b':1,"more":', 1)]
    if by.draw.random() < 0.5:
        return Forged("a broken value", door, replace(whole, value=by.draw.choice(wrong)))
    dropped = by.draw.choice([name for name, _ in whole.headers if name.startswith("ce_")])
    raw = by.draw.choice([b"", b"\xff\xfe", b"x" * 70_000])
    ways: list[Headers] = [
        [each for each in whole.headers if each[0] != dropped],
        [*whole.headers, (dropped, raw)],
        [],
    ]
    return Forged("broken headers", door, replace(whole, headers=by.draw.choice(ways)))


KINDS: tuple[Callable[[Forger], Forged], ...] = (
    unentitled, swapped, moved, misplaced, out_of_time, over, empty, no_specs, of_another_type, anothers, no_outcome,
    broken,
)  # fmt: skip
