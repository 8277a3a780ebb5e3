"""Is an apply the restoring of what act itself took back on order, such as a step that was on trial?

The target's own limits (rest, applies an hour) are there against a hand that changes it again and again. To put back
what stood confirmed is no new change: it is exempt, once for each change, and what was restored gives no such leave.
"""

from actuators.edits import spans
from actuators.ledger import Entry
from actuators.policy.admission import Unread
from schemas.commands import Command

SAME = (
    "plan", "revision", "attempt", "incident", "environment", "tenant", "service", "actuator", "target", "mitigation",
    "parameter", "action", "minimum", "maximum",
)  # fmt: skip
"""What the order shares with the one that was taken back; its id, step, decision and age are its own."""


def restored(command: Command, in_force: spans.Value | Unread, lifted: Entry | None) -> str | None:
    """The apply command whose change this one puts in place again, from the very value that it was made from."""
    if lifted is None or isinstance(in_force, Unread) or not spans.same(in_force, lifted.change.before):
        return None
    same = all(getattr(command, name) == getattr(lifted.command, name) for name in SAME)
    return lifted.command.command if same else None
