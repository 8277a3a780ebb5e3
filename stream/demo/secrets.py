"""The example's planted secrets, looked for wherever douse writes: in its topics and in its log.

The dead letter alone may hold them: it keeps what could not be read, byte for byte.
"""

import re
from collections.abc import Iterable

from examples.acme import planted
from stream import reach, topics
from stream.demo.stage import Stage


async def found(stage: Stage) -> tuple[str, ...]:
    """Where a secret of a tenant of this world stands: topic or file, with how many records or lines hold one."""
    names = topics.names(stage.prefix)
    wanted = pattern(tenant.name for tenant in stage.world.tenants)
    places = []
    for topic in (
        names.journal,
        names.state,
        names.status,
        names.incidents,
        names.commands,
        names.outcomes,
        names.control,
    ):
        hits = 0
        async for stored in reach.read(stage.bootstrap, topic):
            headers = b"\n".join(value for _, value in stored.headers)
            hits += any(wanted.search(text) for text in (stored.value or b"", headers, stored.key.encode()))
        places += [f"{topic}: {hits} records"] * bool(hits)
    lines = sum(bool(wanted.search(line)) for line in stage.log.read_bytes().splitlines())
    return (*places, *[f"{stage.log.name}: {lines} lines"] * bool(lines))


def pattern(tenants: Iterable[str]) -> re.Pattern[bytes]:
    """Finds each secret of these tenants, also where a slash of it is escaped as JSON may."""
    forms = {secret for tenant in tenants for secret in planted.secrets(tenant)}
    forms |= {secret.replace("/", "\\/") for secret in forms}
    return re.compile(b"|".join(re.escape(form.encode()) for form in sorted(forms)))
