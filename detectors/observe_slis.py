"""Good and total events of each (entity, SLO, second) in one record of spans."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import rows
from detectors.rows import Builder
from detectors.spans_seen import Seen
from schemas.otlp.columns import SpanKind
from schemas.slo import Slo, SpanSli

NAME = "name"  # in `match`: the span's name, not an attribute
NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sli:
    """One SLO's indicator; `index` is its place among all of the spec set."""

    index: int
    slo: str
    hash: int
    sli: SpanSli
    kinds: NDArray[np.bool_]
    """By SpanKind: does it count?"""


def compiled(index: int, slo: Slo) -> Sli:
    """Raises ValueError for a span kind that OTLP does not know."""
    kinds = np.zeros(len(SpanKind), np.bool_)
    for name in slo.sli.kinds:
        if name.upper() not in SpanKind.__members__:
            raise ValueError(
                f"SLO {slo.name}: span kind {name!r} is none of {', '.join(k.name.lower() for k in SpanKind)}"
            )
        kinds[SpanKind[name.upper()]] = True
    return Sli(index, slo.name, slo.sli.hash, slo.sli, kinds)


def observations(builder: Builder, seen: Seen, slis: Mapping[str, tuple[Sli, ...]]) -> None:
    """Rows sorted by entity, SLO name, hash of the SLI and second; `sampled` where a span stands for more than one."""
    services = rows.strings([entity.service for entity in seen.entities.entities])
    wanted = sorted((sli for service in services.values for sli in slis.get(service, ())), key=lambda sli: sli.index)
    service = services.codes[seen.place]
    found = [_matching(seen, sli, service == services.values.index(sli.sli.service)) for sli in wanted]
    spans = np.concatenate([np.zeros(0, np.int64), *found])
    if not len(spans):
        return
    which = np.repeat(np.arange(len(wanted)), [len(of) for of in found])
    good = np.concatenate([_good(seen, sli.sli, of) for sli, of in zip(wanted, found, strict=True)])
    groups = rows.group(seen.place[spans], which, seen.bucket_s[spans])
    places, of_group, bucket_s = groups.keys
    hashes = np.array([sli.hash for sli in wanted], np.uint64)
    builder.add(
        "observations",
        places,
        {
            "slo": rows.coded(of_group, [sli.slo for sli in wanted]),
            "sli": hashes[of_group],
            "bucket_s": bucket_s,
            "good": groups.sum(good, "u4"),
            "total": groups.sizes().astype(np.uint32),
            "sampled": groups.sum(seen.columns.sampled[spans], "u4") > 0,
        },
    )


def _matching(seen: Seen, sli: Sli, of_service: NDArray[np.bool_]) -> NDArray[np.int64]:
    match: NDArray[np.bool_] = seen.counted & of_service & sli.kinds[seen.columns.kind]
    for key, value in sli.sli.match.items():
        match &= _named(seen, value) if key == NAME else seen.lookup.equal(key, value)
    return np.flatnonzero(match)


def _named(seen: Seen, name: str) -> NDArray[np.bool_]:
    named: NDArray[np.bool_] = seen.columns.name == seen.lookup.codes.get(name, -1)
    return named


def _good(seen: Seen, sli: SpanSli, spans: NDArray[np.int64]) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = ~seen.incomplete[spans]
    if sli.error_free:
        good &= ~seen.error[spans]
    if sli.latency_ms_max is not None:
        good &= seen.duration_ns[spans] <= sli.latency_ms_max * NANOS_PER_MS
    return good
