"""Which topics hold the telemetry, and how their records are written: settings, held against what the broker has. Pure.

A regular expression matches from the beginning of a name on, as the Collector's own receiver has it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from schemas.otlp.encoding import Encoding
from stream import topics
from stream.reach import MissingTopicsError
from stream.settings import Settings
from stream.trouble import OperatorNeededError

PATTERN = "^"
INTERNAL = "__"  # Kafka's own topics


class Signal(StrEnum):
    """What the records of a source say."""

    SPANS = "spans"
    METRICS = "metrics"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Source:
    """One topic of telemetry; `encoding` is how its records are promised to be."""

    topic: str
    signal: Signal
    encoding: Encoding


class SharedTopicError(OperatorNeededError):
    """One topic stands for two signals, and a record cannot be both."""


def resolve(settings: Settings, there: Collection[str]) -> tuple[Source, ...]:
    """The sources that are read. Names are taken as they are, patterns are matched against the topics that are there.

    Raises MissingTopicsError for a pattern that matches nothing, SharedTopicError.
    """
    signals = [signal for signal in Signal if settings.logs or signal is not Signal.LOGS]
    found: dict[str, Source] = {}
    for signal in signals:
        encoding = Encoding(getattr(settings, f"{signal}_encoding"))
        for name in _wanted(settings, signal):
            matched = _matches(name, there, settings)
            if not matched:
                raise MissingTopicsError(
                    f"no topic matches {name!r} of `{signal}_topics` (DOUSE_{signal.upper()}_TOPICS); create one, or "
                    f"correct the expression"
                )
            for topic in matched:
                source = found.setdefault(topic, Source(topic, signal, encoding))
                if source.signal is not signal:
                    raise SharedTopicError(
                        f"topic {topic} stands in `{source.signal}_topics` and in `{signal}_topics`: name it in one"
                    )
    return tuple(found.values())


def unread(settings: Settings, there: Collection[str]) -> tuple[str, ...]:
    """The topics that are switched off."""
    if settings.logs:
        return ()
    return tuple(topic for name in _wanted(settings, Signal.LOGS) for topic in _matches(name, there, settings))


def named(settings: Settings) -> tuple[str, ...]:
    """The sources that have to be there by name, whatever the patterns match."""
    signals = [signal for signal in Signal if settings.logs or signal is not Signal.LOGS]
    return tuple(name for signal in signals for name in _wanted(settings, signal) if not name.startswith(PATTERN))


def has_patterns(settings: Settings) -> bool:
    """Whether a topic that is made later may become a source."""
    return any(name.startswith(PATTERN) for signal in Signal for name in _wanted(settings, signal))


def hints(settings: Settings) -> dict[str, str]:
    """What a person can do instead where a topic is not there."""
    said = {
        topic: f"if {signal} are written elsewhere, set `{signal}_topics` (DOUSE_{signal.upper()}_TOPICS)"
        for signal in Signal
        for topic in _wanted(settings, signal)
    }
    for topic in _wanted(settings, Signal.LOGS):
        said[topic] += "; without logs, set `logs = false` (DOUSE_LOGS)"
    return said


def _wanted(settings: Settings, signal: Signal) -> tuple[str, ...]:
    given: tuple[str, ...] = getattr(settings, f"{signal}_topics")
    default: str = getattr(topics.names(settings.topic_prefix), signal)
    return given or (default,)


def _matches(name: str, there: Collection[str], settings: Settings) -> list[str]:
    if not name.startswith(PATTERN):
        return [name]
    pattern = re.compile(name)
    ours = {topic.name for topic in topics.table(topics.names(settings.topic_prefix))}
    return sorted(
        topic for topic in there if pattern.match(topic) and topic not in ours and not topic.startswith(INTERNAL)
    )
