"""What work on the way of a request a span is, and whom it goes to: the kind and the name that operations carry.

A call to a database is told from other calls by its `db.*` attributes, never by its name. The name of any other call
carries the peer as the span gives it, because HTTP client spans share a name, the method, whatever they call.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.spans_seen import Seen
from schemas.otlp.columns import SpanKind

TO = " -> "
DATABASE_ATTRIBUTES = ("db.system.name", "db.system")  # the second is the older name
PEER_ATTRIBUTES = ("peer.service", "server.address", "net.peer.name")  # the first that is given
METHODS = frozenset(
    {"http", "get", "head", "post", "put", "patch", "delete", "options", "trace", "connect", "query", "_other"}
)


class Call(IntEnum):
    """Kind of an operation: SpanKind's number, or DATABASE for a CLIENT span that calls one."""

    INTERNAL = 1
    CLIENT = 3
    PRODUCER = 4
    DATABASE = 16


def named(seen: Seen, spans: NDArray[np.int64]) -> tuple[NDArray[np.uint8], tuple[str, ...], NDArray[Any]]:
    """(k,) Call of the spans `spans`, a table of texts, and (k,) the place of each one's name in it."""
    kind, name = seen.columns.kind[spans].astype(np.uint8), seen.columns.name[spans]
    database = np.zeros(len(seen.columns), np.bool_)
    for key in DATABASE_ATTRIBUTES:
        database |= seen.lookup.present(key)
    kind[(kind == SpanKind.CLIENT) & database[spans]] = Call.DATABASE
    peer = np.zeros(len(spans), np.int32)
    for key in PEER_ATTRIBUTES:
        peer = np.where(peer != 0, peer, seen.lookup.texts(key)[spans])
    peer[kind == Call.DATABASE] = 0
    strings = seen.columns.strings
    pairs, which = np.unique(name.astype(np.int64) * len(strings) + peer, return_inverse=True)
    texts = [
        strings[pair // len(strings)] + (TO + strings[pair % len(strings)] if pair % len(strings) else "")
        for pair in pairs.tolist()
    ]
    return kind, tuple(texts), which.reshape(-1)


def peer(name: str) -> str:
    """The peer in an operation's name, "" where the span named none."""
    return name.rpartition(TO)[2] if TO in name else ""


def names_the_peer(name: str) -> bool:
    """Does the span say more of what it calls than an HTTP method and a host that may stand before many?"""
    operation, _, host = name.rpartition(TO) if TO in name else (name, "", "")
    return any(word.lower() not in METHODS and not _is_host(word, host) for word in operation.split())


def _is_host(word: str, host: str) -> bool:
    return bool(host) and word.partition(":")[0] == host
