"""Records that a real OpenTelemetry Collector wrote to Kafka are counted as an independent loop counts them."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from detectors import observe, rows
from detectors.rows import Source
from schemas.otlp import spans as otlp_spans
from schemas.otlp.columns import Spans
from schemas.slo import Slo, SpanSli
from schemas.specs import SpecSet
from tests.detectors import observe_loop


def values(file: Path) -> Iterator[bytes]:
    """u32 big-endian length and bytes, repeated."""
    data, at = file.read_bytes(), 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def specs_for(records: list[TracesData]) -> SpecSet:
    """An SLO for every service that the records name, whatever the names are."""
    services = {
        attribute.value.string_value
        for record in records
        for block in record.resource_spans
        for attribute in block.resource.attributes
        if attribute.key == "service.name"
    }
    slos = [
        Slo(name=f"{kind}-{service}", sli=sli, target_ppm=990_000, tiers=())
        for service in sorted(services)
        for kind, sli in (
            ("answered", SpanSli(service=service)),
            ("fast", SpanSli(service=service, kinds=("server", "client"), latency_ms_max=20)),
        )
    ]
    return SpecSet(slos=tuple(slos))


@pytest.mark.parametrize("topic", ["spans.proto", "spans.batched", "spans.keyed", "spans.tenant"])
def test_counts_of_a_real_collector_equal_an_independent_loop(shared_folder: Path, topic: str) -> None:
    found = list(values(shared_folder / "data/collector-samples/kafka" / f"{topic}.bin"))
    records = [TracesData.FromString(value) for value in found]
    specs = specs_for(records)
    plan = observe.plan(specs, 16)
    loop, got, parts = observe_loop.Counted(), observe_loop.Read(), []
    for offset, (value, record) in enumerate(zip(found, records, strict=True)):
        loop.add(record, specs)
        columns = otlp_spans.decode(value)
        assert isinstance(columns, Spans)
        parts.append(observe.spans(columns, plan, Source(0, offset, 0)))
    for tables in rows.split(parts).values():
        got.read(tables)
    assert got.same(loop)
    assert sum(got.total.values()) > 100
