"""What detect publishes about an incident, in one line for whoever reads its log."""

from typing import Any

from schemas.commands import Command
from schemas.events import INCIDENT_EVENTS, incident_type
from stream.effects import Outlet, Publish
from stream.people import telling

KINDS = {incident_type(name): model for name, model in INCIDENT_EVENTS.items()}


IDS = ("incident", "command", "shard")


def ids(effect: Publish) -> dict[str, Any]:
    """What the event is about, for a log that machines read."""
    return {name: effect.data[name] for name in IDS if name in effect.data}


def line(effect: Publish) -> str:
    """The event in words; empty for the status, which says once a second what has not changed.

    An event that is not of its type's form is told by its name: a log must not stop what it tells of.
    """
    try:
        if effect.outlet is Outlet.COMMANDS:
            return telling.line(Command.read(effect.data))
        model = KINDS.get(effect.type)
        return "" if model is None else telling.line(model.read(effect.data))
    except ValueError:
        return f"{effect.type} {effect.id}"
