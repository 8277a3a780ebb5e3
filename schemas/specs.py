"""The spec set: everything that decisions depend on and that people write, as one control record for all shards."""

from schemas import canonical
from schemas.model import Model
from schemas.runbook import AutonomyRule, Limits, Mitigation, Runbook, Target
from schemas.slo import Slo

TENANT_ATTRIBUTES = ("tenant.id", "tenant_id", "service.tenant", "k8s.namespace.name")


class SpecSet(Model):
    """SLOs, catalogue, runbooks, targets, autonomy and limits in force; `revision` names the whole."""

    tenant_attributes: tuple[str, ...] = TENANT_ATTRIBUTES
    """Resource attributes that name the tenant; all that are present must agree. Fixed for a deployment."""
    slos: tuple[Slo, ...]
    mitigations: tuple[Mitigation, ...] = ()
    runbooks: tuple[Runbook, ...] = ()
    targets: tuple[Target, ...] = ()
    autonomy: tuple[AutonomyRule, ...] = ()
    limits: Limits = Limits()

    @property
    def revision(self) -> str:
        return canonical.digest(canonical.dumps(self.fields()).decode())
