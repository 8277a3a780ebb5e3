"""Settings name the topics of telemetry, or a pattern of them, and what a wrong one means is said in a line."""

from dataclasses import replace

import pytest

from schemas.otlp.encoding import Encoding
from stream import reach
from stream.ingest import sources
from stream.ingest.sources import Signal, Source
from stream.settings import Settings

THERE = ("otlp_spans", "a.traces", "b.traces", "c.metrics", "douse.journal", "__consumer_offsets")


def test_without_settings_the_names_are_the_usual_ones_behind_the_prefix() -> None:
    found = sources.resolve(Settings(topic_prefix="x."), ())
    assert [(one.topic, one.signal) for one in found] == [
        ("x.otlp_spans", Signal.SPANS), ("x.otlp_metrics", Signal.METRICS), ("x.otlp_logs", Signal.LOGS),
    ]  # fmt: skip


def test_a_pattern_takes_what_it_matches_and_never_our_own_topics_or_kafkas() -> None:
    made = Settings(logs=False, spans_topics=(r"^.*\.traces$",), metrics_topics=("^",), metrics_encoding="otlp_json")
    with pytest.raises(sources.SharedTopicError, match=r"a\.traces stands in `spans_topics` and in `metrics_topics`"):
        sources.resolve(made, THERE)
    found = sources.resolve(replace(made, metrics_topics=("^(c|__|douse)",)), THERE)
    assert found == (
        Source("a.traces", Signal.SPANS, Encoding.PROTO),
        Source("b.traces", Signal.SPANS, Encoding.PROTO),
        Source("c.metrics", Signal.METRICS, Encoding.JSON),
    )


def test_a_pattern_that_matches_nothing_needs_an_operator() -> None:
    with pytest.raises(reach.MissingTopicsError, match=r"no topic matches '\^shop' of `spans_topics`"):
        sources.resolve(Settings(spans_topics=("^shop",)), THERE)


def test_a_switched_off_signal_is_neither_needed_nor_read() -> None:
    made = Settings(logs=False, logs_topics=("lines",))
    assert "lines" not in sources.named(made)
    assert sources.unread(made, ()) == ("lines",)
    assert "logs_topics" in sources.hints(made)["lines"]
