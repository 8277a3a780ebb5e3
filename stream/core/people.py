"""What operators say of plans and changes: kept until the next tick, taken up once, answered with an event."""

from typing import Any

from actuators.policy.incident import Incident
from actuators.policy.lifecycle import Phase
from schemas import identity
from schemas.control import ChangeReverted, PlanDecided, TargetThawed
from schemas.events import Word
from stream.core import judge, lift, settle
from stream.core.desk import Desk
from stream.shard import ShardState

WORDS_MAX = 1_000  # of 0.5 kB; an approval lives for an hour at most
FUTURE_MS_MAX = 300_000  # an operator's clock may be ahead of the broker's; a word from further ahead never grows old


def keep(shard: ShardState, decided: PlanDecided | ChangeReverted | TargetThawed) -> None:
    """Keeps a word for the next tick, if it concerns a tenant of this shard; a thaw concerns every shard."""
    if not isinstance(decided, TargetThawed):
        ours = identity.shard(decided.environment, decided.tenant, shard.shards)
        if ours != shard.number:
            return
    if len(shard.words_new) >= WORDS_MAX:
        shard.count("words_left_out")
        return
    kind = type(decided).__name__
    shard.words_new.append({"kind": kind, **decided.fields()})


def hear(shard: ShardState, out: Desk) -> None:
    """Takes up the words that came since the last tick, in their order."""
    new, shard.words_new = shard.words_new, []
    for raw in new:
        data = {name: value for name, value in raw.items() if name != "kind"}
        match raw["kind"]:
            case "PlanDecided":
                _plan(shard, PlanDecided.read(data), out)
            case "ChangeReverted":
                _revert(shard, ChangeReverted.read(data), out)
            case "TargetThawed":
                _thaw(shard, TargetThawed.read(data), out.now_ms)
            case _:
                raise AssertionError(raw["kind"])
    shard.words = {
        plan: word
        for plan, word in shard.words.items()
        if (word["incident"] in shard.incidents if not word["approve"] else word["expires_ms"] >= out.now_ms)
    }


def _thaw(shard: ShardState, decided: TargetThawed, now_ms: int) -> None:
    """An old word that somebody writes again is older than the freeze, so it says nothing about it; one from far ahead
    would thaw every freeze to come."""
    target = shard.targets.get(decided.target)
    if target is not None and target.unknown and target.unknown_ms < decided.time_ms <= now_ms + FUTURE_MS_MAX:
        target.unknown = False


def _plan(shard: ShardState, decided: PlanDecided, out: Desk) -> None:
    said = Word.APPROVE if decided.approve else Word.REJECT
    incident = shard.incidents.get(decided.incident) or shard.closed.get(decided.incident)
    if incident is None or incident.tenant != decided.tenant or incident.environment != decided.environment:
        shard.count("words_unknown")
        return
    limit_ms = shard.specs.limits.approval_ms_max if shard.specs else 0
    if incident.id in shard.closed:
        lets_stand = not decided.approve and any(one.plan == decided.plan for one in incident.attempts)
        _answer(incident, decided, said, "" if lets_stand else "the incident is over", out)
    elif incident.suggested != decided.plan or incident.phase not in (Phase.BURNING, Phase.HELD):
        _answer(incident, decided, said, "this plan is not the one that waits", out)
    elif out.now_ms > decided.expires_ms or decided.time_ms > out.now_ms + FUTURE_MS_MAX:
        _answer(incident, decided, said, "it came too late, or from a clock far ahead", out)
    elif decided.expires_ms - decided.time_ms > limit_ms:
        _answer(incident, decided, said, f"it would hold longer than the {limit_ms} ms that are allowed", out)
    elif not decided.by.strip():
        _answer(incident, decided, said, "it names nobody", out)
    elif _is_older(decided, shard.words.get(decided.plan)):
        _answer(incident, decided, said, "a later word was given", out)
    else:
        shard.words[decided.plan] = decided.fields()
        _answer(incident, decided, said, "", out)


def _is_older(decided: PlanDecided, known: dict[str, Any] | None) -> bool:
    """An old word that somebody writes again stays old; of two of one time the no counts."""
    if known is None:
        return False
    return (decided.time_ms, not decided.approve) < (known["time_ms"], not known["approve"])


def _answer(incident: Incident, decided: PlanDecided, said: Word, wrong: str, out: Desk) -> None:
    out.tell(
        incident,
        "decided",
        plan=decided.plan,
        word=said,
        by=decided.by,
        said=decided.reason,
        taken=not wrong,
        detail=wrong,
    )


def _revert(shard: ShardState, decided: ChangeReverted, out: Desk) -> None:
    """A change under judgement takes its whole plan with it; one that was confirmed goes alone."""
    found = settle.find(shard, decided.incident, decided.command)
    if found is None or (found[0].environment, found[0].tenant) != (decided.environment, decided.tenant):
        shard.count("words_unknown")
        return
    incident, attempt, step = found
    wrong = (
        ""
        if step.stands and (step.revert_ms is None or step.unknown)
        else "nothing of it stands, or it is being taken back"
    )
    out.tell(
        incident,
        "decided",
        plan=attempt.plan,
        word=Word.REVERT,
        by=decided.by,
        said=decided.reason,
        taken=not wrong,
        detail=wrong,
    )
    if wrong:
        return
    why = f"{decided.by} wanted it back: {decided.reason}"
    open_now = incident.id in shard.incidents and attempt is incident.attempt
    if open_now and incident.phase in (Phase.APPLYING, Phase.WATCHING, Phase.QUIET):
        judge.undo(incident, attempt, "by_person", why, out)
        return
    step.asked_by = decided.by
    out.revert(incident, attempt, step)
    if open_now and incident.phase is Phase.LIFTING:
        lift.leave(incident, attempt, "by_person", why, out)
