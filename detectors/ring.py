"""Rings of buckets: the last slots of time for many rows at once.

A ring holds an array (slots, fields, rows); bucket b of width w covers [b*w, (b+1)*w) seconds and stands in slot b
modulo slots.
All rows share one head, the newest bucket that exists, which the clock moves: so an idle row moves too and costs
nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Fill(StrEnum):
    """What a new bucket holds before anything is counted in it."""

    HOLD = "hold"
    """The value of the bucket before it: cumulative counts."""
    ZERO = "zero"
    NAN = "nan"
    """No sample: gauges."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a ring keeps for each row."""

    width_s: int
    slots: int
    fields: int
    dtype: str
    fill: Fill

    @property
    def row_bytes(self) -> int:
        return self.slots * self.fields * np.dtype(self.dtype).itemsize


class Ring:
    """One array (slots, fields, capacity) and its head bucket."""

    __slots__ = ("head", "shape", "values")

    def __init__(self, shape: Shape, capacity: int, head_s: int) -> None:
        self.shape = shape
        self.head = head_s // shape.width_s
        self.values: NDArray[Any] = _blank(shape, capacity)

    def grow(self, capacity: int) -> None:
        """Room for more rows; what is there stays."""
        wider = _blank(self.shape, capacity)
        wider[:, :, : self.values.shape[2]] = self.values
        self.values = wider

    def advance(self, head_s: int) -> None:
        """Moves the head to the bucket of `head_s`; a head in the past is left alone."""
        head = head_s // self.shape.width_s
        if head > self.head:
            roll(self.values, self.shape, self.head, head)
            self.head = head

    @property
    def oldest(self) -> int:
        """The oldest bucket that still exists."""
        return self.head - self.shape.slots + 1

    def add(
        self,
        bucket: NDArray[np.int64] | int,
        field: NDArray[np.int64] | int,
        rows: NDArray[np.int64],
        amount: NDArray[Any],
    ) -> None:
        """Adds k amounts to buckets, fields and rows; the same place may come twice. The buckets must exist."""
        places: Any = (bucket % self.shape.slots, field, rows)
        np.add.at(self.values, places, amount.astype(self.values.dtype))

    def holds(self, bucket: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(k,) which of these buckets still exist, or exist already."""
        return (bucket >= self.oldest) & (bucket <= self.head)

    def slots(self, first: int, last: int) -> NDArray[np.int64]:
        """(k,) slots of the buckets first..last, both included, oldest first."""
        return np.arange(first, last + 1, dtype=np.int64) % self.shape.slots


def roll(values: NDArray[Any], shape: Shape, old: int, new: int) -> None:
    """Fills the slots of the buckets old+1..new as `shape.fill` says, for whatever rows `values` (slots, fields,
    rows) holds."""
    fresh = np.arange(max(old + 1, new - shape.slots + 1), new + 1, dtype=np.int64) % shape.slots
    match shape.fill:
        case Fill.HOLD:
            values[fresh] = values[old % shape.slots]
        case Fill.ZERO:
            values[fresh] = 0
        case Fill.NAN:
            values[fresh] = np.nan


def _blank(shape: Shape, capacity: int) -> NDArray[Any]:
    start = np.nan if shape.fill is Fill.NAN else 0
    return np.full((shape.slots, shape.fields, capacity), start, np.dtype(shape.dtype))
