"""What a process of the example writes to its log, as OTLP log records: the lines that such services really write."""

import random
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from examples.acme import planted

LINES_HELD_MAX = 10_000  # between two exports; more than half a minute of 300 a second
SCOPE = InstrumentationScope(name="acme.shop.log")
INFO, WARN, ERROR = (
    SeverityNumber.SEVERITY_NUMBER_INFO,
    SeverityNumber.SEVERITY_NUMBER_WARN,
    SeverityNumber.SEVERITY_NUMBER_ERROR,
)
NAMES = {INFO: "INFO", WARN: "WARN", ERROR: "ERROR"}
SECRET_EACH = 40  # lines between two that hold a secret
ACCESS_EACH = 10  # good answers for one line of the access log: they say little, and are many


@dataclass(frozen=True, slots=True)
class Line:
    time_ns: int
    severity: "SeverityNumber.ValueType"
    body: str
    trace_id: bytes = b""
    exception: tuple[str, str] = ("", "")
    """Its type and its message; empty where none was raised."""


class Logbook:
    """Gathers lines; `export` gives those since the last call as protobuf bytes."""

    def __init__(self, resource: Resource, tenant: str, seed: str) -> None:
        self.dropped = 0
        self._resource = resource
        self._lines: list[Line] = []
        self._written = 0
        self._good = 0
        self._called = 0
        self._secrets = planted.secrets(tenant)[planted.LOGGED_FROM :]
        self._rng = random.Random(f"{seed}/log")

    def write(self, line: Line) -> None:
        """One line; now and then another beside it that somebody should not have written."""
        self._keep(line)
        self._written += 1
        if self._written % SECRET_EACH == 0:
            number = self._written // SECRET_EACH % len(self._secrets)
            body, message = planted.line(number, self._secrets[number])
            exception = ("ConnectionError", message) if message else ("", "")
            self._keep(Line(line.time_ns, ERROR if message else WARN, body, line.trace_id, exception))

    def answered(self, route: str, status: int, took_ms: float, now_ns: int, trace_id: bytes) -> None:
        """The access log: each answer that failed, and a few of the others."""
        number = self._rng.randrange(10_000, 99_999)
        if status >= 500:
            text = f'GET {route}/{number} HTTP/1.1" {status} in {took_ms:.0f} ms for client 10.0.{number % 256}.7'
            self.write(Line(now_ns, WARN, text, trace_id))
            return
        self._good += 1
        if self._good % ACCESS_EACH == 0:
            self.write(Line(now_ns, INFO, f"GET {route}/{number} answered {status} in {took_ms:.0f} ms", trace_id))

    def called(self, interface: str, took_ms: float, now_ns: int, trace_id: bytes) -> None:
        """A call to an external interface that went well: a few of them are told."""
        self._called += 1
        if self._called % ACCESS_EACH == 0:
            number = self._rng.randrange(10_000, 99_999)
            text = f"{interface} answered order {number} in {took_ms:.0f} ms"
            self.write(Line(now_ns, INFO, text, trace_id))

    def export(self) -> bytes:
        """All lines since the last call as an ExportLogsServiceRequest; empty bytes if there was none."""
        lines, self._lines = self._lines, []
        if not lines:
            return b""
        message = ExportLogsServiceRequest()
        block = message.resource_logs.add(resource=self._resource)
        records = block.scope_logs.add(scope=SCOPE).log_records
        for line in lines:
            record = records.add(
                time_unix_nano=line.time_ns,
                observed_time_unix_nano=line.time_ns,
                severity_number=line.severity,
                severity_text=NAMES[line.severity],
                trace_id=line.trace_id,
            )
            record.body.string_value = line.body
            kind, text = line.exception
            for key, value in (("exception.type", kind), ("exception.message", text)) if kind else ():
                record.attributes.add(key=key).value.string_value = value
        return message.SerializeToString()

    def _keep(self, line: Line) -> None:
        if len(self._lines) >= LINES_HELD_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
