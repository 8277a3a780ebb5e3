"""Spans of some recent traces, and what only their join says: time between a caller and its peer, where a request
failed first, how often one operation was tried.

A ring of columns: the newest SPANS_MAX spans of a shard, whichever tenant they are of. Joins run when an incident
asks, over the few thousand spans of one tenant and window.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import observe_skeletons
from schemas.identity import Entity
from schemas.otlp.columns import SpanKind

SPANS_MAX = 16_384  # 1 MB with its dump, which is in every snapshot: a minute at 270 spans a second in one shard
NAMES_MAX = 4_096  # in a table of names; beyond, those that no span of the ring has any more are forgotten
COLUMNS: Mapping[str, str] = {
    "high": "<u8",
    "low": "<u8",
    "span": "<u8",
    "parent": "<u8",
    "start_us": "<i8",
    "end_us": "<i8",
    "entity": "<i4",
    "name": "<i4",
    "kind": "<u1",
    "error": "<u1",
}
_MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number: multiplying by it loses nothing (Knuth, multiplicative hashing)


@dataclass(frozen=True, slots=True)
class Edge:
    """CLIENT calls of one name to one peer; `peer` is "" where no span of the answering side is known: an external
    service, or one without telemetry. Microseconds are means; NaN where there is no peer."""

    name: str
    peer: str
    calls: int
    errors: int
    client_us: float
    server_us: float
    gap_us: float
    """Client minus server: network, queues before the server, waiting for a connection."""


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """A span with an error and without a failed child, by service and name: there the error was born."""

    service: str
    kind: SpanKind
    name: str
    traces: int
    """In which it was the first of all such spans to end."""
    alone: int
    """In which no other service had such a span."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """SERVER spans of one name for each trace: more than one is the same operation tried again."""

    name: str
    traces: int
    spans: int
    most: int
    """In one trace."""


class Traces:
    """The ring. All methods are functions of what was added, in its order."""

    def __init__(self) -> None:
        self._columns = {name: np.zeros(SPANS_MAX, np.dtype(kind)) for name, kind in COLUMNS.items()}
        self._added = 0
        self._entities: dict[Entity, int] = {}
        self._names: dict[str, int] = {}

    def __len__(self) -> int:
        return min(self._added, SPANS_MAX)

    def add(
        self,
        entities: Sequence[Entity],
        entity: NDArray[np.int64],
        names: tuple[str, ...],
        columns: Mapping[str, NDArray[Any]],
    ) -> None:
        """Takes k spans: `entity` (k,) places in `entities`; `name` in `columns` (k,) places in `names`; trace ids as
        `high` and `low`, the other columns as in COLUMNS. Of more than SPANS_MAX the last are kept."""
        count = min(len(entity), SPANS_MAX)
        if not count:
            return
        self._forget()
        entity_codes = np.array([self._entities.setdefault(one, len(self._entities)) for one in entities], np.int32)
        used, which = np.unique(columns["name"][-count:], return_inverse=True)
        name_codes = np.array([self._names.setdefault(names[code], len(self._names)) for code in used], np.int32)
        coded = {"entity": entity_codes[entity[-count:]], "name": name_codes[which.reshape(-1)]}
        slots = (self._added + np.arange(count)) % SPANS_MAX
        for name, column in self._columns.items():
            column[slots] = coded[name] if name in coded else columns[name][-count:]
        self._added += count
        if self._added >= 2 * SPANS_MAX:
            self._added -= SPANS_MAX

    def edges(self, entity: Entity, first_s: int, last_s: int) -> tuple[Edge, ...]:
        """Calls of `entity` that ended in the seconds first_s..last_s, by name and peer, most calls first.

        Chosen traces only: of the others the peer's side may be missing because it did not fail.
        """
        spans = self._of_tenant(entity, first_s, last_s)
        spans = spans[self._chosen(spans)]
        one = self._entities.get(entity, -1)
        callers = spans[(self._at("kind", spans) == SpanKind.CLIENT) & (self._at("entity", spans) == one)]
        everybody = self._of_tenant(entity, first_s - 1, last_s + 1)
        servers = everybody[np.isin(self._at("kind", everybody), (SpanKind.SERVER, SpanKind.CONSUMER))]
        peers = self._found(callers, "span", servers, "parent")
        known = peers >= 0
        peer = np.where(known, self._at("entity", peers), -1)
        took = self._duration_us(callers)
        served = np.where(known, self._duration_us(peers), 0)
        error = self._at("error", callers)
        found = []
        for name, place in sorted(set(zip(self._at("name", callers).tolist(), peer.tolist(), strict=True))):
            here = (self._at("name", callers) == name) & (peer == place)
            server_us = float(served[here].mean()) if place >= 0 else float("nan")
            client_us = float(took[here].mean())
            service = self._services()[place] if place >= 0 else ""
            gap_us = client_us - server_us
            calls, errors = int(here.sum()), int(error[here].sum())
            found.append(Edge(self._texts()[name], service, calls, errors, client_us, server_us, gap_us))
        return tuple(sorted(found, key=lambda edge: (-edge.calls, edge.name, edge.peer)))

    def first_failures(self, environment: str, tenant: str, first_s: int, last_s: int) -> tuple[FirstFailure, ...]:
        """Where the errors of a tenant's traces began, most traces first. Spans with errors are known of all traces,
        up to ingest's bound, so this is not only about the chosen ones."""
        spans = self._of_tenant(Entity(environment, tenant, ""), first_s, last_s)
        failed = spans[self._at("error", spans) > 0]
        parents = self._found(failed, "parent", failed, "span")
        born = np.ones(len(failed), np.bool_)
        born[np.searchsorted(failed, parents[parents >= 0])] = False
        leaves = failed[born]
        order = np.lexsort((leaves, self._at("end_us", leaves), self._at("low", leaves), self._at("high", leaves)))
        leaves = leaves[order]
        traces: dict[tuple[int, int], list[int]] = {}
        for high, low, leaf in zip(
            self._at("high", leaves).tolist(), self._at("low", leaves).tolist(), leaves.tolist(), strict=True
        ):
            traces.setdefault((high, low), []).append(leaf)
        counts: dict[tuple[str, int, str], list[int]] = {}
        services, texts = self._services(), self._texts()
        for of_trace in traces.values():
            first = of_trace[0]
            entity, kind, name = (int(self._columns[column][first]) for column in ("entity", "kind", "name"))
            count = counts.setdefault((services[entity], kind, texts[name]), [0, 0])
            count[0] += 1
            count[1] += len({int(self._columns["entity"][leaf]) for leaf in of_trace}) == 1
        found = [FirstFailure(key[0], SpanKind(key[1]), key[2], *count) for key, count in counts.items()]
        return tuple(sorted(found, key=lambda one: (-one.traces, one.service, one.kind, one.name)))

    def attempts_per_trace(self, entity: Entity, first_s: int, last_s: int) -> tuple[Attempts, ...]:
        """Requests of `entity` by name, and in how many traces they were; of chosen traces, most traces first."""
        spans = self._of_tenant(entity, first_s, last_s)
        one = self._entities.get(entity, -1)
        spans = spans[self._chosen(spans) & (self._at("entity", spans) == one)]
        spans = spans[self._at("kind", spans) == SpanKind.SERVER]
        keys = np.stack([self._at(name, spans).astype(np.uint64) for name in ("name", "high", "low")])
        distinct, counts = np.unique(keys, axis=1, return_counts=True)
        texts = self._texts()
        found = []
        for name in np.unique(distinct[0]).tolist():
            here = counts[distinct[0] == name]
            found.append(Attempts(texts[int(name)], len(here), int(here.sum()), int(here.max())))
        return tuple(sorted(found, key=lambda each: (-each.traces, each.name)))

    def dump(self) -> dict[str, Any]:
        """Values that JSON can hold; `load` makes the same ring of them."""
        used = len(self)
        columns = {name: base64.b64encode(values[:used].tobytes()).decode() for name, values in self._columns.items()}
        entities = [list(entity) for entity in self._entities]
        return {"added": self._added, "columns": columns, "entities": entities, "names": list(self._names)}

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> "Traces":
        made = cls()
        made._added = raw["added"]
        for name, column in made._columns.items():
            column[: len(made)] = np.frombuffer(base64.b64decode(raw["columns"][name]), column.dtype)
        made._entities = {Entity(*entity): code for code, entity in enumerate(raw["entities"])}
        made._names = {name: code for code, name in enumerate(raw["names"])}
        return made

    def _of_tenant(self, entity: Entity, first_s: int, last_s: int) -> NDArray[np.int64]:
        """Rows of all services of the entity's tenant that ended in the seconds first_s..last_s, each span once."""
        codes = [code for key, code in self._entities.items() if key[:2] == (entity.environment, entity.tenant)]
        used = slice(0, len(self))
        second = self._columns["end_us"][used] // 1_000_000
        known = np.isin(self._columns["entity"][used], codes)
        rows = np.flatnonzero(known & (second >= first_s) & (second <= last_s))
        # What an exporter sent twice is one span. A client and its server may share an id: the kind tells them apart.
        keys = np.stack([self._at(name, rows).astype(np.uint64) for name in ("high", "low", "span", "kind")])
        _, once = np.unique(keys, axis=1, return_index=True)
        return rows[np.sort(once)]

    def _chosen(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        return observe_skeletons.is_chosen(observe_skeletons.trace_hash(self._at("high", rows), self._at("low", rows)))

    def _found(self, rows: NDArray[np.int64], key: str, among: NDArray[np.int64], other: str) -> NDArray[np.int64]:
        """(n,) for each of `rows` the row of `among` in the same trace whose `other` id is its `key`, -1 for none."""
        if not len(among) or not len(rows):
            return np.full(len(rows), -1, np.int64)
        have = self._key(among, other)
        order = np.argsort(have, kind="stable")
        place = np.minimum(np.searchsorted(have[order], self._key(rows, key)), len(among) - 1)
        found = among[order[place]]
        same = (self._at(key, rows) == self._at(other, found)) & (self._at(key, rows) != 0)
        for half in ("high", "low"):
            same &= self._at(half, rows) == self._at(half, found)
        return np.where(same, found, -1)

    def _key(self, rows: NDArray[np.int64], name: str) -> NDArray[np.uint64]:
        mixed: NDArray[np.uint64] = (self._at("low", rows) ^ self._at(name, rows)) * _MIX ^ self._at("high", rows)
        return mixed

    def _at(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self._columns[name][rows]

    def _duration_us(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        took: NDArray[np.int64] = np.maximum(self._at("end_us", rows) - self._at("start_us", rows), 0)
        return took

    def _services(self) -> list[str]:
        return [entity.service for entity in self._entities]

    def _texts(self) -> list[str]:
        return list(self._names)

    def _forget(self) -> None:
        if len(self._names) > NAMES_MAX:
            names, texts = self._in_use("name"), list(self._names)
            self._names = {texts[code]: place for place, code in enumerate(names)}
        if len(self._entities) > NAMES_MAX:
            entities, keys = self._in_use("entity"), list(self._entities)
            self._entities = {keys[code]: place for place, code in enumerate(entities)}

    def _in_use(self, name: str) -> list[int]:
        """The codes that the ring still holds, which it holds from now on by their places in this list."""
        column = self._columns[name][: len(self)]
        kept, codes = np.unique(column, return_inverse=True)
        column[:] = codes.reshape(-1)
        return [int(code) for code in kept]
