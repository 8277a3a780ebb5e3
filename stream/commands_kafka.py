"""`douse topics check`, `douse doctor` and `douse dead-letter`: how Kafka is, and what lies there unread."""

from typing import TYPE_CHECKING, Annotated

import typer

from stream import console
from stream.trouble import OperatorNeededError

if TYPE_CHECKING:  # aiokafka is slow to import, and help needs it not
    from stream.dead_letter import Letter
    from stream.settings import Settings

DIFFERENT = 1
DOCTOR_WAIT_S = 5.0

dead_letter_app = typer.Typer(no_args_is_help=True, help="Records that could not be read.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker before exit code 69.")]


def check(ctx: typer.Context, json_output: Json = False, wait: Wait = console.WAIT_S) -> None:
    """Compare the topics with what they have to be; changes nothing.

    Exit code 0 where nothing differs, 1 where something does, 78 where douse cannot work so.

    Example: douse topics check
    """
    from stream import reach, topic_check

    settings = console.load(ctx)

    async def work() -> list[topic_check.Difference]:
        at = console.cluster(settings)
        await reach.broker(at, wait, console.say)
        return await topic_check.check(at, settings.topic_prefix, settings.shards)

    found = console.wait(work())
    if json_output:
        console.print_json([one.fields() for one in found])
    elif not found:
        print("all topics are as they have to be")
    else:
        columns = ("topic", "what", "is", "should be", "what to do")
        rows = ((one.topic, one.what, one.found, one.wanted, one.to_do) for one in found)
        console.table(console.count(len(found), "difference"), columns, rows)
    if found:
        raise typer.Exit(console.OPERATOR if any(one.wrong for one in found) else DIFFERENT)


def doctor(
    ctx: typer.Context,
    json_output: Json = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker.")] = DOCTOR_WAIT_S,
) -> None:
    """Look at everything that douse rests on: keys, broker, ACLs, topics, lag, clocks, sources, actuators.

    Exit code 1 where a finding is `fail`. Writes nothing.

    Example: douse doctor --json
    """
    from stream import doctor as examination

    found = console.wait(examination.examine(console.load(ctx), wait, console.say))
    if json_output:
        console.print_json(
            [{"level": one.level.value, "text": one.text, "to_do": one.to_do, "what": one.what} for one in found]
        )
    else:
        rows = ((one.level.value, one.what, one.text, one.to_do) for one in found)
        console.table(console.count(len(found), "finding"), ("", "what", "finding", "what to do"), rows)
    if any(one.level is examination.Level.FAIL for one in found):
        raise typer.Exit(1)


@dead_letter_app.command("list")
def list_letters(ctx: typer.Context, json_output: Json = False, wait: Wait = console.WAIT_S) -> None:
    """List the dead letters: when, from where, why, and whether they were sent again.

    Example: douse dead-letter list
    """
    from stream.incidents import clock

    found = list(_letters(console.load(ctx), wait).values())
    if json_output:
        console.print_json([one.fields() for one in found])
        return
    if not found:
        print("no dead letters")
        return
    now_ms = max(one.time_ms for one in found)
    rows = (
        (
            *(str(one.offset), clock(one.time_ms, now_ms), one.topic, str(one.partition), str(one.at)),
            *(str(len(one.value)), ", ".join(clock(moment, now_ms) for moment, _ in one.requeued), one.reason),
        )
        for one in found
    )
    columns = ("letter", "at", "topic", "partition", "offset", "bytes", "requeued", "reason")
    console.table(f"{console.count(len(found), 'dead letter')}, times in UTC", columns, rows)


@dead_letter_app.command("show")
def show(
    ctx: typer.Context,
    letter: Annotated[int, typer.Argument(min=0, help="Its number, as `douse dead-letter list` names it.")],
    limit: Annotated[int, typer.Option("--bytes", min=0, max=8_000_000, help="Most bytes to show.")] = 4096,
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Show one dead letter: its headers, and its bytes with everything unprintable written out.

    Example: douse dead-letter show 17 --bytes 512
    """
    from stream import dead_letter

    (found,) = _chosen(_letters(console.load(ctx), wait), [letter])
    headers = [(name, ascii(value)[2:-1]) for name, value in found.headers]
    if json_output:
        whole = {"hex": found.value[:limit].hex(), "key_hex": (found.key or b"").hex(), "headers": headers}
        console.print_json({**found.fields(), **whole})
        return
    print(f"letter {found.offset}: {found.topic}[{found.partition}] offset {found.at}")
    print(f"reason: {console.clean(found.reason)}")
    print(f"key: {'none' if found.key is None else ascii(found.key)[2:-1]}")
    for name, value in headers:
        print(f"header {console.clean(name)}: {value}")
    print(f"{len(found.value)} bytes")
    for row in dead_letter.shown(found.value, limit):
        print(row)


@dead_letter_app.command("requeue")
def requeue(
    ctx: typer.Context,
    letters: Annotated[list[int], typer.Argument(min=0, help="Numbers, as `douse dead-letter list` names them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it only says what would be done.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were requeued before.")] = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Send dead letters to their source once more, with the bytes, key and headers that they came with.

    Example: douse dead-letter requeue 17 18 --yes
    """
    from stream import dead_letter, topics

    settings = console.load(ctx)
    found = _chosen(_letters(settings, wait), letters)
    before = [one.offset for one in found if one.requeued]
    if before and not again:
        raise OperatorNeededError(
            f"dead letter {', '.join(map(str, before))} was requeued before; say --again to send it once more"
        )
    if yes:
        at, names = console.cluster(settings), topics.names(settings.topic_prefix)
        console.wait(dead_letter.requeue(at, names, found, console.person()))
    for one in found:
        word = "requeued" if yes else "would be requeued"
        print(f"letter {one.offset} {word} to {one.topic}[{one.partition}], {len(one.value)} bytes")
    if not yes:
        print("nothing is changed; say --yes to do it")


def _letters(settings: "Settings", wait: float) -> "dict[int, Letter]":
    from stream import dead_letter, reach, topics

    async def work() -> "dict[int, Letter]":
        at = console.cluster(settings)
        await reach.broker(at, wait, console.say)
        return await dead_letter.read(at, topics.names(settings.topic_prefix))

    return console.wait(work())


def _chosen(letters: "dict[int, Letter]", wanted: list[int]) -> "list[Letter]":
    absent = [str(number) for number in wanted if number not in letters]
    if absent:
        raise OperatorNeededError(f"there is no dead letter {', '.join(absent)}; `douse dead-letter list` has them all")
    return [letters[number] for number in dict.fromkeys(wanted)]
