"""TIFF files as sinks of pixels: workers write raw tiles where they belong, and encode others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from imgpipe.formats.base import Data, Facts, RandomSource, Sink
from imgpipe.formats.levels import Reducer
from imgpipe.formats.raw import RawLayout
from imgpipe.formats.scratch import Scratch
from imgpipe.formats.target import Place
from imgpipe.formats.tiff.blocks import Block, TiffFile
from imgpipe.formats.unnamedfiles import NamelessFile
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["Building", "EncodedTiff", "RawTiff", "SegmentPlacer"]

_JOINED_BYTES = 1 << 20  # of tiles that are written together: few calls, and they fit the cache


class Building:
    """An image under construction, and the levels of its pyramid.

    Attributes
    ----------
    scratches : list of Scratch
        The pixels of the levels, uncompressed.

    Parameters
    ----------
    file : TiffFile
        The file.
    block : Block
        The directories of the image.
    publish : callable
        Called at the end; it returns a size in bytes.
    last_first : bool
        Whether the data of the last level goes first, so that it has to wait in temporary files.
    """

    def __init__(
        self, file: TiffFile, block: Block, publish: Callable[[], int], *, last_first: bool = False
    ) -> None:
        self.file, self.block = file, block
        self._publish = publish
        self._counts = [0] * len(block.levels)
        self._waiting = [NamelessFile() for _ in block.levels] if last_first else []
        self.scratches = list[Scratch]()
        try:
            for level in block.levels[1:]:
                self.scratches.append(Scratch(level.info))
        except BaseException:
            self._free()
            raise
        self._sizes = [0] * len(block.levels)
        self._begun = False

    def append(self, level: int, data: Data) -> None:
        """Append the next tile or strip of a level."""
        size, index = memoryview(data).nbytes, self._counts[level]
        if self._waiting:
            position = self._sizes[level]
            self._waiting[level].append(data, self.file.target.name)
        else:
            self._begin()
            position = self.file.target.size
            self.file.target.write(data)
        self.block.offsets[level][index] = position
        self.block.sizes[level][index] = size
        self._sizes[level] += size
        self._counts[level] += 1

    def finish(self) -> int:
        """Complete the file; return its size."""
        expected = [level.count for level in self.block.levels]
        if self._counts != expected:
            self.abort()
            raise RuntimeError(f"{self._counts} of {expected} tiles or strips have arrived")
        target = self.file.target
        for level in reversed(range(len(self._waiting))):
            self._begin()
            if not self.block.levels[0].raw:
                self.block.offsets[level] += np.uint64(target.size)
            for piece in self._waiting[level].pieces():
                target.write(piece)
        self.file.grown(target.size)
        if not self.block.levels[0].raw:
            target.amend(self.block.position, self.block.encoded()[0])
        return self._end()

    def placed(self, end: int) -> int:
        """Complete a file that workers have filled up to `end`; return its size."""
        self.file.grown(end)
        return self._end()

    def aside(self, level: int) -> Reducer | None:
        """Return the writer of the level after `level`."""
        if level == len(self.scratches):
            return None
        return Reducer(self.block.levels[level].info, self.scratches[level].placer)

    @property
    def waiting_bytes(self) -> int:
        """The most bytes that wait in temporary files, beside the pixels of the levels."""
        return sum(each.bound for each in self.block.levels) if self._waiting else 0

    def further(
        self, sink_of: Callable[[int], Sink], level: int
    ) -> tuple[tuple[RandomSource, Sink], ...]:
        """Return the passes that make the levels; those of the sink of a level are none."""
        scratches = [] if level else self.scratches
        return tuple((one.source, sink_of(at)) for at, one in enumerate(scratches, 1))

    def abort(self) -> None:
        """Leave nothing behind."""
        self._free()
        self.file.target.abort()

    def _begin(self) -> None:
        """Write the directories, as far as they are known."""
        if self._begun:
            return
        self._begun, target, block = True, self.file.target, self.block
        self.file.move_to_end(block)
        if block.levels[0].raw:
            block.place_raw()
        region = bytearray(block.end - target.size)
        for position, data in self.file.begun(block):
            if position < target.size:
                target.amend(position, data)
            else:
                at = position - target.size
                region[at : at + len(data)] = data
        target.write(bytes(region))

    def _end(self) -> int:
        size = self._publish()
        self._free()
        return size

    def _free(self) -> None:
        for each in self._waiting:
            each.close()
        for scratch in self.scratches:
            scratch.abort()


class EncodedTiff:
    """An image, or a level of its pyramid, whose tiles or strips arrive in order."""

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, building: Building, level: int = 0) -> None:
        storage = building.block.levels[level]
        self.info, self.unit, self.encoder = storage.info, storage.unit, storage.encoder
        self.aside = building.aside(level)
        self.further = building.further(partial(EncodedTiff, building), level)
        self.scratch_bytes = 0 if level else building.waiting_bytes
        self._building, self._level = building, level

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next tile or strip."""
        self._building.append(self._level, data)

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""
        return self._building.finish()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._building.abort()


class RawTiff:
    """An image, or a level of its pyramid, that workers write where it belongs."""

    kind: ClassVar[Literal["placed"]] = "placed"
    seal_bytes: ClassVar[int] = 0

    def __init__(self, building: Building, place: Place, end: int, level: int = 0) -> None:
        block = building.block
        storage = block.levels[level]
        self.info, self.unit = storage.info, storage.unit
        dtype = storage.info.dtype.newbyteorder("<")
        layout = RawLayout(int(block.offsets[level][0]), storage.info.shape, dtype)
        self.placer = SegmentPlacer(place, layout, storage.tile, building.aside(level))
        self.further = building.further(partial(RawTiff, building, place, end), level)
        self._building, self._end = building, end

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""
        return self._building.placed(self._end)

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._building.abort()


@dataclass(frozen=True)
class SegmentPlacer:
    """Writer of raw tiles or strips.

    Attributes
    ----------
    file : Place
        The file.
    layout : RawLayout
        The place of the first tile or strip, and the image. Strips are rows after rows.
    tile : (int, int)
        Rows and columns of a tile; (0, 0) for strips.
    aside : Reducer or None
        Makes the next level of the pyramid.
    """

    outside_python: ClassVar[bool] = True
    file: Place
    layout: RawLayout
    tile: tuple[int, int]
    aside: Reducer | None = None

    def rows(self, box: Box) -> None:
        """Return nothing: pixels are written when they are all there."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` at `box`, and make the next level of them."""
        parts = self._parts(box, pixels) if self.tile[0] else self.layout.parts(box, pixels)
        self.file.write(parts)
        if self.aside is not None:
            self.aside.place(box, pixels)

    def seal(self) -> None:
        """Nothing is left to do: the directories are there from the start."""

    def _parts(self, box: Box, pixels: Pixels) -> Iterator[tuple[int, Data]]:
        """Yield the tiles of a box, or its rows of tiles that are not all in it."""
        (height, width, _), (rows, columns) = self.layout.shape, self.tile
        for y in range(box.y0 // rows * rows, box.y1, rows):
            y0, y1 = max(y, box.y0), min(y + rows, box.y1)
            for x in range(box.x0 // columns * columns, box.x1, self._joined * columns):
                x0, x1 = max(x, box.x0), min(x + self._joined * columns, box.x1)
                part = pixels[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0]
                whole = x0 == x and (x1 % columns == 0 or x1 == width)
                if whole and y0 == y and (y1 == y + rows or y1 == height):
                    yield from self._tiles(y // rows, x // columns, part)
                else:
                    yield from self._lines(Box(y0, x0, y1, x1), part)

    @property
    def _joined(self) -> int:
        """Number of tiles that are written together."""
        rows, columns = self.tile
        return max(1, _JOINED_BYTES // (rows * columns * self.layout.pixel_bytes))

    def _tiles(self, row: int, column: int, pixels: Pixels) -> Iterator[tuple[int, Data]]:
        """Yield tiles side by side, from one in a row and a column of tiles on, padded with zeros.

        The pixels of a large tile are some rows at a time, so that they stay in the cache.
        """
        (rows, columns), (_, width, channels) = self.tile, self.layout.shape
        index = row * -(-width // columns) + column
        row_bytes, count = columns * self.layout.pixel_bytes, -(-pixels.shape[1] // columns)
        step = rows if count > 1 else min(rows, max(1, _JOINED_BYTES // row_bytes))
        full, rest = divmod(pixels.shape[1], columns)
        for y in range(0, rows, step):
            lines = min(step, rows - y)
            part = pixels[y : y + lines]
            height = len(part)
            made = np.empty((count, lines, columns, channels), self.layout.dtype)
            if height < lines or rest:
                made[...] = 0
            inside = part[:, : full * columns].reshape(height, full, columns, channels)
            made[:full, :height] = inside.swapaxes(0, 1)
            if rest:
                made[full, :height, :rest] = part[:, full * columns :]
            yield self.layout.offset + (index * rows + y) * row_bytes, made.data

    def _lines(self, box: Box, pixels: Pixels) -> Iterator[tuple[int, Data]]:
        """Yield the rows of the tiles in a box that holds a part of them."""
        (rows, columns), width = self.tile, self.layout.shape[1]
        across, pixel_bytes = -(-width // columns), self.layout.pixel_bytes
        for part in box.snap(rows, columns).cut(rows, columns):
            held = part.intersect(box)
            index = part.y0 // rows * across + part.x0 // columns
            start = ((index * rows + held.y0 - part.y0) * columns + held.x0 - part.x0) * pixel_bytes
            lines = pixels[held.within(box)].astype(self.layout.dtype, copy=False)
            for y, line in enumerate(lines):
                place = self.layout.offset + start + y * columns * pixel_bytes
                yield place, np.ascontiguousarray(line).data
