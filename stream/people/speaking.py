"""What an operator says of plans and changes, and what is heard of it: an answer of the shard, then of the actuator."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.commands import CommandKind, Outcome, OutcomeStatus
from schemas.control import ChangeReverted, PlanDecided
from schemas.events import Decided, HandedOver, Planned, Refused, Word
from schemas.model import Model
from stream import control, kafka, keys, topics
from stream.incidents import ID_DIGITS
from stream.people.book import Book
from stream.people.follow import Follower
from stream.people.standing import Change
from stream.people.trust import Trust
from stream.people.waiting import Waiting
from stream.settings import Settings

REJECTION_MS = 600_000  # a no counts at the next tick; a shard that comes later than this has not got that far


def decision(one: Waiting, by: str, approve: bool, reason: str, now_ms: int, for_ms: int) -> PlanDecided:
    """The word on a suggestion; it counts until `for_ms` from now."""
    told = one.told
    return PlanDecided(
        plan=told.plan,
        incident=told.incident,
        environment=told.environment,
        tenant=told.tenant,
        approve=approve,
        by=by,
        reason=reason,
        time_ms=now_ms,
        expires_ms=now_ms + for_ms,
    )


def reversal(change: Change, by: str, reason: str, now_ms: int) -> ChangeReverted:
    """The word that takes one change back."""
    return ChangeReverted(
        command=change.command,
        incident=change.incident,
        environment=change.environment,
        tenant=change.tenant,
        by=by,
        reason=reason,
        time_ms=now_ms,
    )


@dataclass(slots=True)
class PlanHeard:
    """What came of a word on one plan."""

    plan: str
    incident: str
    approve: bool
    decided: Decided | None = None
    planned: Planned | None = None
    refused: Refused | None = None
    handed: HandedOver | None = None

    def take(self, model: Model) -> None:
        match model:
            case Decided(plan=self.plan) if model.word is not Word.REVERT:
                self.decided = model
            case Planned(plan=self.plan):
                self.planned = model
            case Refused(incident=self.incident):
                self.refused = model
            case HandedOver(incident=self.incident):
                self.handed = model
            case _:
                pass

    @property
    def done(self) -> bool:
        """True once nothing more has to be waited for."""
        if self.decided is None:
            return False
        ended = self.planned is not None or self.handed is not None
        return not self.decided.taken or not self.approve or ended

    @property
    def well(self) -> bool:
        """True where the word was taken up, and a yes does not end without a plan."""
        taken = self.decided is not None and self.decided.taken
        return taken and (not self.approve or self.planned is not None or self.handed is None)

    def lines(self) -> list[str]:
        if self.decided is None:
            return ["no answer yet: it counts once a detect reads it, until it expires; `douse watch` shows it"]
        if not self.decided.taken:
            return [f"not taken: {self.decided.detail}"]
        if not self.approve:
            return ["rejected"]
        if self.planned is not None:
            steps = self.planned.steps
            order = ", then ".join(f"{step.mitigation} on {step.actuator}/{step.target}" for step in steps)
            return [f"approved, and carried out now: {order}; `douse watch` shows how it goes"]
        if self.handed is not None:
            return [f"approved, and handed over all the same: {self.handed.reason}: {self.handed.detail}"]
        held = f": {self.refused.reason.value}: {self.refused.detail}" if self.refused else ""
        return [f"approved; not carried out yet{held}; it is looked at again at each tick until the approval expires"]


@dataclass(slots=True)
class RevertHeard:
    """What came of the word that takes changes back."""

    changes: tuple[Change, ...]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    not_taken: list[Decided] = field(default_factory=list)

    @property
    def commands(self) -> frozenset[str]:
        return frozenset(one.command for one in self.changes)

    @property
    def plans(self) -> frozenset[str]:
        return frozenset(one.plan for one in self.changes)

    def take(self, model: Model) -> None:
        match model:
            case Outcome(kind=CommandKind.REVERT) if model.applies in self.commands:
                self.outcomes[model.applies] = model
            case Outcome(status=OutcomeStatus.REVERTED) if model.applies in self.commands:
                self.outcomes[model.applies] = model
            case Decided(word=Word.REVERT, taken=False) if model.plan in self.plans:
                self.not_taken.append(model)
            case _:
                pass

    @property
    def done(self) -> bool:
        return len(self.outcomes) + len(self.not_taken) >= len(self.commands)

    @property
    def well(self) -> bool:
        said = [one.status for one in self.outcomes.values()]
        return len(said) == len(self.commands) and set(said) <= {OutcomeStatus.REVERTED}

    def lines(self) -> list[str]:
        told = []
        for one in self.changes:
            name, outcome = one.command[:ID_DIGITS], self.outcomes.get(one.command)
            if outcome is not None:
                why = f": {outcome.detail}" if outcome.detail else ""
                told.append(f"{name}: {outcome.status.value} at {outcome.actuator}/{outcome.target}{why}")
            elif not self.not_taken:
                by_hand = f"; by hand: {one.undo}" if one.undo else ""
                told.append(f"{name}: no answer yet; the word holds, and `douse changes` shows what stands{by_hand}")
        return told + [f"not taken: {one.detail}" for one in self.not_taken]


async def say(
    settings: Settings, trust: Trust, words: Sequence[control.Word], heard: PlanHeard | RevertHeard, wait_s: float
) -> None:
    """Signs the words, sends them, and takes what is answered into `heard`, for `wait_s` at most."""
    keyid, key = keys.load_private(settings.operator_key_file)
    topic = topics.names(settings.topic_prefix).control
    async with Follower(settings, trust, from_end=True) as follower:
        for word in words:
            await control.publish(kafka.cluster(settings), topic, control.word_event(word), keyid, key)
        await _listen(follower, heard.take, lambda: heard.done, wait_s)


async def _listen(follower: Follower, take: Callable[[Model], None], done: Callable[[], bool], wait_s: float) -> None:
    book, deadline_s = Book(), time.monotonic() + wait_s
    while not done():
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return
        for event in await follower.next(min(left_s, 0.5)):
            model = book.take(event)
            if model is not None:
                take(model)
