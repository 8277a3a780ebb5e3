"""Commands that must not work: one by a stranger's key, one by the right key for a target of somebody else."""

import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import canonical, envelope
from schemas.commands import Command, CommandKind
from schemas.envelope import Event
from schemas.runbook import Scale
from stream import keys, reach, topics
from stream.demo.actuator import ACTUATOR, RESIZE
from stream.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Forgery:
    """One order that is not to be obeyed, and the reason with which it must be refused."""

    command: str
    text: str
    reason: str


async def send(stage: Stage, victim: str, other: str) -> tuple[Forgery, ...]:
    """Sends two orders to grow the victim's pool in the name of `other`."""
    keyid, true_key = keys.load_private(stage.folder / "keys" / "command.key")
    tries = (
        (Ed25519PrivateKey.generate(), "an order signed by a stranger's key", "bad_signature"),
        (
            true_key,
            f"an order in the name of {other} for {victim}'s target, signed by the right key",
            "tenant_not_allowed",
        ),
    )
    sent = []
    for place, (key, text, reason) in enumerate(tries):
        command = _order(stage, f"{victim}-pool", other, canonical.digest("forged", place, time.time_ns()))
        event = Event("dev.douse.command.apply", command.command, "/douse/detect/0", 0, command.fields())
        signed = envelope.signed(event, keyid, key)
        await reach.send(stage.bootstrap, topics.names(stage.prefix).commands, [(f"{ACTUATOR}/{victim}-pool", signed)])
        sent.append(Forgery(command.command, text, reason))
    return tuple(sent)


def _order(stage: Stage, target: str, tenant: str, name: str) -> Command:
    return Command(
        command=name,
        kind=CommandKind.APPLY,
        applies=name,
        plan=name,
        revision=0,
        step=0,
        attempt=0,
        incident=name,
        shard=0,
        journal_offset=0,
        index=0,
        environment=stage.world.environment,
        tenant=tenant,
        service=stage.world.service,
        actuator=ACTUATOR,
        target=target,
        mitigation=RESIZE,
        parameter="pool_size",
        decided_ms=time.time_ns() // 1_000_000,
        action=Scale(numerator=2),
        minimum=1,
        maximum=1_000,
        not_after_ms=10_000,
        confirm_ms=60_000,
    )
