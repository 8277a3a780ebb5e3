"""`douse keys`, `douse kill` and `douse state`: what only an operator does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream import console
from stream.settings import Settings

if TYPE_CHECKING:  # aiokafka is slow to import, and help needs it not
    from stream.control import Control, Kill
    from stream.keys import KeyFile

keys_app = typer.Typer(no_args_is_help=True, help="The keys that sign specs, commands and outcomes.")
kill_app = typer.Typer(no_args_is_help=True, help="The kill switch: stops every apply in its scope, never a revert.")
state_app = typer.Typer(no_args_is_help=True, help="The state of detect's shards.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a broker before exit code 69.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Only for this tenant.")]
Environment = Annotated[
    str | None,
    typer.Option("--environment", help="Only in this environment of the tenant; default: all that it has."),
]
Mitigation = Annotated[str | None, typer.Option("--mitigation", help="Only for this mitigation.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for those who look later.")]

REBASE = """
The shard forgets what it counted before the journal's first offset, and the incidents that were open; changes that
stand unconfirmed are taken back by their actuators. Specs and kill switches are kept. Alert windows count what is
missing as good at the observed rate, and say so; nothing is done automatically before 30 s of fresh telemetry.
Stop every `douse detect` first, and start every `douse ingest` anew afterwards."""


@keys_app.command("init")
def keys_init(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Option("--folder", help="Default: the setting keys_folder.")] = None,
    actuator: Annotated[list[str] | None, typer.Option("--actuator", help="Name of an actuator; repeatable.")] = None,
    json_output: Json = False,
) -> None:
    """Make the operator's key, the command key and one key per actuator. Nothing is ever overwritten.

    Example: douse keys init --actuator local
    """
    from stream import keys

    where = folder or console.load(ctx).keys_folder
    _print_keys(keys.init(where, actuator or keys.DEFAULT_ACTUATORS), json_output)


@keys_app.command("add")
def keys_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The actuator's name, as its actuator.toml has it.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Default: the setting keys_folder.")] = None,
    json_output: Json = False,
) -> None:
    """Make the key of one more actuator in a folder that has keys already. Nothing is ever overwritten.

    Its outcomes count once the settings of every ingest list the new public key in trusted_actuator_keys; on its own
    machine actuator_key_file names the private one.

    Example: douse keys add web-7
    """
    from stream import keys

    _print_keys(keys.add(folder or console.load(ctx).keys_folder, name), json_output)


@keys_app.command("show")
def keys_show(
    ctx: typer.Context,
    folder: Annotated[Path | None, typer.Option("--folder", help="Default: the setting keys_folder.")] = None,
    json_output: Json = False,
) -> None:
    """List the key files and their ids.

    Example: douse keys show
    """
    from stream import keys

    _print_keys(keys.show(folder or console.load(ctx).keys_folder), json_output)


@kill_app.command("on")
def kill_on(
    ctx: typer.Context,
    reason: Reason,
    tenant: Tenant = None,
    environment: Environment = None,
    mitigation: Mitigation = None,
    force: Annotated[bool, typer.Option("--force", help="Also for a mitigation that no spec names.")] = False,
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Stop all applies, everywhere or in one scope. Reverts go on.

    A tenant is stopped wherever the specs in force name it. Names that they do not have are refused:
    --environment for a tenant, --force for a mitigation set such a switch all the same.

    Example: douse kill on --tenant acme-corp --reason "migration tonight"
    """
    _check_scope(tenant, environment, mitigation)
    from stream import control, scopes

    def chosen(found: "Control") -> tuple[str, ...]:
        if tenant is not None and environment is not None:
            return (control.tenant_scope(tenant, environment),)
        if tenant is not None:
            return scopes.of_tenant(found.specs, tenant)
        if mitigation is not None and not force:
            return (scopes.of_mitigation(found.specs, mitigation),)
        return (control.mitigation_scope(mitigation),) if mitigation is not None else (control.GLOBAL,)

    _switch(ctx, True, reason, chosen, json_output, wait)


@kill_app.command("off")
def kill_off(
    ctx: typer.Context,
    reason: Reason,
    tenant: Tenant = None,
    environment: Environment = None,
    mitigation: Mitigation = None,
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Allow applies again in exactly this scope; other switches stay as they are.

    For a tenant: all its switches that are on, or that of one --environment. Where none is on, nothing is written.

    Example: douse kill off --tenant acme-corp --reason "migration done"
    """
    _check_scope(tenant, environment, mitigation)
    from stream import control, scopes

    def chosen(found: "Control") -> tuple[str, ...]:
        if tenant is not None and environment is not None:
            return (control.tenant_scope(tenant, environment),)
        if tenant is not None:
            return scopes.on_for_tenant(found.kills, tenant)
        return (scopes.on_for_mitigation(found.kills, mitigation),) if mitigation is not None else (control.GLOBAL,)

    _switch(ctx, False, reason, chosen, json_output, wait)


@kill_app.command("show")
def kill_show(ctx: typer.Context, json_output: Json = False, wait: Wait = console.WAIT_S) -> None:
    """Show every switch that was ever set, from the control topic.

    Example: douse kill show --json
    """
    from schemas import envelope

    found = console.wait(read_control(console.load(ctx), wait))
    kills = [found.kills[scope] for scope in sorted(found.kills)]
    if json_output:
        console.print_json([_kill_fields(kill) for kill in kills])
        return
    if not kills:
        print("no kill switch was ever set")
        return
    console.table(
        "kill switches",
        ("scope", "state", "by", "at", "reason"),
        (
            (kill.scope, "ON" if kill.on else "off", kill.by, envelope.rfc3339(kill.time_ms), kill.reason)
            for kill in kills
        ),
    )


@state_app.command("rebase")
def state_rebase(
    ctx: typer.Context,
    number: Annotated[int, typer.Option("--shard", min=0, help="The shard that detect named.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only explained.")] = False,
    json_output: Json = False,
    wait: Wait = console.WAIT_S,
) -> None:
    """Start one shard anew from what the journal still holds. Writes nothing without --yes.

    Example: douse state rebase --shard 3
    """
    from stream import rebase, topics

    settings = console.load(ctx)
    if number >= settings.shards:
        raise typer.BadParameter(f"{number} is not below the number of shards, {settings.shards}", param_hint="--shard")
    names = topics.names(settings.topic_prefix)

    async def work() -> rebase.Plan:
        control = await read_control(settings, wait)
        planned = await rebase.plan(console.cluster(settings), names, number, control)
        if yes:
            group = f"{settings.group_prefix}-detect"
            await rebase.carry_out(console.cluster(settings), group, names, settings.shards, planned, control)
        return planned

    planned = console.wait(work())
    if json_output:
        console.print_json({"end": planned.end, "first": planned.first, "shard": number, "written": yes})
        return
    print(f"shard {number}: the journal holds offsets {planned.first} to {planned.end - 1}.{REBASE}")
    print("Done." if yes else "Nothing was written; add --yes to do it.")


def _print_keys(files: "tuple[KeyFile, ...]", json_output: bool) -> None:
    if json_output:
        console.print_json([{"keyid": each.keyid, "path": str(each.path), "private": each.private} for each in files])
        return
    for each in files:
        print(f"{each.keyid}  {'private' if each.private else 'public '}  {each.path}")


def _check_scope(tenant: str | None, environment: str | None, mitigation: str | None) -> None:
    if tenant is not None and mitigation is not None:
        raise typer.BadParameter("a switch has one scope: name the tenant or the mitigation", param_hint="--mitigation")
    if environment is not None and tenant is None:
        raise typer.BadParameter("is no scope alone; name the tenant as well", param_hint="--environment")
    for option, word in (("--tenant", tenant), ("--environment", environment), ("--mitigation", mitigation)):
        if word is not None and not word.strip():
            raise typer.BadParameter("is empty; name one, or leave the option out for everything", param_hint=option)


def _switch(
    ctx: typer.Context,
    on: bool,
    reason: str,
    chosen: Callable[["Control"], tuple[str, ...]],
    json_output: bool,
    wait: float,
) -> None:
    """Writes the switch of every chosen scope, and shows each when the broker has it."""
    from stream import control, keys, topics

    settings = console.load(ctx)
    keyid, key = keys.load_private(settings.operator_key_file)
    topic = topics.names(settings.topic_prefix).control
    written: list[Kill] = []

    async def work() -> None:
        before = await read_control(settings, wait)
        for scope in chosen(before):
            now_ms = time.time_ns() // 1_000_000
            if scope in before.kills:  # a clock that went back must not make the new switch the older one
                now_ms = max(now_ms, before.kills[scope].time_ms + 1)
            kill = control.Kill(scope, on, console.person(), reason, now_ms)
            await control.publish(console.cluster(settings), topic, control.kill_event(kill), keyid, key)
            written.append(kill)
            if not json_output:
                print(f"kill switch {scope} is {'ON: nothing is applied there; reverts go on' if on else 'off'}")

    console.wait(work())
    if json_output:
        console.print_json([_kill_fields(kill) for kill in written])


async def read_control(settings: Settings, wait: float) -> "Control":
    """What the control topic holds now, once a broker answers; says what of it does not count."""
    from stream import control, keys, reach, topics

    trusted = keys.trusted(settings.trusted_operator_keys)
    await reach.broker(console.cluster(settings), wait, console.say)
    found = await control.read(console.cluster(settings), topics.names(settings.topic_prefix).control, trusted)
    for line in found.rejected:
        console.say(f"control topic, not counted: {line}")
    return found


def _kill_fields(kill: "Kill") -> dict[str, str | bool | int]:
    return {"by": kill.by, "on": kill.on, "reason": kill.reason, "scope": kill.scope, "time_ms": kill.time_ms}
