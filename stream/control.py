"""What an operator decides, as signed records on the control topic: the spec set in force, the kill switches, and the
words on single plans, changes and targets.

Write access to the topic is not the right to decide: a record counts only with the signature of a trusted operator's
key, under the topic key that its own content names. An old switch that somebody writes again stays old, since its time
is part of what was signed.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from schemas import canonical, envelope, signing
from schemas.control import ChangeReverted, KillDecided, PlanDecided, SpecsDecided, TargetThawed
from schemas.envelope import Event
from schemas.identity import DEFAULT_ENVIRONMENT
from schemas.specs import SpecSet
from stream import reach
from stream.kafka import Address
from stream.reach import Stored

SOURCE = "/douse/operator"
SPECS_KEY = "specs/all"
GLOBAL = "global"
TIME_MS_MAX = 253_402_300_799_999  # the end of the year 9999, as far as a time can be written
TEXT_CHARS_MAX = 1_000  # of a name or a reason: the word goes into every shard's journal, and into events and reports

Word = PlanDecided | ChangeReverted | TargetThawed


class ControlType(StrEnum):
    SPECS = "dev.douse.control.specs"
    KILL = "dev.douse.control.kill"
    PLAN = "dev.douse.control.plan"
    REVERT = "dev.douse.control.revert"
    THAW = "dev.douse.control.thaw"


WORDS: Mapping[ControlType, type[PlanDecided] | type[ChangeReverted] | type[TargetThawed]] = {
    ControlType.PLAN: PlanDecided,
    ControlType.REVERT: ChangeReverted,
    ControlType.THAW: TargetThawed,
}


class NotControlError(ValueError):
    """A record of the control topic that must not count; the message says why."""


@dataclass(frozen=True, slots=True)
class Specs:
    """The spec set that is in force from here on."""

    specs: SpecSet


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill switch: while it is on, nothing in its scope is applied. Reverts are never stopped."""

    scope: str
    on: bool
    by: str
    reason: str
    time_ms: int


@dataclass(slots=True)
class Control:
    """The topic, read to its end: what is in force, and why some records do not count."""

    specs: SpecSet | None = None
    kills: dict[str, Kill] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    next_offset: int = 0
    words: dict[str, Word] = field(default_factory=dict)
    """The newest word of each topic key, such as `plan/<plan id>`."""


def tenant_scope(tenant: str, environment: str = DEFAULT_ENVIRONMENT) -> str:
    return f"tenant:{environment}:{tenant}"


def mitigation_scope(mitigation: str) -> str:
    return f"mitigation:{mitigation}"


def specs_event(specs: SpecSet, time_ms: int) -> tuple[str, Event]:
    """Topic key and unsigned event of a spec set."""
    data = {"revision": specs.revision, "specs": specs.fields()}
    return SPECS_KEY, _event(ControlType.SPECS, data, time_ms)


def kill_event(kill: Kill) -> tuple[str, Event]:
    """Topic key and unsigned event of a kill switch."""
    data = {"by": kill.by, "on": kill.on, "reason": kill.reason, "scope": kill.scope, "time_ms": kill.time_ms}
    return f"kill/{kill.scope}", _event(ControlType.KILL, data, kill.time_ms)


def word_key(word: Word) -> str:
    """The topic key that a word belongs under."""
    match word:
        case PlanDecided():
            return f"plan/{word.plan}"
        case ChangeReverted():
            return f"revert/{word.command}"
        case TargetThawed():
            return f"thaw/{word.target}"
        case _:
            assert_never(word)


def word_event(word: Word) -> tuple[str, Event]:
    """Topic key and unsigned event of a word on a plan, a change or a target."""
    kind = next(kind for kind, model in WORDS.items() if isinstance(word, model))
    return word_key(word), _event(kind, word.fields(), word.time_ms)


def accept(stored: Stored, trusted: Mapping[str, Ed25519PublicKey]) -> Specs | Kill | Word:
    """What a record decides. Raises NotControlError for one that is foreign, unsigned, or misplaced."""
    try:
        event = envelope.decode(stored.headers, stored.value)
    except envelope.NotAnEvent as error:
        raise NotControlError(str(error)) from error
    if event.keyid not in trusted:
        raise NotControlError(f"signed by {event.keyid or 'nobody'}, which is not a trusted operator's key")
    if not signing.holds(trusted[event.keyid], event.signature, event.type, event.id, event.source, event.data):
        raise NotControlError("the signature does not fit the content")
    key, decided = _read(event)
    if stored.key != key:
        raise NotControlError(f"stands under the key {stored.key!r}, and its content belongs under {key!r}")
    return decided


async def read(bootstrap: Address, topic: str, trusted: Mapping[str, Ed25519PublicKey]) -> Control:
    """Reads the control topic from its beginning to its end. Raises BrokerError."""
    return await fold(reach.read(bootstrap, topic), trusted)


async def fold(records: AsyncIterator[Stored], trusted: Mapping[str, Ed25519PublicKey]) -> Control:
    """What is in force after these records: the last spec set, the newest switch of each scope, the newest words."""
    control = Control()
    async for stored in records:
        control.next_offset = stored.offset + 1
        if stored.value is None:
            continue  # a tombstone: compaction forgets the key, and so does nobody else
        try:
            decided = accept(stored, trusted)
        except NotControlError as error:
            control.rejected.append(f"offset {stored.offset} ({stored.key}): {error}")
            continue
        if not _take(control, decided):
            control.rejected.append(f"offset {stored.offset} ({stored.key}): older than what is in force")
    return control


async def publish(bootstrap: Address, topic: str, keyed: tuple[str, Event], keyid: str, key: Ed25519PrivateKey) -> None:
    """Signs the event and sends it. Raises BrokerError."""
    topic_key, event = keyed
    await reach.send(bootstrap, topic, [(topic_key, envelope.signed(event, keyid, key))])


def _take(control: Control, decided: Specs | Kill | Word) -> bool:
    """False where a newer one of its key is there already."""
    match decided:
        case Specs():
            control.specs = decided.specs
        case Kill():
            if decided.scope in control.kills and not _newer(decided, control.kills[decided.scope]):
                return False
            control.kills[decided.scope] = decided
        case PlanDecided() | ChangeReverted() | TargetThawed():
            key = word_key(decided)
            if key in control.words and decided.time_ms < control.words[key].time_ms:
                return False
            control.words[key] = decided
        case _:
            assert_never(decided)
    return True


def _newer(decided: Kill, known: Kill) -> bool:
    """The later counts; of two of one moment the one that stops."""
    return (decided.time_ms, decided.on) >= (known.time_ms, known.on)


def _event(kind: ControlType, data: dict[str, Any], time_ms: int) -> Event:
    ce_id = canonical.digest(kind.value, canonical.dumps(data).decode())
    return Event(kind.value, ce_id, SOURCE, time_ms, data)


def _read(event: Event) -> tuple[str, Specs | Kill | Word]:
    """The topic key that the content belongs under, and the content."""
    data = event.data
    try:
        match event.type:
            case ControlType.SPECS:
                said = SpecsDecided.read(data)
                if said.revision != said.specs.revision:
                    raise NotControlError(
                        f"names the revision {said.revision!r}, its content is {said.specs.revision!r}"
                    )
                return SPECS_KEY, Specs(said.specs)
            case ControlType.KILL:
                thrown = KillDecided.read(data)
                _within_time("time_ms", thrown.time_ms)
                return f"kill/{thrown.scope}", Kill(thrown.scope, thrown.on, thrown.by, thrown.reason, thrown.time_ms)
            case ControlType.PLAN | ControlType.REVERT | ControlType.THAW:
                word = WORDS[ControlType(event.type)].read(data)
                _check(word)
                return word_key(word), word
            case _:
                raise NotControlError(f"type {event.type!r} is not known")
    except ValidationError as error:
        raise NotControlError(f"cannot be read: {error}") from error


def _check(word: Word) -> None:
    """A word has names, a time, and unless it approves a reason. Raises NotControlError."""
    for name, value in word.fields().items():
        if not isinstance(value, str):
            continue
        approves = isinstance(word, PlanDecided) and word.approve
        if not value.strip() and not (name == "reason" and approves):
            raise NotControlError(f"{name} is empty")
        if len(value) > TEXT_CHARS_MAX:
            raise NotControlError(f"{name} has {len(value)} characters, more than {TEXT_CHARS_MAX}")
    _within_time("time_ms", word.time_ms)
    if isinstance(word, PlanDecided):
        _within_time("expires_ms", word.expires_ms)
        if word.expires_ms < word.time_ms:
            raise NotControlError(f"expires_ms {word.expires_ms} is before time_ms {word.time_ms}")


def _within_time(name: str, value_ms: int) -> None:
    if not 0 <= value_ms <= TIME_MS_MAX:
        raise NotControlError(f"{name} {value_ms} is not within 0 to {TIME_MS_MAX}")
