"""Commands and rules that are right in everything; a test changes what it is about."""

from typing import Any

from schemas.actuator import Actuator, Allow, FileTarget, Process
from schemas.commands import Command, CommandKind
from schemas.runbook import Scale

DECIDED_MS = 4_000_000_000_000  # after any record of a test, so an age is what the test says


def command(name: str = "c1", kind: CommandKind = CommandKind.APPLY, **more: Any) -> Command:
    """An apply, confirm or revert of `raise-pool` for tenant acme; words are about the apply c1."""
    fields: dict[str, Any] = {
        "command": name, "kind": kind, "applies": name, "plan": "p", "revision": 1, "step": 0, "attempt": 0,
        "incident": "i", "shard": 3, "journal_offset": 10, "index": 0, "environment": "default", "tenant": "acme",
        "service": "shop", "actuator": "host", "target": "pool", "mitigation": "raise-pool", "parameter": "pool_size",
        "decided_ms": DECIDED_MS,
    }  # fmt: skip
    if kind is CommandKind.APPLY:
        fields |= {
            "action": Scale(numerator=2),
            "minimum": 8,
            "maximum": 100,
            "not_after_ms": 10_000,
            "confirm_ms": 90_000,
        }
    else:
        fields |= {"applies": "c1"}
    return Command(**{**fields, **more})


def target(**more: Any) -> FileTarget:
    process = Process(name="service", pid_file="service.pid", probe_url="http://127.0.0.1:1/", probe_field="pool.size")
    fields: dict[str, Any] = {
        "id": "pool",
        "tenants": ("acme",),
        "parameter": "pool_size",
        "file": "shop.toml",
        "key": "pool.size",
    }
    return FileTarget(**{**fields, "minimum": 8, "maximum": 100, "processes": (process,), **more})


def rules(*targets: FileTarget, **more: Any) -> Actuator:
    allow = (Allow(tenant="acme", mitigations=("raise-pool",)), Allow(tenant="idle", mitigations=()))
    return Actuator(**{"name": "host", "ledger": "ledger", "allow": allow, "targets": targets or (target(),), **more})
