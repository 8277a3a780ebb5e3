"""Log templates of each service by second, since when each is known, and which of them rose with an anomaly."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.ring import Fill, Shape
from detectors.series import GROUP, Key, Series
from schemas.identity import Entity
from schemas.otlp.columns import Severity

TEMPLATES_PER_ENTITY_MAX = 200  # pairs of severity and template; the rest share OVERFLOW, one for each severity
TEMPLATES_PER_SHARD_MAX = 100_000  # 90 MB at 0.9 kB each
NEVER = -1
SLOTS = 180  # seconds: a minute before the onset, and an incident's first two
SHAPES = {"logs": Shape(1, SLOTS, 1, "u4", Fill.ZERO)}
EVENTS_MIN = 3.0  # a handful of stray lines is no evidence, however quiet it was before
MAD_SIGMA = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
LAG_S_MAX = 10  # a cause and its log line are closer than this
CORRELATION_MIN = 0.1  # a rise that does not follow the signal still counts for something
RISEN_MIN = 3.0  # deviations


@dataclass(frozen=True, slots=True)
class Risen:
    """One template that comes more often than before."""

    template: str
    severity: Severity
    now_per_s: float
    before_per_s: float
    """Median of the baseline's seconds."""
    first_seen_s: int
    lag_s: int
    """How many seconds it follows the signal; below 0 it comes before. Of equally good lags the smallest."""
    correlation: float
    """With the signal at that lag, -1 to 1; 0 where one of the two is constant."""
    deviation: float
    """(now - before) in units of the baseline's spread, at least EVENTS_MIN lines."""


def table(head_s: int = 0) -> Series:
    """Keys are (environment, tenant, service, severity as a number, template)."""
    return Series(SHAPES, {"first_s": ("i8", NEVER), "last_s": ("i8", NEVER)}, head_s)


def place(series: Series, keys: list[Key]) -> NDArray[np.int64]:
    """(k,) rows of these names. An entity with too many templates gives the row of one that its ring has forgotten to
    a new one; where none is forgotten, the new one counts as OVERFLOW. -1 where the shard has no room at all."""
    oldest, found = series.rings["logs"].oldest, []
    for key in keys:
        row = _row(series, key)
        if row >= 0:  # in use from now on: a later name must not be given the same row
            last = series.columns["last_s"]  # asked for each time: it moves when the table grows
            last[row] = max(int(last[row]), oldest)
        found.append(row)
    rows_found = np.array(found, np.int64)
    series.touch(rows_found[rows_found >= 0])
    return rows_found


def add(series: Series, places: NDArray[np.int64], bucket_s: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Counts k entries: row, second of event time, number of lines. Rows may repeat; what is ahead of the clock, or too
    late for the ring, is left out."""
    ring = series.rings["logs"]
    fits = ring.holds(bucket_s)
    places, bucket_s = places[fits], bucket_s[fits]
    ring.add(bucket_s, 0, places, counts[fits])
    first, last = series.columns["first_s"], series.columns["last_s"]
    unseen = places[first[places] == NEVER]
    first[unseen] = np.iinfo(np.int64).max
    np.minimum.at(first, places, bucket_s)
    np.maximum.at(last, places, bucket_s)
    series.touch(places)


def rates(series: Series, entity: Entity, first_s: int, last_s: int) -> tuple[tuple[str, Severity, float], ...]:
    """(template, severity, lines a second) of an entity in first_s..last_s, most first; silent ones are left out."""
    found = []
    for row in series.groups.get(tuple(entity), ()):
        counts = seconds(series, row, first_s, last_s)
        if len(counts) and counts.any():
            found.append((series.keys[row][4], Severity(int(series.keys[row][3])), float(counts.mean())))
    return tuple(sorted(found, key=lambda one: (-one[2], one[0], one[1])))


def seconds(series: Series, row: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    """(k,) lines in each of the seconds first_s..last_s that the ring still holds."""
    ring = series.rings["logs"]
    first, last = max(first_s, ring.oldest), min(last_s, ring.head)
    counts: NDArray[np.int64] = ring.values[ring.slots(first, last), 0, row].astype(np.int64)
    return counts


def correlate(
    series: Series,
    entity: Entity,
    window: tuple[int, int],
    baseline: tuple[int, int],
    signal: NDArray[np.float64],
    most: int = 10,
) -> tuple[Risen, ...]:
    """The templates of `entity` that rose in `window` over `baseline` (first and last second of each, both included),
    the best explained first.

    signal: what they are compared with (errors, say), one value a second from the baseline's first to the window's
    last. The score is the logarithm of the deviation, which grows with the traffic, times the correlation. OVERFLOW
    names nothing and is left out.
    """
    start_s, end_s = baseline[0], window[1]
    assert len(signal) == end_s - start_s + 1, f"{len(signal)} values for {end_s - start_s + 1} seconds"
    oldest = series.rings["logs"].oldest
    held_from = max(start_s, oldest)
    found: list[tuple[float, Risen]] = []
    for row in series.groups.get(tuple(entity), ()):
        severity, template = series.keys[row][3:]
        before = seconds(series, row, *baseline)
        now = seconds(series, row, *window)
        if template == rows.OVERFLOW or not now.any():
            continue
        median, deviation = _deviation(before, now)
        if deviation < RISEN_MIN:
            continue
        lines = seconds(series, row, start_s, end_s).astype(np.float64)
        lag_s, correlation = _lag(lines, signal[held_from - start_s : held_from - start_s + len(lines)])
        first_s = int(series.columns["first_s"][row])
        risen = Risen(
            template, Severity(int(severity)), float(now.mean()), median, first_s, lag_s, correlation, deviation
        )
        found.append((log(deviation) * max(correlation, CORRELATION_MIN), risen))
    found.sort(key=lambda one: (-one[0], one[1].template, one[1].severity))
    return tuple(risen for _, risen in found[:most])


def _deviation(before: NDArray[np.int64], now: NDArray[np.int64]) -> tuple[float, float]:
    """The median before, and how far the mean of now lies above it.

    The spread of a mean over k seconds is the greatest of the baseline's (by its median absolute deviation), of a
    Poisson count's, both over sqrt(k), and of EVENTS_MIN lines in all.
    """
    median = float(np.median(before)) if len(before) else 0.0
    mad = float(np.median(np.abs(before - median))) if len(before) else 0.0
    mean = float(before.mean()) if len(before) else 0.0
    spread = max(MAD_SIGMA * mad, mean**0.5) / len(now) ** 0.5
    return median, (float(now.mean()) - median) / max(spread, EVENTS_MIN / len(now))


def _lag(lines: NDArray[np.float64], signal: NDArray[np.float64]) -> tuple[int, float]:
    """The shift within LAG_S_MAX at which the lines follow the signal best, and Pearson's correlation there."""
    best, best_lag = 0.0, 0
    most = min(LAG_S_MAX, len(lines) - 2)
    for lag in sorted(range(-most, most + 1), key=lambda each: (abs(each), each)):
        later, earlier = lines[max(lag, 0) : len(lines) + min(lag, 0)], signal[max(-lag, 0) : len(lines) - max(lag, 0)]
        a, b = later - later.mean(), earlier - earlier.mean()
        norm = float(np.sqrt((a @ a) * (b @ b)))
        correlation = float(a @ b) / norm if norm > 0 else 0.0
        if correlation > best + 1e-9:
            best, best_lag = correlation, lag
    return best_lag, best


def _row(series: Series, key: Key) -> int:
    if key in series.index:
        return series.index[key]
    entity = key[:GROUP]
    shared = (*entity, key[3], rows.OVERFLOW)
    of_entity = series.groups.get(entity, ())
    # A row for each severity's OVERFLOW is kept free: what is beyond the limit must still be counted.
    if key != shared and len(of_entity) + len(Severity) >= TEMPLATES_PER_ENTITY_MAX:
        forgotten = _forgotten(series, of_entity)
        return _renamed(series, forgotten, key) if forgotten >= 0 else _row(series, shared)
    if len(series) >= TEMPLATES_PER_SHARD_MAX:
        return -1
    return int(series.rows((key,))[0])


def _forgotten(series: Series, of_entity: list[int] | tuple[int, ...]) -> int:
    """The row whose last line is the oldest, if the ring has nothing of it any more; -1 if there is none."""
    last = series.columns["last_s"]
    row = min((row for row in of_entity if series.keys[row][4] != rows.OVERFLOW), key=lambda each: (last[each], each))
    return row if last[row] < series.rings["logs"].oldest else -1


def _renamed(series: Series, row: int, key: Key) -> int:
    """The row under another name of the same entity; its ring is empty, so nothing else of the old one is left."""
    del series.index[series.keys[row]]
    series.keys[row] = key
    series.index[key] = row
    series.columns["first_s"][row] = series.columns["last_s"][row] = NEVER
    series.touch(np.array([row]))
    return row
