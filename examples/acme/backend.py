"""What the service and the worker have in common: a running configuration and queries through a bounded pool."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from examples.acme import config, leak, pool, telemetry


class Backend:
    """Pool, replica and telemetry under one running configuration, which `reload` replaces.

    Other tenants may live on the same process: each has telemetry of its own, and all of them share the pool.
    """

    def __init__(
        self,
        running: config.Config,
        replica: pool.Replica,
        identity: telemetry.Identity,
        now_ns: Callable[[], int],
        others: Sequence[str] = (),
        memory: leak.Leak | None = None,
    ) -> None:
        self.running = running
        self.replica = replica
        self.memory = memory or leak.Leak(0)
        self.generation = 1
        self.reload_error = ""
        self.pool = pool.Pool(running.pool_size)
        self.now_ns = now_ns
        database = telemetry.Database(running.pool_name, running.database, running.address)
        self.of_tenant = {
            tenant: telemetry.Telemetry(
                replace(identity, tenant=tenant), database, self.pool, now_ns(), self.memory.limit_bytes
            )
            for tenant in (identity.tenant, *others)
        }
        self.telemetry = self.of_tenant[identity.tenant]
        self._identity = identity

    async def query(self, told: telemetry.Telemetry) -> tuple[telemetry.Interval, telemetry.Interval | None]:
        """Wait for a connection, then query: both times. No query is sent if no connection came free in time."""
        start_ns = self.now_ns()
        try:
            await self.pool.acquire(self.running.acquire_timeout_ms)
        except TimeoutError:
            return telemetry.Interval(start_ns, self.now_ns()), None
        query_start_ns = self.now_ns()
        try:
            await self.replica.query()
        finally:
            self.pool.release()
        wait = telemetry.Interval(start_ns, query_start_ns)
        query = telemetry.Interval(query_start_ns, self.now_ns())
        told.wait_time.add(wait.seconds)
        told.use_time.add(query.seconds)
        return wait, query

    def reload(self, path: Path, *, resize: bool = True) -> None:
        """Run under the file as it is now; keep the old configuration if the file is unusable.

        With `resize` false the new size is what the process says it has, while the pool stays as it is.
        """
        try:
            new = config.read(path)
        except config.ConfigError as error:
            self.reload_error = str(error)
            print(f"configuration kept, the new one is refused: {error}", file=sys.stderr, flush=True)
            return
        if new.generation != self.running.generation:
            self.memory.recycle()
        self.running = new
        self.generation += 1
        self.reload_error = ""
        for told in self.of_tenant.values():
            told.pool_size = new.pool_size
        if resize:
            self.pool.resize(new.pool_size)

    def shown(self) -> dict[str, object]:
        """The running values, for GET /admin/config."""
        return {
            "tenant": self._identity.tenant,
            "service": self._identity.service,
            "pid": os.getpid(),
            "generation": self.generation,
            "reload_error": self.reload_error,
            "pool_size": self.running.pool_size,
            "acquire_timeout_ms": self.running.acquire_timeout_ms,
            "endpoints": self.running.endpoints,
            "workers_generation": self.running.generation,
        }
