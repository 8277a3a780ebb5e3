"""Two external interfaces behind one egress host: what leaves the house names the host, not whom it is meant for."""

import asyncio
from dataclasses import dataclass, field

CALL_MS = 20.0
PATIENCE_MS = 300  # less than a tab's, so that the tab hears why


@dataclass(slots=True)
class Partners:
    """How long each interface takes to answer. An empty `egress` calls nobody."""

    egress: str = ""
    of_route: dict[str, str] = field(default_factory=dict)
    """The interface that each route needs; a route without one needs none."""
    answers_ms: dict[str, float] = field(default_factory=dict)

    async def call(self, interface: str) -> None:
        """Wait for its answer; TimeoutError after PATIENCE_MS."""
        answer_ms = self.answers_ms.get(interface, CALL_MS)
        await asyncio.sleep(min(answer_ms, PATIENCE_MS) / 1000)
        if answer_ms > PATIENCE_MS:
            raise TimeoutError(f"{interface} did not answer in time")


def between(egress: str, interfaces: str, routes: tuple[str, ...]) -> Partners:
    """The first route needs the first of the comma-separated `interfaces`, and so on."""
    names = [name for name in interfaces.split(",") if name] if egress else []
    return Partners(egress, dict(zip(routes, names, strict=False)))
