"""A seeded world that means ill: one shard of several tenants, an engine, and an actuator that lies now and then.

Everything that may reach the journal does: faults, lying pools, telemetry that is late, missing, twice or sampled, no
progress, no ticks, ticks of two owners, a clock that is set back, losses, outcomes of every kind at any time, forged
ones, kill switches, and spec sets that change in the middle. The world writes records; `check` holds what must be true.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from schemas import canonical, journal
from schemas.commands import Outcome, OutcomeReason, OutcomeStatus
from schemas.fleet import Fleet
from schemas.journal import Kind, Position, Progress, Quantity, Record, Signed, SourceProgress, Strings, Tick
from schemas.otlp.columns import SpanKind, Temporality
from schemas.specs import SpecSet
from stream import engine, shard
from stream.effects import Publish
from tests import chaos_specs
from tests.chaos_specs import ENVIRONMENT, SERVICES, Service

START_MS = 1_800_000_000_000
TICK_MS = 500


class World:
    """Draws everything from one seed; `records` is the journal, `effects` what the live engine did with it."""

    def __init__(self, seed: int, tenants: int = 2) -> None:
        self.draw = random.Random(seed)
        self.now_ms = START_MS
        self.state = shard.fresh(0, 1)
        self.records: list[Record] = []
        self.effects: list[Publish] = []
        self.told: list[tuple[Record, Publish]] = []
        """Every effect with the record that it followed from."""
        self.positions: dict[str, int] = {}
        self.services = [
            Service(f"t{number}", name, self.draw.choice([20, 200, 200]))
            for number in range(tenants)
            for name in SERVICES[: self.draw.randint(1, 2)]
        ]
        self.standing: dict[str, str] = {}
        """By target the apply command whose change is live in this world."""
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.quiet_until = dict.fromkeys(("telemetry", "progress", "ticks", "act", "sampled", "fleet", "storm"), 0)
        self.lost = (-1, -1)
        self.answered = 0
        self.mean = self.draw.choice([0.1, 0.4, 1.0])
        """How often the world means ill: in a mean one hardly anything is ever judged."""
        self.target_ppm = self.draw.choice([999_000] * 6 + [990_000, 950_000])
        self.first_tier, self.page_acts = self.draw.choice([0] * 7 + [1]), self.draw.random() < 0.3
        self.specs = self.spec_set()
        self.control("specs", {"specs": self.specs.fields(), "revision": self.specs.revision})

    def spec_set(self) -> SpecSet:
        return chaos_specs.draw(self.draw, self.services, self.target_ppm, self.first_tier, self.page_acts)

    def run(self, seconds: int) -> None:
        for number in range(seconds):
            self._mischief(calm=number < 40)
            second = self.now_ms // 1000
            for half in range(2):
                self.now_ms = (second + 1) * 1000 + half * TICK_MS
                if half:
                    self._telemetry(second)
                    self._progress(second)
                    self._answers()
                if self._on("ticks"):
                    for _ in range(1 + (self.draw.random() < 0.1)):
                        folded = self.state.mark - 40 * (self.draw.random() < 0.1 * self.mean)
                        self.append(Kind.TICK, journal.encode_tick(Tick(TICK_MS, max(folded, -1), self._fleet())))

    def _fleet(self) -> Fleet | None:
        """What ticks say of all shards: at times nothing, an unknown shard, or a storm."""
        if self.draw.random() < 0.2:
            return None
        unknown = (1,) if not self._on("fleet") else ()
        alarming = 0 if self._on("storm") else 9
        return Fleet(at_ms=self.now_ms, shards=2, unknown=unknown, tenants=10, alarming=alarming)

    def _on(self, what: str) -> bool:
        return self.now_ms >= self.quiet_until[what]

    def _mischief(self, calm: bool) -> None:
        draw = self.draw
        if not calm:
            for one in self.services:
                if draw.random() < (0.006 if one.bad else 0.08):
                    one.bad = 0.0 if one.bad else draw.choice([0.02, 0.35, 0.35, 0.5, 1.0])
                    one.exhausted = draw.random() < 0.93
                    one.cured = draw.choice([0.0, 0.0, 0.0, 0.02, 0.3, 1.0, 2.5])
            for what, chance in (
                ("telemetry", 0.01),
                ("progress", 0.01),
                ("ticks", 0.006),
                ("act", 0.01),
                ("fleet", 0.01),
                ("storm", 0.01),
            ):
                if draw.random() < chance * self.mean:
                    self.quiet_until[what] = self.now_ms + draw.choice([2_000, 7_000, 20_000, 70_000])
            if draw.random() < 0.004 * self.mean:
                self.quiet_until["sampled"] = self.now_ms + 5_000
            if draw.random() < 0.004 * self.mean:
                self.now_ms += draw.choice([-3_000, -7_000, -90_000, 4_000, 30_000, 200_000, 4_000_000])
            if draw.random() < 0.004 * self.mean:
                at = self.positions.get("spans", -1)
                self.lost = (max(at - 5, 0), at + draw.randint(0, 5))
            if draw.random() < 0.012 * self.mean:
                self.specs = self.spec_set()
                self.control("specs", {"specs": self.specs.fields(), "revision": self.specs.revision})
            if draw.random() < 0.004 * self.mean:
                self.control("of a later version", {"whatever": 1})
            self._people()
        if draw.random() < 0.006 * self.mean:
            scope = draw.choice(["global", "tenant:live:t0", "mitigation:grow"])
            time_ms = self.now_ms - draw.choice([0, 0, 60_000])
            data = {"scope": scope, "on": draw.random() < 0.4, "by": "p", "reason": "r", "time_ms": time_ms}
            self.control("kill", data)

    def _people(self) -> None:
        """Operators approve and reject what is suggested, and want changes back, at times for no reason."""
        draw = self.draw
        of = {"environment": ENVIRONMENT, "by": "p", "reason": "r", "time_ms": self.now_ms}
        told = [dict(one.data) for one in self.effects[-200:]]
        suggested = [one for one in told if "autonomy" in one]
        if suggested and draw.random() < 0.2:
            one = draw.choice(suggested)
            word = {name: one[name] for name in ("plan", "incident", "tenant")} | {"approve": draw.random() < 0.85}
            self.control("plan", of | word | {"expires_ms": self.now_ms + draw.choice([-1, 5_000, 600_000, 10**8])})
        applied = [one for one in told if one.get("kind") == "apply" and "applies" in one]
        if applied and draw.random() < 0.004:
            one = draw.choice(applied)
            self.control("revert", of | {name: one[name] for name in ("command", "incident", "tenant")})
        if draw.random() < 0.002:
            self.control(
                "thaw", {"target": "t0-basket-pool_size", **{k: v for k, v in of.items() if k != "environment"}}
            )

    def _answers(self) -> None:
        """The actuator answers, late, twice, wrongly; and takes back by itself."""
        draw = self.draw
        for effect in self.effects[self.answered :]:
            if effect.type.startswith("dev.douse.command."):
                self._obey(dict(effect.data))
        self.answered = len(self.effects)
        due = [answer for answer in self.answers if answer[0] <= self.now_ms]
        self.answers = [answer for answer in self.answers if answer[0] > self.now_ms]
        for _, data in due if self._on("act") else ():
            for _ in range(1 + (draw.random() < 0.2)):
                self.signed(Kind.OUTCOME, "outcomes", "dev.douse.outcome", data)
        self.answers += due if not self._on("act") else []
        if draw.random() < 0.004:
            target = draw.choice([*self.standing, "t0-basket-pool_size", "elsewhere"])
            forged = {"command": f"{draw.getrandbits(64):032x}", "incident": "0" * 32, "target": target}
            data = self._outcome(forged | {"kind": "apply"}, draw.choice(list(OutcomeStatus)))
            self.signed(Kind.OUTCOME, "outcomes", "dev.douse.outcome", data)
        if draw.random() < 0.002:
            self.signed(Kind.OUTCOME, "outcomes", "dev.douse.outcome", {"status": "live"})

    def _obey(self, command: Mapping[str, Any]) -> None:
        draw, target = self.draw, command["target"]
        status = {"apply": OutcomeStatus.LIVE, "confirm": OutcomeStatus.CONFIRMED, "revert": OutcomeStatus.REVERTED}[
            command["kind"]
        ]
        if draw.random() < 0.25 * self.mean:
            status = draw.choice(list(OutcomeStatus))
        if command["kind"] == "apply" and status is OutcomeStatus.LIVE:
            self.standing[target] = command["command"]
            if draw.random() < 0.15:
                late = {**command, "kind": "revert"}
                data = self._outcome(late, OutcomeStatus.REVERTED, "confirm_deadline")
                self.answers.append((self.now_ms + draw.choice([10_000, 40_000, command["confirm_ms"]]), data))
        elif command["kind"] == "revert":
            self.standing.pop(target, None)
        for _ in range(draw.choice([0, *[1] * 16, 2])):
            delay_ms = draw.choice([0, 500, 500, 500, 1_000, 1_000, 5_000, 40_000])
            self.answers.append((self.now_ms + delay_ms, self._outcome(command, status)))

    def _outcome(self, command: Mapping[str, Any], status: OutcomeStatus, reason: str = "none") -> dict[str, Any]:
        draw = self.draw
        names = ("incident", "tenant", "mitigation", "target", "kind", "parameter")
        same = {
            "tenant": "t0",
            "mitigation": "grow",
            "parameter": "pool_size",
            **{name: command[name] for name in names if name in command},
        }
        live_ms = draw.choice([None, *[self.now_ms] * 4, self.now_ms - 100_000, self.now_ms + 100_000])
        return Outcome.read(
            {
                "command": command["command"],
                "applies": command.get("applies", command["command"]),
                "status": status.value,
                "reason": reason if draw.random() < 0.95 else draw.choice(list(OutcomeReason)).value,
                "actuator": "host" if draw.random() < 0.98 else "another",
                "environment": ENVIRONMENT,
                "shard": 0,
                "accepted_ms": self.now_ms,
                **same,
            }
            | ({"live_ms": live_ms} if live_ms is not None and status is OutcomeStatus.LIVE else {})
        ).fields()

    def _telemetry(self, second: int) -> None:
        for one in self.services:
            if one.rate and self._on("telemetry") and self.draw.random() < 0.995:
                at = second - self.draw.choice([0] * 30 + [1, 5, 200, -20])
                left = one.cured if f"{one.tenant}-{one.name}-pool_size" in self.standing else 1.0
                bad = min(round(one.rate * one.bad * left * self.draw.uniform(0.8, 1.2)), one.rate)
                record = journal.encode_telemetry((self._position("spans"),), self._tables(one, at, bad))
                for _ in range(1 + (self.draw.random() < 0.03)):
                    self.append(Kind.TELEMETRY, record)
                self.positions["spans"] = self.positions.get("spans", -1) + 1

    def _tables(self, one: Service, second: int, bad: int) -> dict[str, Any]:
        slos = [slo for slo in self.specs.slos if slo.sli.service == one.name]
        k, points = len(slos), self._points(one, bad)
        p = len(points)
        bads = np.array([bad] * k, np.uint32)
        total = np.full(k, one.rate, np.uint32)
        made = {
            "observations": self._rows(
                one,
                k,
                slo=Strings(np.arange(k, dtype=np.int32), tuple(slo.name for slo in slos)),
                sli=np.array([slo.sli.hash for slo in slos], np.uint64),
                bucket_s=np.full(k, second),
                good=total - bads,
                total=total,
                sampled=np.full(k, not self._on("sampled")),
            ),
            "requests": self._rows(
                one,
                1,
                bucket_s=np.array([second]),
                requests=np.array([one.rate], np.uint32),
                errors=np.array([bad], np.uint32),
                incomplete=np.zeros(1, np.uint32),
                oldest_end_ms=np.array([second * 1000 + 900]),
            ),
            "latency": self._rows(
                one, 1, bucket_s=np.array([second]), index=np.array([-20], np.int32), count=total[:1] if k else bads[:1]
            )
            if k
            else {},
            "operations": self._rows(
                one,
                1,
                kind=np.array([SpanKind.CLIENT], np.uint8),
                name=Strings(np.zeros(1, np.int32), ("SELECT items",)),
                bucket_s=np.array([second]),
                calls=np.array([one.rate], np.uint32),
                errors=np.zeros(1, np.uint32),
                duration_us=np.array([one.rate * 180_000], np.uint64),
            ),
            "pools": self._rows(
                one,
                p,
                instance=Strings(np.array([0] * p, np.int32), ("i-1",)),
                pool=Strings(np.zeros(p, np.int32), ("main",)),
                quantity=np.array([each[0] for each in points], np.uint8),
                temporality=np.full(p, Temporality.CUMULATIVE, np.uint8),
                start_ms=np.full(p, START_MS - 1000),
                time_ms=np.full(p, second * 1000 + 900),
                value=np.array([each[1] for each in points]),
                count=np.array([each[2] for each in points], np.uint64),
                sum=np.array([each[3] for each in points]),
            ),
        }
        return {name: table for name, table in made.items() if table}

    def _points(self, one: Service, bad: int) -> list[tuple[Quantity, float, int, float]]:
        """What the pool claims: exhausted or idle, whatever the truth is."""
        pool = bool(bad) and one.exhausted
        one.flows += [bad, one.rate, one.rate * (0.45 if pool else 0.0001), one.rate, one.rate * 0.18]
        return [
            (Quantity.USED, 32.0 if pool else 8.0, 0, 0.0),
            (Quantity.MAX, 32.0, 0, 0.0),
            (Quantity.PENDING, 100.0 if pool else 0.0, 0, 0.0),
            (Quantity.TIMEOUTS, one.flows[0] if pool else 0.0, 0, 0.0),
            (Quantity.WAIT, np.nan, int(one.flows[1]), one.flows[2]),
            (Quantity.USE, np.nan, int(one.flows[3]), one.flows[4]),
        ]

    def _rows(self, one: Service, rows: int, **columns: Any) -> dict[str, Any]:
        names = zip(("environment", "tenant", "service"), one.entity, strict=True)
        return {
            "source": np.zeros(rows, np.uint16),
            "offset": np.full(rows, self.positions.get("spans", -1) + 1),
            "hash": np.zeros(rows, np.uint64),
            **{name: Strings(np.zeros(rows, np.int32), (text,)) for name, text in names},
            **columns,
        }

    def _progress(self, second: int) -> None:
        at = self.positions.get("spans", -1)
        if self._on("progress"):
            sources = (SourceProgress("spans", 0, 1, at, at + 1, second * 1000 + 900, *self.lost),)
            self.append(Kind.PROGRESS, journal.encode_progress(Progress("boot", sources)))

    def _position(self, source: str) -> Position:
        return Position(source, 0, self.positions.get(source, -1))

    def control(self, name: str, data: dict[str, Any]) -> None:
        self.signed(Kind.CONTROL, "control", f"dev.douse.control.{name}", data)

    def signed(self, kind: Kind, topic: str, ce_type: str, data: dict[str, Any]) -> None:
        previous = self.positions.get(topic, -1)
        self.positions[topic] = previous + 1
        ce_id = canonical.digest(ce_type, canonical.dumps(data).decode())
        record = Signed(topic, 0, previous + 1, previous, ce_type, ce_id, "/test", "k", data)
        self.append(kind, journal.encode_signed(record))

    def append(self, kind: Kind, value: bytes) -> None:
        record = Record(0, len(self.records), self.now_ms, kind.value, journal.VERSION, value)
        self.records.append(record)
        effects = engine.fold(self.state, record)
        self.effects += effects
        self.told += [(record, effect) for effect in effects]
