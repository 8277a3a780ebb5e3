"""Which suggestion or change a person means who types the beginning of an id."""

from collections.abc import Sequence

from stream.people.standing import Change
from stream.people.waiting import Waiting
from stream.trouble import OperatorNeededError

LISTED_MAX = 20  # a person picks from a screen
ID_DIGITS = 12  # 48 bits tell the ids of a topic apart


class UnknownIdError(OperatorNeededError):
    """Nothing begins with the id that was typed, or too much does; the message lists what there is."""


def suggestion(wanted: str, known: Sequence[Waiting]) -> Waiting:
    """The one suggestion whose plan, or whose incident, begins with `wanted`. Raises UnknownIdError."""
    if not known:
        raise UnknownIdError("no suggestion waits for an answer; `douse incidents` tells what became of each")
    fitting = [one for one in known if _begins(wanted, one.told.plan, one.told.incident)]
    if len(fitting) == 1:
        return fitting[0]
    rows = [
        f"  {told.plan[:ID_DIGITS]}  {told.kind.value} for {whose}, incident {told.incident[:ID_DIGITS]}"
        for told, whose in ((one.told, one.whose) for one in fitting or known)
    ]
    raise UnknownIdError(_said(wanted, "suggestion", len(fitting), rows))


def standing_changes(wanted: str, known: Sequence[Change]) -> list[Change]:
    """Every change of the one incident, plan or command that begins with `wanted`. Raises UnknownIdError."""
    if not known:
        raise UnknownIdError("no change of douse stands")
    names = {name for one in known for name in (one.incident, one.plan, one.command) if _begins(wanted, name)}
    if len(names) == 1:
        (name,) = names
        return [one for one in known if name in (one.incident, one.plan, one.command)]
    rows = [
        f"  {one.command[:ID_DIGITS]}  {one.mitigation} on {one.actuator}/{one.target} for {one.whose}, plan "
        f"{one.plan[:ID_DIGITS] or '-'}, incident {one.incident[:ID_DIGITS]}"
        for one in known
        if not names or names & {one.incident, one.plan, one.command}
    ]
    raise UnknownIdError(_said(wanted, "change", len(names), rows))


def _begins(wanted: str, *names: str) -> bool:
    return bool(wanted) and any(name.startswith(wanted) for name in names)


def _said(wanted: str, what: str, fitting: int, rows: Sequence[str]) -> str:
    head = f"{fitting} ids begin with {wanted!r}" if fitting else f"no {what} begins with {wanted!r}"
    more = [f"  and {len(rows) - LISTED_MAX} more"] if len(rows) > LISTED_MAX else []
    return "\n".join([f"{head}; there are", *rows[:LISTED_MAX], *more])
