"""The engine: one journal record into a shard's state, and what is to be done outside because of it.

Pure: no clock, no I/O, no randomness. So the decisions of a shard are a function of its journal partition alone, and
its owner, a successor, a zombie, a replay and a simulation that read the same partition decide the same, to the byte.
"""

from typing import assert_never

from actuators.policy.guard import Refusal
from actuators.policy.incident import Incident
from actuators.policy.lifecycle import Phase
from detectors.state import DataState
from schemas import journal
from schemas.commands import Outcome
from schemas.control import ChangeReverted, KillDecided, PlanDecided, SpecsDecided, TargetThawed
from schemas.events import Ending
from schemas.journal import Kind, Malformed, Position, Progress, Record, Signed, Telemetry, Tick
from schemas.refusal import RefusalReason
from schemas.slo import Severity
from schemas.specs import SpecSet
from stream.core import (
    cause,
    digest,
    fleet,
    intake,
    judge,
    lift,
    opening,
    people,
    plan,
    settle,
    sight,
    sound,
    storm,
    words,
)
from stream.core.desk import Desk
from stream.core.intake import SourceGap
from stream.core.sight import Sight
from stream.effects import Publish
from stream.shard import Seen, ShardState

__all__ = ["Malformed", "SourceGap", "fold"]

SPECS_TYPE, KILL_TYPE = "dev.douse.control.specs", "dev.douse.control.kill"
PLAN_TYPE, REVERT_TYPE = "dev.douse.control.plan", "dev.douse.control.revert"
THAW_TYPE = "dev.douse.control.thaw"
OUTCOME_TYPE = "dev.douse.outcome"
INBOX_MAX = 10_000  # of 2 kB, between two ticks or before the first spec set; one command has a handful


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
            state.fleet = fleet.keep(state.fleet, body.fleet, state.clock.now_ms)
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
        if source.partitions == 0:  # it is not read any more: nobody waits for news of it
            state.progress = {key: seen for key, seen in state.progress.items() if key[0] != source.topic}
            continue
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
    if record.kind == Kind.OUTCOME:
        _outcome(state, signed)
    else:
        _control(state, signed, record.offset)
    state.marks[key] = signed.offset


def _outcome(state: ShardState, signed: Signed) -> None:
    """What cannot be read is no answer: its command goes unanswered, which freezes the target and tells a person."""
    try:
        Outcome.read(signed.data)
    except (ValueError, TypeError):
        state.count("outcomes_unreadable")
        return
    if signed.ce_type != OUTCOME_TYPE:
        state.count("outcomes_unreadable")
    elif len(state.inbox) >= INBOX_MAX:
        state.count("outcomes_left_out")
    else:
        state.inbox.append(dict(signed.data))


def _control(state: ShardState, signed: Signed, offset: int) -> None:
    """What operators decide. A kind that a later version knows is counted; a known kind that cannot be read stops the
    shard: going on with the specs or switches before it might do what its author has just forbidden."""
    try:
        if signed.ce_type == SPECS_TYPE:
            decided = SpecsDecided.read(signed.data)
            wrong = sound.unsound(decided.specs)
            if wrong:
                raise ValueError(wrong)
            state.specs, state.spec_revision = decided.specs, decided.revision
        elif signed.ce_type == KILL_TYPE:
            _switch(state, KillDecided.read(signed.data))
        elif signed.ce_type == PLAN_TYPE:
            people.keep(state, PlanDecided.read(signed.data))
        elif signed.ce_type == REVERT_TYPE:
            people.keep(state, ChangeReverted.read(signed.data))
        elif signed.ce_type == THAW_TYPE:
            people.keep(state, TargetThawed.read(signed.data))
        else:
            state.count("control_unknown")
    except (ValueError, TypeError) as error:
        where = f"journal partition {state.number} offset {offset}"
        raise Malformed(f"{where}: {signed.ce_type} cannot be in force: {error}") from error


def _switch(state: ShardState, kill: KillDecided) -> None:
    """The newest that was signed counts, and "on" of two of one time: an old switch that somebody writes again stays
    old. An "off" from a clock far ahead does not count: no later "on" would."""
    if not kill.on and kill.time_ms > state.clock.now_ms + people.FUTURE_MS_MAX:
        state.count("switches_ahead")
        return
    known_on, known_ms = state.switches.get(kill.scope, (False, -1))
    if kill.time_ms > known_ms or (kill.time_ms == known_ms and not known_on):
        state.switches[kill.scope] = (kill.on, kill.time_ms)


def _decide(state: ShardState, tick: Tick, offset: int) -> tuple[Publish, ...]:
    """Everything that a tick decides, in a fixed order: what was heard, what is new, then each incident by its age."""
    seen = sight.see(state, tick)
    if state.specs is None:
        return ()
    out = Desk(state.number, offset, state.clock.now_ms, lambda incident: words.figures(state, seen, incident))
    lanes = {incident.id: seen.lane(state, incident) for incident in state.incidents.values()}
    for incident in state.incidents.values():
        lane = lanes[incident.id]
        if lane is not None and seen.data_state(lane) is not DataState.STALE:  # what is late now may come yet
            opening.count_on(state, seen, incident, lane)
    inbox, state.inbox = state.inbox, []
    for raw in inbox:
        judge.hear(state, state.specs, Outcome.read(raw), out)
    people.hear(state, out)
    settle.settle_closed(state, state.specs, out)
    for incident in list(state.incidents.values()):
        lane = lanes[incident.id]
        if lane is None:
            _withdraw(state, incident, out)
        else:
            _step(state, state.specs, seen, incident, lane, out)
    opening.open_new(state, seen, out)
    storm.tell(state, state.specs, seen, out)
    digest.tell(state, seen, out)
    return tuple(out.effects)


def _step(state: ShardState, specs: SpecSet, seen: Sight, incident: Incident, lane: int, out: Desk) -> None:
    match incident.phase:
        case Phase.BURNING | Phase.HELD:
            if not opening.recover(state, seen, incident, lane, out):
                _look_for_help(state, specs, seen, incident, lane, out)
        case Phase.APPLYING:
            judge.unanswered(state, specs, incident, out)
        case Phase.REVERTING:
            judge.not_taken_back(state, specs, incident, out)
        case Phase.WATCHING:
            judge.watch(state, specs, seen, incident, lane, out)
        case Phase.QUIET:
            judge.quiet(state, specs, seen, incident, lane, out)
        case Phase.LIFTING:
            lift.go_on(state, specs, seen, incident, lane, out)
        case Phase.HANDED:
            settle.overdue(state, specs, incident, out)
            opening.recover(state, seen, incident, lane, out)
        case Phase.CLOSED:
            raise AssertionError("a closed incident is forgotten at once")
        case _:
            assert_never(incident.phase)


def _look_for_help(state: ShardState, specs: SpecSet, seen: Sight, incident: Incident, lane: int, out: Desk) -> None:
    """Names the cause, and pursues it where this incident may act and still burns."""
    found = cause.ask(state, seen, incident, lane, out)
    tier, slo = opening.fired(seen, lane), seen.slo(lane)
    if incident.joined is None and tier is not None and opening.may_act(slo, tier):
        if not incident.acts:
            incident.acts = not any(one.acts for one in state.incidents.values() if one.entity == incident.entity)
        incident.by_act |= incident.acts and tier.severity is Severity.ACT
    if found is None or not incident.acts or not opening.still_burns(incident):
        return
    if not slo.acts or not (slo.page_acts or incident.by_act):
        detail = "the objective may not act any more: the spec set was changed"
        plan.refuse(incident, Refusal(RefusalReason.NOT_ALLOWED, False, {}, detail), None, out)
        return
    plan.pursue(state, specs, seen, incident, lane, found, out)


def _withdraw(state: ShardState, incident: Incident, out: Desk) -> None:
    """The spec set no longer names this row: what was changed for it is taken back, and the incident ends."""
    attempt = incident.attempt
    if attempt is not None and attempt.standing and not attempt.kept:
        judge.take_back_withdrawn(incident, attempt, out)
    out.tell(
        incident,
        "closed",
        ending=Ending.WITHDRAWN,
        onset_s=incident.onset_s,
        verdict=attempt.verdict if attempt else None,
    )
    opening.forget(state, incident)
