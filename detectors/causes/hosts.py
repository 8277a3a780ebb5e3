"""Which host do the log lines name that rose with the errors?

A host in a masked template is a dotted name of lower-case labels that ends in no suffix of a file. Names of classes
and files are none, and two hosts that rose alike name nobody.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.evidence.logs import Risen

DEVIATION_MIN = 4.0  # robust deviations above the minute before: past what a calm minute shows once in an hour
RISE_MIN = 2.0  # lines of a healthy peer rise with its traffic, and a surge alone would name them all
HOST = re.compile(r"(?<![\w.@/-])(?:[a-z]+://)?((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24})(?![\w(-]|\.\w)")
LEADING_TYPE = re.compile(r"^[\w.$]+: ")  # an exception's type may be dotted and in lower case
DOMINANCE_MIN = 4.0  # a second host that rose a quarter as much makes it two suspects
FILES = frozenset(  # some are countries as well: then nobody is named, which is the safe side
    "py pyc rs go js ts jsx tsx mjs java kt scala rb php cs cpp cc hpp so dll jar sh sql html css json yaml yml toml "
    "xml ini cfg conf log txt md csv lock pid sock tmp bak properties".split()
)


@dataclass(frozen=True, slots=True)
class Named:
    """A host that rose; lines per second of all templates that name it."""

    host: str
    now_per_s: float
    before_per_s: float


def named_in(template: str) -> frozenset[str]:
    """The hosts in a masked log line."""
    return frozenset(
        host for host in HOST.findall(LEADING_TYPE.sub("", template)) if host.rpartition(".")[2] not in FILES
    )


def risen_host(logs: Sequence[Risen], known: str) -> Named | None:
    """The one host beside `known` whose lines rose far more than those of any other; None where no host stands out."""
    now: dict[str, float] = {}
    before: dict[str, float] = {}
    rose: dict[str, float] = {}
    for line in logs:
        for host in named_in(line.template) - {known}:
            now[host] = now.get(host, 0.0) + line.now_per_s
            before[host] = before.get(host, 0.0) + line.before_per_s
            if line.deviation >= DEVIATION_MIN and line.now_per_s >= RISE_MIN * line.before_per_s:
                rose[host] = rose.get(host, 0.0) + line.now_per_s - line.before_per_s
    ranked = sorted(rose.items(), key=lambda one: (-one[1], one[0]))
    if not ranked or (len(ranked) > 1 and ranked[0][1] < DOMINANCE_MIN * ranked[1][1]):
        return None
    host = ranked[0][0]
    return Named(host, now[host], before[host])
