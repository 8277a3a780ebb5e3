"""One shard: everything folded from one journal partition, and how it goes into segments and comes back.

Segments: `rows/N`, `entities/N` and so on hold groups of whole rows of a table; `core/N` is everything else as JSON,
in pieces; `manifest` names the journal mark and how many pieces there are. All of one snapshot are written in
one transaction.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from actuators.policy.incident import Incident
from detectors import freshness, latency, traffic, windows
from detectors.burn import Book
from detectors.evidence import logs, memory, operations, pools, retries
from detectors.evidence.skeletons import Traces
from detectors.series import SEGMENT_BYTES_MAX, Series
from schemas.fleet import Fleet
from schemas.journal import NO_POSITION
from schemas.specs import SpecSet

VERSION = 3
TICKS_REMEMBERED = 64  # 16 s at four ticks a second: more than the largest lag that is ever allowed
NOT_YET = -1
SourceKey = tuple[str, int]


class Mismatch(ValueError):
    """A snapshot of another number of shards or of another version."""


@dataclass(slots=True)
class Seen:
    """The furthest that an ingest worker has told of one source partition."""

    seen_ms: int
    partitions: int
    position: int
    high_watermark: int
    newest_end_ms: int
    lost_to: int = NO_POSITION
    """Last position that was lost to retention, -1 for none."""


@dataclass(slots=True)
class TargetState:
    """What the shard knows of one target. Times are journal ms."""

    applied_ms: list[int] = field(default_factory=list)
    unknown: bool = False
    about: str = ""
    """The apply command because of which it is, or was, not known what stands."""
    standing: str = ""
    """The apply command whose change still waits for its word, or may not have come yet."""
    unknown_ms: int = NOT_YET
    """Since when; a person's word that is older than that says nothing about it."""


@dataclass(slots=True)
class StormTold:
    """A storm that was told of and is not over. Times are journal ms."""

    id: str
    sequence: int
    stormy_ms: int
    """When it was last seen."""
    planned: bool = False


@dataclass(slots=True)
class Clock:
    """Journal time, made monotone, and what it says about whether the shard may act."""

    now_ms: int = 0
    tick_ms: int = NOT_YET
    fresh_since_ms: int = NOT_YET
    first_fresh: bool = True
    stepped_until_ms: int = NOT_YET
    steps: int = 0
    """How often it was set back: the same second may then come again."""
    ticks: list[tuple[int, int]] = field(default_factory=list)
    """(offset, journal time) of the last ticks, for detect's own lag."""


@dataclass(slots=True)
class ShardState:
    number: int
    shards: int
    mark: int = NO_POSITION
    """Offset of the last journal record that was folded."""
    clock: Clock = field(default_factory=Clock)
    marks: dict[SourceKey, int] = field(default_factory=dict)
    progress: dict[SourceKey, Seen] = field(default_factory=dict)
    lost_s: int = NOT_YET
    specs: SpecSet | None = None
    spec_revision: str = ""
    switches: dict[str, tuple[bool, int]] = field(default_factory=dict)
    """Kill switches by scope: on or off, and the time that was signed with it."""
    digest_s: int = NOT_YET
    """Second of the last digest."""
    rows: Series = field(default_factory=windows.table)
    entities: Series = field(
        default_factory=lambda: Series(
            {**traffic.SHAPES, **latency.SHAPES, **freshness.SHAPES}, {"heard_s": ("i8", NOT_YET)}
        )
    )
    pools: Series = field(default_factory=pools.table)
    operations: Series = field(default_factory=operations.table)
    retries: Series = field(default_factory=retries.table)
    memory: Series = field(default_factory=memory.table)
    logs: Series = field(default_factory=logs.table)
    skeletons: Traces = field(default_factory=Traces)
    exemplars: dict[tuple[str, str, str], list[tuple[str, int, bool]]] = field(default_factory=dict)
    """Per entity the newest traces: trace id, second, failed."""
    counters: dict[str, int] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    closed: dict[str, Incident] = field(default_factory=dict)
    """Incidents that are over while a change of theirs was not settled, for what its actuator still says of it."""
    openings: dict[str, int] = field(default_factory=dict)
    """How many incidents each row has had, by its joined key: an onset alone may come twice."""
    hot: set[str] = field(default_factory=set)
    """Rows whose incident closed while alert windows were still burning, by their joined key."""
    targets: dict[str, TargetState] = field(default_factory=dict)
    tenants: dict[str, list[int]] = field(default_factory=dict)
    """Journal times of applies, by environment and tenant."""
    inbox: list[dict[str, Any]] = field(default_factory=list)
    """Outcomes that the next tick takes up."""
    words_new: list[dict[str, Any]] = field(default_factory=list)
    """What operators said since the last tick."""
    words: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The word on each plan that was suggested, while it holds."""
    storm: StormTold | None = None
    """The storm that this shard speaks of."""
    fleet: Fleet | None = None
    """What the last tick that told of the other shards has said."""
    book: Book | None = None
    """Derived from rows, entities and specs; made anew when one of them changes."""
    book_entities: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    book_key: tuple[int, int, str] = (0, 0, "")

    @property
    def tables(self) -> tuple[Series, ...]:
        """Every table that the clock moves."""
        return tuple(getattr(self, name) for name in _TABLES)

    def count(self, name: str, amount: int = 1) -> None:
        if amount:
            self.counters[name] = self.counters.get(name, 0) + amount


_TABLES = ("rows", "entities", "pools", "operations", "retries", "memory", "logs")


def fresh(number: int, shards: int) -> ShardState:
    """A shard that has folded nothing."""
    return ShardState(number, shards)


def dirty_segments(state: ShardState) -> list[tuple[str, bytes]]:
    """Segments that differ from those on the topic, each within the house limit; from now on they do not differ."""
    found = [(f"{name}/{number}", data) for name in _TABLES for number, data in getattr(state, name).dirty_segments()]
    core = _core(state)
    pieces = [core[place : place + SEGMENT_BYTES_MAX] for place in range(0, len(core), SEGMENT_BYTES_MAX)]
    return found + [(f"core/{number}", piece) for number, piece in enumerate(pieces)]


def manifest(state: ShardState) -> bytes:
    """What makes the segments a snapshot: its mark, the shard and the number of shards, and the size of everything."""
    sizes = {name: -(-len(getattr(state, name)) // getattr(state, name).segment_rows) for name in _TABLES}
    pieces = -(-len(_core(state)) // SEGMENT_BYTES_MAX)
    return orjson.dumps(
        {
            "core": pieces,
            "mark": state.mark,
            "shard": state.number,
            "shards": state.shards,
            "tables": sizes,
            "version": VERSION,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def restore(number: int, shards: int, segments: Mapping[str, bytes]) -> ShardState:
    """The state of a snapshot. Raises Mismatch for one of another number of shards or of another version."""
    header = orjson.loads(segments["manifest"])
    if header["version"] != VERSION:
        raise Mismatch(f"snapshot of shard {number} has version {header['version']}, this build reads {VERSION}")
    if (header["shard"], header["shards"]) != (number, shards):
        raise Mismatch(f"snapshot is of shard {header['shard']} of {header['shards']}, wanted is {number} of {shards}")
    raw = orjson.loads(b"".join(segments[f"core/{piece}"] for piece in range(header["core"])))
    state = ShardState(number, shards, header["mark"])
    _load_core(state, raw)
    for name in _TABLES:
        table: Series = getattr(state, name)
        table.advance(raw["heads"][name])
        for segment in range(header["tables"][name]):
            table.load(segment, segments[f"{name}/{segment}"])
    return state


def _core(state: ShardState) -> bytes:
    clock = state.clock
    return orjson.dumps(
        {
            "closed": [incident.dump() for incident in state.closed.values()],
            "clock": [
                clock.now_ms,
                clock.tick_ms,
                clock.fresh_since_ms,
                clock.first_fresh,
                clock.stepped_until_ms,
                clock.steps,
                clock.ticks,
            ],
            "counters": state.counters,
            "digest_s": state.digest_s,
            "exemplars": [[*entity, found] for entity, found in state.exemplars.items()],
            "fleet": state.fleet.fields() if state.fleet else None,
            "heads": {name: getattr(state, name).head_s for name in _TABLES},
            "hot": sorted(state.hot),
            "inbox": state.inbox,
            "incidents": [incident.dump() for incident in state.incidents.values()],
            "lost_s": state.lost_s,
            "marks": [[*source, mark] for source, mark in state.marks.items()],
            "openings": state.openings,
            "skeletons": state.skeletons.dump(),
            "progress": [[*source, *astuple(seen)] for source, seen in state.progress.items()],
            "spec_revision": state.spec_revision,
            "specs": state.specs.fields() if state.specs else None,
            "switches": state.switches,
            "targets": {name: astuple(target) for name, target in state.targets.items()},
            "tenants": state.tenants,
            "storm": astuple(state.storm) if state.storm else None,
            "words": state.words,
            "words_new": state.words_new,
        }
    )


def _load_core(state: ShardState, raw: dict[str, Any]) -> None:
    now_ms, tick_ms, fresh_since_ms, first_fresh, stepped_until_ms, steps, ticks = raw["clock"]
    remembered = [(offset, at) for offset, at in ticks]
    state.clock = Clock(now_ms, tick_ms, fresh_since_ms, first_fresh, stepped_until_ms, steps, remembered)
    state.closed = {one["id"]: Incident.load(one) for one in raw["closed"]}
    state.counters = raw["counters"]
    state.digest_s = raw["digest_s"]
    state.exemplars = {
        (environment, tenant, service): [(trace, second, failed) for trace, second, failed in found]
        for environment, tenant, service, found in raw["exemplars"]
    }
    state.fleet = Fleet.read(raw["fleet"]) if raw["fleet"] else None
    state.hot = set(raw["hot"])
    state.inbox = raw["inbox"]
    state.incidents = {one["id"]: Incident.load(one) for one in raw["incidents"]}
    state.lost_s = raw["lost_s"]
    state.marks = {(topic, partition): mark for topic, partition, mark in raw["marks"]}
    state.openings = raw["openings"]
    state.progress = {(topic, partition): Seen(*seen) for topic, partition, *seen in raw["progress"]}
    state.skeletons = Traces.load(raw["skeletons"])
    state.spec_revision = raw["spec_revision"]
    state.specs = SpecSet.read(raw["specs"]) if raw["specs"] else None
    state.switches = {scope: (on, time_ms) for scope, (on, time_ms) in raw["switches"].items()}
    state.targets = {name: TargetState(*saved) for name, saved in raw["targets"].items()}
    state.tenants = raw["tenants"]
    state.storm = StormTold(*raw["storm"]) if raw["storm"] else None
    state.words = raw["words"]
    state.words_new = raw["words_new"]
