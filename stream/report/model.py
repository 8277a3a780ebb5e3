"""The report of one incident as data, which is report.json: everything a person asks of it, with its unit in its name.

What is not known, or has not happened, is left out.
"""

from enum import StrEnum

from schemas.events import LiftState, Word
from schemas.model import Model
from schemas.runbook import Action


class Moment(Model):
    """One thing that happened, or that has not happened yet (then without a time)."""

    name: str
    at_ms: int | None = None
    since_onset_ms: int | None = None
    detail: str = ""


class Objective(Model):
    """What was promised, and what is left of the error budget. Shares are of the whole period's budget."""

    slo: str
    target_ppm: int
    period_s: int
    history_s: int
    """Less than the period: the missing part counts as good at the observed rate."""
    before_ppm: int
    """Left at the opening."""
    spent_ppm: int
    """Spent between the opening and now."""
    spent_events: int
    left_ppm: int
    before_hours_left_milli: int | None = None
    """At the opening: until nothing would have been left, had the burn gone on."""
    hours_left_milli: int | None = None
    """Until nothing is left at the present burn; None where nothing burns."""
    as_of_ms: int
    protected: bool
    """True where the burn has stopped and something is left: the compliance window still holds."""
    why: str


class Pace(Model):
    """A burn rate: how much of the period's budget goes in an hour, and how many times the allowed pace that is."""

    at_ms: int
    spent_per_hour_ppm: int
    factor_milli: int


class Burn(Model):
    tier: str
    """The tier that opened the incident."""
    severity: str
    before: Pace
    after: Pace | None = None
    """At the last verdict."""
    residual: Pace
    """At the latest event that tells of it."""
    hot_tiers: tuple[str, ...]
    """Still firing then; a long window stays hot for its own length after the fix."""


class P99(Model):
    """p99 as an upper bound, at most 9.1 % above the truth."""

    objective_us: int | None = None
    before_onset_us: int | None = None
    burning_us: int | None = None
    after_us: int | None = None
    residual_us: int | None = None
    back_ms: int | None = None
    """It was under its objective for five seconds running at this time."""


class Freshness(Model):
    data_state: str
    newest_telemetry_ms: int
    age_ms: int
    """Age of the newest telemetry when the incident was opened."""
    opening_p99_ms: int
    verdict_p99_ms: int | None = None


class Finding(Model):
    name: str
    says: str
    value_milli: int | None = None
    before_milli: int | None = None
    weight_milli: int
    """Moves the log odds by so much; negative speaks against."""


class Suspicion(Model):
    cause: str
    suspect: str
    probability_ppm: int
    findings: tuple[Finding, ...]


class AmplifierFound(Model):
    """Something that makes a failure worse, whatever its cause; `present` is what the plan goes by."""

    amplifier: str
    present: bool
    why: str
    """What speaks for it, or what is missing of it."""
    findings: tuple[Finding, ...]


class CauseFound(Model):
    """`found` is none where the evidence named no cause."""

    cause: str
    at_ms: int
    found: Suspicion | None = None
    runner_up: Suspicion | None = None
    why_not: str
    amplifiers: tuple[AmplifierFound, ...] = ()
    """Those at work first."""
    unknown_ppm: int
    requests_per_s_milli: int
    errors_per_s_milli: int


class Standing(StrEnum):
    """What became of a change, by its actuator's own word."""

    WAITING = "waiting"
    """Its turn comes when the step before it is live."""
    NOT_ORDERED = "not ordered"
    """Its plan ended before its turn came."""
    ALREADY = "already so"
    """The value stood there before: nothing was changed, and nothing is to be taken back."""
    ORDERED = "ordered"
    """No answer is on record."""
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Reloaded(Model):
    """A process of the target and the value that it itself reported, before and after."""

    because: str
    process: str
    pid: int
    signal: str
    before: str
    after: str
    live_ms: int | None = None


class TakenBack(StrEnum):
    """At whose word a change was taken back."""

    DOUSE = "douse"
    """As the verdict, a step that failed or the spec set wanted it."""
    TRIAL = "trial"
    """To see whether it is still needed."""
    PERSON = "person"
    ACT = "act"
    """Its actuator's own: nobody confirmed it in time, or it could not keep it."""


class Change(Model):
    """One change that a plan holds, or one that was put in place again after a trial."""

    plan: str
    step: int
    """Counts the steps of its plan from 0; what is put in place again counts on."""
    command: str
    again: str | None = None
    """The command of the earlier change that this one puts in place again."""
    mitigation: str
    actuator: str
    target: str
    parameter: str
    action: Action
    minimum: int
    maximum: int
    degrades: bool = False
    """It takes something from the users."""
    decided_ms: int
    ordered_ms: int | None = None
    """Its own order; none where its turn did not come, or where the topic holds the order no longer."""
    standing: Standing
    reason: str = ""
    detail: str = ""
    live_ms: int | None = None
    ended_ms: int | None = None
    """Confirmed, taken back, failed or refused at this time."""
    confirm_ordered_ms: int | None = None
    confirmed_ms: int | None = None
    taken_back_ms: int | None = None
    taken_back_for: TakenBack | None = None
    taken_back_by: str = ""
    """The person who wanted it back."""
    confirm_by_ms: int | None = None
    before: str = ""
    after: str = ""
    diff: str = ""
    reloads: tuple[Reloaded, ...] = ()
    undo: str = ""


class Plan(Model):
    """A plan that was carried out, as a whole; its changes name it."""

    plan: str
    revision: int
    decided_ms: int
    cause: str
    amplifiers: tuple[str, ...]
    approved_by: str = ""
    approval_ms: int | None = None
    """From the suggestion to the order, where a person approved it."""
    live_ms: int | None = None
    """When the last of its changes was live."""
    watch_ms: int
    provable: bool
    says: str
    """What of it stands."""


class Decision(Model):
    """A person's word, and whether it was taken up."""

    at_ms: int
    plan: str
    word: Word
    by: str
    said: str
    taken: bool
    detail: str = ""


class TrialMoment(Model):
    """How the trial of taking one step of a confirmed plan back stood at this time."""

    at_ms: int
    plan: str
    command: str
    mitigation: str
    actuator: str
    target: str
    state: LiftState
    says: str
    errors: int
    requests: int
    residual_ppm: int


class Refusal(Model):
    at_ms: int
    by: str
    """`guard`, or the actuator's name."""
    reason: str
    detail: str
    mitigation: str = ""
    target: str = ""
    permanent: bool
    numbers: dict[str, int]


class Judged(Model):
    at_ms: int
    plan: str
    verdict: str
    reason: str
    follows: str
    window_s: int
    errors: int
    requests: int
    before_ppm: int
    residual_ppm: int
    p0_ppm: int
    p_value_ppm: int
    traffic_ratio_milli: int
    control: str


class Mttm(Model):
    """Time to mitigate: from the onset to the end of the first of three clean seconds, and its four parts. A part that
    was not reached is left out; `total_ms` is there only where a change was judged effective."""

    total_ms: int | None = None
    detect_ms: int
    decide_ms: int | None = None
    approval_ms: int | None = None
    """So much of `decide_ms` went by until a person approved."""
    apply_ms: int | None = None
    recover_ms: int | None = None
    prove_ms: int | None = None
    """Decided to judged effective."""
    confirm_ms: int | None = None
    """Judged effective to confirmed."""
    latency_ms: int | None = None
    """Onset to p99 back under its objective; a step of its own, about two seconds after the errors."""
    attempts: int


class Report(Model):
    execution_id: str
    """The last plan's id; the incident's where nothing was planned."""
    incident: str
    joined: str | None = None
    """The incident that holds the plan for this service."""
    environment: str
    tenant: str
    service: str
    state: str
    """open, handed or closed."""
    state_says: str
    onset_ms: int
    as_of_ms: int
    steps: tuple[Moment, ...]
    timeline: tuple[Moment, ...]
    mttm: Mttm
    objective: Objective
    burn: Burn
    p99: P99
    freshness: Freshness
    cause: CauseFound | None = None
    trace_ids: tuple[str, ...]
    plans: tuple[Plan, ...]
    changes: tuple[Change, ...]
    decisions: tuple[Decision, ...]
    trials: tuple[TrialMoment, ...]
    refusals: tuple[Refusal, ...]
    verdicts: tuple[Judged, ...]
    to_do: tuple[str, ...]
    """What a person should still do."""
    left_out: tuple[str, ...]
    """Events that could not be read, and why."""
