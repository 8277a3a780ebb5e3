"""A Resource belongs to one tenant, or to nobody for a named reason."""

import pytest

from detectors import tenancy
from schemas.identity import Entity
from schemas.journal import Unattributed
from schemas.otlp.columns import Scalar
from schemas.specs import TENANT_ATTRIBUTES

SHOP = {"service.name": "shop"}


def owner(header: str = "", **attributes: Scalar) -> tenancy.Owner:
    return tenancy.owner(
        {key.replace("__", "."): value for key, value in attributes.items()}, TENANT_ATTRIBUTES, header
    )


def test_the_tenant_comes_from_any_attribute_of_the_list_or_from_the_header() -> None:
    expected = tenancy.Owner(Entity("default", "acme", "shop"))
    assert owner(service__name="shop", tenant__id="acme") == expected
    assert owner(service__name="shop", tenant_id="acme") == expected
    assert owner("acme", service__name="shop") == expected


def test_those_that_agree_are_one() -> None:
    assert owner("acme", service__name="shop", tenant__id="acme", tenant_id="acme").entity.tenant == "acme"


def test_a_namespace_names_the_tenant_only_where_nothing_else_does() -> None:
    assert owner(service__name="shop", tenant__id="acme", k8s__namespace__name="prod").entity.tenant == "acme"
    assert owner(service__name="shop", k8s__namespace__name="prod").entity.tenant == "prod"


@pytest.mark.parametrize("more", [{"tenant_id": "globex"}, {"header": "globex"}, {"service__tenant": "globex"}])
def test_two_that_disagree_are_nobody(more: dict[str, str]) -> None:
    found = owner(**{"service__name": "shop", "tenant__id": "acme", **more})
    assert found == tenancy.Owner(Entity("default", "", "shop"), Unattributed.CONFLICT)


@pytest.mark.parametrize("nothing", [{}, {"tenant__id": ""}, {"tenant__id": "  "}, {"tenant__id": "x" * 257}])
def test_no_name_is_nobody(nothing: dict[str, str]) -> None:
    assert owner(**{"service__name": "shop", **nothing}).reason is Unattributed.MISSING


@pytest.mark.parametrize("service", ["", "unknown_service", "unknown_service:java"])
def test_a_service_without_a_name_is_never_acted_on(service: str) -> None:
    assert owner(service__name=service, tenant__id="acme").reason is Unattributed.UNKNOWN_SERVICE
    assert owner(tenant__id="acme").reason is Unattributed.UNKNOWN_SERVICE


def test_the_environment_has_an_older_name_and_a_default() -> None:
    named = {"deployment__environment__name": "prod", "deployment__environment": "old"}
    assert owner(tenant__id="a", service__name="s", **named).entity.environment == "prod"
    assert owner(tenant__id="a", service__name="s", deployment__environment="old").entity.environment == "old"
    assert owner(tenant__id="a", service__name="s").entity.environment == "default"


def test_numbers_name_tenants_too() -> None:
    assert owner(tenant__id=42, service__name="s").entity.tenant == "42"


def test_header_names_are_compared_without_case() -> None:
    assert tenancy.header([("x-scope-orgid", b"acme"), ("other", b"x")]) == "acme"
    assert tenancy.header([]) == ""


def test_two_headers_that_disagree_agree_with_nobody() -> None:
    header = tenancy.header([("X-Scope-OrgID", b"acme"), ("X-Scope-OrgID", b"globex")])
    assert owner(header, tenant__id="acme", service__name="shop").reason is Unattributed.CONFLICT
    assert owner(header, service__name="shop").reason is Unattributed.CONFLICT
