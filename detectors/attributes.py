"""Attributes of a record's spans or points, looked up for all of them at once."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.otlp.columns import Attributes, ValueKind

EXACT_INTEGER_MAX = 2**53  # the columns hold numbers as float64; beyond this two integers may look alike
ABSENT = -1

T = TypeVar("T", bound=np.generic)


class Lookup:
    """The attributes of `rows` spans (or points) of one record, by key."""

    def __init__(self, strings: tuple[str, ...], attributes: Attributes, rows: int) -> None:
        self.codes: Mapping[str, int] = dict(zip(strings, range(len(strings)), strict=True))
        self._strings = strings
        self._attributes = attributes
        self._rows = rows

    def places(self, key: str) -> NDArray[np.int64]:
        """(rows,) place of the attribute in the table (the last of a repeated key), ABSENT where the row has none."""
        places = np.full(self._rows, ABSENT, np.int64)
        code = self.codes.get(key)
        if code is not None:
            found = np.flatnonzero((self._attributes.key == code) & (self._attributes.kind != ValueKind.NONE))
            places[self._attributes.owner[found]] = found
        return places

    def present(self, key: str) -> NDArray[np.bool_]:
        carried: NDArray[np.bool_] = self.places(key) != ABSENT
        return carried

    def numbers(self, key: str) -> NDArray[np.float64]:
        """(rows,) numeric value, NaN where absent or not a number."""
        return self._at(self.places(key), self._attributes.number, np.nan)

    def texts(self, key: str) -> NDArray[np.int32]:
        """(rows,) code of the string value, 0 where absent or not a string."""
        return self._at(self.places(key), self._attributes.text, 0)

    def integers(self, key: str) -> NDArray[np.float64]:
        """(rows,) the number, or what a text writes in decimal as captured headers do; NaN for anything else."""
        numbers = self.numbers(key)
        codes = np.where(np.isnan(numbers), self.texts(key), 0)
        for code in np.unique(codes[codes != 0]).tolist():
            if (number := _decimal(self._strings[code])) is not None:
                numbers[codes == code] = number
        return numbers

    def equal(self, key: str, value: str) -> NDArray[np.bool_]:
        """(rows,) True where the attribute is this string, or this integer written in decimal."""
        places = self.places(key)
        kind = self._at(places, self._attributes.kind, ValueKind.NONE)
        equal = np.zeros(self._rows, np.bool_)
        if (code := self.codes.get(value)) is not None:
            equal |= (kind == ValueKind.STRING) & (self._at(places, self._attributes.text, 0) == code)
        if (number := _decimal(value)) is not None:
            equal |= (kind == ValueKind.INT) & (self._at(places, self._attributes.number, np.nan) == number)
        return equal

    def _at(self, places: NDArray[np.int64], values: NDArray[T], absent: object) -> NDArray[T]:
        taken = np.full(self._rows, absent, values.dtype)
        carried = places != ABSENT
        taken[carried] = values[places[carried]]
        return taken


def _decimal(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and abs(number) < EXACT_INTEGER_MAX else None
