"""The engine: one journal record into a shard's state, and what is to be done outside because of it.

Pure: no clock, no I/O, no randomness. So the decisions of a shard are a function of its journal partition alone, and
its owner, a
successor, a zombie, a replay and a simulation that read the same partition decide the same, to the byte.
"""

from typing import Any, assert_never

from actuators.policy.incident import Incident
from actuators.policy.lifecycle import Phase
from schemas import journal
from schemas.commands import Outcome
from schemas.journal import Kind, Malformed, Position, Progress, Record, Signed, Telemetry, Tick
from schemas.runbook import Cause
from schemas.specs import SpecSet
from stream.core import cause, digest, intake, judge, opening, plan, sight
from stream.core.desk import Desk
from stream.core.intake import SourceGap
from stream.core.sight import Sight
from stream.effects import Publish
from stream.shard import Seen, ShardState

__all__ = ["Malformed", "SourceGap", "fold"]

SPECS_TYPE, KILL_TYPE = "dev.douse.control.specs", "dev.douse.control.kill"


def fold(state: ShardState, record: Record) -> tuple[Publish, ...]:
    """Folds the next record of the shard's partition. Raises Malformed and SourceGap; then an operator is needed."""
    assert record.offset == state.mark + 1 or state.mark == journal.NO_POSITION, (
        f"offset {record.offset} does not follow {state.mark}"
    )
    body = journal.decode(record)
    sight.set_clock(state, record.timestamp_ms)
    effects: tuple[Publish, ...] = ()
    match body:
        case Telemetry():
            intake.fold(state, body, record.offset)
        case Progress():
            _progress(state, body)
        case Signed():
            _signed(state, body, record)
        case Tick():
            if sight.accept(state, body, record.offset):
                effects = _decide(state, body, record.offset)
        case _:
            assert_never(body)
    state.mark = record.offset
    return effects


def _progress(state: ShardState, progress: Progress) -> None:
    """Keeps the furthest that anybody told, so that a zombie cannot make a source look fresh. A loss counts once."""
    now_ms = state.clock.now_ms
    for source in progress.sources:
        key = (source.topic, source.partition)
        seen = state.progress.get(key)
        lost_to = seen.lost_to if seen else journal.NO_POSITION
        if source.lost_to > lost_to:
            state.lost_s = now_ms // 1000
            state.count("records_lost", source.lost_to - max(source.lost_from, lost_to + 1) + 1)
            lost_to = source.lost_to
        if seen is None or source.position >= seen.position:
            end, newest_ms = source.high_watermark, source.newest_end_ms
            state.progress[key] = Seen(now_ms, source.partitions, source.position, end, newest_ms, lost_to)
        else:
            seen.lost_to = lost_to


def _signed(state: ShardState, signed: Signed, record: Record) -> None:
    """Takes up an outcome or a control record once. Outcomes wait for the next tick: nothing is decided in between."""
    key = (signed.topic, signed.partition)
    if signed.offset <= intake.mark(state, Position(signed.topic, signed.partition, signed.previous), record.offset):
        state.count("rows_repeated")
        return
    state.marks[key] = signed.offset
    if record.kind == Kind.OUTCOME:
        state.inbox.append(dict(signed.data))
    elif signed.ce_type == SPECS_TYPE:
        _specs(state, signed.data["specs"], signed.data["revision"])
    elif signed.ce_type == KILL_TYPE:
        _switch(state, str(signed.data["scope"]), bool(signed.data["on"]), int(signed.data["time_ms"]))


def _specs(state: ShardState, raw: Any, revision: str) -> None:
    state.specs = SpecSet.read(raw)
    state.spec_revision = revision


def _switch(state: ShardState, scope: str, on: bool, time_ms: int) -> None:
    """The newest that was signed counts: an old switch that somebody writes again stays old."""
    _, known_ms = state.switches.get(scope, (False, -1))
    if time_ms >= known_ms:
        state.switches[scope] = (on, time_ms)


def _decide(state: ShardState, tick: Tick, offset: int) -> tuple[Publish, ...]:
    """Everything that a tick decides, in a fixed order: what was heard, what is new, then each incident by its age."""
    out = Desk(state.number, offset, state.clock.now_ms)
    seen = sight.see(state, tick)
    if state.specs is None:
        return ()
    lanes = (
        {(state.rows.keys[row][:3], state.rows.keys[row][3]): lane for row, lane in seen.lanes.items()}
        if state.incidents
        else {}
    )
    for incident in state.incidents.values():
        if (incident.entity, incident.slo) in lanes:
            opening.count_on(state, seen, incident, lanes[incident.entity, incident.slo])
    inbox, state.inbox = state.inbox, []
    for raw in inbox:
        judge.hear(state, Outcome.read(raw), out)
    for incident in list(state.incidents.values()):
        lane = lanes.get((incident.entity, incident.slo))
        if lane is None:
            _withdraw(state, incident, out)
        else:
            _step(state, state.specs, seen, incident, lane, out)
    opening.open_new(state, seen, out)
    digest.tell(state, seen, out)
    return tuple(out.effects)


def _step(state: ShardState, specs: SpecSet, seen: Sight, incident: Incident, lane: int, out: Desk) -> None:
    match incident.phase:
        case Phase.BURNING | Phase.HELD:
            if not opening.recover(state, seen, incident, lane, out):
                _look_for_help(state, specs, seen, incident, lane, out)
        case Phase.APPLYING | Phase.REVERTING:
            judge.unanswered(state, specs, incident, out)
        case Phase.WATCHING:
            judge.watch(state, specs, seen, incident, lane, out)
        case Phase.QUIET:
            judge.quiet(state, specs, seen, incident, lane, out)
        case Phase.HANDED:
            opening.recover(state, seen, incident, lane, out)
        case Phase.CLOSED:
            raise AssertionError("a closed incident is forgotten at once")
        case _:
            assert_never(incident.phase)


def _look_for_help(state: ShardState, specs: SpecSet, seen: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Names the cause, and pursues it where this incident may act."""
    found = cause.ask(state, seen, incident, lane, out)
    tier = opening.fired(seen, lane)
    if not incident.acts and incident.joined is None and tier is not None and opening.may_act(seen.slo(lane), tier):
        incident.acts = not any(one.acts for one in state.incidents.values() if one.entity == incident.entity)
    if found is None or not incident.acts:
        return
    if found is not Cause.UNKNOWN or incident.phase is Phase.BURNING:
        plan.pursue(state, specs, seen, incident, lane, found, out)


def _withdraw(state: ShardState, incident: Incident, out: Desk) -> None:
    """The spec set no longer names this row: a change of ours is left to its own deadline, the incident ends."""
    out.tell(
        incident,
        "closed",
        ending="withdrawn",
        onset_s=incident.onset_s,
        verdict=incident.attempt.verdict if incident.attempt else None,
    )
    del state.incidents[incident.id]
