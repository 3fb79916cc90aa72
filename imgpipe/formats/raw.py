"""Raw pixels, row after row, as in ``.npy`` and scratch files.

They are read and written with positioned reads and writes: a mapped file would count towards the
memory of every process that touches it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.arrays import RawEncoder
from imgpipe.formats.base import Data, Facts
from imgpipe.formats.origin import Origin
from imgpipe.formats.target import Place, Target
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = [
    "RawLayout",
    "RawPlacer",
    "RawRows",
    "RawSink",
    "RawSource",
    "RawStream",
    "RawStreamSink",
    "raw_sink",
    "raw_source",
    "read_fully",
]


def raw_source(info: ImageInfo, layout: RawLayout, origin: Origin) -> RawSource | RawStream:
    """Return the source of raw pixels: any box, or rows where only this process can read them."""
    anywhere = origin.reference
    return (
        RawStream(info, layout, origin) if anywhere is None else RawSource(info, layout, anywhere)
    )


def raw_sink(target: Target, info: ImageInfo, header: bytes) -> RawSink | RawStreamSink:
    """Return a sink of raw pixels after a header: any box, or rows where no worker can write."""
    place = target.place(len(header) + info.nbytes)
    if place is None:
        return RawStreamSink(target, info, header)
    return RawSink(target, info, header, place)


@dataclass(frozen=True)
class RawLayout:
    """Rows of raw pixels, one after the other, from `offset` on."""

    offset: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.shape[2] * self.dtype.itemsize

    def position(self, y: int, x: int) -> int:
        """Return the position of the pixel at row `y`, column `x`, in bytes."""
        return self.offset + (y * self.shape[1] + x) * self.pixel_bytes

    def read(self, file: BinaryIO, box: Box, name: str) -> Pixels:
        """Return the pixels of `box` from an open origin called `name`."""
        out = np.empty((*box.shape, self.shape[2]), self.dtype)
        for position, part in self._stretches(box, out):
            read_fully(file, part, position, name)
        return out

    def parts(self, box: Box, pixels: Pixels) -> Iterator[tuple[int, Data]]:
        """Yield the bytes of `box` that go together, and where they go."""
        for position, part in self._stretches(box, np.ascontiguousarray(pixels, self.dtype)):
            yield position, part.data

    def _stretches(self, box: Box, pixels: Pixels) -> Iterator[tuple[int, Pixels]]:
        """Yield the parts of the pixels of `box` that are kept together, and where."""
        if box.width == self.shape[1]:
            yield self.position(box.y0, 0), pixels
            return
        position, step = self.position(box.y0, box.x0), self.shape[1] * self.pixel_bytes
        for row in pixels:
            yield position, row
            position += step


@dataclass(frozen=True)
class RawSource:
    """Any box of a raw layout, read where it is needed."""

    access: ClassVar[Literal["random"]] = "random"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    decode_bytes: ClassVar[int] = 0
    info: ImageInfo
    layout: RawLayout
    origin: Origin

    @property
    def name(self) -> str:
        """The origin, for messages."""
        return self.origin.name

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        with self.origin.open(0) as file:
            return self.layout.read(file, box, self.name).astype(self.info.dtype, copy=False)


@dataclass(frozen=True)
class RawStream:
    """Rows of a raw layout from top to bottom, where only this process can read them."""

    access: ClassVar[Literal["sequential"]] = "sequential"
    grain: ClassVar[tuple[int, int]] = (1, 0)
    decode_bytes: ClassVar[int] = 0
    info: ImageInfo
    layout: RawLayout
    origin: Origin

    @property
    def name(self) -> str:
        """The origin, for messages."""
        return self.origin.name

    def rows(self, *, ahead: bool = False) -> RawRows:
        """Return a new position at the first row."""
        return RawRows(self)


class RawRows:
    """A position in a raw layout, moving down."""

    def __init__(self, source: RawStream) -> None:
        self._layout, self._name, self._next = source.layout, source.name, 0
        self._file = source.origin.open(0)

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows."""
        layout, direct = self._layout, out.dtype == self._layout.dtype and out.flags.c_contiguous
        pixels = out if direct else np.empty(out.shape, layout.dtype)
        read_fully(self._file, pixels, layout.position(self._next, 0), self._name)
        self._next += len(out)
        if not direct:
            out[...] = pixels

    def finish(self) -> None:
        """Do nothing: the bytes after the last row are not checked."""

    def close(self) -> None:
        """Let go of the origin."""
        self._file.close()


@dataclass(frozen=True)
class RawPlacer:
    """Boxes written where they belong, by any worker."""

    layout: RawLayout
    where: Place

    def rows(self, box: Box) -> None:
        """Return nothing: pixels are written when they are all there."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` at `box`."""
        self.where.write(self.layout.parts(box, pixels))

    def seal(self) -> None:
        """Nothing remains to be done: the pixels are all there is."""


class RawSink:
    """Raw pixels that workers write into, row by row or box by box."""

    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)
    seal_bytes: ClassVar[int] = 0

    def __init__(self, target: Target, info: ImageInfo, header: bytes, place: Place) -> None:
        self.info, self._target = info, target
        place.write([(0, header)])
        self.placer = RawPlacer(RawLayout(len(header), info.shape, info.dtype), place)

    def commit(self) -> int:
        """Publish the written bytes; return their number."""
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._target.abort()


class RawStreamSink:
    """Raw pixels that are written from top to bottom."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, target: Target, info: ImageInfo, header: bytes) -> None:
        self.info, self.encoder = info, RawEncoder(info.row_bytes)
        self.unit = self.encoder.unit
        self._target, self._header = target, header

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next rows."""
        if self._header:  # not before there is something to follow: a pipe waits for its reader
            self._target.write(self._header)
            self._header = b""
        self._target.write(data)

    def commit(self) -> int:
        """Publish the written bytes; return their number."""
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._target.abort()


def read_fully(file: BinaryIO, out: Pixels, position: int, name: str) -> None:
    """Fill `out` with the bytes from `position` on of an open origin called `name`.

    Raises
    ------
    CorruptError
        If they are not there, or the disk does not give them.
    """
    view = out.data.cast("B")
    while view:
        try:
            got = _read_at(file, view, position)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CorruptError(
                f"{name}: cannot be read at byte {position:,}: {reason}; check the disk"
            ) from error
        if not got:
            raise CorruptError(f"{name}: ended before its last row; get a fresh copy")
        view, position = view[got:], position + got


def _read_at(file: BinaryIO, view: memoryview, position: int) -> int:
    if isinstance(file, io.FileIO) and hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [view], position)
    file.seek(position)
    return file.readinto(view) or 0  # type: ignore[attr-defined]
