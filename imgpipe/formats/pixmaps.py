"""Pixmaps: rows of samples at equal distances in a file, as simple formats store them.

Any box is read and written where it is, by any worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.base import Data
from imgpipe.formats.origin import Origin
from imgpipe.formats.raw import read_fully
from imgpipe.formats.spooled import SpooledTarget
from imgpipe.formats.target import Place, Target
from imgpipe.formats.truncated import CutSource
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["Bits", "Packing", "PixmapSink", "PixmapSource", "Rows", "Samples", "pixmap_source"]

_PIECE_BYTES = 1 << 20


class Packing(Protocol):
    """The way between the bytes of a row and its pixels. Picklable, without state."""

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel: a divisor or a multiple of 8."""

    def unpacked(self, raw: Pixels, skipped: int, columns: int) -> Pixels:
        """Return pixels, shape (rows, columns, channels), from bytes, shape (rows, bytes).

        The first byte begins with `skipped` pixels that are not wanted.
        """

    def packed(self, pixels: Pixels) -> Pixels:
        """Return bytes, shape (rows, bytes), from pixels, shape (rows, columns, channels)."""


@dataclass(frozen=True)
class Rows:
    """The places of the rows in a file.

    Attributes
    ----------
    offset : int
        Position of the first byte.
    count : int
        Number of rows.
    pitch : int
        Bytes from one row to the next.
    upward : bool
        Whether the last row of the image comes first.
    """

    offset: int
    count: int
    pitch: int
    upward: bool = False

    @property
    def end(self) -> int:
        """Position after the last byte."""
        return self.offset + self.count * self.pitch

    def stretch(self, y0: int, y1: int) -> int:
        """Return the position of the row that comes first of `y0` to `y1`."""
        return self.offset + (self.count - y1 if self.upward else y0) * self.pitch

    def turned(self, rows: Pixels) -> Pixels:
        """Return rows in the order of the image from that of the file, or the other way round."""
        return rows[::-1] if self.upward else rows


@dataclass(frozen=True)
class Samples:
    """Pixels of whole bytes.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of a stored sample, byte order included.
    order : tuple of int
        The stored sample that each channel is.
    stored : int
        Stored samples of a pixel.
    table : ndarray or None
        Value of each stored sample, where that is another one. Shape (values,), or (values,
        channels) for colours.
    """

    dtype: np.dtype[Any]
    order: tuple[int, ...]
    stored: int
    table: Pixels | None = None

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel."""
        return 8 * self.stored * self.dtype.itemsize

    def unpacked(self, raw: Pixels, skipped: int, columns: int) -> Pixels:
        """Return pixels from bytes."""
        samples = raw.view(self.dtype).reshape(len(raw), columns, self.stored)
        if self.order != tuple(range(self.stored)):
            samples = samples[..., self.order]
        if self.table is None:
            return samples.astype(self.dtype.newbyteorder("="), copy=False)
        if self.table.ndim == 2:
            return np.take(self.table, samples[..., 0], axis=0)
        return np.take(self.table, samples, mode="clip")

    def packed(self, pixels: Pixels) -> Pixels:
        """Return bytes from pixels."""
        samples = np.zeros((*pixels.shape[:2], self.stored), self.dtype)
        samples[..., self.order] = pixels
        return samples.reshape(len(pixels), -1).view(np.uint8)


@dataclass(frozen=True)
class Bits:
    """Pixels of less than a byte, the first in the highest bits.

    Attributes
    ----------
    bits : int
        Bits of a pixel.
    table : ndarray, shape (values, channels)
        The pixel for each value.
    """

    bits: int
    table: Pixels

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel."""
        return self.bits

    def unpacked(self, raw: Pixels, skipped: int, columns: int) -> Pixels:
        """Return pixels from bytes."""
        shifts = np.arange(8 - self.bits, -1, -self.bits, dtype=np.uint8)
        values = (raw[..., None] >> shifts) & ((1 << self.bits) - 1)
        wanted = values.reshape(len(raw), -1)[:, skipped : skipped + columns]
        return np.take(self.table, wanted, axis=0, mode="clip")

    def packed(self, pixels: Pixels) -> Pixels:
        """Fail: imgpipe writes whole bytes."""
        raise NotImplementedError


@dataclass(frozen=True)
class PixmapSource:
    """Any box of a pixmap."""

    access: ClassVar[Literal["random"]] = "random"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    stored: Rows
    packing: Packing
    origin: Origin

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def decode_bytes(self) -> int:
        """Memory of a reader beside the pixels: some rows as they are stored, and unpacked."""
        return 4 * max(_PIECE_BYTES, self.stored.pitch, self.info.row_bytes)

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        out = np.empty((*box.shape, self.info.channels), self.info.dtype)
        self._fill(box, out)
        return out

    def _fill(self, box: Box, out: Pixels) -> None:
        bits = self.packing.pixel_bits
        first, last = box.x0 * bits // 8, -(-box.x1 * bits // 8)
        skipped = box.x0 - first * 8 // bits
        step = max(1, _PIECE_BYTES // max(self.stored.pitch, self.info.row_bytes))
        with self.origin.open(0) as file:
            for y in range(box.y0, box.y1, step):
                end = min(y + step, box.y1)
                raw = np.empty((end - y, last - first), np.uint8)
                for position, part in _stretches(self.stored, y, first, raw):
                    read_fully(file, part, position, self.name)
                rows = self.packing.unpacked(raw, skipped, box.width)
                out[y - box.y0 : end - box.y0] = self.stored.turned(rows)


@dataclass(frozen=True)
class _Stream:
    """A pixmap that only this process can open, row by row."""

    access: ClassVar[Literal["sequential"]] = "sequential"
    grain: ClassVar[tuple[int, int]] = (1, 0)
    pixmap: PixmapSource

    @property
    def info(self) -> ImageInfo:
        """The image."""
        return self.pixmap.info

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.pixmap.name

    @property
    def decode_bytes(self) -> int:
        """Memory of a reader beside the pixels."""
        return self.pixmap.decode_bytes

    def rows(self, *, ahead: bool = False) -> _Position:
        """Return a new position at the first row."""
        return _Position(self.pixmap)


class _Position:
    """A position in a pixmap, moving down."""

    def __init__(self, pixmap: PixmapSource) -> None:
        self._pixmap, self._next = pixmap, 0

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows."""
        box = Box(self._next, 0, self._next + len(out), self._pixmap.info.width)
        self._pixmap._fill(box, out)
        self._next = box.y1

    def finish(self) -> None:
        """Do nothing: the bytes after the last row are not checked."""

    def close(self) -> None:
        """Nothing is held."""


def pixmap_source(
    info: ImageInfo,
    stored: Rows,
    packing: Packing,
    origin: Origin,
    size: int,
    *,
    salvage: bool = False,
) -> PixmapSource | CutSource | _Stream:
    """Return the source of a pixmap in a file of `size` bytes, without its last rows on `salvage`.

    Raises
    ------
    CorruptError
        If the file ends before the last pixel.
    """
    needed = -(-info.width * packing.pixel_bits // 8)
    anywhere = origin.reference
    if size < stored.end - stored.pitch + needed:
        if salvage and anywhere is not None:
            there = max(0, size - stored.offset + stored.pitch - needed) // stored.pitch
            kept = (stored.count - there, stored.count) if stored.upward else (0, there)
            return CutSource(PixmapSource(info, stored, packing, anywhere), (kept,))
        raise CorruptError(
            f"{origin.name}: the file is truncated: {size:,} bytes where {stored.end:,} are "
            "needed; get a fresh copy"
        )
    if anywhere is not None:
        return PixmapSource(info, stored, packing, anywhere)
    return _Stream(PixmapSource(info, stored, packing, origin))


@dataclass(frozen=True)
class _Placer:
    """Boxes written where they belong, by any worker."""

    stored: Rows
    packing: Packing
    where: Place

    def rows(self, box: Box) -> None:
        """Return nothing: pixels are written when they are all there."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` at `box`."""
        self.where.write(self._parts(box, pixels))

    def _parts(self, box: Box, pixels: Pixels) -> Iterator[tuple[int, Data]]:
        first = box.x0 * self.packing.pixel_bits // 8
        step = max(1, _PIECE_BYTES // self.stored.pitch)
        for y in range(box.y0, box.y1, step):
            rows = self.stored.turned(pixels[y - box.y0 : min(y + step, box.y1) - box.y0])
            for position, part in _stretches(self.stored, y, first, self.packing.packed(rows)):
                yield position, np.ascontiguousarray(part).data

    def seal(self) -> None:
        """Nothing remains to be done."""


class PixmapSink:
    """A pixmap that workers write into.

    Parameters
    ----------
    target : Target
        Gets the bytes.
    info : ImageInfo
        The image.
    stored, packing : Rows, Packing
        Places and form of the pixels.
    header, trailer : bytes
        Bytes before and after the rows.
    """

    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)
    seal_bytes: ClassVar[int] = 0

    def __init__(
        self,
        target: Target,
        info: ImageInfo,
        stored: Rows,
        packing: Packing,
        header: bytes,
        trailer: bytes = b"",
    ) -> None:
        size = stored.end + len(trailer)
        place = target.place(size)
        if place is None:
            target = SpooledTarget(target)
            place = target.place(size)
        self.info, self._target = info, target
        place.write([(0, header), (stored.end, trailer)])
        place.end(size)
        self.placer = _Placer(stored, packing, place)

    def commit(self) -> int:
        """Publish the file; return its size in bytes."""
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._target.abort()


def _stretches(stored: Rows, y: int, first: int, raw: Pixels) -> Iterator[tuple[int, Pixels]]:
    """Yield the parts of stored bytes that are together in the file, and where.

    `raw` are rows from `y` on, in the order of the file, from their byte `first` on.
    """
    position = stored.stretch(y, y + len(raw)) + first
    if raw.shape[1] == stored.pitch:
        yield position, raw
        return
    for row in raw:
        yield position, row
        position += stored.pitch
