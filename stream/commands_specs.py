"""`douse specs`: reads a folder of YAML, says what is wrong, and puts the set in force."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream import console
from stream.settings import Settings

if TYPE_CHECKING:  # pydantic and aiokafka are slow to import, and help needs neither
    from schemas.specs import SpecSet
    from stream.specs import Loaded

app = typer.Typer(no_args_is_help=True, help="Objectives, catalogue, runbooks, targets, autonomy and limits.")

Folder = Annotated[Path, typer.Argument(help="Folder of YAML files.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker before exit code 69.")]


@app.command("check")
def check(folder: Folder, json_output: Json = False) -> None:
    """Read and check a folder of specs; needs no broker. Every mistake is named with file, line and field.

    Example: douse specs check specs/
    """
    loaded = load(folder, json_output)
    if json_output:
        console.print_json(_fields(loaded))
        return
    _show(loaded)


@app.command("apply")
def apply(ctx: typer.Context, folder: Folder, json_output: Json = False, wait: Wait = console.WAIT_S) -> None:
    """Check a folder of specs and put it in force, signed with the operator's key.

    Example: douse specs apply specs/
    """
    settings = console.load(ctx)
    loaded = load(folder, json_output)
    changed = console.wait(_apply(settings, loaded.specs, wait))
    if json_output:
        console.print_json({**_fields(loaded), "changed": changed})
        return
    _show(loaded)
    print(f"{'in force now' if changed else 'was in force already'}: revision {loaded.specs.revision}")


async def prepare(settings: Settings, loaded: "Loaded | None", wait: float) -> None:
    """For `douse run`: applies what was loaded, or says whether a set is in force without it."""
    if loaded is not None:
        for note in loaded.notes:
            console.say(note)
        changed = await _apply(settings, loaded.specs, wait)
        console.say(f"specs {loaded.specs.revision} {'are in force now' if changed else 'were in force already'}")
    elif (await _in_force(settings, wait)) is None:
        console.say("no specs are in force: nothing is counted before `douse specs apply DIR`")


def load(folder: Path, json_output: bool = False) -> "Loaded":
    """The folder's specs; ends the command with 78 after naming every mistake."""
    from stream import specs

    try:
        return specs.load(folder)
    except specs.BadSpecsError as error:
        if json_output:
            console.print_json({"ok": False, "problems": [_problem(each) for each in error.problems]})
        else:
            for problem in error.problems:
                print(problem)
        console.say(f"{len(error.problems)} to mend in {folder}; nothing was changed")
        raise typer.Exit(console.OPERATOR) from error


async def _apply(settings: Settings, specs: "SpecSet", wait: float) -> bool:
    """True if the set was written, False if it was in force already."""
    from schemas.yamlfile import Problem
    from stream import control, keys, topics
    from stream.specs import BadSpecsError

    keyid, key = keys.load_private(settings.operator_key_file)
    before = await _in_force(settings, wait)
    if before is not None and before.revision == specs.revision:
        return False
    if before is not None and before.tenant_attributes != specs.tenant_attributes:
        said = (
            f"are {', '.join(specs.tenant_attributes)}, and {', '.join(before.tenant_attributes)} are in force: how a "
            "tenant is found decides which shard counts what, so it is fixed for a deployment; use another topic prefix"
        )
        raise BadSpecsError([Problem("specs", 0, "Tenancy: spec.attributes", said)])
    topic = topics.names(settings.topic_prefix).control
    event = control.specs_event(specs, time.time_ns() // 1_000_000)
    await control.publish(console.cluster(settings), topic, event, keyid, key)
    return True


async def _in_force(settings: Settings, wait: float) -> "SpecSet | None":
    from stream import control, keys, reach, topics

    trusted = keys.trusted(settings.trusted_operator_keys)
    await reach.broker(console.cluster(settings), wait, console.say)
    found = await control.read(console.cluster(settings), topics.names(settings.topic_prefix).control, trusted)
    for line in found.rejected:
        console.say(f"control topic, not counted: {line}")
    return found.specs


def _show(loaded: "Loaded") -> None:
    from schemas.slo import DAY_S

    specs = loaded.specs
    console.table(
        console.count(len(specs.slos), "objective"),
        ("SLO", "service", "target", "period", "tiers", "may act"),
        (
            (
                slo.name,
                slo.sli.service,
                f"{slo.target_ppm / 10_000:g} %" + (f" <= {ms} ms" if (ms := slo.sli.latency_ms_max) else ""),
                f"{slo.period_s // DAY_S} d",
                "\n".join(f"{tier.name} {tier.factor_milli / 1000:g}x" for tier in slo.tiers),
                "yes" if slo.acts else "reports only",
            )
            for slo in specs.slos
        ),
    )
    print(
        f"{console.count(len(specs.slos), 'objective')}, {console.count(len(specs.mitigations), 'mitigation')}, "
        f"{console.count(len(specs.runbooks), 'runbook')}, {console.count(len(specs.targets), 'target')}, "
        f"{console.count(len(specs.autonomy), 'autonomy rule')}; revision {specs.revision}"
    )
    for note in loaded.notes:
        print(f"note: {note}")


def _fields(loaded: "Loaded") -> dict[str, Any]:
    return {
        "notes": list(loaded.notes),
        "ok": True,
        "revision": loaded.specs.revision,
        "specs": loaded.specs.fields(),
    }


def _problem(problem: Any) -> dict[str, Any]:
    return {"field": problem.field, "file": problem.file, "line": problem.line, "text": problem.text}
