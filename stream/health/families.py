"""What every app says of itself to Prometheus, on a registry of its own; the names follow Prometheus' conventions.

No label holds a tenant, a service or a target: cardinality is bounded, and who is hurt is nobody's business here.
"""

import platform
from collections.abc import Iterable
from importlib import metadata

from prometheus_client import CollectorRegistry, Gauge, Info, ProcessCollector, disable_created_metrics

WORDS_MAX = 64  # different values of one label; the longest list of reasons that we know has about thirty
OTHER = "other"


class Words:
    """Values of one label as they come: the first WORDS_MAX stand for themselves, all others for `other`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bounded(self, word: str) -> str:
        if word not in self._known and len(self._known) >= WORDS_MAX:
            return OTHER
        self._known.add(word)
        return word


class Families:
    """What each app has: who it is, when it was last well, whether it stands still, whether it is ready."""

    def __init__(self, app: str) -> None:
        self.app = app
        # A series more for each counter, which Prometheus' text format has no use for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the client has no type for it
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        build = Info("douse_build", "Version of douse and of Python that this worker runs.", registry=self.registry)
        build.info({"app": app, "version": version(), "python": platform.python_version()})
        self._heartbeat = Gauge(
            "douse_heartbeat_timestamp_seconds",
            "When this worker was last seen well, by its own watchdog.",
            ["app"],
            registry=self.registry,
        ).labels(app)
        self._stalled = Gauge(
            "douse_stalled", "1 while a partition stands still although there is more to read.", registry=self.registry
        )
        self._ready = Gauge("douse_ready", "1 while /readyz says yes.", registry=self.registry)

    def well(self, time_s: float) -> None:
        """The worker is well at this Unix time."""
        self._heartbeat.set(time_s)

    def stands(self, stalled: bool, ready: bool) -> None:
        self._stalled.set(stalled)
        self._ready.set(ready)


class Parts:
    """Gauges by partition, of which only those exist that this worker has now."""

    def __init__(self, gauges: Iterable[Gauge]) -> None:
        self._gauges = tuple(gauges)
        self._there: set[tuple[str, ...]] = set()

    def keep(self, parts: set[tuple[str, ...]]) -> None:
        """Forgets what is not in `parts`: a partition that went to another worker must not be shown here for ever."""
        for gone in self._there - parts:
            for gauge in self._gauges:
                gauge.remove(*gone)
        for new in parts - self._there:
            for gauge in self._gauges:
                gauge.labels(*new)
        self._there = set(parts)


def version() -> str:
    """The installed version; a checkout that nobody installed has none."""
    try:
        return metadata.version("douse")
    except metadata.PackageNotFoundError:
        return "unknown"
