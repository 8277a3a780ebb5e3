"""The life of an incident as a table: where it stands, what happened, where it stands then."""

from enum import StrEnum


class Phase(StrEnum):
    BURNING = "burning"
    """Evidence is gathered; nothing was decided yet."""
    HELD = "held"
    """Refused for now or suggested to a person; looked at again at each tick."""
    APPLYING = "applying"
    WATCHING = "watching"
    """The change is live and its effect is counted."""
    QUIET = "quiet"
    """Proven effective; confirmed once that has lasted."""
    LIFTING = "lifting"
    """Confirmed; steps that may be unnecessary are taken back one at a time, each judged."""
    REVERTING = "reverting"
    HANDED = "handed"
    """A person has it. It closes when the burn stops."""
    CLOSED = "closed"


class Happening(StrEnum):
    HELD_BACK = "held_back"
    ORDERED = "ordered"
    LIVE = "live"
    NOT_LIVE = "not_live"
    NO_ANSWER = "no_answer"
    EFFECTIVE = "effective"
    NOT_EFFECTIVE = "not_effective"
    KEPT = "kept"
    CONFIRMED = "confirmed"
    ON_TRIAL = "on_trial"
    TAKEN_BACK = "taken_back"
    TRY_NEXT = "try_next"
    HANDED_OVER = "handed_over"
    RECOVERED = "recovered"


TRANSITIONS: dict[tuple[Phase, Happening], Phase] = {
    (Phase.BURNING, Happening.HELD_BACK): Phase.HELD,
    (Phase.BURNING, Happening.ORDERED): Phase.APPLYING,
    (Phase.BURNING, Happening.HANDED_OVER): Phase.HANDED,
    (Phase.BURNING, Happening.RECOVERED): Phase.CLOSED,
    (Phase.HELD, Happening.HELD_BACK): Phase.HELD,
    (Phase.HELD, Happening.ORDERED): Phase.APPLYING,
    (Phase.HELD, Happening.HANDED_OVER): Phase.HANDED,
    (Phase.HELD, Happening.RECOVERED): Phase.CLOSED,
    (Phase.APPLYING, Happening.LIVE): Phase.WATCHING,
    (Phase.APPLYING, Happening.NOT_LIVE): Phase.HANDED,
    (Phase.APPLYING, Happening.NO_ANSWER): Phase.HANDED,
    (Phase.APPLYING, Happening.NOT_EFFECTIVE): Phase.REVERTING,
    (Phase.WATCHING, Happening.EFFECTIVE): Phase.QUIET,
    (Phase.WATCHING, Happening.NOT_EFFECTIVE): Phase.REVERTING,
    (Phase.WATCHING, Happening.KEPT): Phase.HANDED,
    (Phase.WATCHING, Happening.TAKEN_BACK): Phase.HANDED,
    (Phase.WATCHING, Happening.TRY_NEXT): Phase.BURNING,
    (Phase.QUIET, Happening.CONFIRMED): Phase.CLOSED,
    (Phase.QUIET, Happening.ON_TRIAL): Phase.LIFTING,
    (Phase.QUIET, Happening.KEPT): Phase.HANDED,
    (Phase.QUIET, Happening.NOT_EFFECTIVE): Phase.REVERTING,
    (Phase.QUIET, Happening.TAKEN_BACK): Phase.HANDED,
    (Phase.LIFTING, Happening.CONFIRMED): Phase.CLOSED,
    (Phase.LIFTING, Happening.HANDED_OVER): Phase.HANDED,
    (Phase.REVERTING, Happening.TRY_NEXT): Phase.BURNING,
    (Phase.REVERTING, Happening.HANDED_OVER): Phase.HANDED,
    (Phase.REVERTING, Happening.NO_ANSWER): Phase.HANDED,
    (Phase.HANDED, Happening.RECOVERED): Phase.CLOSED,
}


def after(phase: Phase, happening: Happening) -> Phase:
    """The phase that follows. A pair that the table lacks is our own mistake and stops the process."""
    assert (phase, happening) in TRANSITIONS, f"{happening} cannot happen to an incident that is {phase}"
    return TRANSITIONS[phase, happening]
