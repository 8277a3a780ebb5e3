"""What the service and the worker have in common: a running configuration and queries through a bounded pool."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from examples.acme import config, pool, telemetry


class Backend:
    """Pool, replica and telemetry under one running configuration, which `reload` replaces."""

    def __init__(
        self,
        running: config.Config,
        replica: pool.Replica,
        identity: telemetry.Identity,
        now_ns: Callable[[], int],
    ) -> None:
        self.running = running
        self.replica = replica
        self.generation = 1
        self.reload_error = ""
        self.pool = pool.Pool(running.pool_size)
        database = telemetry.Database(running.pool_name, running.database, running.address)
        self.telemetry = telemetry.Telemetry(identity, database, self.pool, now_ns())
        self.now_ns = now_ns
        self._identity = identity

    async def query(self) -> tuple[telemetry.Interval, telemetry.Interval | None]:
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
        self.telemetry.wait_time.add(wait.seconds)
        self.telemetry.use_time.add(query.seconds)
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
        self.running = new
        self.generation += 1
        self.reload_error = ""
        self.telemetry.pool_size = new.pool_size
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
        }
