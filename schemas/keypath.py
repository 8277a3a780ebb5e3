"""The dotted path to one value of a configuration file, written the same way for every format: `a."b.c".d`.

It is TOML's own rule for keys: bare words of letters, digits, `_` and `-`; anything else stands in quotes.
"""

import re
import tomllib
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')


def read(key: str) -> tuple[str, ...]:
    """The segments of a dotted path, e.g. `database.replica.pool_size`; empty for what is none."""
    if _BARE.fullmatch(key):
        return (key,)
    if "\n" in key or "\r" in key:
        return ()
    try:
        tree: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return ()
    path: list[str] = []
    while isinstance(tree, dict):
        if len(tree) != 1:
            return ()
        segment, tree = next(iter(tree.items()))
        path.append(segment)
    unquoted = _QUOTED.sub("", key)
    return () if "=" in unquoted or "#" in unquoted else tuple(path)  # `a = 1 #` would be read as a path too
