"""Records for the tests of OTLP decoding: what a real Collector wrote (in ../shared), and small ones made by hand."""

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

DATA = Path(__file__).parents[4] / "shared" / "data"
SAMPLES = DATA / "collector-samples"
FAULTS = DATA / "trainticket-faults"
NOW_NS = 1_795_494_266_584_337_487


def split(framed: bytes) -> Iterator[bytes]:
    """Undo the framing of the Collector's file exporter: u32 big-endian length + record, repeated."""
    at = 0
    while at < len(framed):
        (size,) = struct.unpack_from(">I", framed, at)
        assert at + 4 + size <= len(framed), "the file ends inside a record"
        yield framed[at + 4 : at + 4 + size]
        at += 4 + size


def read_records(path: Path) -> list[bytes]:
    """All records of a file: plain framing, a zstd frame for each record, or one zstd stream over the framing."""
    content = path.read_bytes()
    match path.suffix:
        case ".zst":
            return list(split(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()))
        case ".zstd":
            return [zstandard.ZstdDecompressor().stream_reader(io.BytesIO(record)).read() for record in split(content)]
        case _:
            return list(split(content))


@pytest.fixture(scope="session")
def truth() -> dict[str, Any]:
    if not SAMPLES.exists():
        pytest.skip(f"no Collector samples at {SAMPLES}")
    return dict(json.loads((SAMPLES / "truth.json").read_text()))


@pytest.fixture(scope="session")
def sample() -> Callable[[str], list[bytes]]:
    """Records of one sample by its path, as `kafka/spans.proto.bin`."""

    def records(name: str) -> list[bytes]:
        if not SAMPLES.exists():
            pytest.skip(f"no Collector samples at {SAMPLES}")
        return read_records(SAMPLES / name)

    return records


@pytest.fixture(scope="session")
def fault_case() -> Callable[[str], list[bytes]]:
    """Records of one signal of the first TrainTicket case."""

    def records(signal: str) -> list[bytes]:
        if not FAULTS.exists():
            pytest.skip(f"no TrainTicket faults at {FAULTS}")
        case = min(path for path in FAULTS.iterdir() if path.is_dir())
        return read_records(case / f"{signal}.otlp.zst")

    return records


@pytest.fixture(scope="session")
def span() -> Callable[..., bytes]:
    """One sound span as a record; keywords replace its fields."""

    def record(**fields: Any) -> bytes:
        sound: dict[str, Any] = {
            "trace_id": bytes(range(200, 216)),
            "span_id": bytes(range(1, 9)),
            "name": "GET /cart",
            "kind": 2,
            "start_time_unix_nano": NOW_NS,
            "end_time_unix_nano": NOW_NS + 5,
        }
        request = TracesData()
        block = request.resource_spans.add()
        block.resource.attributes.add(key="service.name").value.string_value = "cart"
        block.scope_spans.add().spans.append(Span(**(sound | fields)))
        return request.SerializeToString()

    return record


@pytest.fixture(scope="session")
def metric() -> Callable[..., bytes]:
    """One metric as a record, from keywords as protobuf's own constructor takes them."""

    def record(**fields: Any) -> bytes:
        request = MetricsData()
        block = request.resource_metrics.add()
        block.resource.attributes.add(key="service.name").value.string_value = "cart"
        block.scope_metrics.add().metrics.add(**fields)
        return request.SerializeToString()

    return record


@pytest.fixture(scope="session")
def log() -> Callable[..., bytes]:
    """One sound log record as a record; keywords replace its fields."""

    def record(**fields: Any) -> bytes:
        sound: dict[str, Any] = {
            "time_unix_nano": NOW_NS,
            "observed_time_unix_nano": NOW_NS + 7,
            "severity_number": 17,
            "body": {"string_value": "no connection"},
        }
        request = LogsData()
        block = request.resource_logs.add()
        block.resource.attributes.add(key="service.name").value.string_value = "cart"
        block.scope_logs.add().log_records.append(LogRecord(**(sound | fields)))
        return request.SerializeToString()

    return record
