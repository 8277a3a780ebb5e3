"""The actuator of a replay: it refuses every order, since no telemetry that was recorded can follow from one.

So the incident is handed to a person where the plan would have begun, goes on as it was recorded, and all that was
decided up to there is what would have been decided.
"""

from schemas import commands
from schemas.commands import Command, Outcome, OutcomeReason, OutcomeStatus

DETAIL = "replayed: nothing is changed"


def answer(command: Command, now_ms: int) -> Outcome:
    """What the shadow says to an order."""
    return commands.answer(command, command.kind, OutcomeStatus.REFUSED, OutcomeReason.KILL_SWITCH, DETAIL, now_ms)
