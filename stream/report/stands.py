"""What stands of one change or of several, in words: never only the last one's."""

from collections import Counter
from collections.abc import Iterable, Sequence

from stream.report.changes import GONE
from stream.report.model import Change, Standing, TakenBack

PROMISED = frozenset({Standing.WAITING, Standing.NOT_ORDERED, Standing.ALREADY})
"""Nothing was ordered that could stand, or the value stood there anyway."""
BOTH = 2


def says(changes: Sequence[Change]) -> str:
    """All stand, some stand, none stands; with the names of those that differ from the others."""
    made = [one for one in latest(changes) if one.standing not in PROMISED]
    already = [one for one in changes if one.standing is Standing.ALREADY]
    if not made:
        return "every value stood there already: nothing was changed" if already else "nothing was changed"
    text = _one(made[0]) if len(made) == 1 else _several(made)
    return f"{text}; {_named(already)} {'was' if len(already) == 1 else 'were'} so already" if already else text


def latest(changes: Iterable[Change]) -> list[Change]:
    """The changes without those that were put in place again by a later one."""
    known = list(changes)
    replaced = {one.again for one in known if one.again}
    return [one for one in known if one.command not in replaced]


def how(change: Change) -> str:
    """What became of one change: `confirmed`, `reverted on trial: not needed any more`, `failed: ...`."""
    if change.standing is Standing.REVERTED and change.taken_back_for is not None:
        return f"{change.standing.value} {_for(change)}"
    why = change.detail or change.reason.replace("_", " ")
    return f"{change.standing.value}: {why}" if why else change.standing.value


def _for(change: Change) -> str:
    match change.taken_back_for:
        case TakenBack.PERSON:
            return f"by {change.taken_back_by}"
        case TakenBack.TRIAL:
            return "on trial"
        case TakenBack.ACT:
            why = change.detail or change.reason.replace("_", " ")
            return f"by its actuator{f': {why}' if why else ''}"
        case _:
            return "by douse"


def _one(change: Change) -> str:
    match change.standing:
        case Standing.CONFIRMED:
            return "the change stands"
        case Standing.UNCONFIRMED if change.confirm_ordered_ms is not None:
            return "the change stands; its confirmation is ordered and not answered yet"
        case Standing.UNCONFIRMED:
            return "the change stands unconfirmed, and act takes it back by itself"
        case Standing.REVERTED | Standing.FAILED:
            return "the change is taken back"
        case Standing.REFUSED | Standing.EXPIRED:
            return "the change was not made"
        case Standing.ORDERED:
            return "what stands at the target is not known: the order is not answered"
        case _:
            return "what stands at the target is not known"


def _several(made: list[Change]) -> str:
    unknown = [one for one in made if one.standing is Standing.UNKNOWN]
    ordered = [one for one in made if one.standing is Standing.ORDERED]
    gone = [one for one in made if one.standing in GONE]
    stand = [one for one in made if one.standing in (Standing.UNCONFIRMED, Standing.CONFIRMED)]
    both = len(made) == BOTH
    if len(stand) == len(made):
        return f"{'both' if both else f'all {len(made)}'} changes stand{_unconfirmed(stand)}"
    if len(gone) == len(made):
        return f"{'neither' if both else 'none'} of the {len(made)} changes stands ({_each(gone)})"
    parts = [f"{_named(stand)} {'stands' if len(stand) == 1 else 'stand'}{_unconfirmed(stand)}"] if stand else []
    if gone:
        parts.append(_each(gone))
    if ordered:
        parts.append(f"{_named(ordered)} {'is' if len(ordered) == 1 else 'are'} ordered and not answered yet")
    if unknown:
        parts.append(f"what stands of {_named(unknown)} is not known")
    return f"of {len(made)} changes {'; '.join(parts)}"


def _unconfirmed(stand: list[Change]) -> str:
    loose = [one for one in stand if one.standing is Standing.UNCONFIRMED]
    if not loose:
        return ""
    whose = "" if len(loose) == len(stand) else f" ({_named(loose)})"
    if all(one.confirm_ordered_ms is not None for one in loose):
        return f", the confirmation ordered and not answered yet{whose}"
    return f", unconfirmed{whose}: act takes back by itself what is not confirmed in time"


def _each(changes: list[Change]) -> str:
    return ", ".join(f"{_name(one, changes)} {_short(one)}" for one in changes)


def _short(change: Change) -> str:
    """Without what a word says that may be long."""
    if change.standing is Standing.REVERTED and change.taken_back_for not in (None, TakenBack.ACT):
        return how(change)
    return change.standing.value


def _named(changes: list[Change]) -> str:
    return " and ".join(_name(one, changes) for one in changes)


def _name(change: Change, among: list[Change]) -> str:
    """The mitigation; with its target where another one of the same name stands beside it."""
    same = Counter(one.mitigation for one in among)[change.mitigation]
    return change.mitigation if same == 1 else f"{change.mitigation} on {change.target}"
