"""The telemetry of real faults is read whole, with the counts of an independent reader."""

from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from schemas.otlp import logs, metrics, spans
from schemas.otlp.columns import Rejected
from tests.schemas.otlp import conftest

CASES = sorted(path for path in conftest.FAULTS.glob("*") if path.is_dir()) if conftest.FAULTS.is_dir() else []
ALL = [pytest.param(case, id=case.name, marks=[pytest.mark.proof] if place else []) for place, case in enumerate(CASES)]


def independent(records: list[bytes]) -> Counter[str]:
    found: Counter[str] = Counter()
    for record in records:
        for block in TracesData.FromString(record).resource_spans:
            service = next(pair.value.string_value for pair in block.resource.attributes if pair.key == "service.name")
            found[service] += sum(len(scope.spans) for scope in block.scope_spans)
    return found


@pytest.mark.skipif(not CASES, reason="no TrainTicket faults in ../shared")
@pytest.mark.parametrize("case", ALL)
def test_a_real_fault_is_read_whole_and_has_the_spans_of_an_independent_reader(case: Path) -> None:
    records = conftest.read_records(case / "spans.otlp.zst")
    found: Counter[str] = Counter()
    for record in records:
        table = spans.decode(record)
        assert not isinstance(table, Rejected), table
        for place in table.resource.tolist():
            found[str(table.resources[place].attributes["service.name"])] += 1
    assert found == independent(records)
    assert found.total() > 1_000
    for signal, decode in (("metrics", metrics.decode), ("logs", logs.decode)):
        for record in conftest.read_records(case / f"{signal}.otlp.zst"):
            assert not isinstance(decode(record), Rejected)
