"""What detect publishes about an incident, in one line for whoever reads its log."""

from datetime import UTC, datetime

from schemas import events
from schemas.commands import Command
from schemas.events import INCIDENT_EVENTS, incident_type
from schemas.identity import DEFAULT_ENVIRONMENT
from stream.effects import Outlet, Publish

KINDS = {incident_type(name): model for name, model in INCIDENT_EVENTS.items()}


def line(effect: Publish) -> str:
    """The event in words; empty for the status, which says once a second what has not changed.

    An event that is not of its type's form is told by its name: a log must not stop what it tells of.
    """
    try:
        return _line(effect)
    except ValueError:
        return f"{effect.type} {effect.id}"


def _line(effect: Publish) -> str:
    if effect.outlet is Outlet.COMMANDS:
        command = Command.read(effect.data)
        return f"{_tenant(command.environment, command.tenant)} {_command(command)}"
    model = KINDS.get(effect.type)
    if model is None:
        return ""
    event = model.read(effect.data)
    return f"{_tenant(event.environment, event.tenant)} {event.slo} {_incident(event)} [{event.incident[:12]}]"


def _incident(event: events.IncidentEvent) -> str:
    match event:
        case events.Opened():
            burn = next((f"{one.long_milli / 1000:.0f}x" for one in event.burn if one.name == event.tier), "burning")
            joined = f"; reports only, {event.joined[:12]} holds the plan" if event.joined else ""
            return f"opened: {event.tier}, {burn}; onset {_clock(event.onset_s)}{joined}"
        case events.Diagnosed():
            share = next((one.probability_ppm for one in event.ranked if one.cause == event.cause), 0)
            return f"diagnosed {event.cause} {share / 10_000:.0f} %"
        case events.Planned():
            return f"planned {_steps(event.steps)}"
        case events.Suggested():
            return f"suggested {_steps(event.steps)}; autonomy is {event.autonomy.value}"
        case events.Refused():
            return f"refused {event.reason.value}: {event.detail}"
        case events.VerdictGiven():
            counted = f"{event.errors} errors in {event.requests} requests over {event.window_s} s"
            return f"verdict {event.verdict}: {counted}; {event.follows}"
        case events.HandedOver():
            return f"handed over {event.reason}: {event.detail}"
        case events.Closed():
            return f"closed {event.ending.value}"
        case _:
            raise AssertionError(event)


def _command(command: Command) -> str:
    return f"{command.kind.value} {command.mitigation} on {command.actuator}/{command.target}"


def _steps(steps: tuple[events.StepRow, ...]) -> str:
    return ", ".join(f"{step.mitigation} on {step.actuator}/{step.target}" for step in steps)


def _tenant(environment: str, tenant: str) -> str:
    return tenant if environment == DEFAULT_ENVIRONMENT else f"{environment}/{tenant}"


def _clock(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S UTC")
