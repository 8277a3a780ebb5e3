"""Act to Prometheus: what came of the orders, and how far the commands are read."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from schemas.commands import CommandKind, Outcome, OutcomeStatus
from stream.health.families import Families, Parts
from stream.health.vitals import Look

APP = "act"


class ActFamilies(Families):
    """Outcomes as they were given, repeats included; the ledger has each command once."""

    def __init__(self) -> None:
        super().__init__(APP)
        self._outcomes = Counter(
            "douse_outcomes", "Answers to orders, and changes taken back.", ["kind", "status"], registry=self.registry
        )
        self._reasons = Counter("douse_outcome_reasons", "Why they are so.", ["reason"], registry=self.registry)
        self._position = Gauge("douse_commands_position", "Offset last read.", ["partition"], registry=self.registry)
        self._lag = Gauge("douse_commands_lag_records", "Not read yet.", ["partition"], registry=self.registry)
        self._parts = Parts((self._position, self._lag))
        for status in OutcomeStatus:  # from 0, so that the first one is an increase
            self._outcomes.labels(CommandKind.APPLY.value, status.value)

    def told(self, outcome: Outcome) -> None:
        self._outcomes.labels(outcome.kind.value, outcome.status.value).inc()
        self._reasons.labels(outcome.reason.value).inc()

    def look(self, read: Mapping[int, tuple[int, int]], caught_up: bool, waits_for: str) -> Look:
        """`read` has by partition the offset last read and the last there is."""
        self._parts.keep({(str(number),) for number in read})
        for number, (position, end) in read.items():
            self._position.labels(str(number)).set(position)
            self._lag.labels(str(number)).set(max(end - position, 0))
        positions = {f"commands[{number}]": at for number, at in read.items()}
        return Look(positions, waits_for or ("" if caught_up else "the commands to be read to their end"))
