"""Who a row belongs to: environment, tenant, service; and which shard folds it."""

from typing import NamedTuple

from schemas import canonical

DEFAULT_ENVIRONMENT = "default"
UNATTRIBUTED = ""  # the reserved tenant of shard 0: counts of what fits no tenant


class Entity(NamedTuple):
    """One service of one tenant in one environment."""

    environment: str
    tenant: str
    service: str


def shard(environment: str, tenant: str, shards: int) -> int:
    """The journal partition that holds everything of this tenant; 0 for the unattributed."""
    if tenant == UNATTRIBUTED:
        return 0
    name = f"{environment or DEFAULT_ENVIRONMENT}\x00{tenant}".encode()
    return canonical.hash64(name) % shards
