"""Rows of the journal's tables: grouped out of columns, joined over several records, split by shard.

The order of rows is defined everywhere, so the same record gives the same bytes in any process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import identity
from schemas.identity import Entity
from schemas.journal import TABLES, Column, Strings, Table

# What an Arrow stream of one table costs beside its rows: schema, dictionaries' frames, padding of at most 21 columns.
TABLE_BYTES = 6_000
STRING_BYTES = 4  # an offset beside the text
OVERFLOW = "__overflow__"  # the name that those beyond a limit share


@dataclass(frozen=True, slots=True)
class Source:
    """The OTLP record that rows come from: a number for its source partition, its offset, 8 bytes of its hash."""

    index: int
    offset: int
    hash: int


@dataclass(frozen=True, slots=True)
class Reduced:
    """What one OTLP record says, as rows of the journal's tables, and the shard of each row."""

    tables: Mapping[str, Table]
    shards: Mapping[str, NDArray[np.int32]]
    newest_ms: int
    """Latest event time in the record, -1 if it holds none."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows with equal keys, groups in the order of their keys."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    keys: tuple[NDArray[Any], ...]

    def sum(self, values: NDArray[Any], kind: str) -> NDArray[Any]:
        return np.add.reduceat(values[self.order].astype(kind), self.starts) if len(self.starts) else np.zeros(0, kind)

    def least(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.minimum.reduceat(values[self.order], self.starts) if len(self.starts) else values[:0]

    def sizes(self) -> NDArray[np.int64]:
        return np.diff(np.append(self.starts, len(self.order)))


def group(*keys: NDArray[Any]) -> Groups:
    """Groups rows by several keys of equal length; the first key is the most significant."""
    order = np.lexsort(keys[::-1])
    ordered = [key[order] for key in keys]
    first = np.ones(len(order), np.bool_)
    if len(order):
        first[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in ordered])
    starts = np.flatnonzero(first)
    return Groups(order, starts, tuple(key[starts] for key in ordered))


class Entities:
    """The entities of one record, in order of their names; rows refer to them by place."""

    def __init__(self, entities: Iterable[Entity], shards: int) -> None:
        self.entities = tuple(sorted(set(entities)))
        self.place = {entity: place for place, entity in enumerate(self.entities)}
        self.shard = np.array([identity.shard(e.environment, e.tenant, shards) for e in self.entities], np.int32)
        self._columns = {name: strings([getattr(e, name) for e in self.entities]) for name in Entity._fields}

    def columns(self, places: NDArray[Any]) -> dict[str, Column]:
        return {name: column.take(places) for name, column in self._columns.items()}


class Builder:
    """Gathers the tables of one record."""

    def __init__(self, source: Source, entities: Entities) -> None:
        self._source = source
        self._entities = entities
        self._tables: dict[str, Table] = {}
        self._shards: dict[str, NDArray[np.int32]] = {}

    def add(self, name: str, places: NDArray[Any], columns: Mapping[str, Column]) -> None:
        """Rows of one table: the entity's place of each row, and the columns beside position and entity."""
        if not len(places):
            return
        source = self._source
        position: dict[str, Column] = {
            "source": np.full(len(places), source.index, np.uint16),
            "offset": np.full(len(places), source.offset, np.int64),
            "hash": np.full(len(places), source.hash, np.uint64),
        }
        self._tables[name] = {**position, **self._entities.columns(places), **columns}
        self._shards[name] = self._entities.shard[places]

    def reduced(self, newest_ms: int) -> Reduced:
        return Reduced(self._tables, self._shards, newest_ms)


def strings(values: Sequence[str]) -> Strings:
    """A column of these values; each different one is kept once, in the order of their first use."""
    codes: dict[str, int] = {}
    rows = np.fromiter((codes.setdefault(value, len(codes)) for value in values), np.int32, len(values))
    return Strings(rows, tuple(codes))


def coded(codes: NDArray[Any], texts: Sequence[str]) -> Strings:
    """A column of `texts[code]` that keeps only the texts in use."""
    used, rows = np.unique(codes, return_inverse=True)
    return Strings(rows.astype(np.int32).reshape(-1), tuple(texts[code] for code in used.tolist()))


def ranked(strings: Sequence[str], codes: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int64]]:
    """The texts in use and OVERFLOW, sorted; and for each code the place of its text among them."""
    used, which = np.unique(codes, return_inverse=True)
    of_used = [strings[code] for code in used.tolist()]
    texts = sorted({*of_used, OVERFLOW})
    places = {text: place for place, text in enumerate(texts)}
    return texts, np.array([places[text] for text in of_used], np.int64)[which.reshape(-1)]


def most_frequent(place: NDArray[np.int64], name: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """(n,) True where the name is among the `most` of its place that come most often, then the lowest."""
    groups = group(place, name)
    sizes = groups.sizes()
    order = np.lexsort((groups.keys[1], -sizes, groups.keys[0]))
    kept = np.zeros(len(sizes), np.bool_)
    kept[order] = rank_within(groups.keys[0][order]) < most
    of_row = np.zeros(len(place), np.bool_)
    of_row[groups.order] = np.repeat(kept, sizes)
    return of_row


def rank_within(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) 0, 1, 2 ... within each run of equal values."""
    places = np.arange(len(ordered))
    first = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return places - np.maximum.accumulate(np.where(first, places, 0)) if len(ordered) else places


def split(parts: Sequence[Reduced]) -> dict[int, dict[str, Table]]:
    """Tables of several records by shard, rows in the order of the records; a shard gets its own strings alone."""
    by_shard: dict[int, dict[str, Table]] = {}
    for name in TABLES:
        having = [part for part in parts if name in part.tables]
        if not having:
            continue
        table = joined([part.tables[name] for part in having])
        shards = np.concatenate([part.shards[name] for part in having])
        order = np.argsort(shards, kind="stable")
        present, starts = np.unique(shards[order], return_index=True)
        for shard, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
            by_shard.setdefault(shard, {})[name] = {column: _taken(values, rows) for column, values in table.items()}
    return by_shard


def joined(tables: Sequence[Table]) -> Table:
    """One table of the rows of several, in their order."""
    return {column: _joined([table[column] for table in tables]) for column in tables[0]}


def bytes_max(reduced: Reduced) -> dict[int, int]:
    """By shard, what the rows of one record take in a journal record at most, also when they stand in it alone."""
    bounds: dict[int, int] = {}
    for name, table in reduced.tables.items():
        width = sum(4 if isinstance(c, Strings) else c.dtype.itemsize for c in table.values())
        texts = sum(
            len(text.encode()) + STRING_BYTES for c in table.values() if isinstance(c, Strings) for text in c.values
        )
        shards, counts = np.unique(reduced.shards[name], return_counts=True)
        for shard, count in zip(shards.tolist(), counts.tolist(), strict=True):
            bounds[shard] = bounds.get(shard, 0) + count * width + texts + TABLE_BYTES
    return bounds


def _taken(column: Column, rows: NDArray[Any]) -> Column:
    return coded(column.codes[rows], column.values) if isinstance(column, Strings) else column[rows]


def _joined(columns: Sequence[Column]) -> Column:
    if len(columns) == 1:
        return columns[0]
    if not isinstance(columns[0], Strings):
        return np.concatenate([c for c in columns if not isinstance(c, Strings)])
    codes: dict[str, int] = {}
    rows = []
    for column in columns:
        assert isinstance(column, Strings)
        places = np.array([codes.setdefault(text, len(codes)) for text in column.values], np.int32)
        rows.append(places[column.codes])
    return Strings(np.concatenate(rows), tuple(codes))
