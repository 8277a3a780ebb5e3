"""Incidents as the topics would tell them, made by hand: a clock, and one method for each thing that can happen."""

from typing import Any

from schemas import canonical
from schemas.commands import Command, CommandKind, Outcome, OutcomeReason, OutcomeStatus, Reload
from schemas.envelope import Event
from schemas.events import (
    INCIDENT_EVENTS,
    Budget,
    CauseRow,
    Ending,
    FindingRow,
    Latency,
    StepRow,
    TierBurn,
    incident_type,
)
from schemas.model import Model
from schemas.refusal import RefusalReason
from schemas.runbook import Action, Autonomy, Scale

ONSET_S = 1_770_000_000
INCIDENT = canonical.digest("incident", "acme")
DIFF = "--- service.toml\n+++ service.toml\n@@ -3 +3 @@\n-pool_size = 32\n+pool_size = 64\n"
UNDO = "set db.pool_size to 32 in conf/service.toml, then: kill -HUP $(cat run/service.pid)"


def budget(left_ppm: int, bad: int, per_hour_ppm: int) -> Budget:
    return Budget(
        target_ppm=999_000,
        period_s=2_592_000,
        history_s=86_400,
        events=500_000_000,
        bad=bad,
        allowed=500_000,
        left_ppm=left_ppm,
        spent_per_hour_ppm=per_hour_ppm,
        hours_left_milli=left_ppm * 1000 // per_hour_ppm if per_hour_ppm > 0 and left_ppm > 0 else None,
    )


def tiers(act: bool, page: bool) -> tuple[TierBurn, ...]:
    return tuple(
        TierBurn(
            name=name,
            severity=severity,
            factor_milli=factor,
            long_s=long_s,
            short_s=short_s,
            long_milli=350_000 if fires else 200,
            short_milli=400_000 if fires else 0,
            fires=fires,
        )
        for name, severity, factor, long_s, short_s, fires in (
            ("act", "act", 43_200, 60, 5, act),
            ("page_fast", "page", 14_400, 3600, 300, page),
        )
    )


def finding(name: str, value: int, before: int, weight: int) -> FindingRow:
    return FindingRow(name=name, value_milli=value, before_milli=before, weight_milli=weight)


POOL = CauseRow(
    cause="pool_exhausted",
    suspect="replica@acme-1",
    probability_ppm=953_000,
    log_odds_milli=3_000,
    findings=(
        finding("used_of_max_ratio", 1000, 20, 1500),
        finding("wait_time_s", 498, 0, 1500),
        finding("use_time_ratio", 1010, 1000, 0),
    ),
)
DATABASE = CauseRow(
    cause="slow_database",
    suspect="replica@acme-1",
    probability_ppm=6_000,
    log_odds_milli=-5_000,
    findings=(finding("use_time_ratio", 1010, 1000, 0), finding("database_call_duration_ratio", 1020, 1000, -2000)),
)
UNKNOWN = CauseRow(cause="unknown", suspect="", probability_ppm=41_000, log_odds_milli=0, findings=())


class Timeline:
    """Collects events; `at` sets the seconds since the onset, and every event is one journal record."""

    def __init__(self, incident: str = INCIDENT, tenant: str = "acme-corp", onset_s: int = ONSET_S) -> None:
        self.incident, self.tenant, self.onset_s = incident, tenant, onset_s
        self.events: list[Event] = []
        self.now_ms, self.offset, self.plans = onset_s * 1000, 100, 0
        self.sequences: dict[str, int] = {}

    def at(self, seconds: float) -> "Timeline":
        self.now_ms = self.onset_s * 1000 + round(seconds * 1000)
        return self

    @property
    def plan(self) -> str:
        return canonical.digest("plan", self.incident, self.plans - 1)

    @property
    def command(self) -> str:
        return canonical.digest("command", self.incident, self.plans - 1)

    def told(self, name: str, **fields: Any) -> "Timeline":
        sequence = self.sequences.get(name, 0)
        self.sequences[name] = sequence + 1
        self.offset += 1
        model = INCIDENT_EVENTS[name](
            incident=self.incident,
            sequence=sequence,
            shard=3,
            journal_offset=self.offset,
            index=0,
            environment="default",
            tenant=self.tenant,
            service="shop",
            slo="availability",
            at_ms=self.now_ms,
            **fields,
        )
        return self._publish(incident_type(name), canonical.digest(self.incident, name, sequence), model)

    def opened(self, **fields: Any) -> "Timeline":
        return self.told(
            "opened",
            tier="act",
            severity="act",
            onset_s=self.onset_s,
            data_state="ok",
            burn=tiers(True, False),
            budget=budget(970_000, 15_000, 486_000),
            latency=Latency(p99_us=1_210_000, objective_us=250_000),
            before_latency=Latency(p99_us=204_000, objective_us=250_000),
            freshness_p99_ms=900,
            newest_telemetry_ms=self.now_ms - 400,
            **fields,
        )

    def diagnosed(
        self, cause: str, *ranked: CauseRow, traces: tuple[str, ...] = ("4bf92f35",), **fields: Any
    ) -> "Timeline":
        return self.told(
            "diagnosed",
            cause=cause,
            ranked=ranked,
            first_s=self.onset_s,
            last_s=self.onset_s + 3,
            base_first_s=self.onset_s - 30,
            base_last_s=self.onset_s - 1,
            requests_per_s_milli=230_000,
            errors_per_s_milli=80_500,
            trace_ids=traces,
            **fields,
        )

    def step(self, mitigation: str, action: Action) -> StepRow:
        return StepRow(
            command=self.command,
            mitigation=mitigation,
            actuator="local",
            target="acme-pool",
            parameter="pool_size",
            action=action,
            minimum=4,
            maximum=128,
        )

    def planned(self, mitigation: str = "raise_pool", action: Action | None = None) -> "Timeline":
        self.plans += 1
        return self.told(
            "planned",
            plan=self.plan,
            revision=self.plans - 1,
            cause="pool_exhausted",
            steps=(self.step(mitigation, action or Scale(numerator=2)),),
            provable=True,
            requests_needed=524,
            watch_ms=20_000,
            confirm_ms=110_000,
            errors_before=320,
            requests_before=900,
            rate_before_onset_mps=200_000,
            rate_before_decision_mps=230_000,
            longest_clean_run_s=0,
        )

    def suggested(self) -> "Timeline":
        self.plans += 1
        steps = (self.step("raise_pool", Scale(numerator=2)),)
        return self.told("suggested", plan=self.plan, cause="pool_exhausted", autonomy=Autonomy.SUGGEST, steps=steps)

    def refused(self, reason: RefusalReason, detail: str, permanent: bool = True, **numbers: int) -> "Timeline":
        return self.told("refused", reason=reason, permanent=permanent, numbers=numbers, detail=detail)

    def handed(self, reason: str, detail: str, stands: bool = False) -> "Timeline":
        return self.told("handed_over", reason=reason, detail=detail, stands=stands)

    def verdict(self, verdict: str, reason: str, follows: str, **fields: Any) -> "Timeline":
        numbers: dict[str, Any] = {
            "window_s": 5,
            "errors": 0,
            "requests": 1_100,
            "residual_ppm": 0,
            "before_ppm": 355_000,
            "p0_ppm": 14_400,
            "p_value_ppm": 1,
            "traffic_ratio_milli": 985,
            "live_ms": self.now_ms - 6_000,
            "decided_ms": self.now_ms - 7_000,
            "latency": Latency(p99_us=204_000, objective_us=250_000),
            "burn": tiers(True, True),
            "budget": budget(968_000, 16_000, 0),
            "freshness_p99_ms": 950,
        }
        return self.told(
            "verdict",
            plan=self.plan,
            verdict=verdict,
            reason=reason,
            follows=follows,
            **({"control": "no control"} | numbers | fields),
        )

    def closed(self, ending: Ending, **fields: Any) -> "Timeline":
        shown: dict[str, Any] = {
            "burn": tiers(False, True),
            "budget": budget(967_900, 16_050, 100),
            "latency": Latency(p99_us=204_000, objective_us=250_000),
        }
        return self.told("closed", ending=ending, onset_s=self.onset_s, **(shown | fields))

    def ordered(self, kind: CommandKind) -> "Timeline":
        self.offset += 1
        command = self.command if kind is CommandKind.APPLY else canonical.digest(self.command, kind.value)
        model = Command(
            decided_ms=0,
            command=command,
            kind=kind,
            applies=self.command,
            plan=self.plan,
            revision=0,
            step=0,
            attempt=0,
            incident=self.incident,
            shard=3,
            journal_offset=self.offset,
            index=1,
            environment="default",
            tenant=self.tenant,
            service="shop",
            actuator="local",
            target="acme-pool",
            mitigation="raise_pool",
            parameter="pool_size",
        )
        return self._publish(f"dev.douse.command.{kind.value}", command, model)

    def outcome(self, status: OutcomeStatus, kind: CommandKind = CommandKind.APPLY, **fields: Any) -> "Timeline":
        command = self.command if kind is CommandKind.APPLY else canonical.digest(self.command, kind.value)
        shown: dict[str, Any] = {"command": command, "applies": self.command, "tenant": self.tenant}
        shown |= {"before": "32", "after": "64", "diff": DIFF}
        if status is OutcomeStatus.LIVE:
            shown |= {
                "live_ms": self.now_ms - 50,
                "confirm_by_ms": self.now_ms + 110_000,
                "undo": UNDO,
                "reloads": tuple(
                    Reload(process=name, pid=pid, signal="SIGHUP", before="32", after="64", live_ms=self.now_ms - 50)
                    for name, pid in (("service", 41), ("worker", 42))
                ),
            }
        model = Outcome(
            kind=kind,
            status=status,
            actuator="local",
            target="acme-pool",
            environment="default",
            incident=self.incident,
            shard=3,
            mitigation="raise_pool",
            parameter="pool_size",
            accepted_ms=self.now_ms - 900,
            **(shown | fields),
        )
        ce_id = canonical.digest("outcome", model.command, status.value, model.reason.value)
        return self._publish("dev.douse.outcome", ce_id, model)

    def _publish(self, kind: str, ce_id: str, model: Model) -> "Timeline":
        self.events.append(Event(kind, ce_id, "/douse/test", self.now_ms, model.fields()))
        return self


def burning() -> Timeline:
    """Opened and diagnosed: the pool."""
    return Timeline().at(3.2).opened().at(3.7).diagnosed("pool_exhausted", POOL, UNKNOWN, DATABASE)


def live() -> Timeline:
    """The pool is 64 at both processes."""
    return burning().at(3.7).planned().ordered(CommandKind.APPLY).at(4.6).outcome(OutcomeStatus.LIVE)


def pool() -> Timeline:
    """Put out, proven, confirmed, closed."""
    story = (
        live()
        .at(10.9)
        .verdict("effective", "below_fast_page", "wait_quiet", recovered_s=ONSET_S + 8, latency_back_s=ONSET_S + 11)
    )
    story.at(26.2).ordered(CommandKind.CONFIRM)
    story.closed(Ending.CONFIRMED, recovered_s=ONSET_S + 7, verdict="effective", mend="size the pool for the peak")
    return story.at(26.5).outcome(OutcomeStatus.CONFIRMED, CommandKind.CONFIRM)


def deaf() -> Timeline:
    """The target ignored the signal; the file is restored."""
    story = burning().planned().ordered(CommandKind.APPLY).at(8.1)
    detail = "service: the new value was not live after 3000 ms; the file is restored"
    story.outcome(OutcomeStatus.FAILED, reason=OutcomeReason.NOT_LIVE, detail=detail)
    return story.at(8.3).handed("not_live", f"failed at local/acme-pool: {detail}")


def harmful() -> Timeline:
    """A runbook that shrinks the pool: worse, taken back."""
    story = burning().planned("shrink_pool", Scale(numerator=1, denominator=4)).at(4.6).outcome(OutcomeStatus.LIVE)
    worse = {"errors": 900, "residual_ppm": 818_000, "budget": budget(960_000, 20_000, 1_100_000)}
    story.at(8.9).verdict("harmful", "worse_than_before", "revert", **worse).ordered(CommandKind.REVERT)
    story.at(9.8).outcome(OutcomeStatus.REVERTED, CommandKind.REVERT)
    return story.at(10.0).handed("harmful", "shrink_pool was harmful and is taken back")
