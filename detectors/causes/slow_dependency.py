"""Slow external dependency: calls to one peer take longer than before, while calls to others do not.

Do not believe it where all calls are slower: then the trouble is here, or on the way. Nor act on it where the spans
show no more than a host: one egress host may stand before many interfaces of many owners, and only a span that says
more than the method, or log lines that rose with the errors and name another host, tell which of them is meant.
Example: calls by way of an egress proxy take 2 s instead of 80 ms, and lines that name one partner's host rise.
Signature: durations of CLIENT spans without db.* attributes by server.address or peer.service; log templates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from detectors import calls
from detectors.calls import Call
from detectors.causes.finding import Finding, Suspicion, ramp
from detectors.causes.hosts import Named, risen_host
from detectors.causes.pool_exhausted import PRIOR, USE_FLAT, USE_UP
from detectors.causes.slow_database import slower
from detectors.evidence.case import CallCase, Case, ratio
from schemas.runbook import Cause

OUTWARD = (Call.CLIENT, Call.DATABASE)
OTHERS_UP = 3.0  # others may wait a little longer behind the same threads, but not three times as long
CALLS_PER_ERROR_SOME, CALLS_PER_ERROR_MOST = 0.1, 0.6  # calls that are fewer than the errors cannot explain them


@dataclass(frozen=True, slots=True)
class Edge:
    """One call to one peer: how much slower it is, how much slower calls to others are, and who lines say is meant."""

    call: CallCase
    host: str
    up: float
    others_up: float
    told: Named | None


def score(case: Case) -> Suspicion | None:
    """The peer whose calls became slowest; None where no span names a peer that is called often enough."""
    suspicions = [_score(edge, case) for edge in _edges(case)]
    return max(suspicions, key=lambda suspicion: (suspicion.log_odds, suspicion.suspect), default=None)


def _edges(case: Case) -> Iterator[Edge]:
    timed = [
        (call, calls.peer(call.name) if call.kind is Call.CLIENT else "", up)
        for call in case.calls
        if call.kind in OUTWARD and isfinite(up := slower(call))
    ]
    places = {host: place for place, host in enumerate(sorted({host for _, host, _ in timed}))}
    of, ups = np.array([places[host] for _, host, _ in timed]), np.array([up for *_, up in timed])
    for host in sorted(places):
        if not host:
            continue
        others = ups[of != places[host]]
        others_up = float(np.median(others)) if len(others) else nan
        told = risen_host(case.logs, host)
        yield from (Edge(call, host, up, others_up, told) for call, peer, up in timed if peer == host)


def _score(edge: Edge, case: Case) -> Suspicion:
    call, told, up = edge.call, edge.told, edge.up
    explained = ratio(call.now_per_s, case.errors_per_s)
    named = calls.names_the_peer(call.name) or told is not None
    weight = ramp(up, USE_FLAT, USE_UP)
    # A name is worth as much as the slowness itself: without one the odds end at one to one, below any answer.
    findings = (
        Finding("peer_call_duration_ratio", up, 1.0, 3.0 * weight),
        Finding("other_calls_duration_ratio", edge.others_up, 1.0, -3.0 * ramp(edge.others_up, USE_UP, OTHERS_UP)),
        Finding(
            "calls_per_error_ratio",
            explained,
            nan,
            -2.0 * weight * (1.0 - ramp(explained, CALLS_PER_ERROR_SOME, CALLS_PER_ERROR_MOST)),
        ),
        Finding("peer_named", float(named), 0.0, 3.0 * weight * named),
        Finding("log_lines_per_s", told.now_per_s if told else nan, told.before_per_s if told else nan, 0.0),
    )
    suspect = f"{told.host} by way of {edge.host}" if told else call.name
    return Suspicion(Cause.SLOW_DEPENDENCY, suspect, PRIOR + sum(f.weight for f in findings), findings)
