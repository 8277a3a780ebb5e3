"""Faust's recovery with one wait before it ends, without which it loses records at the start and after a rebalance.

faust-streaming 0.15.3 seeks to the committed offsets and then resumes the flow, which clears the queues: what a
`getmany` of before the seek still delivers in between is lost or delivered twice (faust-streaming/faust issue 596).
"""

import asyncio

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery

GETMANY_OVER_S = 1.3  # a `getmany` of Faust's fetcher takes at most 1 s; the rest is for a busy machine


class SafeRecovery(Recovery):
    """Ends recovery only when no fetch of the time before it can still be under way."""

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        await asyncio.sleep(GETMANY_OVER_S)
        await super().on_recovery_completed(generation_id)


class SafeTableManager(TableManager):
    """Faust's table manager (we keep no tables; it also drives the recovery) with the safe recovery."""

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
