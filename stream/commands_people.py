"""`douse approve`, `reject`, `revert` and `thaw`: an operator's word on one plan, one change, one target."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream import commands_control, console
from stream.settings import Settings

if TYPE_CHECKING:  # aiokafka is slow to import, and help needs it not
    from stream.control import Control, Word
    from stream.people.book import Book
    from stream.people.preview import Preview
    from stream.people.speaking import PlanHeard, RevertHeard
    from stream.people.standing import Change
    from stream.people.trust import Trust
    from stream.people.waiting import Waiting

NOT_TAKEN = 1
ANSWER_S = 10.0  # a tick and the way through Kafka take less than a second; an actuator's reload up to three
APPROVAL_MIN = 10
MINUTE_MS = 60_000

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for a broker, and then for what comes of the word.")
]
PlanId = Annotated[str, typer.Argument(help="Its plan's or its incident's id, or the first digits of one.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for those who look later.")]


def approve(
    ctx: typer.Context,
    wanted: PlanId,
    minutes: Annotated[
        str, typer.Option("--for", help="How long the approval holds, such as 90s, 10m or 1h.")
    ] = f"{APPROVAL_MIN}m",
    yes: Yes = False,
    json_output: Json = False,
    wait: Wait = ANSWER_S,
) -> None:
    """Let a suggested plan be carried out, or suggested steps be taken back; shows first what that is.

    Exit code 1 where the word was not taken up, or not answered in time.

    Example: douse approve 4f21 --for 5m
    """
    from stream.people import preview, speaking
    from stream.people.standing import changes

    settings, for_ms = console.load(ctx), duration_ms(minutes)
    book, control, trust = console.wait(_look(settings, wait))
    chosen = _chosen(book, control, wanted)
    told = chosen.told
    lifts = told.kind.value == "lift"
    if control.specs is not None and for_ms > control.specs.limits.approval_ms_max and not lifts:
        limit_min = control.specs.limits.approval_ms_max // MINUTE_MS
        raise typer.BadParameter(f"the limits in force allow {limit_min} min at most", param_hint="--for")
    shown = [] if lifts else preview.preview(settings, told)
    if not (json_output and yes):
        _show(chosen, shown, control, to_stderr=json_output)
    if not chosen.approvable:
        level = told.autonomy.value
        console.say(f"autonomy is {level}: a yes would change nothing; `douse specs apply` gives leave to approve")
        raise typer.Exit(console.OPERATOR)
    ask("Take these steps back?" if lifts else "Carry this out?", yes)
    if lifts:
        steps = {step.command for step in told.steps}
        back = [change for change in changes(book) if change.command in steps]
        _take_back(settings, trust, back, "the suggestion to take it back was approved", json_output, wait)
        return
    word = speaking.decision(chosen, console.person(), True, "", _now_ms(), for_ms)
    _say(settings, trust, [word], speaking.PlanHeard(told.plan, told.incident, True), json_output, wait)


def reject(
    ctx: typer.Context, wanted: PlanId, reason: Reason, json_output: Json = False, wait: Wait = ANSWER_S
) -> None:
    """Say no to a suggestion; the incident goes to a person. Steps suggested for taking back stay.

    Example: douse reject 4f21 --reason "the replica is being moved"
    """
    from stream.people import speaking

    _check_reason(reason)
    settings = console.load(ctx)
    book, control, trust = console.wait(_look(settings, wait))
    chosen = _chosen(book, control, wanted)
    told = chosen.told
    word = speaking.decision(chosen, console.person(), False, reason, _now_ms(), speaking.REJECTION_MS)
    heard = speaking.PlanHeard(told.plan, told.incident, False)
    if told.kind.value == "lift":  # its incident is over: the word itself is what is remembered
        console.wait(speaking.say(settings, trust, [word], heard, 0))
        _tell(["kept: it is not suggested again"], {"kept": True, "plan": told.plan}, json_output)
        return
    _say(settings, trust, [word], heard, json_output, wait)


def revert(
    ctx: typer.Context,
    wanted: Annotated[str, typer.Argument(help="An incident, a plan or a command, or the first digits of its id.")],
    reason: Reason,
    json_output: Json = False,
    wait: Wait = ANSWER_S,
) -> None:
    """Take back every change of it that stands. A plan that is still under judgement is taken back whole.

    Exit code 1 where not all of it is seen to be taken back in time; the order itself never expires.

    Example: douse revert 4f21 --reason "the release fixes it"
    """
    from stream.people import picking, standing

    _check_reason(reason)
    settings = console.load(ctx)
    book, _, trust = console.wait(_look(settings, wait))
    back = picking.standing_changes(wanted, standing.changes(book))
    for one in () if json_output else back:
        values = f": {one.after} -> {one.before}" if one.after else ""
        line = f"take back {one.mitigation} for {one.whose} on {one.actuator}/{one.target}{values}"
        print(console.clean(f"{line} ({one.standing.value})"))
    _take_back(settings, trust, back, reason, json_output, wait)


def thaw(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(help="Its id in the specs.")],
    reason: Reason,
    json_output: Json = False,
    wait: Wait = ANSWER_S,
) -> None:
    """Say that you have looked at a target of which nobody knew what stands there: it may be changed again.

    Example: douse thaw acme-pool --reason "pool_size is 32, as the file says"
    """
    from schemas.control import TargetThawed
    from schemas.fields import nearest, one_of
    from stream import control, keys, topics

    _check_reason(reason)
    settings = console.load(ctx)
    keyid, key = keys.load_private(settings.operator_key_file)
    found = console.wait(commands_control.read_control(settings, wait))
    known = [one.id for one in found.specs.targets] if found.specs else []
    if target not in known:
        hint = nearest(target, known)
        console.say(f"no target {target!r} in the specs in force{hint}; known are {one_of(known)}")
        raise typer.Exit(console.OPERATOR)
    word = TargetThawed(target=target, by=console.person(), reason=reason, time_ms=_now_ms())
    topic = topics.names(settings.topic_prefix).control
    console.wait(control.publish(console.cluster(settings), topic, control.word_event(word), keyid, key))
    _tell([f"target {target} may be changed again"], word.fields(), json_output)


async def _look(settings: Settings, wait: float) -> "tuple[Book, Control, Trust]":
    """What is told and decided up to now. The operator's key is tried first: without it nothing can be said."""
    from stream import keys
    from stream.people import follow
    from stream.people.trust import Trust

    keys.load_private(settings.operator_key_file)
    trust = Trust.of(settings)
    control = await commands_control.read_control(settings, wait)
    return await follow.read(settings, trust), control, trust


def _chosen(book: "Book", control: "Control", wanted: str) -> "Waiting":
    from stream.people import picking, waiting

    return picking.suggestion(wanted, waiting.waiting(book, waiting.plan_words(control.words), _now_ms()))


def _take_back(
    settings: Settings, trust: "Trust", back: "list[Change]", reason: str, json_output: bool, wait: float
) -> None:
    from stream.people import speaking

    by, now_ms = console.person(), _now_ms()
    words: list[Word] = [speaking.reversal(one, by, reason, now_ms) for one in back]
    _say(settings, trust, words, speaking.RevertHeard(tuple(back)), json_output, wait)


def _say(
    settings: Settings,
    trust: "Trust",
    words: "list[Word]",
    heard: "PlanHeard | RevertHeard",
    json_output: bool,
    wait: float,
) -> None:
    """Sends the words, says what came of them, and ends with an exit code for it."""
    from stream.people import speaking

    console.wait(speaking.say(settings, trust, words, heard, wait))
    sent = [word.fields() for word in words]
    _tell(heard.lines(), {"said": heard.lines(), "well": heard.well, "words": sent}, json_output)
    raise typer.Exit(console.OK if heard.well else NOT_TAKEN)


def _show(chosen: "Waiting", shown: "list[Preview]", found: "Control", *, to_stderr: bool) -> None:
    """Steps, diffs, how far it reaches, and why: all that a person needs for a yes."""
    from stream.people import showing

    for line in showing.lines(chosen, shown, found):
        print(console.clean(line), file=sys.stderr if to_stderr else sys.stdout)


def ask(question: str, yes: bool) -> None:
    """Returns on a yes. A pipe cannot be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        console.say("nobody can be asked here: stdin is no terminal; --yes answers")
        raise typer.Exit(console.USAGE)
    if not typer.confirm(question, err=True):
        console.say("nothing was said")
        raise typer.Exit(NOT_TAKEN)


def _check_reason(reason: str) -> None:
    from stream import control

    if not reason.strip():
        raise typer.BadParameter("is empty; say why", param_hint="--reason")
    if len(reason) > control.TEXT_CHARS_MAX:
        raise typer.BadParameter(f"is longer than {control.TEXT_CHARS_MAX} characters", param_hint="--reason")


def duration_ms(text: str) -> int:
    """`90s`, `10m`, `1h`."""
    units_ms = {"s": 1_000, "m": MINUTE_MS, "h": 60 * MINUTE_MS}
    number, unit = text[:-1], text[-1:]
    if unit not in units_ms or not number.isascii() or not number.isdigit() or int(number) == 0:
        raise typer.BadParameter(f"{text!r} is no duration; write e.g. 90s, 10m or 1h", param_hint="--for")
    return int(number) * units_ms[unit]


def _tell(lines: list[str], fields: dict[str, Any], json_output: bool) -> None:
    if json_output:
        console.print_json(fields)
        return
    for line in lines:
        print(console.clean(line))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
