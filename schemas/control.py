"""What an operator decides, as the control topic carries it: spec set, kill switches, plans, changes, targets."""

from schemas.model import Model
from schemas.specs import SpecSet


class SpecsDecided(Model):
    """The spec set that is in force from here on."""

    specs: SpecSet
    revision: str
    """Names the whole set; it is a hash of the content."""


class KillDecided(Model):
    """One kill switch: while it is on, nothing in its scope is applied. Reverts are never stopped."""

    scope: str
    """`global`, `tenant:<environment>:<tenant>` or `mitigation:<name>`."""
    on: bool
    by: str
    reason: str
    time_ms: int


class PlanDecided(Model):
    """An operator's word on a plan that was suggested: yes until `expires_ms`, or no. `plan` is the plan's id."""

    plan: str
    incident: str
    environment: str
    tenant: str
    approve: bool
    by: str
    reason: str
    time_ms: int
    expires_ms: int
    """By the journal's clock; an approval that is read later counts for nothing."""


class ChangeReverted(Model):
    """An operator's word that a change which stands is to be taken back; `command` is its apply command."""

    command: str
    incident: str
    environment: str
    tenant: str
    by: str
    reason: str
    time_ms: int


class TargetThawed(Model):
    """An operator has looked at a target of which it was not known what stands there: it may be changed again."""

    target: str
    by: str
    reason: str
    time_ms: int
