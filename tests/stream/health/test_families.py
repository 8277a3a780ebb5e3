"""What the workers count is what they were told, under names that Prometheus expects, and no label grows for ever."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from schemas.events import INCIDENT_EVENTS, STATUS_TYPE, incident_type
from schemas.journal import Record, SourceProgress
from stream.effects import Outlet, Publish
from stream.health.act import ActFamilies
from stream.health.detect import REASONS, DetectFamilies
from stream.health.families import OTHER, WORDS_MAX, Words
from stream.health.ingest import IngestFamilies
from stream.ingest.batch import Held
from stream.ingest.doors import Nothing, Refused
from tests.stream.health.exposition import value

TICK = Record(0, 7, 1, "tick", 1, b"{}")


class Shard:
    def __init__(self, number: int, mark: int) -> None:
        self.number, self.mark = number, mark


def told(outlet: Outlet, kind: str, **data: Any) -> Publish:
    return Publish(outlet, "secret-tenant", kind, "id", "/douse/detect/0", 1, {"tenant": "secret-tenant", **data})


def status(counters: Mapping[str, int], shard: int = 0) -> Publish:
    figures = {"shard": shard, "lag_ms": 1500, "at_ms": 2_000_500, "stale": True, "counters": counters}
    return told(Outlet.STATUS, STATUS_TYPE, **figures)


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_decisions_refusals_and_verdicts_are_counted_by_their_reasons() -> None:
    families = DetectFamilies(lambda: 5.0)
    effects = [
        told(Outlet.INCIDENTS, incident_type("refused"), reason="lag"),
        told(Outlet.INCIDENTS, incident_type("refused"), reason="lag"),
        told(Outlet.INCIDENTS, incident_type("verdict"), reason="better", verdict="effective"),
        told(Outlet.COMMANDS, "dev.douse.command.apply"),
        status({}),
    ]
    families.folded(TICK, effects)
    seen = text(families.registry)
    assert value(seen, "douse_refusals_total", reason="lag") == 2
    assert value(seen, "douse_decisions_total", kind="verdict", reason="better") == 1
    assert value(seen, "douse_verdicts_total", verdict="effective") == 1
    assert value(seen, "douse_commands_total", kind="apply") == 1
    assert value(seen, "douse_journal_records_folded_total", kind="tick") == 1
    assert value(seen, "douse_shard_lag_seconds", shard="0") == 1.5
    assert value(seen, "douse_shard_watermark_timestamp_seconds", shard="0") == 2000.5
    assert value(seen, "douse_shard_stale", shard="0") == 1
    assert "secret-tenant" not in seen


def test_every_kind_of_incident_event_has_a_field_for_its_reason() -> None:
    assert REASONS.keys() == INCIDENT_EVENTS.keys()
    assert all(field in INCIDENT_EVENTS[kind].model_fields for kind, field in REASONS.items())


def test_a_shards_counters_become_what_this_process_saw_of_them() -> None:
    families = DetectFamilies(lambda: 5.0)
    before = {"late": 100, "unattributed_spans_missing": 7}
    families.folded(TICK, [status(before)])
    assert value(text(families.registry), "douse_late_events_total") == 0
    after = {"late": 103, "unattributed_spans_missing": 9, "pools_left_out": 4, "records_lost": 5, "rows_repeated": 1}
    families.folded(TICK, [status(after)])
    seen = text(families.registry)
    assert value(seen, "douse_late_events_total") == 3
    assert value(seen, "douse_unattributed_total", kind="spans", reason="missing") == 2
    assert value(seen, "douse_left_out_total", table="pools") == 4
    assert value(seen, "douse_lost_records_total") == 5
    assert value(seen, "douse_noted_total", what="rows_repeated") == 1


def test_snapshots_and_recovery_have_time_and_size_until_the_shard_goes_away() -> None:
    families = DetectFamilies(lambda: 42.0)
    families.look([3], [Shard(3, 10)], {3: 12}, True)
    families.recovered(3, 1000, 0.5)
    families.saved(3, 2000, 0.02)
    seen = text(families.registry)
    assert value(seen, "douse_recovery_duration_seconds", shard="3") == 0.5
    assert value(seen, "douse_snapshot_size_bytes", shard="3") == 2000
    assert value(seen, "douse_snapshot_timestamp_seconds", shard="3") == 42
    assert value(seen, "douse_snapshot_duration_seconds_count") == 1
    assert value(seen, "douse_shard_lag_records", shard="3") == 2
    families.look([], [], {}, True)
    assert 'shard="3"' not in text(families.registry)


def test_detect_is_ready_when_every_shard_that_it_has_is_loaded() -> None:
    families = DetectFamilies(lambda: 0.0)
    assert "group" in families.look([], [], {}, False).waits_for
    assert families.look([0, 1], [Shard(0, 5)], {0: 9}, True).waits_for == "1 of 2 shards to be loaded"
    look = families.look([0], [Shard(0, 5)], {0: 9}, True)
    assert (look.waits_for, dict(look.positions)) == ("", {"shard 0": (5, 9)})


def test_ingest_counts_what_the_broker_has_and_is_ready_while_it_reports() -> None:
    clock = [100.0]
    families = IngestFamilies(("otlp_spans",), lambda: clock[0])
    assert value(text(families.registry), "douse_dead_letters_total", topic="otlp_spans") == 0
    held = Held(("otlp_spans", 0), 4, Nothing(), -1, lambda: None)
    families.sent([held, replace(held, offset=5, content=Refused("why"))])
    assert families.look().waits_for
    families.reported([SourceProgress("otlp_spans", 0, 1, 5, 10, 7_500)])
    seen = text(families.registry)
    assert value(seen, "douse_source_records_total", topic="otlp_spans") == 2
    assert value(seen, "douse_dead_letters_total", topic="otlp_spans") == 1
    assert value(seen, "douse_source_lag_records", topic="otlp_spans", partition="0") == 4
    newest = "douse_source_newest_event_timestamp_seconds"
    assert value(seen, newest, topic="otlp_spans", partition="0") == 7.5
    assert dict(families.look().positions) == {"otlp_spans[0]": (5, 9)}
    assert families.look().waits_for == ""
    clock[0] += 6
    assert families.look().waits_for
    families.ended()
    assert 'partition="0"' not in text(families.registry)


def test_act_counts_outcomes_by_status_and_reason() -> None:
    families = ActFamilies()
    outcome = type("Told", (), {"kind": CommandKind.APPLY, "status": OutcomeStatus.LIVE, "reason": OutcomeReason.NONE})
    families.told(outcome)  # type: ignore[arg-type]
    assert families.look({0: (3, 5)}, False, "").waits_for
    assert families.look({0: (3, 5)}, True, "Kafka").waits_for == "Kafka"
    assert families.look({0: (5, 5)}, True, "").waits_for == ""
    seen = text(families.registry)
    assert value(seen, "douse_outcomes_total", kind="apply", status="live") == 1
    assert value(seen, "douse_outcomes_total", kind="apply", status="unknown") == 0
    assert value(seen, "douse_outcome_reasons_total", reason="none") == 1


def test_made_up_reasons_cannot_make_labels_without_end() -> None:
    words = Words()
    assert {words.bounded(str(number)) for number in range(1000)} == {*map(str, range(WORDS_MAX)), OTHER}


@pytest.mark.parametrize(
    "families",
    [DetectFamilies(lambda: 0.0), IngestFamilies(("a",), lambda: 0.0), ActFamilies()],
    ids=lambda families: families.app,
)
def test_names_and_units_are_prometheus_own(families: Any) -> None:
    units = ("seconds", "bytes", "records", "total", "info", "position", "ready", "stalled", "shards", "stale")
    found = list(text_string_to_metric_families(text(families.registry)))
    for family in (one for one in found if not one.name.startswith("process_")):
        assert family.name.startswith("douse_")
        assert family.documentation
        assert family.type == "counter" or family.name.endswith(units), family.name
        assert not {"tenant", "service", "target"} & {label for sample in family.samples for label in sample.labels}
