"""The order to change something, and what came of it."""

from enum import StrEnum

from schemas.model import Model
from schemas.runbook import Action


class CommandKind(StrEnum):
    APPLY = "apply"
    CONFIRM = "confirm"
    REVERT = "revert"


class OutcomeStatus(StrEnum):
    """What is true at the target after a command."""

    LIVE = "live"
    """Applied, and every process of the target runs with it."""
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    """The pre-image is back and runs; also sent by the actuator on its own at the confirm deadline."""
    FAILED = "failed"
    """Tried and taken back: nothing of it stands."""
    REFUSED = "refused"
    """Not tried: the actuator's own rules forbid it."""
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """What stands at the target is neither the old nor the new value; a person is needed."""


class OutcomeReason(StrEnum):
    NONE = "none"
    BAD_SIGNATURE = "bad_signature"
    TENANT_NOT_ALLOWED = "tenant_not_allowed"
    MITIGATION_NOT_ALLOWED = "mitigation_not_allowed"
    UNKNOWN_TARGET = "unknown_target"
    OUT_OF_BOUNDS = "out_of_bounds"
    NO_CHANGE = "no_change"
    CAP_REACHED = "cap_reached"
    KILL_SWITCH = "kill_switch"
    NOT_AFTER = "not_after"
    BUSY = "busy"
    """Another change of this target stands unconfirmed."""
    UNREADABLE = "unreadable"
    KEY_MISSING = "key_missing"
    EDIT_REFUSED = "edit_refused"
    PRE_IMAGE_CHANGED = "pre_image_changed"
    NOT_LIVE = "not_live"
    """The process did not take the change over in time."""
    UNKNOWN_COMMAND = "unknown_command"
    CONFIRM_DEADLINE = "confirm_deadline"
    MALFORMED = "malformed"


class Command(Model):
    """What detect orders. It names actuator, target, action and numbers, never a path, a pid or a URL."""

    command: str
    kind: CommandKind
    applies: str
    """The apply command that this one is about (its own id for an apply)."""
    plan: str
    revision: int
    step: int
    attempt: int
    incident: str
    shard: int
    journal_offset: int
    index: int
    environment: str
    tenant: str
    service: str
    actuator: str
    target: str
    mitigation: str
    parameter: str
    decided_ms: int
    """Journal time of the decision, by the broker's clock: a copy of an old order stays old wherever it is written."""
    action: Action | None = None
    minimum: int = 0
    maximum: int = 0
    not_after_ms: int | None = None
    """Life after the record's broker timestamp; None: never expires (confirm, revert)."""
    confirm_ms: int | None = None
    """The change is taken back this long after the command was accepted unless it is confirmed; counted on the
    actuator's clock."""


class Reload(Model):
    """One process of the target and the value that it itself reports."""

    process: str
    pid: int
    signal: str
    before: str
    after: str
    live_ms: int | None = None


class Outcome(Model):
    """What the actuator did and saw, signed by it."""

    command: str
    kind: CommandKind
    applies: str
    status: OutcomeStatus
    reason: OutcomeReason = OutcomeReason.NONE
    detail: str = ""
    actuator: str
    target: str
    environment: str
    tenant: str
    incident: str
    shard: int
    mitigation: str
    parameter: str
    before: str = ""
    after: str = ""
    diff: str = ""
    pre_image: str = ""
    post_image: str = ""
    accepted_ms: int
    live_ms: int | None = None
    confirm_by_ms: int | None = None
    reloads: tuple[Reload, ...] = ()
    undo: str = ""
    """How a person takes the change back by hand."""


def answer(
    command: Command, kind: CommandKind, status: OutcomeStatus, reason: OutcomeReason, detail: str, accepted_ms: int
) -> Outcome:
    """An outcome that names the command it is about, and says nothing of values."""
    return Outcome(
        command=command.command,
        kind=kind,
        applies=command.applies,
        status=status,
        reason=reason,
        detail=detail,
        actuator=command.actuator,
        target=command.target,
        environment=command.environment,
        tenant=command.tenant,
        incident=command.incident,
        shard=command.shard,
        mitigation=command.mitigation,
        parameter=command.parameter,
        accepted_ms=accepted_ms,
    )
