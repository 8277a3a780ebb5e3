"""Outcomes: what act did, saw or refused, as the world hears it. Values that look like secrets appear as a hash."""

from dataclasses import dataclass
from pathlib import Path

from actuators.drivers import files
from actuators.drivers.processes import Report
from actuators.edits import document, secrets, spans
from actuators.ledger import Entry
from actuators.policy.admission import Refusal
from schemas import commands
from schemas.commands import Command, CommandKind, Outcome, OutcomeReason, OutcomeStatus, Reload
from stream.act.inbox import Unfit

VALUE_CHARACTERS_MAX = 1_000  # of a value in a file or in an answer; a process may say a megabyte
DIFF_CHARACTERS_MAX = 100_000  # a line of a file may be as long; with it an outcome stays far below a record's 1 MB
CUT = "… (cut)"
STANDS = frozenset({OutcomeStatus.LIVE, OutcomeStatus.CONFIRMED, OutcomeStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class About:
    """A change, and the command that is answered: its apply, a word on it, or (kind revert) its own deadline."""

    entry: Entry
    command: Command
    kind: CommandKind
    folder: Path
    salt: bytes


def changed(
    about: About,
    status: OutcomeStatus,
    reason: OutcomeReason,
    detail: str,
    now_ms: int,
    reports: tuple[Report, ...] = (),
    earlier: tuple[Report, ...] = (),
) -> Outcome:
    """What is true of a change. Its values, diff and hashes are those of the change, whichever way it went since."""
    entry, change, target = about.entry, about.entry.change, about.entry.target
    hidden = document.looks_secret(target.key, change.before) or document.looks_secret(target.key, change.after)

    def shown(text: str) -> str:
        return secrets.hashed(text, about.salt) if hidden and text else _cut(text, VALUE_CHARACTERS_MAX)

    before = shown(spans.text(change.before))
    said = {report.name: report.value for report in earlier}
    signals = {process.name: process.signal for process in target.processes}
    reloads = tuple(
        Reload(
            process=report.name,
            pid=report.pid,
            signal=signals[report.name],
            before=shown(said.get(report.name, "")),
            after=shown(report.value),
            live_ms=report.live_ms,
        )
        for report in reports
    )
    lives = [report.live_ms for report in reports if report.live_ms is not None]
    settled = status in (OutcomeStatus.LIVE, OutcomeStatus.REVERTED)
    return commands.answer(
        about.command,
        about.kind,
        status,
        reason,
        detail,
        entry.accepted_ms if about.kind is CommandKind.APPLY else now_ms,
    ).model_copy(
        update={
            "before": before,
            "after": shown(spans.text(change.after)),
            "diff": _cut(change.diff, DIFF_CHARACTERS_MAX),
            "pre_image": change.pre_sha,
            "post_image": change.post_sha,
            "live_ms": max(lives) if settled and lives else None,
            "confirm_by_ms": entry.deadline.wall_ms if status is OutcomeStatus.LIVE else None,
            "reloads": reloads,
            "undo": files.undo(target, about.folder, before) if status in STANDS else "",
        }
    )


def refused(command: Command, refusal: Refusal, now_ms: int) -> Outcome:
    """Not tried."""
    return commands.answer(command, command.kind, refusal.status, refusal.reason, refusal.detail, now_ms)


def failed(command: Command, refusal: Refusal, now_ms: int) -> Outcome:
    """Tried, and given up before anything was touched."""
    return commands.answer(command, command.kind, OutcomeStatus.FAILED, refusal.reason, refusal.detail, now_ms)


def unfit(actuator: str, record: Unfit, now_ms: int) -> Outcome:
    """A record that is no command. It is nobody's word, so what it says of itself is only repeated."""
    named = record.named
    kinds = {kind.value: kind for kind in CommandKind}
    return Outcome(
        command=record.command,
        kind=kinds.get(named.get("kind", ""), CommandKind.APPLY),
        applies=named.get("applies", ""),
        status=OutcomeStatus.REFUSED,
        reason=OutcomeReason.MALFORMED,
        detail=record.detail,
        actuator=actuator,
        target=named.get("target", ""),
        environment=named.get("environment", ""),
        tenant=named.get("tenant", ""),
        incident=named.get("incident", ""),
        shard=record.shard,
        mitigation=named.get("mitigation", ""),
        parameter=named.get("parameter", ""),
        accepted_ms=now_ms,
    )


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[:characters_max] + CUT
