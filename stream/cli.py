"""The command `douse`. Heavy modules are imported inside the commands, so that help comes at once."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stream import (
    commands_archive,
    commands_control,
    commands_kafka,
    commands_look,
    commands_people,
    commands_replay,
    commands_specs,
    console,
)
from stream.broker.errors import BrokerError
from stream.demo.scenario import SCENARIOS
from stream.settings import Settings
from stream.trouble import OperatorNeededError

app = typer.Typer(
    cls=console.Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="douse puts out error-budget burn: sees it, changes the one thing that stops it, proves it or takes it back.",
    epilog="Exit codes: 0 done, 1 a claim broke (demo), a timeline does not hold (test) or a word was not taken up "
    "(approve, reject, revert), 2 wrong usage, 69 no broker, 70 start me again, 78 a person is needed, 130 Ctrl-C.",
)
topics_app = typer.Typer(no_args_is_help=True, help="The topics that douse writes.")
app.add_typer(topics_app, name="topics")
app.add_typer(commands_specs.app, name="specs")
app.add_typer(commands_archive.app, name="archive")
app.add_typer(commands_control.keys_app, name="keys")
app.add_typer(commands_control.kill_app, name="kill")
app.add_typer(commands_control.state_app, name="state")
topics_app.command("check")(commands_kafka.check)
app.command("doctor")(commands_kafka.doctor)
app.add_typer(commands_kafka.dead_letter_app, name="dead-letter")
app.command("incidents")(commands_look.incidents)
app.command("report")(commands_look.report)
app.command("suggestions")(commands_look.suggestions)
app.command("changes")(commands_look.changes)
app.command("watch")(commands_look.watch)
app.command("approve")(commands_people.approve)
app.command("reject")(commands_people.reject)
app.command("revert")(commands_people.revert)
app.command("thaw")(commands_people.thaw)
app.command("replay")(commands_replay.replay)
app.command("test")(commands_replay.test)

Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker before exit code 69.")]


@app.callback()
def top(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file; default DOUSE_CONFIG, else ./douse.toml if there.")
    ] = None,
) -> None:
    """Reads nothing yet: a command that needs settings loads them."""
    ctx.obj = config


@app.command()
def run(
    ctx: typer.Context,
    specs: Annotated[Path | None, typer.Option("--specs", help="Folder of specs to apply first.")] = None,
    wait: Wait = console.WAIT_S,
) -> None:
    """Run ingest, detect and act on this machine and keep them alive.

    Example: douse run --specs specs/
    """
    from stream import supervisor

    settings = console.load(ctx)
    loaded = commands_specs.load(specs) if specs is not None else None
    config = ("--config", str(ctx.obj)) if ctx.obj else ()
    command = (sys.executable, "-m", "stream.cli", *config)
    children = [supervisor.Child(name, (*command, name)) for name in ("ingest", "detect")]
    acts = settings.actuator_file.exists()
    if acts:
        children.append(supervisor.Child("act", (*command, "act"), _unconfirmed(settings)))

    async def prepare() -> None:
        await commands_specs.prepare(settings, loaded, wait)
        await _ready(settings, wait, "ingest", "detect")
        if not acts:
            console.say(f"no {settings.actuator_file}: act is not started, nothing is changed on this machine")

    raise typer.Exit(console.wait(supervisor.run(children, prepare(), console.say)))


@app.command()
def ingest(ctx: typer.Context, wait: Wait = console.WAIT_S) -> None:
    """Turn OTLP records into journal records (one worker; start more to share the partitions).

    Example: DOUSE_BOOTSTRAP=kafka:9092 douse ingest
    """
    settings = _worker(ctx, wait, "ingest")
    from stream.apps import ingest as worker

    raise typer.Exit(worker.main(settings))


@app.command()
def detect(ctx: typer.Context, wait: Wait = console.WAIT_S) -> None:
    """Fold the journal and decide (one worker; start more to share the shards).

    Example: douse --config /etc/douse.toml detect
    """
    settings = _worker(ctx, wait, "detect")
    from stream.apps import detect as worker

    raise typer.Exit(worker.main(settings))


@app.command()
def act(ctx: typer.Context) -> None:
    """Carry out commands for the targets of this machine's actuator.toml.

    It does not wait for a broker: what nobody confirms is taken back without one. Exit code 69 when none comes.

    Example: DOUSE_ACTUATOR_FILE=/etc/douse/actuator.toml douse act
    """
    settings = console.load(ctx)
    from stream.apps import act as worker

    raise typer.Exit(worker.main(settings))


@app.command()
def broker(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Option("--folder", help="Where it keeps its data.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65_535, help="Default: 9092, or a free one where that is taken.")
    ] = None,
) -> None:
    """Run a Kafka broker for a laptop until Ctrl-C.

    Example: douse broker
    """
    settings = console.load(ctx)
    from stream.broker import serve

    raise typer.Exit(serve.serve(folder or settings.data_folder / "broker", port))


@app.command(
    epilog="Exit codes: 0 every claim was seen to hold, 1 one was not, 2 no such scenario, 69 no broker, 130 Ctrl-C."
)
def demo(
    scenario: Annotated[
        str, typer.Option("--scenario", help=f"Which incident to play: {', '.join(SCENARIOS)}.")
    ] = "acme",
    telemetry: Annotated[
        str, typer.Option("--telemetry", help="How often the shop exports: fast, or default as the SDKs do.")
    ] = "fast",
) -> None:
    """Play an incident on real parts: broker, target, load, and the three apps.

    Example: douse demo --scenario pool
    """
    from stream.demo import run as player

    raise typer.Exit(player.main(scenario=scenario, telemetry=telemetry))


@topics_app.command("create")
def create(
    ctx: typer.Context,
    sources: Annotated[bool, typer.Option("--sources", help="Make the OTLP topics as well.")] = False,
    source_partitions: Annotated[
        int,
        typer.Option("--source-partitions", min=1, max=1000, help="Partitions of each OTLP topic made by --sources."),
    ] = 4,
    replication: Annotated[int, typer.Option("--replication", min=1, max=9, help="Copies of each partition.")] = 1,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Create what is missing, with the configuration that each topic needs. A second call changes nothing.

    Example: douse topics create --replication 3
    """
    from stream import reach, topics

    settings = console.load(ctx)

    async def work() -> list[topics.Created | topics.Exists]:
        await reach.broker(console.cluster(settings), wait, console.say)
        prefix, shards = settings.topic_prefix, settings.shards
        try:
            return await topics.create(
                console.cluster(settings), prefix, shards, source_partitions, replication, sources=sources, wait_s=wait
            )
        except BrokerError as error:  # the broker answers: what is wrong is how the topics are
            raise OperatorNeededError(str(error)) from error

    done = console.wait(work())
    if json_output:
        console.print_json([{"created": isinstance(each, topics.Created), "topic": each.topic.name} for each in done])
        return
    for each in done:
        word = "created" if isinstance(each, topics.Created) else "already there"
        print(f"{each.topic.name}: {word}")


def main() -> None:
    """The entry point of the command line."""
    app()


def _worker(ctx: typer.Context, wait: float, app: str) -> Settings:
    """Settings for a process that runs on, once the broker answers and has the topics."""
    import logging

    settings = console.load(ctx)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.WARNING)  # at info it tells of every group and subscription
    console.wait(_ready(settings, wait, app))
    return settings


async def _ready(settings: Settings, wait: float, *apps: str) -> None:
    from stream import reach, rights
    from stream.ingest import sources

    await reach.broker(console.cluster(settings), wait, console.say)
    await reach.require(console.cluster(settings), _needed(settings), sources.hints(settings))
    for name in apps:
        await rights.require(console.cluster(settings), settings, name)


def _unconfirmed(settings: Settings) -> Callable[[], int]:
    """Asks the ledger of this machine's act how many changes wait for their word."""
    from stream import pending
    from stream.act import setup

    def count() -> int:
        try:
            rules, folder = setup.rules(settings)
        except setup.UnusableError:
            return 0  # act itself says what is wrong with its file
        return pending.count(folder / rules.ledger)

    return count


def _needed(settings: Settings) -> tuple[str, ...]:
    """The topics without which no process can work."""
    from stream import topics
    from stream.ingest import sources

    names = topics.names(settings.topic_prefix)
    return (
        *sources.named(settings),
        names.journal,
        names.state,
        names.status,
        names.incidents,
        names.commands,
        names.outcomes,
        names.control,
        names.dead_letter,
    )


if __name__ == "__main__":
    main()
