"""A tiny engine and shard for tests of the shell: counts each source position once, decides every second tick.

A decision is a digest over the whole state, so two owners that differ in anything contradict each other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas import canonical, journal
from stream.effects import Outlet, Publish

SEGMENTS = 4


@dataclass(slots=True)
class State:
    number: int
    shards: int
    mark: int = -1
    clock_ms: int = 0
    ticks: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    counts: list[dict[str, int]] = field(default_factory=lambda: [{} for _ in range(SEGMENTS)])
    dirty: set[int] = field(default_factory=set)

    def totals(self) -> dict[str, int]:
        return {key: count for segment in self.counts for key, count in segment.items()}


def row(source: str, offset: int, key: int) -> bytes:
    """The value of a journal record of this engine: one position of one source."""
    return json.dumps([source, offset, key]).encode()


def fresh(number: int, shards: int) -> State:
    return State(number, shards)


def restore(number: int, shards: int, segments: Mapping[str, bytes]) -> State:
    held = json.loads(segments["manifest"])
    if held["shards"] != shards:
        raise ValueError(f"{held['shards']} shards, expected {shards}")
    counts = [json.loads(segments.get(f"segment-{index}", b"{}")) for index in range(SEGMENTS)]
    return State(number, shards, held["mark"], held["clock_ms"], held["ticks"], held["sources"], counts)


def dirty_segments(state: State) -> list[tuple[str, bytes]]:
    dirty = sorted(state.dirty)
    state.dirty.clear()
    return [(f"segment-{index}", json.dumps(state.counts[index]).encode()) for index in dirty]


def manifest(state: State) -> bytes:
    held = {name: getattr(state, name) for name in ("shards", "mark", "clock_ms", "ticks", "sources")}
    return json.dumps(held).encode()


def fold(state: State, record: journal.Record) -> Sequence[Publish]:
    assert record.offset == state.mark + 1, f"{record.offset} after {state.mark}"
    state.mark = record.offset
    if record.kind == journal.Kind.TICK:
        return _tick(state, record)
    source, offset, key = json.loads(record.value)
    if offset <= state.sources.get(source, -1):
        return ()
    state.sources[source] = offset
    index = key % SEGMENTS
    state.counts[index][str(key)] = state.counts[index].get(str(key), 0) + 1
    state.dirty.add(index)
    return ()


def _tick(state: State, record: journal.Record) -> Sequence[Publish]:
    tick = journal.decode(record)
    assert isinstance(tick, journal.Tick)
    if record.timestamp_ms - state.clock_ms < tick.interval_ms / 2:
        return ()
    state.clock_ms = record.timestamp_ms
    state.ticks += 1
    if state.ticks % 2:
        return ()
    digest = canonical.digest(json.dumps([state.sources, state.totals()], sort_keys=True), str(state.clock_ms))
    data = {"digest": digest, "mark": state.mark}
    name = f"{state.number}:{state.ticks}"
    kind, source = "dev.douse.incident.opened", f"/douse/detect/{state.number}"
    return (Publish(Outlet.INCIDENTS, str(state.number), kind, name, source, state.clock_ms, data),)
