"""Who a Resource belongs to: environment, tenant and service, or the reason why it belongs to nobody.

Fails closed: what is missing, contradictory or unnamed is counted under the reserved tenant and never acted on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.identity import DEFAULT_ENVIRONMENT, UNATTRIBUTED, Entity
from schemas.journal import Unattributed
from schemas.otlp.columns import Scalar

TENANT_HEADER = "X-Scope-OrgID"
ENVIRONMENT_ATTRIBUTES = ("deployment.environment.name", "deployment.environment")  # the second is the older name
NAMESPACES = frozenset({"k8s.namespace.name"})
SERVICE_ATTRIBUTE = "service.name"
UNKNOWN_SERVICE_PREFIX = "unknown_service"  # what an SDK writes when nobody named the service
SEVERAL = "\x00"  # stands between the values of a header that came twice; they have to agree as well
NAME_CHARS_MAX = 256  # a longer name is no name; it would be written into every journal record of its tenant


@dataclass(frozen=True, slots=True)
class Owner:
    """`reason` is None for a Resource with a tenant; otherwise the entity's tenant is the reserved one."""

    entity: Entity
    reason: Unattributed | None = None


def owner(attributes: Mapping[str, Scalar], tenant_attributes: Sequence[str], header_tenant: str = "") -> Owner:
    """Resolves one Resource. All that name a tenant (these attributes, the record's header) must agree.

    A namespace is where a service runs, and only where nothing names a tenant is it taken for one.
    """
    environment = _first(attributes, ENVIRONMENT_ATTRIBUTES) or DEFAULT_ENVIRONMENT
    service = _text(attributes.get(SERVICE_ATTRIBUTE, ""))
    stand_ins = [name for name in tenant_attributes if name in NAMESPACES]
    tenants = {_text(attributes[name]) for name in tenant_attributes if name in attributes and name not in stand_ins}
    tenants |= {_text(value) for value in header_tenant.split(SEVERAL)}
    tenants.discard("")
    if not tenants:
        tenants = {_text(attributes[name]) for name in stand_ins if name in attributes} - {""}
    if not tenants:
        return Owner(Entity(environment, UNATTRIBUTED, service), Unattributed.MISSING)
    if len(tenants) > 1:
        return Owner(Entity(environment, UNATTRIBUTED, service), Unattributed.CONFLICT)
    if not service or service.startswith(UNKNOWN_SERVICE_PREFIX):
        return Owner(Entity(environment, UNATTRIBUTED, service), Unattributed.UNKNOWN_SERVICE)
    return Owner(Entity(environment, tenants.pop(), service))


def header(headers: Sequence[tuple[str, bytes]]) -> str:
    """The tenants that the Kafka headers name, "" if they name none; header names are compared without case."""
    found = {value.decode(errors="replace") for name, value in headers if name.lower() == TENANT_HEADER.lower()}
    return SEVERAL.join(sorted(found))


def _first(attributes: Mapping[str, Scalar], names: Sequence[str]) -> str:
    return next((text for name in names if (text := _text(attributes.get(name, "")))), "")


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _limited(str(value).strip())


def _limited(text: str) -> str:
    return text if len(text) <= NAME_CHARS_MAX else ""
