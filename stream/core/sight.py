"""What a tick sees: burn rates and data states of all rows at one moment, and whether the observer itself is well."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actuators.policy.incident import Incident
from detectors import burn, freshness, state, windows
from detectors.burn import Book, Burn
from detectors.series import Key
from detectors.state import DataState
from schemas.journal import Tick
from schemas.slo import Slo
from stream.shard import NOT_YET, TICKS_REMEMBERED, ShardState

PROGRESS_MS_MAX = 3_000
BACKLOG_MS_MAX = 10_000  # a source that is behind is still fresh while its newest span is this young
GAP_MS_MAX = 5_000
STEP_BACK_MS_MAX = 5_000
STALE_AFTER_STEP_MS = 30_000
SETTLE_FIRST_MS, SETTLE_AGAIN_MS = 30_000, 5_000
LONGEST_SILENT_S = 60


@dataclass(frozen=True, slots=True)
class Sight:
    """One tick. Arrays are in the order of `plan.rows`; `lanes` finds the place of a row there."""

    now_ms: int
    slos: tuple[Slo, ...]
    plan: Book
    burn: Burn
    states: NDArray[np.uint8]
    freshness_ms: NDArray[np.int64]
    lanes: dict[int, int]
    lag_ms: int
    act_from_ms: int
    recent: NDArray[np.int64]
    """Requests of the last minute."""

    def slo(self, lane: int) -> Slo:
        return self.slos[int(self.plan.slos[lane])]

    def lane(self, shard: ShardState, incident: Incident) -> int | None:
        """Place of the very row that the incident was opened for; None once the spec set no longer names it."""
        row = shard.rows.index.get(windows.key(*incident.entity, incident.slo, incident.sli))
        return None if row is None else self.lanes.get(row)

    def data_state(self, lane: int) -> DataState:
        return DataState(int(self.states[lane]))


def set_clock(shard: ShardState, timestamp_ms: int) -> None:
    """Journal time, made monotone, moves all rings; a step back of more than 5 s is believed, and all is stale for a
    while."""
    clock = shard.clock
    if timestamp_ms < clock.now_ms - STEP_BACK_MS_MAX:
        clock.now_ms = timestamp_ms
        clock.steps += 1
        clock.stepped_until_ms = timestamp_ms + STALE_AFTER_STEP_MS
        clock.tick_ms = NOT_YET
        for seen in shard.progress.values():  # what was heard "later" than now would look fresh until then
            seen.seen_ms = min(seen.seen_ms, timestamp_ms)
    clock.now_ms = max(clock.now_ms, timestamp_ms)
    for table in shard.tables:
        windows.advance(table, clock.now_ms // 1000)


def accept(shard: ShardState, tick: Tick, offset: int) -> bool:
    """False for a tick that comes less than half an interval after the last one: a second owner's, or a repetition."""
    clock = shard.clock
    if clock.tick_ms != NOT_YET and 2 * (clock.now_ms - clock.tick_ms) < tick.interval_ms:
        return False
    gap = clock.tick_ms != NOT_YET and clock.now_ms - clock.tick_ms > GAP_MS_MAX
    clock.tick_ms = clock.now_ms
    clock.ticks = [*clock.ticks[1 - TICKS_REMEMBERED :], (offset, clock.now_ms)]
    if stale(shard):
        clock.fresh_since_ms = NOT_YET
    elif clock.fresh_since_ms == NOT_YET or gap:
        clock.fresh_since_ms = clock.now_ms
    return True


def stale(shard: ShardState) -> bool:
    """True unless every partition of every source was heard of within 3 s and is not behind."""
    now_ms = shard.clock.now_ms
    if now_ms < shard.clock.stepped_until_ms or not shard.progress:
        return True
    expected = {
        (topic, partition) for (topic, _), seen in shard.progress.items() for partition in range(seen.partitions)
    }
    if not expected <= shard.progress.keys():
        return True
    for seen in shard.progress.values():
        behind = seen.position + 1 < seen.high_watermark and 0 < seen.newest_end_ms < now_ms - BACKLOG_MS_MAX
        if now_ms - seen.seen_ms > PROGRESS_MS_MAX or behind:
            return True
    return False


def see(shard: ShardState, tick: Tick) -> Sight:
    """Reads all rings at the clock."""
    clock = shard.clock
    plan, entity, slos = _book(shard)
    late_ms = freshness.p99_ms(shard.entities)
    freshness_ms = (
        np.where(entity >= 0, late_ms[entity], freshness.FLOOR_MS)
        if len(late_ms)
        else np.full(len(plan.rows), freshness.FLOOR_MS)
    )
    end_s = windows.complete_end(shard.rows, clock.now_ms, freshness_ms)
    rates = burn.rates(shard.rows, plan, end_s)
    total = windows.counts(shard.rows, plan.rows, end_s, LONGEST_SILENT_S)[windows.TOTAL]
    heard_s = np.where(entity >= 0, shard.entities.columns["heard_s"][entity], NOT_YET)
    thin = rates.thin[0] if len(rates.thin) else np.zeros(len(plan.rows), np.bool_)
    sampled_s = shard.rows.columns["sampled_s"][plan.rows]
    late = freshness_ms > windows.LAG_S_MAX * 1000
    blind = clock.fresh_since_ms == NOT_YET
    states = state.states(end_s, total, thin, heard_s, sampled_s, plan.acting_s, shard.lost_s, late, blind)
    lanes = {row: lane for lane, row in enumerate(plan.rows.tolist())}
    return Sight(
        clock.now_ms,
        slos,
        plan,
        rates,
        states,
        freshness_ms,
        lanes,
        _lag_ms(shard, tick),
        _act_from_ms(shard),
        total,
    )


def _act_from_ms(shard: ShardState) -> int:
    """30 s of fresh progress at the first start, 5 s after any break; out of reach while nothing is fresh."""
    clock = shard.clock
    if clock.fresh_since_ms == NOT_YET:
        return clock.now_ms + SETTLE_FIRST_MS
    if clock.first_fresh and clock.now_ms - clock.fresh_since_ms >= SETTLE_FIRST_MS:
        clock.first_fresh = False
    return clock.fresh_since_ms + (SETTLE_FIRST_MS if clock.first_fresh else SETTLE_AGAIN_MS)


def _lag_ms(shard: ShardState, tick: Tick) -> int:
    """Age of the oldest remembered tick that the sender of this one had not folded yet."""
    waiting = [at for offset, at in shard.clock.ticks[:-1] if offset > tick.folded]
    return shard.clock.now_ms - waiting[0] if waiting else 0


def _book(shard: ShardState) -> tuple[Book, NDArray[np.int64], tuple[Slo, ...]]:
    """Budgets and tiers of the rows that the spec set names, and (k,) the entity's row of each (-1: not heard of)."""
    slos = shard.specs.slos if shard.specs else ()
    key = (len(shard.rows), len(shard.entities), shard.spec_revision)
    if shard.book is None or shard.book_key != key:
        wanted: dict[Key, int] = {
            (slo.sli.service, slo.name, f"{slo.sli.hash:016x}"): place for place, slo in enumerate(slos)
        }
        found = [(row, wanted[name[2:]]) for row, name in enumerate(shard.rows.keys) if name[2:] in wanted]
        shard.book = burn.book(
            slos, np.array([row for row, _ in found], np.int64), np.array([slo for _, slo in found], np.int64)
        )
        shard.book_entities = np.array(
            [shard.entities.index.get(shard.rows.keys[row][:3], -1) for row, _ in found], np.int64
        )
        shard.book_key = key
    return shard.book, shard.book_entities, slos
