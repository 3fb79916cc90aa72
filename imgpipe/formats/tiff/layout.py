"""Layout: all that is needed to decode the segments of one image, small enough for every task.

A segment is a tile or a strip. Their offsets may be millions of numbers, so a layout only knows
where these are in the file; each process reads them once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import Any, BinaryIO, Literal

import numpy as np

from imgpipe.formats.lastfile import Identity
from imgpipe.formats.raw import read_fully
from imgpipe.formats.tiff import ycbcr
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = [
    "Given",
    "InFile",
    "Layout",
    "McuStarts",
    "Numbers",
    "Segment",
    "Tables",
]

_MOST = 1 << 62  # more than any file has; so that sums do not overflow


@dataclass(frozen=True)
class Given:
    """A few numbers."""

    values: tuple[int, ...]

    def read(self, file: BinaryIO, name: str) -> Pixels:
        """Return them."""
        return np.array([max(min(value, _MOST), -_MOST) for value in self.values], np.int64)


@dataclass(frozen=True)
class InFile:
    """Numbers at a place of the file."""

    position: int
    count: int
    kind: str

    def read(self, file: BinaryIO, name: str) -> Pixels:
        """Return them.

        Raises
        ------
        CorruptError
            If the file has ended before them.
        """
        found = np.empty(self.count, self.kind)
        read_fully(file, found, self.position, name)
        return np.minimum(found.astype(np.uint64), _MOST).astype(np.int64)


@dataclass(frozen=True)
class McuStarts:
    """Offsets or sizes of the pieces of one JPEG stream, which restart markers part.

    Attributes
    ----------
    base, size : int
        Offset and size of the stream.
    low, high : InFile
        The low and high 32 bits of the beginnings of the pieces.
    sizes : bool
        Whether the sizes are wanted.
    """

    base: int
    size: int
    low: InFile
    high: InFile | None
    sizes: bool

    def read(self, file: BinaryIO, name: str) -> Pixels:
        """Return the offsets, or the sizes."""
        starts = self.low.read(file, name)
        if self.high is not None:
            starts = starts + (self.high.read(file, name) << 32)
        return np.diff(starts, append=self.size) if self.sizes else starts + self.base


Numbers = Given | InFile | McuStarts


@dataclass(frozen=True)
class Segment:
    """A tile or a strip.

    Attributes
    ----------
    index : int
        Its place in the tables of the file.
    plane : int
        The channel that it holds, of channels that are stored apart.
    box : Box
        Its pixels in the image, clipped at the edges.
    """

    index: int
    plane: int
    box: Box


@dataclass(frozen=True)
class Layout:
    """The storage of the samples of an image.

    Attributes
    ----------
    height, width, samples : int
        Size of the image, and samples of a pixel.
    apart : bool
        Whether the samples of a pixel are stored apart, in planes.
    rows, columns : int
        Size of a segment.
    tiled : bool
        Whether all segments have the full size; the last strip ends with the image.
    bits : int
        Bits of a sample.
    dtype : numpy.dtype
        Type that holds a sample, in the byte order of this machine.
    order : {"<", ">"}
        Byte order of the file.
    compression, predictor : int
        As TIFF numbers them.
    reversed : bool
        Whether the first pixel is in the lowest bit of a byte.
    colours : {"", "rgb"}
        Colours of JPEG data; "" leaves it to its markers.
    tables, header : bytes
        Tables, or the beginning, that all JPEG segments have in common.
    options : int
        Options of CCITT group 3.
    sampling : (int, int)
        Pixels across and down that share a Cb and a Cr, where these are stored as they are.
    offsets, counts : Numbers
        Beginnings and sizes of the segments.
    """

    height: int
    width: int
    samples: int
    apart: bool
    rows: int
    columns: int
    tiled: bool
    bits: int
    dtype: np.dtype[Any]
    order: Literal["<", ">"]
    compression: int
    predictor: int
    reversed: bool
    offsets: Numbers
    counts: Numbers
    colours: str = ""
    tables: bytes = b""
    header: bytes = b""
    options: int = 0
    sampling: tuple[int, int] = (1, 1)

    @property
    def depth(self) -> int:
        """Samples of a pixel in a segment."""
        return 1 if self.apart else self.samples

    @property
    def planes(self) -> int:
        """Planes that are stored apart."""
        return self.samples if self.apart else 1

    @cached_property
    def across(self) -> int:
        """Segments from left to right."""
        return -(-self.width // self.columns)

    @cached_property
    def down(self) -> int:
        """Segments from top to bottom."""
        return -(-self.height // self.rows)

    @property
    def segments(self) -> int:
        """Number of segments."""
        return self.across * self.down * self.planes

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a segment, before compression."""
        return -(-self.columns * self.depth * self.bits // 8)

    def size_of(self, rows: int) -> int:
        """Return the bytes of so many rows of a segment, before compression."""
        if self.sampling == (1, 1):
            return rows * self.row_bytes
        return ycbcr.size_of(rows, self.columns, self.sampling)

    @property
    def segment_bytes(self) -> int:
        """Bytes of a segment in memory."""
        return self.rows * self.columns * self.depth * self.dtype.itemsize

    @property
    def is_raw(self) -> bool:
        """Return whether samples can be read one by one: not compressed, and of whole bytes."""
        whole = self.bits == 8 * self.dtype.itemsize and not self.reversed
        plain = self.predictor == 1 and self.sampling == (1, 1)
        return self.compression == 1 and plain and whole

    def at(self, row: int, column: int, plane: int) -> Segment:
        """Return the segment in a row and a column of segments."""
        index = (plane * self.down + row) * self.across + column
        y, x = row * self.rows, column * self.columns
        box = Box(y, x, min(y + self.rows, self.height), min(x + self.columns, self.width))
        return Segment(index, plane, box)

    def around(self, box: Box) -> list[Segment]:
        """Return the segments that hold pixels of `box`."""
        return [
            self.at(row, column, plane)
            for plane in range(self.planes)
            for row in range(box.y0 // self.rows, -(-box.y1 // self.rows))
            for column in range(box.x0 // self.columns, -(-box.x1 // self.columns))
        ]


class Tables:
    """Tables of files, which this process has read."""

    _KEPT = 6  # those of two images or so

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[Any, ...], Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, file: BinaryIO, identity: Identity | None, numbers: Numbers, name: str) -> Pixels:
        """Return the numbers of an open file, whose `identity_of` is given."""
        if identity is None or isinstance(numbers, Given):
            return numbers.read(file, name)
        key = (identity, numbers)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = numbers.read(file, name)
        with self._lock:
            self._held[key] = found
            while len(self._held) > self._KEPT:
                self._held.popitem(last=False)
        return found
