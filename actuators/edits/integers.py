"""A whole number written in the style of the one that stands in a file: base, leading zeros, groups, sign."""

import re
from collections.abc import Mapping

_GROUPED = re.compile(r"[1-9][0-9]{0,2}(_[0-9]{3})+")


def written(value: int, old: str, bases: Mapping[str, str]) -> str:
    """`bases` maps the prefixes of the format to their kind: x, o, b."""
    prefix = next((prefix for prefix in bases if old.startswith(prefix)), "")
    if prefix and value >= 0:
        kind, digits = bases[prefix], old[len(prefix) :]
        if "_" in digits:
            return f"{prefix}{value:{kind}}"
        letter = "X" if kind == "x" and digits.upper() == digits and digits.lower() != digits else kind
        return f"{prefix}{value:0{len(digits)}{letter}}"
    if _GROUPED.fullmatch(old.lstrip("+-")):
        return f"{value:_}"
    return f"+{value}" if old.startswith("+") and value >= 0 else str(value)
