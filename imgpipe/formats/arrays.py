"""Arrays in memory as sources and sinks, for the same pipeline as files."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from imgpipe.formats.base import Data, Facts, Placer
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = [
    "ArrayRows",
    "ArraySink",
    "Nowhere",
    "PlacedArraySink",
    "RandomArray",
    "RawEncoder",
    "SequentialArray",
]


_UNIT_BYTES = 256 << 10


@dataclass(frozen=True, eq=False)
class RandomArray:
    """An array that workers can see: threads, or this very thread."""

    access: ClassVar[Literal["random"]] = "random"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    decode_bytes: ClassVar[int] = 0
    info: ImageInfo
    pixels: Pixels
    name: str = "array"

    def read(self, box: Box) -> Pixels:
        """Return `box`: a view, unless the array is in another byte order."""
        return self.pixels[box.slices].astype(self.info.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class SequentialArray:
    """An array that other processes cannot see: its rows are copied to them."""

    access: ClassVar[Literal["sequential"]] = "sequential"
    grain: ClassVar[tuple[int, int]] = (1, 0)
    decode_bytes: ClassVar[int] = 0
    info: ImageInfo
    pixels: Pixels
    name: str = "array"

    def rows(self, *, ahead: bool = False) -> ArrayRows:
        """Return a new position at the first row."""
        return ArrayRows(self.pixels)


class ArrayRows:
    """A position in an array."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels, self._next = pixels, 0

    def read_into(self, out: Pixels) -> None:
        """Fill `out` with the next rows."""
        np.copyto(out, self._pixels[self._next : self._next + len(out)])
        self._next += len(out)

    def finish(self) -> None:
        """Nothing follows the last row of an array."""

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class RawEncoder:
    """Rows as they are."""

    row_bytes: int
    context_rows: int = 0
    work_bytes: int = 0

    @property
    def unit(self) -> tuple[int, int]:
        """Rows that are worth a call, whole."""
        return max(1, _UNIT_BYTES // self.row_bytes), 0

    def bound(self, rows: int) -> int:
        """Return the bytes of `rows` rows."""
        return rows * self.row_bytes

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        """Return the rows as they are."""
        return np.ascontiguousarray(unit).data.cast("B"), ()


class ArraySink:
    """An array of the caller's that other processes cannot see: the parent copies rows into it."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, info: ImageInfo, out: Pixels) -> None:
        self.info = info
        self.encoder = RawEncoder(info.row_bytes)
        self.unit = self.encoder.unit
        self._rows, self._next = out.reshape(info.shape), 0

    def append(self, data: Data, facts: Facts) -> None:
        """Copy the next rows."""
        rows = np.frombuffer(data, self.info.dtype).reshape(-1, *self.info.shape[1:])
        self._rows[self._next : self._next + len(rows)] = rows
        self._next += len(rows)

    def commit(self) -> int:
        """Return the size of the array in bytes."""
        return self.info.nbytes

    def abort(self) -> None:
        """Leave the array as it is: it is the caller's."""


class PlacedArraySink:
    """An array of the caller's that the workers can see, and write into."""

    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)
    seal_bytes: ClassVar[int] = 0

    def __init__(self, info: ImageInfo, out: Pixels) -> None:
        self.info = info
        self.placer = _ArrayPlacer(out.reshape(info.shape))

    def commit(self) -> int:
        """Return the size of the array in bytes."""
        return self.info.nbytes

    def abort(self) -> None:
        """Leave the array as it is: it is the caller's."""


@dataclass(frozen=True, eq=False)
class _ArrayPlacer:
    out: Pixels

    def rows(self, box: Box) -> Pixels:
        return self.out[box.slices]

    def place(self, box: Box, pixels: Pixels) -> None:
        """Nothing is left to do: the array is the place."""

    def seal(self) -> None:
        """Nothing remains to be done."""


@dataclass(frozen=True, eq=False)
class Nowhere:
    """The end of an image that is only measured: nothing is ever placed there."""

    info: ImageInfo
    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)
    seal_bytes: ClassVar[int] = 0
    outside_python: ClassVar[bool] = False  # measurements are made by Python

    @property
    def placer(self) -> Placer:
        """Fail: no pass makes pixels."""
        raise NotImplementedError("an image that is only measured goes nowhere")

    def commit(self) -> int:
        """Return 0."""
        return 0

    def abort(self) -> None:
        """Leave nothing, as ever."""
