"""What act does with one order, from the ledger's first line to the outcome; without Kafka.

Every path ends in an outcome that is in the ledger before anybody hears of it. Steps block; one lock for each file
keeps orders, deadlines and the repair after a crash apart.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from actuators import deadline
from actuators.deadline import Instant
from actuators.drivers import files
from actuators.drivers.errors import DriverError, Permanent, Temporary
from actuators.drivers.files import Stands
from actuators.drivers.processes import Report
from actuators.edits import spans
from actuators.ledger import TRANSITIONS, Entry, Ledger, State
from actuators.policy import admission
from actuators.policy.admission import Facts, Refusal, Unread
from schemas.actuator import Actuator
from schemas.commands import Command, CommandKind, Outcome, OutcomeReason, OutcomeStatus
from stream.act import report, restore
from stream.act.inbox import Order, Unfit

_OLD_NOT_LIVE = "the old value is in the file again, but not every process reports it"
_SPENT = Refusal(OutcomeReason.NOT_AFTER, "this command was answered long ago; its id cannot be used again")
_TRUE: dict[State, OutcomeStatus] = {
    State.OPEN: OutcomeStatus.UNKNOWN,
    State.STANDING: OutcomeStatus.LIVE,
    State.CONFIRMED: OutcomeStatus.CONFIRMED,
    State.TAKING_BACK: OutcomeStatus.UNKNOWN,
    State.REVERTED: OutcomeStatus.REVERTED,
    State.FAILED: OutcomeStatus.FAILED,
    State.UNKNOWN: OutcomeStatus.UNKNOWN,
}
"""What is true at the target, by the state of its change."""


@dataclass(frozen=True, slots=True)
class Hands:
    """All that one actuator can get at: its rules, its folder, its ledger, its clocks."""

    actuator: Actuator
    folder: Path
    ledger: Ledger
    kill_file: Path
    """While this file is there, nothing is applied."""
    clock: Callable[[], Instant]
    locks: Mapping[str, threading.Lock]
    """By the file's name in the configuration; two names of one file have one lock."""

    @classmethod
    def of(
        cls, actuator: Actuator, folder: Path, ledger: Ledger, kill_file: Path, clock: Callable[[], Instant]
    ) -> "Hands":
        places: dict[str, threading.Lock] = {}
        names = [target.file for target in actuator.targets]
        names += [entry.target.file for entry in ledger.entries(*State)]
        locks = {name: places.setdefault(os.path.realpath(folder / name), threading.Lock()) for name in names}
        return cls(actuator, folder, ledger, kill_file, clock, locks)


def execute(hands: Hands, order: Order | Unfit, age_ms: Callable[[], int]) -> Outcome:
    """Carry the order out, or say why not. A known id is answered with its recorded outcome, whoever asks."""
    if isinstance(order, Unfit):
        return _answer(hands, report.unfit(hands.actuator.name, order, hands.clock().wall_ms), known=False)
    with _turn(hands, order.command):
        recorded = hands.ledger.recorded(order.command.command)
        if recorded is not None:
            hands.ledger.repeat(order.command.command)
            return recorded
        if hands.ledger.spent(order.command.command):
            return _answer(hands, report.refused(order.command, _SPENT, hands.clock().wall_ms), known=False)
        match order.command.kind:
            case CommandKind.APPLY:
                return _apply(hands, order, age_ms)
            case CommandKind.CONFIRM:
                return _word(hands, order, _confirm)
            case CommandKind.REVERT:
                return _word(hands, order, _revert)
            case _:
                assert_never(order.command.kind)


def reconcile(hands: Hands) -> list[Outcome]:
    """After a start: for each change without an outcome, look at file and processes, and make one thing of them."""
    return [_reconciled(hands, entry) for entry in hands.ledger.entries(State.OPEN)]


def due(hands: Hands, *, retry: bool) -> list[Entry]:
    """What nobody confirmed in time; with `retry` also what could not be taken back before."""
    now = hands.clock()
    standing = [entry for entry in hands.ledger.entries(State.STANDING) if deadline.passed(entry.deadline, now)]
    return standing + (hands.ledger.entries(State.TAKING_BACK) if retry else [])


def take_back(hands: Hands, listed: Entry) -> Outcome | None:
    """Take back what was due when it was listed; None if an order has settled it since."""
    with hands.locks[listed.target.file]:
        entry = hands.ledger.entry(listed.command.command)
        if entry is None or entry.state not in (State.STANDING, State.TAKING_BACK):
            return None
        return _take_back(hands, entry, entry.word)


def _apply(hands: Hands, order: Order, age_ms: Callable[[], int]) -> Outcome:
    command = order.command
    accepted = hands.clock()
    facts = _facts(hands, order, age_ms, accepted)
    lifted = hands.ledger.lifted(command.target, accepted.wall_ms)
    restores = restore.restored(command, facts.in_force, lifted)
    if restores is not None:
        facts = replace(facts, target_applies_max=None, since_applied_ms=None)
    decision = admission.admit(command, facts)
    if isinstance(decision, Refusal):
        forged = decision.reason is OutcomeReason.BAD_SIGNATURE
        return _answer(hands, report.refused(command, decision, accepted.wall_ms), known=not forged)
    try:
        change = files.plan(decision.target, hands.folder, decision.value, hands.ledger.salt)
        before = files.ready(decision.target, hands.folder, change.before)
    except DriverError as error:
        refusal = Refusal(error.reason, error.detail)
        return _answer(hands, report.failed(command, refusal, accepted.wall_ms))
    entry = hands.ledger.intend(command, decision.target, change, accepted, restores)
    return _carry_out(hands, entry, before.reports)


def _carry_out(hands: Hands, entry: Entry, before: tuple[Report, ...]) -> Outcome:
    target, change = entry.target, entry.change
    try:
        files.write(target, hands.folder, change)
    except Permanent as error:
        if error.reason is OutcomeReason.PRE_IMAGE_CHANGED:  # seen before the rename: nothing of ours is in the file
            return _settle(hands, entry, State.FAILED, OutcomeStatus.FAILED, error.reason, error.detail)
        return _withdraw(hands, entry, error.reason, error.detail, before)
    except Temporary as error:
        return _withdraw(hands, entry, error.reason, error.detail, before)
    try:
        observed = files.reload(target, hands.folder, change.after)
    except DriverError as error:
        return _withdraw(hands, entry, error.reason, error.detail, before)
    silent = files.silent(target, observed)
    if silent:
        limit_ms = target.live_ms_max
        detail = f"{', '.join(silent)}: the new value was not live after {limit_ms} ms; the file is restored"
        return _withdraw(hands, entry, OutcomeReason.NOT_LIVE, detail, observed.reports)
    return _settle(hands, entry, State.STANDING, OutcomeStatus.LIVE, OutcomeReason.NONE, "", observed.reports, before)


def _withdraw(
    hands: Hands, entry: Entry, reason: OutcomeReason, detail: str, reports: tuple[Report, ...] = ()
) -> Outcome:
    """An apply that did not come to an end: everything as before, `failed`; if that cannot be had, what is true."""
    try:
        back = files.take_back(entry.target, hands.folder, entry.change, hands.ledger.salt)
    except Temporary as error:
        return _settle(
            hands, entry, State.TAKING_BACK, OutcomeStatus.UNKNOWN, error.reason, f"{detail}; {error.detail}"
        )
    except Permanent as error:
        return _settle(hands, entry, State.UNKNOWN, OutcomeStatus.UNKNOWN, error.reason, f"{detail}; {error.detail}")
    if not back.observed.agreed:
        detail, reason = f"{detail}; {_OLD_NOT_LIVE}", OutcomeReason.NOT_LIVE
        return _settle(hands, entry, State.UNKNOWN, OutcomeStatus.UNKNOWN, reason, detail, back.observed.reports)
    return _settle(hands, entry, State.FAILED, OutcomeStatus.FAILED, reason, detail, back.observed.reports, reports)


def _reconciled(hands: Hands, entry: Entry) -> Outcome:
    """An apply that a crash interrupted stands only if it is wholly there and still in time; else it is withdrawn."""
    with hands.locks[entry.target.file]:
        if deadline.passed(entry.deadline, hands.clock()):
            return _take_back(hands, entry, None)
        try:
            written = files.stands(entry.target, hands.folder, entry.change) in (Stands.AFTER, Stands.AFTER_TOUCHED)
            observed = files.observe(entry.target, hands.folder, entry.change.after)
        except DriverError as error:
            return _withdraw(hands, entry, error.reason, f"act was interrupted; {error.detail}")
        if written and not files.silent(entry.target, observed):
            detail = "act was interrupted after the change; seen to be live after its restart"
            return _settle(
                hands, entry, State.STANDING, OutcomeStatus.LIVE, OutcomeReason.NONE, detail, observed.reports
            )
        return _withdraw(
            hands, entry, OutcomeReason.NOT_LIVE, "act was interrupted before the change was live; the file is restored"
        )


def _word(hands: Hands, order: Order, obey: Callable[[Hands, Command, Entry], Outcome]) -> Outcome:
    command = order.command
    entry = hands.ledger.entry(command.applies)
    refusal = admission.admit_word(command, order.signer, None if entry is None else entry.command)
    if refusal is not None or entry is None:
        assert refusal is not None
        forged = refusal.reason is OutcomeReason.BAD_SIGNATURE
        return _answer(hands, report.refused(command, refusal, hands.clock().wall_ms), known=not forged)
    return obey(hands, command, entry)


def _confirm(hands: Hands, command: Command, entry: Entry) -> Outcome:
    if entry.state is State.STANDING and not deadline.passed(entry.deadline, hands.clock()):
        return _settle(hands, entry, State.CONFIRMED, OutcomeStatus.CONFIRMED, OutcomeReason.NONE, "", word=command)
    if entry.state in (State.STANDING, State.TAKING_BACK):
        _take_back(hands, entry, entry.word)
        entry = hands.ledger.entry(entry.command.command) or entry
    return _told(hands, command, entry, "too late to confirm it")


def _revert(hands: Hands, command: Command, entry: Entry) -> Outcome:
    if State.TAKING_BACK in TRANSITIONS[entry.state]:
        return _take_back(hands, entry, command)
    return _told(hands, command, entry, "nothing of it stands")


def _told(hands: Hands, command: Command, entry: Entry, detail: str) -> Outcome:
    """The answer to a word that changes nothing: what is true of the change that it is about."""
    status, reason = _TRUE[entry.state], OutcomeReason.NONE
    if entry.state is State.REVERTED and entry.word is None:
        reason = OutcomeReason.CONFIRM_DEADLINE
    about = report.About(entry, command, command.kind, hands.folder, hands.ledger.salt)
    return _answer(hands, report.changed(about, status, reason, detail, hands.clock().wall_ms))


def _take_back(hands: Hands, entry: Entry, word: Command | None) -> Outcome:
    """The old value again, on the word of a revert command or of the deadline. Written down before it is begun."""
    kind = CommandKind.REVERT
    command = entry.command.command if word is None else word.command
    hands.ledger.begin_taking_back(entry.command.command, word)
    reason, detail = OutcomeReason.NONE, ""
    if word is None:
        reason, detail = OutcomeReason.CONFIRM_DEADLINE, "nobody confirmed the change in time"
    try:
        back = files.take_back(entry.target, hands.folder, entry.change, hands.ledger.salt)
    except Temporary as error:
        recorded = hands.ledger.recorded(command)
        if recorded is not None and recorded.status is OutcomeStatus.UNKNOWN:
            return recorded  # said once; the next try may go well
        unknown = OutcomeStatus.UNKNOWN
        return _settle(hands, entry, State.TAKING_BACK, unknown, error.reason, error.detail, kind=kind, word=word)
    except Permanent as error:
        unknown = OutcomeStatus.UNKNOWN
        return _settle(hands, entry, State.UNKNOWN, unknown, error.reason, error.detail, kind=kind, word=word)
    reports = back.observed.reports
    if not back.observed.agreed:
        unknown, reason = OutcomeStatus.UNKNOWN, OutcomeReason.NOT_LIVE
        return _settle(hands, entry, State.UNKNOWN, unknown, reason, _OLD_NOT_LIVE, reports, kind=kind, word=word)
    if not back.exact:
        others = "only the value was set back: somebody else has changed the file meanwhile"
        detail = f"{detail}; {others}" if detail else others
    return _settle(hands, entry, State.REVERTED, OutcomeStatus.REVERTED, reason, detail, reports, kind=kind, word=word)


def _settle(
    hands: Hands,
    entry: Entry,
    state: State,
    status: OutcomeStatus,
    reason: OutcomeReason,
    detail: str,
    reports: tuple[Report, ...] = (),
    before: tuple[Report, ...] = (),
    *,
    kind: CommandKind = CommandKind.APPLY,
    word: Command | None = None,
) -> Outcome:
    """Ledger and outcome together. The command is the word that was obeyed, or the apply itself."""
    now_ms = hands.clock().wall_ms
    about = report.About(entry, word or entry.command, kind, hands.folder, hands.ledger.salt)
    outcome = report.changed(about, status, reason, detail, now_ms, reports, before)
    return hands.ledger.settle(entry, state, outcome, now_ms)


@contextlib.contextmanager
def _turn(hands: Hands, command: Command) -> Iterator[None]:
    """One at a time for each file; an order about nothing that we have needs no turn."""
    entry = hands.ledger.entry(command.applies)
    target = hands.actuator.target(command.target) if entry is None else entry.target
    with contextlib.nullcontext() if target is None else hands.locks[target.file]:
        yield


def _answer(hands: Hands, outcome: Outcome, *, known: bool = True) -> Outcome:
    return hands.ledger.answer(outcome, hands.clock().wall_ms, known=known)


def _killed(hands: Hands) -> bool:
    """True while the kill file is there, or nobody can tell."""
    try:
        os.lstat(hands.kill_file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _facts(hands: Hands, order: Order, age_ms: Callable[[], int], now: Instant) -> Facts:
    target = hands.actuator.target(order.command.target)
    in_force: spans.Value | Unread = Unread(OutcomeReason.UNKNOWN_TARGET, "no such target")
    if target is not None and order.signer is not None:
        try:
            in_force = files.in_force(target, hands.folder)
        except DriverError as error:
            in_force = Unread(error.reason, error.detail)
    applies, last_ms = hands.ledger.applies_of(order.command.target, now.wall_ms)
    kills = hands.ledger.kills() | ({"global"} if _killed(hands) else set())
    return Facts(
        actuator=hands.actuator,
        signer=order.signer,
        age_ms=age_ms(),
        in_force=in_force,
        kills=kills,
        applies_last_hour=hands.ledger.applies_last_hour(now.wall_ms),
        unconfirmed=hands.ledger.unconfirmed(order.command.target),
        frozen=hands.ledger.frozen(order.command.target),
        target_applies_last_hour=applies,
        target_applies_max=hands.actuator.applies_per_hour_target,
        since_applied_ms=None if last_ms is None else max(0, now.wall_ms - last_ms),
        cooldown_ms=hands.actuator.cooldown_s * 1000,
    )
