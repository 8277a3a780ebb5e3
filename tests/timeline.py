"""Written timelines: what a tenant's service says second by second, as the journal records that ingest would write.

    world = Timeline()
    world.run(60, rate=200)                      # calm
    world.run(10, rate=270, bad=0.35, pool=Pool(used=32, maximum=32, pending=200, wait_s=0.45, use_s=0.18))
    world.told("opened")                         # the events of that kind, oldest first

The clock is the journal's; nothing sleeps. Telemetry of second s arrives half a second after s has ended, ticks come
four a second.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas import canonical, journal, tiers
from schemas.fleet import Fleet
from schemas.journal import Kind, Position, Progress, Quantity, Record, Signed, SourceProgress, Strings, Table, Tick
from schemas.otlp.columns import SpanKind, Temporality
from schemas.runbook import Autonomy, AutonomyRule, Cause, Course, Limits, Mitigation, Runbook, Scale, Target
from schemas.slo import Slo, SpanSli
from schemas.specs import SpecSet
from stream import engine, shard
from stream.effects import Outlet, Publish

START_MS = 1_800_000_000_000
TENANT, SERVICE, ENVIRONMENT = "north", "basket", "live"
TICK_MS = 250


@dataclass(frozen=True, slots=True)
class Pool:
    """What the pool says each second: gauges, and the mean wait and use of the second's requests."""

    used: float = 8
    maximum: float = 32
    pending: float = 0
    wait_s: float = 0.0001
    use_s: float = 0.18
    timeouts: int = 0


def specs(autonomy: Autonomy = Autonomy.AUTO, acts: bool = True, **limits: int) -> SpecSet:
    """One availability objective at 99.9 %, a latency objective that reports, and a runbook that doubles the pool."""
    availability = Slo(
        name="availability",
        sli=SpanSli(service=SERVICE),
        target_ppm=999_000,
        tiers=tiers.defaults(999_000, 2_592_000)[0],
        acts=acts,
    )
    latency = Slo(
        name="latency",
        sli=SpanSli(service=SERVICE, latency_ms_max=250),
        target_ppm=990_000,
        tiers=tiers.defaults(990_000, 2_592_000)[0],
    )
    return SpecSet(
        slos=(availability, latency),
        mitigations=(
            Mitigation(
                name="more-connections", parameter="pool_size", action=Scale(numerator=2), minimum=8, maximum=128
            ),
        ),
        runbooks=(Runbook(cause=Cause.POOL_EXHAUSTED, courses=(Course(steps=("more-connections",)),)),),
        targets=(
            Target(
                id="north-pool",
                actuator="host",
                environment=ENVIRONMENT,
                tenants=(TENANT,),
                service=SERVICE,
                parameter="pool_size",
            ),
        ),
        autonomy=(AutonomyRule(environment=ENVIRONMENT, tenant=TENANT, mitigation="more-connections", level=autonomy),),
        limits=Limits(**limits),
    )


@dataclass
class Timeline:
    state: shard.ShardState = field(default_factory=lambda: shard.fresh(0, 1))
    spec_set: SpecSet = field(default_factory=specs)
    now_ms: int = START_MS
    records: list[Record] = field(default_factory=list)
    effects: list[Publish] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    lost: tuple[int, int] = (-1, -1)
    """First and last position that progress says were lost to retention."""
    tenant: str = TENANT
    """Whose telemetry comes."""
    sampled: bool = False
    fleet: Fleet | None = field(default_factory=lambda: Fleet(at_ms=START_MS, shards=1, tenants=5))
    """What ticks tell of all shards: one alone, and nobody alarms; None: nothing."""
    flows: np.ndarray = field(default_factory=lambda: np.zeros(5))

    def __post_init__(self) -> None:
        self.control("dev.douse.control.specs", {"specs": self.spec_set.fields(), "revision": self.spec_set.revision})

    def run(
        self,
        seconds: int,
        *,
        rate: int = 200,
        bad: float = 0.0,
        latency_ms: int = 180,
        pool: Pool | None = Pool(),
        fresh: bool = True,
    ) -> None:
        """`seconds` of telemetry and ticks: requests a second, the share that fails, and what the pool says."""
        for _ in range(seconds):
            second = self.now_ms // 1000
            for quarter in range(4):
                self.now_ms = (second + 1) * 1000 + quarter * TICK_MS
                if quarter == 2 and rate:
                    self.requests(second, rate, round(rate * bad), latency_ms, pool)
                if quarter == 3 and fresh:
                    self.progress(second)
                self.tick()

    def requests(self, second: int, total: int, bad: int, latency_ms: int, pool: Pool | None) -> None:
        slow = total if latency_ms > 250 else bad
        index = int(np.ceil(np.log2(latency_ms / 1000) * 8)) - 1
        tables: dict[str, Table] = {
            "observations": self._rows(
                2,
                slo=Strings(np.arange(2, dtype=np.int32), ("availability", "latency")),
                sli=np.array([slo.sli.hash for slo in self.spec_set.slos], np.uint64),
                bucket_s=np.full(2, second),
                good=np.array([total - bad, total - slow], np.uint32),
                total=np.full(2, total, np.uint32),
                sampled=np.full(2, self.sampled),
            ),
            "requests": self._rows(
                1,
                bucket_s=np.array([second]),
                requests=np.array([total], np.uint32),
                errors=np.array([bad], np.uint32),
                incomplete=np.zeros(1, np.uint32),
                oldest_end_ms=np.array([second * 1000 + 900]),
            ),
            "latency": self._rows(
                1, bucket_s=np.array([second]), index=np.array([index], np.int32), count=np.array([total], np.uint32)
            ),
            "operations": self._rows(
                1,
                kind=np.array([SpanKind.CLIENT], np.uint8),
                name=Strings(np.zeros(1, np.int32), ("SELECT items",)),
                bucket_s=np.array([second]),
                calls=np.array([total - bad], np.uint32),
                errors=np.zeros(1, np.uint32),
                duration_us=np.array([round((total - bad) * (pool.use_s if pool else 0.18) * 1e6)], np.uint64),
            ),
            "exemplars": self._rows(
                1,
                trace_id=Strings(np.zeros(1, np.int32), (f"{second:032x}",)),
                span_id=Strings(np.zeros(1, np.int32), (f"{second:016x}",)),
                name=Strings(np.zeros(1, np.int32), ("GET /items",)),
                bucket_s=np.array([second]),
                duration_us=np.array([latency_ms * 1000], np.uint64),
                error=np.array([bad > 0]),
            ),
        }
        if pool is not None:
            tables["pools"] = self._pool(second, total, pool)
        self._append(Kind.TELEMETRY, journal.encode_telemetry((self._position("spans"),), tables))
        self.positions["spans"] = self.positions.get("spans", -1) + 1

    def progress(self, second: int) -> None:
        at = self.positions.get("spans", -1)
        sources = (SourceProgress("spans", 0, 1, at, at + 1, second * 1000 + 900, *self.lost),)
        self._append(Kind.PROGRESS, journal.encode_progress(Progress("boot", sources)))

    def tick(self) -> None:
        fleet = self.fleet and self.fleet.model_copy(update={"at_ms": self.now_ms})
        self._append(Kind.TICK, journal.encode_tick(Tick(TICK_MS, self.state.mark, fleet)))

    def control(self, ce_type: str, data: dict[str, Any]) -> None:
        self._signed(Kind.CONTROL, "control", ce_type, data)

    def kill(self, scope: str, on: bool, time_ms: int) -> None:
        """An operator throws a kill switch."""
        data = {"scope": scope, "on": on, "by": "a person", "reason": "a test", "time_ms": time_ms}
        self.control("dev.douse.control.kill", data)

    def outcome(self, command: dict[str, Any], status: str, **fields: Any) -> None:
        """What the actuator answers to a command that was published."""
        names = (
            "command",
            "kind",
            "applies",
            "actuator",
            "target",
            "environment",
            "tenant",
            "incident",
            "shard",
            "mitigation",
            "parameter",
        )
        data = {name: command[name] for name in names} | {"status": status, "accepted_ms": self.now_ms, **fields}
        self._signed(Kind.OUTCOME, "outcomes", "dev.douse.outcome", data)

    def told(self, name: str, slo: str = "availability") -> list[dict[str, Any]]:
        """Data of the incident events of that name about one objective, oldest first."""
        return [dict(e.data) for e in self.effects if e.type == f"dev.douse.incident.{name}" and e.data["slo"] == slo]

    def commands(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [dict(e.data) for e in self.effects if e.outlet is Outlet.COMMANDS and kind in (None, e.data["kind"])]

    def phase(self) -> str | None:
        acting = [one for one in self.state.incidents.values() if one.slo == "availability"]
        return acting[0].phase.value if acting else None

    def status(self) -> dict[str, Any]:
        """The newest digest."""
        return dict([effect.data for effect in self.effects if effect.outlet is Outlet.STATUS][-1])

    def _position(self, source: str) -> Position:
        return Position(source, 0, self.positions.get(source, -1))

    def _rows(self, rows: int, **columns: Any) -> Table:
        same = {
            name: Strings(np.zeros(rows, np.int32), (text,))
            for name, text in (("environment", ENVIRONMENT), ("tenant", self.tenant), ("service", SERVICE))
        }
        offset = self.positions.get("spans", -1) + 1
        return {
            "source": np.zeros(rows, np.uint16),
            "offset": np.full(rows, offset),
            "hash": np.zeros(rows, np.uint64),
            **same,
            **columns,
        }

    def _pool(self, second: int, total: int, pool: Pool) -> Table:
        self.flows += [pool.timeouts, total, total * pool.wait_s, total, total * pool.use_s]
        timeouts, waits, waited, uses, used = self.flows
        points = [
            (Quantity.USED, pool.used, 0, 0.0),
            (Quantity.MAX, pool.maximum, 0, 0.0),
            (Quantity.PENDING, pool.pending, 0, 0.0),
            (Quantity.TIMEOUTS, timeouts, 0, 0.0),
            (Quantity.WAIT, np.nan, waits, waited),
            (Quantity.USE, np.nan, uses, used),
        ]
        rows = len(points)
        return self._rows(
            rows,
            instance=Strings(np.zeros(rows, np.int32), ("i-1",)),
            pool=Strings(np.zeros(rows, np.int32), ("main",)),
            quantity=np.array([q for q, _, _, _ in points], np.uint8),
            temporality=np.full(rows, Temporality.CUMULATIVE, np.uint8),
            start_ms=np.full(rows, START_MS - 1000),
            time_ms=np.full(rows, second * 1000 + 900),
            value=np.array([v for _, v, _, _ in points]),
            count=np.array([c for _, _, c, _ in points], np.uint64),
            sum=np.array([s for _, _, _, s in points]),
        )

    def _signed(self, kind: Kind, topic: str, ce_type: str, data: dict[str, Any]) -> None:
        previous = self.positions.get(topic, -1)
        self.positions[topic] = previous + 1
        ce_id = canonical.digest(ce_type, canonical.dumps(data).decode())
        self._append(
            kind, journal.encode_signed(Signed(topic, 0, previous + 1, previous, ce_type, ce_id, "/test", "k", data))
        )

    def _append(self, kind: Kind, value: bytes) -> None:
        record = Record(0, len(self.records), self.now_ms, kind.value, journal.VERSION, value)
        self.records.append(record)
        self.effects += engine.fold(self.state, record)
