"""Segments of an open file: found, read, decoded and put together."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.jpegs.markers import UnsupportedError
from imgpipe.formats.lastfile import identity_of
from imgpipe.formats.raw import read_fully
from imgpipe.formats.tiff.decoding import DecodeError, decoded
from imgpipe.formats.tiff.describing import Description
from imgpipe.formats.tiff.layout import Segment, Tables
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["SURPLUS_BYTES", "Segments"]

SURPLUS_BYTES = 1 << 20
"""Tables and metadata in the data of a segment, at most."""

_PIECE_BYTES = 256 << 10
_EXPANDED_PIXELS = 1 << 15
_GAP_BYTES = 8 << 10  # read and thrown away sooner than the file is asked again

_tables = Tables()


class Segments:
    """The segments of an image in an open file.

    Parameters
    ----------
    description : Description
        The image.
    file : binary file
        The file.
    name : str
        The file, for messages.
    keeps : bool
        Whether decoded segments are kept until one of a lower row is asked for.
    """

    def __init__(
        self, description: Description, file: BinaryIO, name: str, *, keeps: bool = False
    ) -> None:
        self._description, self._file, self._name = description, file, name
        self._layout = description.layout
        self.suspect: Box | None = None
        self._keeps, self._kept, self._row = keeps, dict[int, Pixels](), -1
        identity = identity_of(file)
        layout, palette = self._layout, description.expansion.palette
        self._raw = layout.dtype.newbyteorder(layout.order)
        self._most = 4 * layout.segment_bytes + SURPLUS_BYTES
        self._offsets = _tables.of(file, identity, layout.offsets, name)
        self._counts = _tables.of(file, identity, layout.counts, name)
        self._stored = min(len(self._offsets), len(self._counts))
        self._palette = _tables.of(file, identity, palette, name) if palette is not None else None

    def fill(self, box: Box, out: Pixels) -> None:
        """Fill `out`, shape (rows, columns, channels), with the pixels of `box`.

        Raises
        ------
        CorruptError
            If they are not there or are damaged.
        """
        layout, expansion = self._layout, self._description.expansion
        if layout.is_raw and not layout.apart and not expansion.is_needed:
            self._fill_raw(box, out)
            return
        for segment in layout.around(box):
            if segment.plane:
                continue
            part = segment.box.intersect(box)
            target = out[part.within(box)]
            if layout.apart:
                samples = np.empty((*part.shape, layout.planes), layout.dtype)
                for plane in range(layout.planes):
                    index = segment.index + plane * layout.across * layout.down
                    one = Segment(index, plane, segment.box)
                    self._put(one, part, samples[..., plane : plane + 1])
                self._expand(samples, target)
            elif expansion.is_needed:
                samples = np.empty((*part.shape, layout.depth), layout.dtype)
                self._put(segment, part, samples)
                self._expand(samples, target)
            else:
                self._put(segment, part, target)

    def _fill_raw(self, box: Box, out: Pixels) -> None:
        """Fill `out` with samples that are stored as they are.

        Thousands of tiles are read in a second, so there is no object for each of them.
        """
        layout = self._layout
        for row in range(box.y0 // layout.rows, -(-box.y1 // layout.rows)):
            top = row * layout.rows
            y0, y1 = max(top, box.y0), min(top + layout.rows, box.y1)
            lines = out[y0 - box.y0 : y1 - box.y0]
            for column in range(box.x0 // layout.columns, -(-box.x1 // layout.columns)):
                left = column * layout.columns
                x0, x1 = max(left, box.x0), min(left + layout.columns, box.x1)
                target = lines[:, x0 - box.x0 : x1 - box.x0]
                index = row * layout.across + column
                if index >= self._stored:
                    raise self.damaged(layout.at(row, column, 0), "its place is not declared")
                offset = int(self._offsets[index])
                if offset and self._counts[index]:
                    self._put_raw(offset, y0 - top, x0 - left, target)
                else:
                    target[...] = self.blank()

    def _expand(self, samples: Pixels, out: Pixels) -> None:
        """Fill `out` with the pixels of samples, a few rows at a time."""
        expansion = self._description.expansion
        step = max(1, _EXPANDED_PIXELS // samples.shape[1])
        for first in range(0, len(out), step):
            rows = samples[first : first + step]
            out[first : first + step] = expansion.expanded(rows, self._palette)

    def finish(self) -> None:
        """Do nothing: the bytes after a segment cannot be checked."""

    def close(self) -> None:
        """Let go of everything but the file."""

    def _put(self, segment: Segment, part: Box, out: Pixels) -> None:
        """Fill `out` with the samples of a part of a segment."""
        offset, count = self._place(segment)
        if not offset or not count:
            out[...] = self.blank()
        elif self._layout.is_raw:
            y, x = part.within(segment.box)
            self._put_raw(offset, y.start, x.start, out)
        else:
            out[...] = self._decoded(segment, offset, count)[part.within(segment.box)]

    def _place(self, segment: Segment) -> tuple[int, int]:
        """Return the position and the bytes of a segment.

        Raises
        ------
        CorruptError
            If it cannot be there, as in damaged files of which other segments are read.
        """
        index = segment.index
        if index >= self._stored:
            raise self.damaged(segment, "its place is not declared")
        offset, count = int(self._offsets[index]), int(self._counts[index])
        if self._layout.is_raw:
            return offset, count
        if min(offset, count) < 0 or count > self._most:
            raise self.damaged(segment, "its place is not possible")
        return offset, count

    def blank(self) -> Any:
        """Return the value of the samples of segments that are not stored."""
        nodata, dtype = self._description.info.nodata, self._layout.dtype
        if nodata is None:
            return 0
        if dtype.kind == "f":
            return nodata
        limits = np.iinfo(dtype)
        return int(nodata) if limits.min <= nodata <= limits.max else 0

    def _decoded(self, segment: Segment, offset: int, count: int) -> Pixels:
        if segment.index in self._kept:
            return self._kept[segment.index]
        if self._keeps and segment.box.y0 != self._row:
            self._kept.clear()
            self._row = segment.box.y0
        data = bytearray(count)
        read_fully(self._file, np.frombuffer(data, np.uint8), offset, self._name)
        rows, columns = segment.box.shape
        try:
            found = decoded(self._layout, data, rows, columns)
        except UnsupportedError as error:
            raise FormatError(f"{self._name}: {error}; convert the file first") from error
        except DecodeError as error:
            raise self.damaged(segment, error) from error
        if self._keeps:
            self._kept[segment.index] = found
        return found

    def _put_raw(self, offset: int, y: int, x: int, out: Pixels) -> None:
        """Read the samples from row `y`, column `x` of a segment on, and few others."""
        layout, kind = self._layout, self._raw
        height, width = out.shape[:2]
        pixel = layout.depth * kind.itemsize
        used, row = width * pixel, layout.row_bytes
        start = offset + y * row + x * pixel
        if row - used > _GAP_BYTES:
            for number in range(height):
                line = np.empty((width, layout.depth), kind)
                read_fully(self._file, line, start + number * row, self._name)
                out[number] = line
            return
        direct = used == row and out.flags.c_contiguous and out.dtype == kind
        if direct:
            read_fully(self._file, out, start, self._name)
            return
        step = max(1, _PIECE_BYTES // row)
        for first in range(0, height, step):
            count = min(step, height - first)
            lines = np.empty((count - 1) * row + used, np.uint8)
            read_fully(self._file, lines, start + first * row, self._name)
            shape, strides = (count, width, layout.depth), (row, pixel, kind.itemsize)
            out[first : first + count] = np.ndarray(shape, kind, lines, 0, strides)

    def damaged(self, segment: Segment, reason: object) -> CorruptError:
        """Return the error for a segment that cannot be decoded."""
        y, x = segment.box.y0, segment.box.x0
        place = f"tile at row {y}, column {x}" if self._layout.tiled else f"strip at row {y}"
        return CorruptError(
            f"{self._name}: the file is damaged: the {place} cannot be decoded ({reason}); "
            "get a fresh copy"
        )
