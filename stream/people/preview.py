"""What a plan would change here, before it is carried out: admitted and planned by the very code of act, and nothing is
touched."""

import os
from dataclasses import dataclass
from pathlib import Path

from actuators.drivers import files
from actuators.drivers.errors import DriverError
from actuators.policy import admission
from actuators.policy.admission import Facts, Refusal, Unread
from schemas.actuator import Actuator
from schemas.commands import Command, CommandKind
from schemas.events import StepRow, Suggested
from stream.act import setup
from stream.settings import Settings

SALT_BYTES = 16
ANY_MS = 1  # a preview is of no age and stands for no time


@dataclass(frozen=True, slots=True)
class Preview:
    """What one step would do: a diff, or why none can be shown."""

    step: StepRow
    diff: str = ""
    why_not: str = ""


def preview(settings: Settings, told: Suggested) -> list[Preview]:
    """A preview of each step. The actuator's own ledger, kill switches and clock are not asked: it decides anew."""
    try:
        actuator, folder = setup.rules(settings) if settings.actuator_file.exists() else (None, Path())
    except setup.UnusableError as error:
        return [Preview(step, why_not=" ".join(str(error).split())) for step in told.steps]
    return [_one(actuator, folder, told, step) for step in told.steps]


def _one(actuator: Actuator | None, folder: Path, told: Suggested, step: StepRow) -> Preview:
    if actuator is None or actuator.name != step.actuator:
        return Preview(step, why_not=f"the diff can be seen where actuator {step.actuator} runs: not on this host")
    target = actuator.target(step.target)
    if target is None:
        return Preview(step, why_not=f"actuator {actuator.name} has no target {step.target}; it would refuse")
    salt = os.urandom(SALT_BYTES)  # a secret's hash here tells nothing of the one in an outcome
    try:
        in_force: int | str | bool | Unread = files.in_force(target, folder)
    except DriverError as error:
        in_force = Unread(error.reason, error.detail)
    decision = admission.admit(_command(told, step), _facts(actuator, in_force))
    if isinstance(decision, Refusal):
        return Preview(step, why_not=f"act would refuse now: {decision.reason.value}: {decision.detail}")
    try:
        return Preview(step, diff=files.plan(decision.target, folder, decision.value, salt).diff)
    except DriverError as error:
        return Preview(step, why_not=f"act would fail now: {error.reason.value}: {error.detail}")


def _facts(actuator: Actuator, in_force: int | str | bool | Unread) -> Facts:
    return Facts(
        actuator=actuator,
        signer="preview",
        age_ms=0,
        in_force=in_force,
        kills=frozenset(),
        applies_last_hour=0,
        unconfirmed=None,
        frozen=None,
    )


def _command(told: Suggested, step: StepRow) -> Command:
    return Command(
        command=step.command,
        kind=CommandKind.APPLY,
        applies=step.command,
        plan=told.plan,
        revision=0,
        step=0,
        attempt=0,
        incident=told.incident,
        shard=told.shard,
        journal_offset=told.journal_offset,
        index=told.index,
        environment=told.environment,
        tenant=told.tenant,
        service=told.service,
        actuator=step.actuator,
        target=step.target,
        mitigation=step.mitigation,
        parameter=step.parameter,
        decided_ms=told.at_ms,
        action=step.action,
        minimum=step.minimum,
        maximum=step.maximum,
        not_after_ms=ANY_MS,
        confirm_ms=ANY_MS,
    )
