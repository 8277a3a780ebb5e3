"""A kill switch is set where it stops something, and a name that nothing has is refused."""

from pathlib import Path

import pytest

from schemas.runbook import Autonomy, AutonomyRule
from schemas.specs import SpecSet
from stream import control, scopes, specs
from stream.control import Kill

EXAMPLE = specs.load(Path(__file__).parents[2] / "examples" / "acme" / "specs").specs
RULE = AutonomyRule(environment="staging", tenant="acme-corp", mitigation="resize-pool", level=Autonomy.SUGGEST)
TWO = EXAMPLE.model_copy(update={"autonomy": (*EXAMPLE.autonomy, RULE)})


def kills(**states: bool) -> dict[str, Kill]:
    return {scope: Kill(scope, on, "ann", "why", 1) for scope, on in states.items()}


def test_a_tenant_is_stopped_in_every_environment_that_names_it() -> None:
    assert scopes.tenants(TWO) == {"acme-corp": ("demo", "staging")}
    assert scopes.of_tenant(TWO, "acme-corp") == ("tenant:demo:acme-corp", "tenant:staging:acme-corp")


@pytest.mark.parametrize(("found", "said"), [
    (EXAMPLE, r"no tenant 'acme-crop' .* \(did you mean 'acme-corp'\?\); known are acme-corp; .* with --environment"),
    (None, "no specs are in force, so no tenant is known and nothing would be stopped; .* with --environment"),
])  # fmt: skip
def test_a_tenant_that_nothing_in_force_names_is_refused(found: SpecSet | None, said: str) -> None:
    with pytest.raises(scopes.UnknownScopeError, match=said):
        scopes.of_tenant(found, "acme-crop")


def test_a_mitigation_must_be_one_of_the_catalogue() -> None:
    assert scopes.of_mitigation(EXAMPLE, "resize-pool") == "mitigation:resize-pool"
    with pytest.raises(scopes.UnknownScopeError, match=r"did you mean 'resize-pool'\?.*add --force"):
        scopes.of_mitigation(EXAMPLE, "resize-pol")


def test_off_finds_the_switches_of_the_tenant_that_are_on_and_no_others() -> None:
    found = kills(**{
        "tenant:demo:acme-corp": True, "tenant:default:acme-corp": False, "tenant:staging:acme-corp": True,
        "tenant:demo:corp": True, "mitigation:acme-corp": True, control.GLOBAL: True,
    })  # fmt: skip
    assert scopes.on_for_tenant(found, "acme-corp") == ("tenant:demo:acme-corp", "tenant:staging:acme-corp")
    assert scopes.on_for_mitigation(found, "acme-corp") == "mitigation:acme-corp"


def test_off_where_nothing_is_on_names_what_is() -> None:
    found = kills(**{control.GLOBAL: True, "tenant:demo:globex": False})
    with pytest.raises(scopes.UnknownScopeError, match="no kill switch is on for tenant 'globex'; on are global"):
        scopes.on_for_tenant(found, "globex")
    with pytest.raises(scopes.UnknownScopeError, match="no kill switch is on for mitigation 'x'; on are none"):
        scopes.on_for_mitigation({}, "x")
