"""What douse tells the world about an incident, one model a kind of event. CloudEvents carry them; JSON Schemas are
made from them.

Units end the names: `_milli` thousandths, `_ppm` millionths, `_ms` Unix milliseconds or milliseconds, `_s` Unix
seconds or seconds.
"""

from enum import StrEnum

from schemas.fleet import Digest
from schemas.model import Model
from schemas.refusal import RefusalReason
from schemas.runbook import Action, Autonomy


class IncidentEvent(Model):
    """What every event of an incident says. (shard, journal_offset, index) is the place in the journal that it
    follows from."""

    incident: str
    sequence: int
    """Counts the events of this type and incident, from 0."""
    shard: int
    journal_offset: int
    index: int
    environment: str
    tenant: str
    service: str
    slo: str
    at_ms: int


class TierBurn(Model):
    name: str
    severity: str
    factor_milli: int
    long_s: int
    short_s: int
    long_milli: int
    """Burn rate over the long window, in thousandths of the budget's own pace."""
    short_milli: int
    fires: bool


class Budget(Model):
    """The error budget of the SLO's period. Where the history is shorter, the missing part counts as good at the
    observed rate."""

    target_ppm: int
    period_s: int
    history_s: int
    events: int
    bad: int
    allowed: int
    """Bad events that the period allows at the observed rate."""
    left_ppm: int
    """Share of the budget that is left; below 0 it is overspent."""
    spent_per_hour_ppm: int
    """Share of the budget that goes in an hour at the present burn."""
    hours_left_milli: int | None = None
    """Until nothing is left at the present burn; None while nothing burns or nothing is left."""


class Latency(Model):
    """p99 as an upper bound, at most 9.1 % above the truth."""

    p99_us: int | None = None
    objective_us: int | None = None


class Opened(IncidentEvent):
    """A tier fires and the incident begins; what was seen at that tick."""

    tier: str
    severity: str
    onset_s: int
    data_state: str
    burn: tuple[TierBurn, ...]
    budget: Budget
    latency: Latency
    before_latency: Latency
    freshness_p99_ms: int
    newest_telemetry_ms: int
    joined: str | None = None
    """The incident that holds the plan for this service; this one only reports."""


class FindingRow(Model):
    name: str
    value_milli: int | None = None
    before_milli: int | None = None
    weight_milli: int


class CauseRow(Model):
    cause: str
    suspect: str
    probability_ppm: int
    log_odds_milli: int
    findings: tuple[FindingRow, ...]


class AmplifierRow(Model):
    """Something that makes it worse, whatever the cause is; `present` is what the plan goes by."""

    amplifier: str
    present: bool
    log_odds_milli: int
    findings: tuple[FindingRow, ...]


class Diagnosed(IncidentEvent):
    """The distribution over causes, told when what it amounts to changes."""

    cause: str
    ranked: tuple[CauseRow, ...]
    amplifiers: tuple[AmplifierRow, ...] = ()
    first_s: int
    last_s: int
    base_first_s: int
    base_last_s: int
    requests_per_s_milli: int
    errors_per_s_milli: int
    trace_ids: tuple[str, ...]


class StepRow(Model):
    command: str
    mitigation: str
    actuator: str
    target: str
    parameter: str
    action: Action
    minimum: int
    maximum: int
    degrades: bool = False


class Planned(IncidentEvent):
    """A plan that is carried out now: the first step's command leaves with this event, each other one when the step
    before it is live."""

    plan: str
    revision: int
    cause: str
    amplifiers: tuple[str, ...] = ()
    approved_by: str = ""
    """The operator who approved it; empty where autonomy is auto."""
    steps: tuple[StepRow, ...]
    provable: bool
    requests_needed: int
    watch_ms: int
    confirm_ms: int
    errors_before: int
    requests_before: int
    rate_before_onset_mps: int
    rate_before_decision_mps: int
    longest_clean_run_s: int


class Suggestion(StrEnum):
    APPLY = "apply"
    """A plan; with autonomy `approve` an approval carries it out."""
    LIFT = "lift"
    """Steps of a confirmed plan that may be unnecessary by now: a person takes them back, or lets them stand."""


class Suggested(IncidentEvent):
    """A plan, or a taking back, that awaits a person."""

    plan: str
    kind: Suggestion = Suggestion.APPLY
    cause: str
    amplifiers: tuple[str, ...] = ()
    autonomy: Autonomy
    """The least of what the steps have."""
    steps: tuple[StepRow, ...]
    provable: bool = True
    """False: there is too little traffic to prove that it helps, so it is not done without a person's word."""
    tenants: int = 1
    """Tenants whose traffic depends on the targets: how far a mistake would reach."""


class Word(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    REJECT = "reject"
    REVERT = "revert"


class Decided(IncidentEvent):
    """A person's word on a plan or a change, as the shard took it up."""

    plan: str
    word: Word
    by: str
    said: str
    """The reason that the person gave."""
    taken: bool
    """False where it came too late or does not fit, for the reason in `detail`."""
    detail: str = ""


class LiftState(StrEnum):
    TRYING = "trying"
    """Taken back; its effect is counted."""
    LIFTED = "lifted"
    """It was not needed any more: it stays taken back."""
    HURTS = "hurts"
    """Without it the burn came back: it is put in place again, and kept."""
    RESTORED = "restored"
    STOPPED = "stopped"
    """Not tried, or broken off, for the reason in `detail`."""


class Lifted(IncidentEvent):
    """How the trial of taking back one step of a confirmed plan stands."""

    plan: str
    step: StepRow
    state: LiftState
    errors: int = 0
    requests: int = 0
    residual_ppm: int = 0
    detail: str = ""


class Refused(IncidentEvent):
    """Why a change does not happen; told when the reason changes."""

    reason: RefusalReason
    permanent: bool
    """True: a person takes over. False: it is looked at again at each tick."""
    mitigation: str = ""
    target: str = ""
    numbers: dict[str, int]
    detail: str


class VerdictGiven(IncidentEvent):
    """Did the plan help? Told when it is judged, and once more for a relapse."""

    plan: str
    verdict: str
    reason: str
    follows: str
    """What is done about it: wait_quiet, watch (once longer), confirm or revert."""
    window_s: int
    errors: int
    requests: int
    residual_ppm: int
    before_ppm: int
    p0_ppm: int
    p_value_ppm: int
    traffic_ratio_milli: int
    control: str
    live_ms: int
    decided_ms: int
    recovered_s: int | None = None
    """End of the first of three clean seconds running."""
    latency: Latency
    latency_back_s: int | None = None
    """p99 was under its objective for five seconds running at this time."""
    burn: tuple[TierBurn, ...]
    budget: Budget
    freshness_p99_ms: int


class Ending(StrEnum):
    CONFIRMED = "confirmed"
    """A plan was effective and stands."""
    RECOVERED = "recovered"
    """The burn stopped, and not because a plan of ours was proven effective."""
    WITHDRAWN = "withdrawn"
    """The objective was changed or taken out of the spec set."""


class HandedOver(IncidentEvent):
    """A person is needed: douse does nothing more about this incident on its own."""

    reason: str
    detail: str
    stands: bool
    """True where a change of douse still stands, or may stand."""
    burn: tuple[TierBurn, ...] = ()
    """The figures of this moment; none where the objective was withdrawn or the incident is over."""
    budget: Budget | None = None
    latency: Latency | None = None


class Closed(IncidentEvent):
    """The incident is over."""

    ending: Ending
    onset_s: int
    recovered_s: int | None = None
    verdict: str | None = None
    burn: tuple[TierBurn, ...] = ()
    budget: Budget | None = None
    """None where the objective was withdrawn."""
    latency: Latency = Latency()
    latency_back_s: int | None = None
    """p99 was under its objective for five seconds running at this time."""
    mend: str = ""


class StatusRow(Model):
    """One (tenant, SLO) as the last tick saw it."""

    environment: str
    tenant: str
    service: str
    slo: str
    data_state: str
    tier: str
    """The fastest tier, whose burn is shown."""
    factor_milli: int
    long_milli: int
    short_milli: int
    requests: int
    """In the tier's short window."""
    fires: bool
    hot: tuple[str, ...] = ()
    """Every tier that fires, tickets as well: a ticket tier opens no incident, it is told here alone."""
    p99_us: int | None = None
    incident: str | None = None
    phase: str | None = None


class Status(Model):
    """A shard once a second: how its rows are, the burning ones first, and how it is itself."""

    shard: int
    journal_offset: int
    at_ms: int
    stale: bool
    lag_ms: int
    act_from_ms: int
    rows: tuple[StatusRow, ...]
    rows_left_out: int
    counters: dict[str, int]
    fleet: Digest = Digest()


class Heartbeat(Model):
    """A worker says that it is well; its silence for longer than a few periods says that it is not."""

    app: str
    """ingest, detect or act."""
    actuator: str = ""
    """Which act; empty for the others."""
    boot: str
    """Drawn at the start of the process."""
    sequence: int
    """Counts the heartbeats of the process, from 1."""
    at_ms: int
    """By the worker's own clock."""
    period_s: int
    ready: bool
    """False while it lives and does not work yet."""
    version: str


STATUS_TYPE = "dev.douse.status"
HEARTBEAT_TYPE = "dev.douse.heartbeat"

INCIDENT_EVENTS: dict[str, type[IncidentEvent]] = {
    "opened": Opened,
    "diagnosed": Diagnosed,
    "planned": Planned,
    "suggested": Suggested,
    "refused": Refused,
    "verdict": VerdictGiven,
    "decided": Decided,
    "lifted": Lifted,
    "handed_over": HandedOver,
    "closed": Closed,
}


def incident_type(name: str) -> str:
    """CloudEvents type of the incident event `name`."""
    assert name in INCIDENT_EVENTS, name
    return f"dev.douse.incident.{name}"
