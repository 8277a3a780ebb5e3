"""Detect to Prometheus: lag, snapshots and recovery of its shards, and what they decided, from the effects alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from schemas.events import INCIDENT_EVENTS, STATUS_TYPE, incident_type
from schemas.journal import Record
from stream.detect.ticker import Ticking
from stream.effects import Outlet, Publish
from stream.health.families import Families, Parts, Words
from stream.health.vitals import Look

APP = "detect"
SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # a snapshot of 1 MB takes 20 ms, of 100 MB some seconds
REASONS: Mapping[str, str] = {
    "opened": "severity",
    "diagnosed": "cause",
    "planned": "cause",
    "suggested": "autonomy",
    "refused": "reason",
    "verdict": "reason",
    "decided": "word",
    "lifted": "state",
    "handed_over": "reason",
    "closed": "ending",
}
"""The field of an incident event that says why."""
KINDS = {incident_type(name): name for name in INCIDENT_EVENTS}
UNATTRIBUTED = "unattributed_"
LEFT_OUT = "_left_out"


class DetectFamilies(Families):
    """Counts what this process folded. A successor folds the records since the last snapshot again, and counts them."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        super().__init__(APP)
        self._wall_s = wall_s
        self._words = Words()
        self._counters: dict[int, Mapping[str, int]] = {}
        registry, shard = self.registry, ["shard"]
        self._folded = Counter("douse_journal_records_folded", "Journal records folded.", ["kind"], registry=registry)
        self._decisions = Counter(
            "douse_decisions", "Incident events told, by kind and by what they give as reason.", ["kind", "reason"],
            registry=registry,
        )  # fmt: skip
        self._refusals = Counter("douse_refusals", "Changes that the guard refused.", ["reason"], registry=registry)
        self._verdicts = Counter("douse_verdicts", "Verdicts on plans.", ["verdict"], registry=registry)
        self._commands = Counter("douse_commands", "Orders sent to actuators.", ["kind"], registry=registry)
        self._late = Counter("douse_late_events", "Events too old for every bucket, left out.", registry=registry)
        self._future = Counter("douse_future_events", "Events too far ahead of the clock, left out.", registry=registry)
        self._lost = Counter("douse_lost_records", "Source records lost to retention.", registry=registry)
        self._unattributed = Counter(
            "douse_unattributed", "Spans, points and logs that fit no tenant.", ["kind", "reason"], registry=registry
        )
        self._left_out = Counter("douse_left_out", "Rows beyond a table's limit.", ["table"], registry=registry)
        self._noted = Counter("douse_noted", "Everything else that a shard counts.", ["what"], registry=registry)
        self._snapshots = Counter("douse_snapshots", "Snapshots written.", registry=registry)
        self._snapshot_s = Histogram(
            "douse_snapshot_duration_seconds", "Time to write a snapshot.", buckets=SECONDS, registry=registry
        )
        self._size = Gauge("douse_snapshot_size_bytes", "Bytes of the last snapshot.", shard, registry=registry)
        self._saved = Gauge(
            "douse_snapshot_timestamp_seconds", "Last snapshot, or the shard's load.", shard, registry=registry
        )
        self._recovery_s = Gauge(
            "douse_recovery_duration_seconds", "Time to load the shard's state.", shard, registry=registry
        )
        self._recovered = Gauge("douse_recovery_size_bytes", "Bytes that were loaded.", shard, registry=registry)
        self._position = Gauge("douse_shard_position", "Journal offset last folded.", shard, registry=registry)
        self._lag = Gauge("douse_shard_lag_records", "Journal records not folded yet.", shard, registry=registry)
        self._lag_s = Gauge("douse_shard_lag_seconds", "How far behind its journal.", shard, registry=registry)
        self._watermark = Gauge(
            "douse_shard_watermark_timestamp_seconds", "Journal time of the last digest.", shard, registry=registry
        )
        self._stale = Gauge("douse_shard_stale", "1 while a source was not heard of.", shard, registry=registry)
        self._shards = Gauge("douse_shards", "Shards of this worker.", ["state"], registry=registry)
        places = (self._size, self._saved, self._recovery_s, self._recovered, self._position, self._lag, self._lag_s)
        self._parts = Parts((*places, self._watermark, self._stale))

    def recovered(self, shard: int, size: int, took_s: float) -> None:
        name = str(shard)
        self._recovered.labels(name).set(size)
        self._recovery_s.labels(name).set(took_s)
        self._saved.labels(name).set(self._wall_s())
        self._counters.pop(shard, None)

    def saved(self, shard: int, size: int, took_s: float) -> None:
        self._snapshots.inc()
        self._snapshot_s.observe(took_s)
        self._size.labels(str(shard)).set(size)
        self._saved.labels(str(shard)).set(self._wall_s())

    def folded(self, record: Record, effects: Sequence[Publish]) -> None:
        self._folded.labels(record.kind).inc()
        for effect in effects:
            if effect.type == STATUS_TYPE:
                self._status(effect.data)
            elif effect.outlet is Outlet.COMMANDS:
                self._commands.labels(self._words.bounded(effect.type.rpartition(".")[2])).inc()
            elif effect.type in KINDS:
                self._told(KINDS[effect.type], effect.data)

    def look(self, owned: Sequence[int], at_work: Sequence[Ticking], ends: Mapping[int, int], assigned: bool) -> Look:
        """`ends` are the offsets of the last ticks that the broker acknowledged."""
        self._parts.keep({(str(number),) for number in owned})
        self._counters = {number: counts for number, counts in self._counters.items() if number in owned}
        self._shards.labels("owned").set(len(owned))
        self._shards.labels("at_work").set(len(at_work))
        positions = {}
        for shard in at_work:
            end = ends.get(shard.number, shard.mark)
            positions[f"shard {shard.number}"] = (shard.mark, end)
            self._position.labels(str(shard.number)).set(shard.mark)
            self._lag.labels(str(shard.number)).set(max(end - shard.mark, 0))
        waiting = len(owned) - len(at_work)
        if not assigned:
            return Look(positions, "the group to share out the shards")
        return Look(positions, f"{waiting} of {len(owned)} shards to be loaded" if waiting else "")

    def _told(self, kind: str, data: Mapping[str, Any]) -> None:
        reason = self._words.bounded(str(data.get(REASONS[kind], "")))
        self._decisions.labels(kind, reason).inc()
        if kind == "refused":
            self._refusals.labels(reason).inc()
        elif kind == "verdict":
            self._verdicts.labels(self._words.bounded(str(data.get("verdict", "")))).inc()

    def _status(self, data: Mapping[str, Any]) -> None:
        name = str(data["shard"])
        self._lag_s.labels(name).set(data["lag_ms"] / 1000)
        self._watermark.labels(name).set(data["at_ms"] / 1000)
        self._stale.labels(name).set(data["stale"])
        before = self._counters.get(data["shard"])
        self._counters[data["shard"]] = data["counters"]
        if before is not None:  # what was counted before this process had the shard is another's
            for what, count in data["counters"].items():
                self._count(what, max(count - before.get(what, 0), 0))

    def _count(self, what: str, amount: int) -> None:
        if what.startswith(UNATTRIBUTED):
            kind, _, reason = what.removeprefix(UNATTRIBUTED).partition("_")
            self._unattributed.labels(kind, reason).inc(amount)
        elif what.endswith(LEFT_OUT):
            self._left_out.labels(what.removesuffix(LEFT_OUT)).inc(amount)
        elif what == "late":
            self._late.inc(amount)
        elif what == "future":
            self._future.inc(amount)
        elif what == "records_lost":
            self._lost.inc(amount)
        else:
            self._noted.labels(self._words.bounded(what)).inc(amount)
