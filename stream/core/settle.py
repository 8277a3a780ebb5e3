"""What stands at the targets: what actuators say of changes, also of those whose incident is over or was never ours.

A change is settled once its actuator says that it is confirmed, or that nothing of it stands. Until then its target is
changed by nothing else; where the word stays away, or is none of ours, the target is frozen and a person is told.
"""

from actuators.policy.incident import Attempt, Incident, Step
from schemas.commands import CommandKind, Outcome, OutcomeReason, OutcomeStatus
from schemas.specs import SpecSet
from stream.core import desk
from stream.core.desk import Desk
from stream.shard import ShardState, TargetState

ANSWER_MS_MAX = 20_000  # the actuator observes for 3 s, takes back for 3 s; the rest is Kafka and a restart of act
CLOSED_MAX = 1_000  # 3 kB each in a snapshot; the oldest whose changes are all confirmed are forgotten first
TARGETS_MAX = 10_000  # a target that nobody named in the spec set takes room only for a while
NOTHING_STANDS = frozenset({OutcomeStatus.REVERTED, OutcomeStatus.FAILED, OutcomeStatus.EXPIRED})
FORGED = frozenset({OutcomeReason.BAD_SIGNATURE, OutcomeReason.MALFORMED})


def find(shard: ShardState, incident_id: str, command: str) -> tuple[Incident, Attempt, Step] | None:
    """The incident, open or over, the plan and the step that a command is about; None for one that is not ours."""
    incident = shard.incidents.get(incident_id) or shard.closed.get(incident_id)
    for attempt in incident.attempts if incident else ():
        for step in attempt.steps:
            if command in desk.orders(step):
                assert incident is not None
                return incident, attempt, step
    return None


def is_gone(outcome: Outcome) -> bool:
    """True where nothing of the change stands. A refused confirm or revert leaves what there was."""
    refused = outcome.status is OutcomeStatus.REFUSED and outcome.kind is CommandKind.APPLY
    return refused or outcome.status in NOTHING_STANDS


def note(shard: ShardState, step: Step, outcome: Outcome) -> None:
    """Takes up what an outcome says of one of our changes and of its target."""
    target = shard.targets.setdefault(step.target, TargetState())
    gone = is_gone(outcome)
    if outcome.status is OutcomeStatus.UNKNOWN:
        step.unknown = True
        freeze(target, step.command, shard.clock.now_ms)
    elif gone or outcome.status is OutcomeStatus.CONFIRMED:
        step.gone, step.unknown = gone, False
        if target.standing == step.command:
            target.standing = ""
        if target.about == step.command:
            target.unknown = False


def freeze(target: TargetState, command: str, now_ms: int) -> None:
    """Nobody touches the target until it is known what its change `command` came to, or until a person has looked."""
    target.unknown, target.about, target.unknown_ms = True, command, now_ms
    if target.standing == command:
        target.standing = ""


def stray(shard: ShardState, specs: SpecSet, outcome: Outcome, out: Desk) -> None:
    """An outcome of a command that this shard knows nothing of: its target is frozen while anything may stand."""
    known = next((one for one in specs.targets if one.id == outcome.target), None)
    target = shard.targets.get(outcome.target)
    if target is not None and outcome.applies == target.about and outcome.status is not OutcomeStatus.UNKNOWN:
        if is_gone(outcome) or outcome.status is OutcomeStatus.CONFIRMED:
            target.unknown = False
        return
    if outcome.status not in (OutcomeStatus.LIVE, OutcomeStatus.UNKNOWN):
        return
    shard.count("outcomes_unknown")
    if target is None and len(shard.targets) >= TARGETS_MAX:
        shard.count("targets_left_out")
        return
    target = shard.targets.setdefault(outcome.target, TargetState())
    told = target.unknown and target.about == outcome.applies
    freeze(target, outcome.applies, out.now_ms)
    if not told:
        detail = f"{outcome.actuator}/{outcome.target} says {outcome.status.value} of a command that nobody here gave"
        out.stray(outcome, known.service if known else "", detail)


def late(incident: Incident, step: Step, outcome: Outcome, out: Desk) -> None:
    """Tells the person who has the incident what became of its change, where that is not what was said before.

    Such as a change that was proven and let stand, and that its actuator had taken back by then: nobody heard it.
    """
    before, step.status = step.status, outcome.status
    step.reason, step.detail = outcome.reason.value, outcome.detail
    if outcome.status is OutcomeStatus.CONFIRMED or outcome.status is before:
        return
    if outcome.status is OutcomeStatus.LIVE and before is not None:
        step.status = before  # its first word, overtaken by a later one
        return
    if outcome.status is OutcomeStatus.REVERTED and step.asked_by:
        return  # as a person wanted it
    out.hand_over(incident, outcome.reason.value, tried(outcome), step.stands)


def tried(outcome: Outcome) -> str:
    return f"{outcome.status.value} at {outcome.actuator}/{outcome.target}: {outcome.detail or outcome.reason.value}"


def waits(shard: ShardState, step: Step) -> bool:
    """True while a change waits for its word, or may still come."""
    target = shard.targets.get(step.target)
    return target is not None and target.standing == step.command


def keep(shard: ShardState, incident: Incident) -> None:
    """Remembers an incident that is over while something of it stands, for what is still said of it, and for the
    person who wants it taken back."""
    if not any(attempt.standing for attempt in incident.attempts):
        return
    incident.good, incident.total = [], []
    shard.closed[incident.id] = incident
    while len(shard.closed) > CLOSED_MAX:
        settled = (name for name, one in shard.closed.items() if not _unsettled(shard, one))
        del shard.closed[next(settled, next(iter(shard.closed)))]
        shard.count("closed_left_out")


def overdue(shard: ShardState, specs: SpecSet, incident: Incident, out: Desk) -> None:
    """Changes that a person has, or whose incident is over, and of which nothing was heard by their own deadline."""
    for attempt, step in _unsettled(shard, incident):
        assert step.ordered_ms is not None
        if out.now_ms - step.ordered_ms <= attempt.confirm_ms + specs.limits.not_after_ms + ANSWER_MS_MAX:
            continue
        step.unknown = True
        freeze(shard.targets[step.target], step.command, out.now_ms)
        detail = f"nobody said what became of command {step.command} of target {step.target}"
        out.hand_over(incident, "no_answer", detail, True)
    for step in _unheard(incident, specs.limits.not_after_ms + ANSWER_MS_MAX, out.now_ms):
        step.unknown = True
        freeze(shard.targets.setdefault(step.target, TargetState()), step.command, out.now_ms)
        detail = f"nobody said whether {step.mitigation} of target {step.target} was taken back"
        out.hand_over(incident, "no_answer", detail, True)


def _unheard(incident: Incident, limit_ms: int, now_ms: int) -> list[Step]:
    """Steps that a person wanted back and of which nothing was heard."""
    return [
        step
        for attempt in incident.attempts
        for step in attempt.standing
        if step.asked_by and not step.unknown and step.revert_ms is not None and now_ms - step.revert_ms > limit_ms
    ]


def settle_closed(shard: ShardState, specs: SpecSet, out: Desk) -> None:
    """Forgets what is over and settled."""
    for incident in list(shard.closed.values()):
        overdue(shard, specs, incident, out)
        if not any(attempt.standing for attempt in incident.attempts):
            del shard.closed[incident.id]


def _unsettled(shard: ShardState, incident: Incident) -> list[tuple[Attempt, Step]]:
    return [
        (attempt, step)
        for attempt in incident.attempts
        for step in attempt.steps
        if step.ordered_ms is not None and waits(shard, step)
    ]
