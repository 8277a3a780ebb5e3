"""May this actuator carry out this command? Decided from the command, `actuator.toml` and what is known at the target.

The order of the questions: who says so (signature), may it (target, parameter, fence, allow list), is now the time
(age, kill switch, frozen, busy, cap), and which value (readable, a change, within both bounds). A command whose id is
known never gets here: it is answered with its recorded outcome.
"""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import assert_never

from actuators.policy import guard
from schemas.actuator import Actuator, Allow, FileTarget
from schemas.commands import Command, CommandKind, OutcomeReason, OutcomeStatus
from schemas.identity import DEFAULT_ENVIRONMENT
from schemas.runbook import Scale, Set

CONFIRM_MS_MAX = 24 * 3_600_000  # a verdict and its quiet time end within minutes; a longer wait is as good as none


@dataclass(frozen=True, slots=True)
class Unread:
    """The value in force is not known."""

    reason: OutcomeReason
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the shell found out before it asks."""

    actuator: Actuator
    signer: str | None
    """Id of the trusted key that signed the command; None if none did."""
    age_ms: int
    """Time since the broker took the command."""
    in_force: int | str | bool | Unread
    kills: AbstractSet[str]
    """Scopes whose kill switch is on: `global`, `tenant:<environment>:<tenant>`, `mitigation:<name>`."""
    applies_last_hour: int
    unconfirmed: str | None
    """The apply command whose change of this target still waits for its word."""
    frozen: str | None
    """Why this target is not touched until a person has looked."""
    target_applies_last_hour: int = 0
    target_applies_max: int | None = None
    """Most applies of this target within an hour, whoever orders them; None: no limit but the actuator's own."""
    since_applied_ms: int | None = None
    """Time since this target was last changed; None: never, as far as the ledger knows."""
    cooldown_ms: int = 0


@dataclass(frozen=True, slots=True)
class Admitted:
    """Yes: set the target to this absolute value."""

    target: FileTarget
    value: int | str | bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, for this reason."""

    reason: OutcomeReason
    detail: str

    @property
    def status(self) -> OutcomeStatus:
        """How the outcome calls it: too late and unreadable are not the actuator's own rules."""
        match self.reason:
            case OutcomeReason.NOT_AFTER:
                return OutcomeStatus.EXPIRED
            case OutcomeReason.UNREADABLE | OutcomeReason.KEY_MISSING | OutcomeReason.EDIT_REFUSED:
                return OutcomeStatus.FAILED
            case _:
                return OutcomeStatus.REFUSED


def admit(command: Command, facts: Facts) -> Admitted | Refusal:
    """Leave to apply, or the first reason against it."""
    target = _known(command, facts)
    if isinstance(target, Refusal):
        return target
    return _untimely(command, facts, target) or _valued(command, facts, target)


def admit_word(command: Command, signer: str | None, applied: Command | None) -> Refusal | None:
    """Leave for a confirm or a revert: signed, and about a change of the same target and tenant. Neither ever
    expires."""
    if signer is None:
        return Refusal(OutcomeReason.BAD_SIGNATURE, "no trusted key signed this command")
    if applied is None:
        return Refusal(OutcomeReason.UNKNOWN_COMMAND, "this actuator has not carried out the apply that it is about")
    if (_environment(applied), applied.tenant) != (_environment(command), command.tenant):
        return Refusal(OutcomeReason.TENANT_NOT_ALLOWED, "the apply that it is about belongs to another tenant")
    if applied.target != command.target:
        return Refusal(OutcomeReason.UNKNOWN_TARGET, "the apply that it is about changed another target")
    return None


def kill_scope(command: Command, tenants: Collection[str], kills: AbstractSet[str]) -> str | None:
    """The kill switch that stops this command, if one does: of any tenant whose traffic depends on its target."""
    for tenant in dict.fromkeys((command.tenant, *tenants)):
        scopes = guard.switch_scopes(_environment(command), tenant, command.mitigation)
        found = next((scope for scope in scopes if scope in kills), None)
        if found is not None:
            return guard.shown(found, command.tenant)
    return None


def _known(command: Command, facts: Facts) -> FileTarget | Refusal:
    """The target that the command is allowed to name, whatever the hour."""
    if facts.signer is None:
        return Refusal(OutcomeReason.BAD_SIGNATURE, "no trusted key signed this command")
    missing = [field for field in ("action", "not_after_ms", "confirm_ms") if getattr(command, field) is None]
    if command.kind is not CommandKind.APPLY or missing or command.applies != command.command:
        return Refusal(OutcomeReason.MALFORMED, f"not a whole apply command: {', '.join(missing) or 'kind, applies'}")
    if not 0 < (command.confirm_ms or 0) <= CONFIRM_MS_MAX:
        return Refusal(OutcomeReason.OUT_OF_BOUNDS, f"confirm_ms is not within 1 to {CONFIRM_MS_MAX}")
    target = facts.actuator.target(command.target)
    if target is None:
        return Refusal(OutcomeReason.UNKNOWN_TARGET, f"{facts.actuator.name} has no target {command.target[:100]}")
    if target.parameter != command.parameter:
        return Refusal(OutcomeReason.UNKNOWN_TARGET, f"target {target.id} is about {target.parameter}")
    if target.environment != _environment(command) or command.tenant not in target.tenants:
        return Refusal(OutcomeReason.TENANT_NOT_ALLOWED, f"target {target.id} does not belong to this tenant")
    leaves = [leave for leave in facts.actuator.allow if _covers(leave, command)]
    if not leaves:
        return Refusal(OutcomeReason.TENANT_NOT_ALLOWED, "this tenant is not on the allow list")
    if not any(command.mitigation in leave.mitigations for leave in leaves):
        return Refusal(
            OutcomeReason.MITIGATION_NOT_ALLOWED, f"{command.mitigation[:100]} is not on the tenant's allow list"
        )
    without = [tenant for tenant in target.tenants if not _leave(facts.actuator, target, tenant, command.mitigation)]
    if without:
        detail = f"target {target.id} serves {len(target.tenants)} tenants, {len(without)} of them gave no leave"
        return Refusal(OutcomeReason.TENANT_NOT_ALLOWED, detail)
    return target


def _untimely(command: Command, facts: Facts, target: FileTarget) -> Refusal | None:
    assert command.not_after_ms is not None
    if facts.age_ms > command.not_after_ms:
        return Refusal(OutcomeReason.NOT_AFTER, f"{facts.age_ms} ms old, it was good for {command.not_after_ms} ms")
    scope = kill_scope(command, target.tenants, facts.kills)
    if scope is not None:
        return Refusal(OutcomeReason.KILL_SWITCH, f"kill switch {scope} is on")
    if facts.frozen is not None:
        return Refusal(OutcomeReason.BUSY, f"the target is frozen until a person has looked: {facts.frozen}")
    if facts.unconfirmed is not None:
        return Refusal(OutcomeReason.BUSY, f"change {facts.unconfirmed} of this target is not confirmed yet")
    if facts.applies_last_hour >= facts.actuator.applies_per_hour:
        limit = facts.actuator.applies_per_hour
        return Refusal(
            OutcomeReason.CAP_REACHED, f"{facts.applies_last_hour} applies in the last hour, the cap is {limit}"
        )
    return _target_rested(facts)


def _target_rested(facts: Facts) -> Refusal | None:
    """What only the target's own side can count: all changes of it, by whatever shard they were ordered."""
    since_ms, most = facts.since_applied_ms, facts.target_applies_max
    if since_ms is not None and since_ms < facts.cooldown_ms:
        detail = f"the target was changed {since_ms} ms ago, it rests for {facts.cooldown_ms} ms"
        return Refusal(OutcomeReason.CAP_REACHED, detail)
    if most is not None and facts.target_applies_last_hour >= most:
        detail = f"{facts.target_applies_last_hour} applies of the target in the last hour, the cap is {most}"
        return Refusal(OutcomeReason.CAP_REACHED, detail)
    return None


def _valued(command: Command, facts: Facts, target: FileTarget) -> Admitted | Refusal:
    if isinstance(facts.in_force, Unread):
        return Refusal(facts.in_force.reason, facts.in_force.detail)
    value = _absolute(command, facts.in_force)
    if isinstance(value, Refusal):
        return value
    if type(value) is type(facts.in_force) and value == facts.in_force:
        return Refusal(OutcomeReason.NO_CHANGE, f"{target.parameter} has that value already")
    if isinstance(value, int) and not isinstance(value, bool):
        lowest, highest = max(target.minimum, command.minimum), min(target.maximum, command.maximum)
        if not lowest <= value <= highest:
            return Refusal(OutcomeReason.OUT_OF_BOUNDS, f"{value} is not within {lowest} to {highest}")
    elif not any(type(choice) is type(value) and choice == value for choice in target.choices):
        return Refusal(OutcomeReason.OUT_OF_BOUNDS, f"the value is not among the choices of target {target.id}")
    return Admitted(target, value)


def _absolute(command: Command, in_force: int | str | bool) -> int | str | bool | Refusal:
    """The value that the action means now; a scaled one is rounded down."""
    assert command.action is not None
    match command.action:
        case Set(value=value):
            return value
        case Scale(numerator=numerator, denominator=denominator):
            if isinstance(in_force, bool) or not isinstance(in_force, int):
                return Refusal(
                    OutcomeReason.EDIT_REFUSED, f"{command.parameter} is not a number, so it cannot be scaled"
                )
            return in_force * numerator // denominator
        case _:
            assert_never(command.action)


def _leave(actuator: Actuator, target: FileTarget, tenant: str, mitigation: str) -> bool:
    """True where this tenant of the target allows the mitigation: the change reaches every one of them."""
    return any(
        (one.environment, one.tenant) == (target.environment, tenant) and mitigation in one.mitigations
        for one in actuator.allow
    )


def _covers(leave: Allow, command: Command) -> bool:
    return (leave.environment, leave.tenant) == (_environment(command), command.tenant)


def _environment(command: Command) -> str:
    return command.environment or DEFAULT_ENVIRONMENT
