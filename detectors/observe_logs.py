"""Log records by masked template and severity: evidence out of one record of logs.

No body and no exception's text leaves this file but as a template.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors import observe_skeletons, rows, templates
from detectors.attributes import Lookup
from detectors.rows import Builder
from schemas.otlp.columns import Logs, Severity

TEMPLATES_MAX = 64  # templates and severities of an entity in one record; a service that logs data would flood all
EXCEPTION_TYPE, EXCEPTION_MESSAGE = "exception.type", "exception.message"
NUMBERS_PER_CLASS = 4  # OTLP: 1 to 4 are TRACE to TRACE4, and so on
CLASS_NAMES = {"CRITICAL": Severity.FATAL, "EMERGENCY": Severity.FATAL, "NOTICE": Severity.INFO, **Severity.__members__}
NAME_CHARS_MAX = 12  # of a severity's text; nothing longer names one
NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Said:
    """What the records say, masked: `texts` is sorted, `rank` (n,) the place of each record's template there."""

    texts: list[str]
    rank: NDArray[np.int64]


def logs(builder: Builder, columns: Logs, place: NDArray[np.int64], attributed: NDArray[np.bool_]) -> None:
    """Rows by entity, severity class, template and second: how many, and the first trace of those that name one.

    An entity keeps its TEMPLATES_MAX most frequent pairs of template and severity; the templates of the others are
    OVERFLOW. An exception that one span logs again on its way up counts once.
    """
    lookup = Lookup(columns.strings, columns.attributes, len(columns))
    exception = lookup.texts(EXCEPTION_TYPE)
    taken = np.flatnonzero(attributed & ~_repeated(columns, exception))
    if not len(taken):
        return
    said = _said(columns, exception, lookup.texts(EXCEPTION_MESSAGE), taken)
    severity = severity_classes(columns)[taken].astype(np.int64)
    where = place[taken]
    pair = said.rank * len(Severity) + severity
    kept = rows.most_frequent(where, pair, TEMPLATES_MAX)
    template = np.where(kept, said.rank, said.texts.index(rows.OVERFLOW))
    groups = rows.group(where, severity, template, columns.time_ns[taken] // NANOS)
    builder.add(
        "logs",
        groups.keys[0],
        {
            "severity": groups.keys[1].astype(np.uint8),
            "template": rows.coded(groups.keys[2], said.texts),
            "bucket_s": groups.keys[3],
            "count": groups.sizes().astype(np.uint32),
            "trace_id": rows.strings(_first_traces(columns, taken, groups)),
        },
    )


def severity_classes(columns: Logs) -> NDArray[np.uint8]:
    """(n,) Severity: of the number, and where there is none of the text that the source wrote."""
    classes = (columns.severity.astype(np.int64) + NUMBERS_PER_CLASS - 1) // NUMBERS_PER_CLASS
    unnumbered = classes == 0
    for code in np.unique(columns.severity_text[unnumbered]).tolist():
        classes[unnumbered & (columns.severity_text == code)] = _class_named(columns.strings[code])
    return classes.astype(np.uint8)


def _class_named(text: str) -> Severity:
    """`warning`, `ERR`, `Info`: told apart by their first three letters, as all of them are."""
    name = text.strip().upper()
    if len(name) > NAME_CHARS_MAX:
        return Severity.UNSPECIFIED
    return next((of for known, of in CLASS_NAMES.items() if len(name) >= 3 and known[:3] == name[:3]), Severity(0))


def _repeated(columns: Logs, exception: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(n,) True for an exception that the same span has logged before in this record, by its type."""
    repeated = np.zeros(len(columns), np.bool_)
    here = np.flatnonzero((exception > 0) & (columns.span_id > 0))
    if len(here):
        high, low = observe_skeletons.halves(columns.trace_id[here])
        groups = rows.group(high, low, columns.span_id[here], exception[here])
        repeated[here] = True
        repeated[here[groups.order[groups.starts]]] = False
    return repeated


def _said(columns: Logs, exception: NDArray[np.int32], message: NDArray[np.int32], taken: NDArray[np.int64]) -> _Said:
    """Masks each different text once."""
    body, event = columns.body[taken], columns.event_name[taken]
    kinds, which = np.unique(
        np.stack([exception[taken], np.where(exception[taken] > 0, message[taken], 0), body, event]),
        axis=1,
        return_inverse=True,
    )
    strings, masked = columns.strings, {0: ""}
    of_kind = []
    for type_code, message_code, body_code, event_code in kinds.T.tolist():
        for code in (type_code, message_code, body_code, event_code):
            if code not in masked:
                masked[code] = templates.mask(strings[code])
        text = masked[message_code or body_code] or masked[event_code] or templates.NO_TEXT
        of_kind.append(f"{masked[type_code]}: {text}"[: templates.TEMPLATE_CHARS_MAX] if type_code else text)
    texts = sorted({*of_kind, rows.OVERFLOW})
    places = {text: place for place, text in enumerate(texts)}
    return _Said(texts, np.array([places[text] for text in of_kind], np.int64)[which.reshape(-1)])


def _first_traces(columns: Logs, taken: NDArray[np.int64], groups: rows.Groups) -> list[str]:
    """By group the trace id of its first record that has one, else ""."""
    named = columns.trace_id[taken].any(axis=1)
    first = groups.least(np.where(named, np.arange(len(taken)), len(taken)))
    ids = columns.trace_id[taken[np.minimum(first, len(taken) - 1)]]
    return [one.tobytes().hex() if place < len(taken) else "" for place, one in zip(first.tolist(), ids, strict=True)]
