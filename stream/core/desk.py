"""Where decisions of one journal record become effects: ids, sequence numbers and the place in the journal that they
follow from."""

from collections.abc import Callable, Mapping
from typing import Any

from actuators.policy.incident import Attempt, Incident, Step
from actuators.policy.lifecycle import Happening, after
from schemas import canonical, events
from schemas.commands import Command, CommandKind, Outcome
from schemas.runbook import Mitigation
from stream.effects import Outlet, Publish


class Desk:
    """Collects the effects of the record at `offset` of one shard; `now_ms` is journal time.

    `figures` gives burn, budget and latency of an incident at this moment.
    """

    def __init__(self, shard: int, offset: int, now_ms: int, figures: Callable[[Incident], Mapping[str, Any]]) -> None:
        self.shard, self.offset, self.now_ms, self.figures = shard, offset, now_ms, figures
        self.effects: list[Publish] = []
        self.refreshes = 0
        """Known causes that were looked at anew at this tick: there is a limit to them."""

    @property
    def source(self) -> str:
        return f"/douse/detect/{self.shard}"

    def tell(self, incident: Incident, name: str, **fields: Any) -> None:
        """Publishes the incident event `name`; its id counts the events of that kind."""
        sequence = incident.sequences.get(name, 0)
        incident.sequences[name] = sequence + 1
        event = events.INCIDENT_EVENTS[name](
            incident=incident.id,
            sequence=sequence,
            shard=self.shard,
            journal_offset=self.offset,
            index=len(self.effects),
            environment=incident.environment,
            tenant=incident.tenant,
            service=incident.service,
            slo=incident.slo,
            at_ms=self.now_ms,
            **fields,
        )
        ce_type = events.incident_type(name)
        ce_id = canonical.digest(incident.id, name, sequence)
        self.effects.append(
            Publish(Outlet.INCIDENTS, incident.tenant, ce_type, ce_id, self.source, self.now_ms, event.fields())
        )

    def hand_over(self, incident: Incident, reason: str, detail: str, stands: bool) -> None:
        """Tells that a person is needed, with the figures of this moment."""
        self.tell(incident, "handed_over", reason=reason, detail=detail, stands=stands, **self.figures(incident))

    def stray(self, outcome: Outcome, service: str, detail: str) -> None:
        """Tells a person of a change that this shard knows nothing of; it is named after the order that it is about."""
        name = canonical.digest("stray", outcome.applies, self.offset, len(self.effects))
        event = events.HandedOver(
            incident=outcome.incident or name,
            sequence=0,
            shard=self.shard,
            journal_offset=self.offset,
            index=len(self.effects),
            environment=outcome.environment,
            tenant=outcome.tenant,
            service=service,
            slo="",
            at_ms=self.now_ms,
            reason="unknown_command",
            detail=detail,
            stands=True,
        )
        ce_type = events.incident_type("handed_over")
        self.effects.append(
            Publish(Outlet.INCIDENTS, outcome.tenant, ce_type, name, self.source, self.now_ms, event.fields())
        )

    def move(self, incident: Incident, happening: Happening) -> None:
        incident.phase = after(incident.phase, happening)

    def apply(
        self, incident: Incident, attempt: Attempt, step: Step, mitigation: Mitigation, not_after_ms: int
    ) -> None:
        """Orders the change of one step of a plan."""
        step.ordered_ms = self.now_ms
        self._order(
            incident,
            attempt,
            step,
            step.command,
            CommandKind.APPLY,
            action=mitigation.action,
            minimum=mitigation.minimum,
            maximum=mitigation.maximum,
            not_after_ms=not_after_ms,
            confirm_ms=attempt.confirm_ms,
        )

    def confirm(self, incident: Incident, attempt: Attempt) -> None:
        """Lets everything stand that stands of a plan, in the order of its steps."""
        for step in attempt.standing:
            self.confirm_step(incident, attempt, step)

    def confirm_step(self, incident: Incident, attempt: Attempt, step: Step) -> None:
        step.confirm_sent_ms = self.now_ms
        self._order(incident, attempt, step, follow_up_id(step.command, CommandKind.CONFIRM), CommandKind.CONFIRM)

    def revert(self, incident: Incident, attempt: Attempt, step: Step) -> None:
        """Takes one change back; such an order never expires. Ordered again, it is another order: one that was answered
        before would only be answered alike."""
        step.revert_ms, name = self.now_ms, revert_id(step.command, step.reverts)
        step.reverts += 1
        self._order(incident, attempt, step, name, CommandKind.REVERT)

    def revert_all(self, incident: Incident, attempt: Attempt) -> None:
        """Takes back what stands of a plan, the last change first."""
        for step in reversed(attempt.standing):
            self.revert(incident, attempt, step)

    def _order(
        self, incident: Incident, attempt: Attempt, step: Step, name: str, kind: CommandKind, **fields: Any
    ) -> None:
        revision = incident.attempts.index(attempt)
        command = Command(
            command=name,
            kind=kind,
            applies=step.command,
            plan=attempt.plan,
            revision=revision,
            step=step.number,
            attempt=revision,
            incident=incident.id,
            shard=self.shard,
            journal_offset=self.offset,
            index=len(self.effects),
            environment=incident.environment,
            tenant=incident.tenant,
            service=incident.service,
            actuator=step.actuator,
            target=step.target,
            mitigation=step.mitigation,
            parameter=step.parameter,
            decided_ms=self.now_ms,
            **fields,
        )
        key = f"{step.actuator}/{step.target}"
        ce_type = f"dev.douse.command.{kind.value}"
        self.effects.append(Publish(Outlet.COMMANDS, key, ce_type, name, self.source, self.now_ms, command.fields()))


def incident_id(environment: str, tenant: str, service: str, slo: str, sli: int, onset_s: int, before: int) -> str:
    """Names an incident by its row, its onset as frozen at the opening, and how many the row has had before.

    An objective that is withdrawn and comes back, and a clock that is set back, give an onset a second time.
    """
    return canonical.digest("incident", environment, tenant, service, slo, sli, onset_s, before)


def plan_id(incident: str, revision: int, *changes: str) -> str:
    return canonical.digest("plan", incident, revision, *changes)


def command_id(incident: str, revision: int, step: int, action: str, attempt: int) -> str:
    return canonical.digest("command", incident, revision, step, action, attempt)


def follow_up_id(apply: str, kind: CommandKind) -> str:
    """Names the order that confirms the change of the command `apply`, or that takes it back."""
    return canonical.digest(apply, kind.value)


def revert_id(apply: str, before: int) -> str:
    """Names the order that takes the change of the command `apply` back, after so many others."""
    first = follow_up_id(apply, CommandKind.REVERT)
    return canonical.digest(first, before) if before else first


def orders(step: Step) -> frozenset[str]:
    """Every command that this shard gives about a step: an outcome of another one is somebody else's affair."""
    reverts = (revert_id(step.command, before) for before in range(max(step.reverts, 1)))
    return frozenset((step.command, follow_up_id(step.command, CommandKind.CONFIRM), *reverts))
