"""Named rows, their rings and their columns; cut into segments for snapshots.

A segment is a group of whole rows with the second of its head, so only rows that were counted into are written again:
what the clock alone has moved is moved once more when a segment is read back.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from detectors import ring
from detectors.ring import Ring, Shape

SEGMENT_BYTES_MAX = (
    400_000  # a broker takes 1 MB by default; half a megabyte is the house limit, the rest is room for names
)
ROWS_AT_FIRST = 16
GROUP = 3  # environment, tenant and service begin every name; `groups` finds all rows of one entity

Key = tuple[str, ...]


class Series:
    """A table of rows named by tuples of strings.

    shapes: the rings by name. columns: scalars for each row by name, as (dtype, value of a new row).
    """

    __slots__ = (
        "_dirty",
        "_shapes",
        "columns",
        "defaults",
        "groups",
        "head_s",
        "index",
        "keys",
        "rings",
        "segment_rows",
    )

    def __init__(self, shapes: Mapping[str, Shape], columns: Mapping[str, tuple[str, float]], head_s: int = 0) -> None:
        self._shapes = dict(shapes)
        self.defaults = dict(columns)
        self.keys: list[Key] = []
        self.index: dict[Key, int] = {}
        self.groups: dict[Key, list[int]] = {}
        self.head_s = head_s
        self.rings = {name: Ring(shape, ROWS_AT_FIRST, head_s) for name, shape in shapes.items()}
        self.columns: dict[str, NDArray[Any]] = {
            name: np.full(ROWS_AT_FIRST, start, np.dtype(dtype)) for name, (dtype, start) in columns.items()
        }
        row_bytes = sum(shape.row_bytes for shape in shapes.values()) + 8 * len(self.columns)
        self.segment_rows = max(1, SEGMENT_BYTES_MAX // row_bytes)
        self._dirty: set[int] = set()

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, keys: Iterable[Key]) -> NDArray[np.int64]:
        """(k,) rows of these names; a name that is new gets a row."""
        return np.array([self.index[key] if key in self.index else self._add(key) for key in keys], np.int64)

    def advance(self, head_s: int) -> None:
        """Moves every ring to `head_s` (seconds)."""
        if head_s > self.head_s:
            for one in self.rings.values():
                one.advance(head_s)
            self.head_s = head_s

    def touch(self, rows: NDArray[np.int64]) -> None:
        """These rows differ from their segment on disk."""
        self._dirty.update((np.unique(rows) // self.segment_rows).tolist())

    def dirty_segments(self) -> list[tuple[int, bytes]]:
        """The segments that differ, and from now on do not."""
        numbers = sorted(self._dirty)
        self._dirty.clear()
        return [(number, self._dump(number)) for number in numbers]

    def load(self, number: int, data: bytes) -> None:
        """Reads a segment back. Segments are read in the order of their numbers, before anything is counted."""
        (size,) = struct.unpack_from("<I", data)
        header = orjson.loads(data[4 : 4 + size])
        assert number * self.segment_rows == len(self.keys), f"segment {number} follows row {len(self.keys)}"
        rows = self.rows(tuple(key) for key in header["keys"])
        place = 4 + size
        for name, shape in self._shapes.items():
            count = shape.slots * shape.fields * len(rows)
            values = (
                np.frombuffer(data, np.dtype(shape.dtype), count, place)
                .reshape(shape.slots, shape.fields, len(rows))
                .copy()
            )
            place += values.nbytes
            target = self.rings[name]
            saved = header["head_s"] // shape.width_s
            if target.head > saved:
                ring.roll(values, shape, saved, target.head)
            target.values[:, :, rows] = values
        for column in self.columns.values():
            values = np.frombuffer(data, column.dtype, len(rows), place)
            place += values.nbytes
            column[rows] = values
        self._dirty.clear()

    def _dump(self, number: int) -> bytes:
        rows = slice(number * self.segment_rows, min((number + 1) * self.segment_rows, len(self.keys)))
        header = orjson.dumps({"head_s": self.head_s, "keys": self.keys[rows]})
        parts = [struct.pack("<I", len(header)), header]
        parts += [self.rings[name].values[:, :, rows].tobytes() for name in self._shapes]
        parts += [column[rows].tobytes() for column in self.columns.values()]
        return b"".join(parts)

    def _add(self, key: Key) -> int:
        row = len(self.keys)
        capacity = next(iter(self.columns.values())).shape[0]
        if row == capacity:
            for one in self.rings.values():
                one.grow(2 * capacity)
            for name, (dtype, start) in self.defaults.items():
                wider = np.full(2 * capacity, start, np.dtype(dtype))
                wider[:capacity] = self.columns[name]
                self.columns[name] = wider
        self.keys.append(key)
        self.index[key] = row
        self.groups.setdefault(key[:GROUP], []).append(row)
        self._dirty.add(row // self.segment_rows)
        return row
