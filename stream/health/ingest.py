"""Ingest to Prometheus: how far each source is read, how fresh it is, what went to the dead letters."""

from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge

from schemas.journal import SourceProgress
from stream.health.families import Families, Parts
from stream.health.vitals import Look
from stream.ingest.batch import Held
from stream.ingest.doors import Refused

APP = "ingest"
REPORT_S_MAX = 5.0  # it reports once a second, after the broker has everything before it


class IngestFamilies(Families):
    """Counts what the broker has acknowledged, never what is only held."""

    def __init__(self, sources: Sequence[str], clock_s: Callable[[], float]) -> None:
        super().__init__(APP)
        self._clock_s = clock_s
        self._reported_s = -REPORT_S_MAX
        self._positions: dict[str, tuple[int, int]] = {}
        names = ["topic", "partition"]
        self._records = Counter(
            "douse_source_records", "Records read from a source and in the journal.", ["topic"], registry=self.registry
        )
        self._refused = Counter(
            "douse_dead_letters", "Records that were rejected, with their bytes on douse.dead-letter.", ["topic"],
            registry=self.registry,
        )  # fmt: skip
        self._position = Gauge(
            "douse_source_position", "Offset last read and acknowledged.", names, registry=self.registry
        )
        self._lag = Gauge("douse_source_lag_records", "Records not read yet.", names, registry=self.registry)
        self._newest = Gauge(
            "douse_source_newest_event_timestamp_seconds", "Newest event time seen; the clock less this is freshness.",
            names, registry=self.registry,
        )  # fmt: skip
        self._parts = Parts((self._position, self._lag, self._newest))
        self.reads(sources)

    def reads(self, sources: Sequence[str]) -> None:
        """Topics that are read: they count from 0, so that the first rejected record is an increase."""
        for topic in sources:
            self._records.labels(topic)
            self._refused.labels(topic)

    def sent(self, held: Sequence[Held]) -> None:
        """One flush that the broker has whole."""
        for each in held:
            topic, _ = each.partition
            self._records.labels(topic).inc()
            if isinstance(each.content, Refused):
                self._refused.labels(topic).inc()

    def reported(self, sources: Sequence[SourceProgress]) -> None:
        """What every shard was just told of this worker's partitions."""
        self._reported_s = self._clock_s()
        self._parts.keep({(each.topic, str(each.partition)) for each in sources})
        self._positions = {}
        for each in sources:
            part = (each.topic, str(each.partition))
            self._positions[f"{each.topic}[{each.partition}]"] = (each.position, each.high_watermark - 1)
            self._position.labels(*part).set(each.position)
            self._lag.labels(*part).set(max(each.high_watermark - 1 - each.position, 0))
            if each.newest_end_ms >= 0:
                self._newest.labels(*part).set(each.newest_end_ms / 1000)

    def ended(self) -> None:
        """The generation is over: nothing is read until the next."""
        self._positions = {}
        self._reported_s = -REPORT_S_MAX
        self._parts.keep(set())

    def look(self) -> Look:
        silent = self._clock_s() - self._reported_s > REPORT_S_MAX
        return Look(self._positions, "partitions, and a broker that takes what it sends" if silent else "")
