"""Events, orders and answers in one line each, for whoever watches."""

from datetime import UTC, datetime

from schemas import events
from schemas.commands import Command, Outcome, OutcomeReason
from schemas.events import IncidentEvent, StepRow
from schemas.identity import DEFAULT_ENVIRONMENT
from schemas.model import Model
from stream.report import units

ID_DIGITS = 12


def line(model: Model) -> str:
    """`acme-corp shop-availability refused lag (lag_ms 9000): ... [0123456789ab]`; empty for what is none of these."""
    match model:
        case Command():
            place = f"{model.actuator}/{model.target}"
            return f"{whose(model.environment, model.tenant)} order to {model.kind.value} {model.mitigation} on {place}"
        case Outcome():
            return f"{whose(model.environment, model.tenant)} {_outcome(model)}"
        case IncidentEvent():
            head = f"{whose(model.environment, model.tenant)} {model.slo}".rstrip()
            return f"{head} {incident(model)} [{model.incident[:ID_DIGITS]}]"
        case _:
            return ""


def whose(environment: str, tenant: str) -> str:
    return tenant if environment == DEFAULT_ENVIRONMENT else f"{environment}/{tenant}"


def incident(event: IncidentEvent) -> str:
    """What the event says, without whose it is."""
    match event:
        case events.Opened():
            burn = next((f", {one.long_milli / 1000:.0f}x" for one in event.burn if one.name == event.tier), "")
            joined = f"; reports only, {event.joined[:ID_DIGITS]} holds the plan" if event.joined else ""
            return f"opened: {event.tier}{burn}; onset {clock(event.onset_s * 1000)} UTC{joined}"
        case events.Diagnosed():
            share = next((one.probability_ppm for one in event.ranked if one.cause == event.cause), 0)
            present = [one.amplifier for one in event.amplifiers if one.present]
            return " + ".join((f"diagnosed {event.cause} {share / 10_000:.0f} %", *present))
        case events.Planned():
            by = f", approved by {event.approved_by}" if event.approved_by else ""
            return f"planned {steps(event.steps)}{by}"
        case events.Suggested():
            verb = "suggested" if event.kind is events.Suggestion.APPLY else "suggested to take back"
            return f"{verb} {steps(event.steps)}; autonomy is {event.autonomy.value}{shared(event.tenants)}"
        case events.Refused():
            return refused(event)
        case events.VerdictGiven():
            counted = f"{event.errors} errors in {event.requests} requests over {event.window_s} s"
            return f"verdict {event.verdict}: {counted}; {event.follows}"
        case events.Decided():
            taken = "" if event.taken else f"; not taken: {event.detail}"
            said = f": {event.said}" if event.said else ""
            return f"{event.by} said {event.word.value}{said}{taken}"
        case events.Lifted():
            why = f": {event.detail}" if event.detail else ""
            return f"{event.step.mitigation} on trial: {event.state.value}{why}"
        case events.HandedOver():
            return f"handed over {event.reason}: {event.detail}"
        case events.Closed():
            return f"closed {event.ending.value}"
        case _:
            raise AssertionError(event)


def refused(event: events.Refused) -> str:
    """The reason with its numbers."""
    numbers = ", ".join(f"{name} {value}" for name, value in sorted(event.numbers.items()))
    what = f" {event.mitigation} on {event.target}" if event.mitigation else ""
    return f"refused{what}: {event.reason.value}" + (f" ({numbers})" if numbers else "") + f": {event.detail}"


def steps(rows: tuple[StepRow, ...]) -> str:
    """`raise-pool on local/acme-pool, then expo on local/acme-client`."""
    return ", then ".join(f"{row.mitigation} on {row.actuator}/{row.target}" for row in rows)


def step(row: StepRow) -> str:
    """`raise-pool: pool_size x 2 (8 to 128) on local/acme-pool`."""
    bounds = f" ({row.minimum} to {row.maximum})" if row.minimum != row.maximum else ""
    degrades = ", takes something from the users" if row.degrades else ""
    wanted = units.action(row.parameter, row.action)
    return f"{row.mitigation}: {wanted}{bounds} on {row.actuator}/{row.target}{degrades}"


def shared(tenants: int) -> str:
    """How far a mistake would reach, where that is further than one tenant."""
    return f"; shared by {tenants} tenants" if tenants > 1 else ""


def clock(at_ms: int) -> str:
    """HH:MM:SS in UTC."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%H:%M:%S")


def _outcome(outcome: Outcome) -> str:
    reason = "" if outcome.reason is OutcomeReason.NONE else f" ({outcome.reason.value})"
    values = f": {outcome.before} -> {outcome.after}" if outcome.after else ""
    detail = f"; {outcome.detail}" if outcome.detail else ""
    return f"{outcome.status.value}{reason} at {outcome.actuator}/{outcome.target}{values}{detail}"
