"""What a fold wants done outside: values, performed by the shell and by nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outlet(StrEnum):
    """The topics that detect publishes to at once."""

    INCIDENTS = "incidents"
    COMMANDS = "commands"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Publish:
    """One event to send now. Its id is a function of the journal alone, so a repetition has the same bytes."""

    outlet: Outlet
    key: str
    type: str
    id: str
    source: str
    time_ms: int
    data: Mapping[str, Any]
