"""Which kill switches a command line means: a name that nothing in force has must not look like a switch that is on."""

from collections.abc import Mapping, Sequence

from schemas.fields import nearest, one_of
from schemas.specs import SpecSet
from stream import control
from stream.control import Kill
from stream.trouble import OperatorNeededError

TENANT = "tenant:"


class UnknownScopeError(OperatorNeededError):
    """No switch of this name would stop anything, or none is on; the message says what there is."""


def tenants(specs: SpecSet | None) -> dict[str, tuple[str, ...]]:
    """Every tenant that targets or autonomy name, with the environments in which they do."""
    found: dict[str, set[str]] = {}
    if specs is not None:
        for target in specs.targets:
            for tenant in target.tenants:
                found.setdefault(tenant, set()).add(target.environment)
        for rule in specs.autonomy:
            found.setdefault(rule.tenant, set()).add(rule.environment)
    return {tenant: tuple(sorted(found[tenant])) for tenant in sorted(found)}


def of_tenant(specs: SpecSet | None, tenant: str) -> tuple[str, ...]:
    """The tenant's scope in every environment that names it. Raises UnknownScopeError where none does."""
    known = tenants(specs)
    if tenant not in known:
        raise UnknownScopeError(
            f"{_nobody(specs, 'tenant', tenant, list(known))}; to set it all the same, name its environment with "
            "--environment"
        )
    return tuple(control.tenant_scope(tenant, environment) for environment in known[tenant])


def of_mitigation(specs: SpecSet | None, mitigation: str) -> str:
    """The mitigation's scope. Raises UnknownScopeError where no mitigation has this name."""
    known = [each.name for each in specs.mitigations] if specs is not None else []
    if mitigation not in known:
        raise UnknownScopeError(
            f"{_nobody(specs, 'mitigation', mitigation, known)}; to set it all the same, add --force"
        )
    return control.mitigation_scope(mitigation)


def on_for_tenant(kills: Mapping[str, Kill], tenant: str) -> tuple[str, ...]:
    """The scopes of this tenant whose switch is on. Raises UnknownScopeError where none is."""
    found = [scope for scope in _on(kills) if scope.startswith(TENANT) and _tenant_of(scope) == tenant]
    if not found:
        raise UnknownScopeError(f"no kill switch is on for tenant {tenant!r}; {_now_on(kills)}")
    return tuple(found)


def on_for_mitigation(kills: Mapping[str, Kill], mitigation: str) -> str:
    """The mitigation's scope, if its switch is on. Raises UnknownScopeError otherwise."""
    scope = control.mitigation_scope(mitigation)
    if scope not in _on(kills):
        raise UnknownScopeError(f"no kill switch is on for mitigation {mitigation!r}; {_now_on(kills)}")
    return scope


def _tenant_of(scope: str) -> str:
    """An environment ends at the first colon: one that has a colon itself has to be named with --environment."""
    return scope.removeprefix(TENANT).partition(":")[2]


def _on(kills: Mapping[str, Kill]) -> list[str]:
    return [scope for scope in sorted(kills) if kills[scope].on]


def _now_on(kills: Mapping[str, Kill]) -> str:
    return f"on are {one_of(_on(kills))}"


def _nobody(specs: SpecSet | None, what: str, name: str, known: Sequence[str]) -> str:
    if specs is None:
        return f"no specs are in force, so no {what} is known and nothing would be stopped"
    hint = nearest(name, known)
    return f"no {what} {name!r} in the specs in force, so nothing would be stopped{hint}; known are {one_of(known)}"
