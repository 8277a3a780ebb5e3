"""What an operator decides, as the control topic carries it: the spec set in force, and the kill switches."""

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
