"""Segments of an open file: found, read, decoded and put together."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from isal import isal_zlib

from imgpipe.errors import CorruptError
from imgpipe.formats.raw import read_fully
from imgpipe.formats.tiff.decoding import DecodeError, decoded, rows_of
from imgpipe.formats.tiff.describing import Description
from imgpipe.formats.tiff.layout import Layout, Segment, Tables, identity_of
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["LARGE_BYTES", "Segments", "StreamedSegments", "streams"]

_PIECE_BYTES = 256 << 10
_GAP_BYTES = 8 << 10  # read and thrown away sooner than the file is asked again
_DEFLATE = (8, 32946, 50013)
LARGE_BYTES = 8 << 20
"""Bytes of a segment that is too large to be decoded again for every task."""

_InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]

_tables = Tables()


def streams(layout: Layout) -> bool:
    """Whether segments can be decoded row by row: large strips of deflate."""
    large = layout.segment_bytes > LARGE_BYTES
    plain = not layout.tiled and not layout.reversed and layout.sampling == (1, 1)
    return large and plain and layout.compression in _DEFLATE


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
        self._keeps, self._kept, self._row = keeps, dict[int, Pixels](), -1
        identity = identity_of(file)
        layout, palette = self._layout, description.expansion.palette
        self._offsets = _tables.of(file, identity, layout.offsets, name)
        self._counts = _tables.of(file, identity, layout.counts, name)
        self._palette = _tables.of(file, identity, palette, name) if palette is not None else None

    def fill(self, box: Box, out: Pixels) -> None:
        """Fill `out`, shape (rows, columns, channels), with the pixels of `box`.

        Raises
        ------
        CorruptError
            If they are not there or are damaged.
        """
        layout, expansion = self._layout, self._description.expansion
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
                target[...] = expansion.expanded(samples, self._palette)
            elif expansion.is_needed:
                samples = np.empty((*part.shape, layout.depth), layout.dtype)
                self._put(segment, part, samples)
                target[...] = expansion.expanded(samples, self._palette)
            else:
                self._put(segment, part, target)

    def finish(self) -> None:
        """Check the end of the data; nothing is known of what follows a segment."""

    def _put(self, segment: Segment, part: Box, out: Pixels) -> None:
        """Fill `out` with the samples of a part of a segment."""
        offset, count = int(self._offsets[segment.index]), int(self._counts[segment.index])
        if not offset or not count:
            out[...] = self._blank()
        elif self._layout.is_raw:
            self._put_raw(segment, offset, part, out)
        else:
            out[...] = self._decoded(segment, offset, count)[part.within(segment.box)]

    def _blank(self) -> Any:
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
        data = bytearray(count)
        read_fully(self._file, np.frombuffer(data, np.uint8), offset, self._name)
        rows, columns = segment.box.shape
        try:
            found = decoded(self._layout, data, rows, columns)
        except DecodeError as error:
            raise self._damaged(segment, str(error)) from error
        if self._keeps:
            if segment.box.y0 != self._row:
                self._kept.clear()
                self._row = segment.box.y0
            self._kept[segment.index] = found
        return found

    def _put_raw(self, segment: Segment, offset: int, part: Box, out: Pixels) -> None:
        """Read the rows and columns of a part that are needed, and few others."""
        layout, kind = self._layout, self._layout.dtype.newbyteorder(self._layout.order)
        pixel = layout.depth * kind.itemsize
        place = part.within(segment.box)
        y, x = place[0].start, place[1].start
        width, row = part.width * pixel, layout.row_bytes
        start = offset + y * row + x * pixel
        if row - width > _GAP_BYTES:
            for number in range(part.height):
                line = np.empty((part.width, layout.depth), kind)
                read_fully(self._file, line, start + number * row, self._name)
                out[number] = line
            return
        direct = width == row and out.flags.c_contiguous and out.dtype == kind
        if direct:
            read_fully(self._file, out, start, self._name)
            return
        step = max(1, _PIECE_BYTES // row)
        for first in range(0, part.height, step):
            count = min(step, part.height - first)
            lines = np.empty((count - 1) * row + width, np.uint8)
            read_fully(self._file, lines, start + first * row, self._name)
            shape, strides = (count, part.width, layout.depth), (row, pixel, kind.itemsize)
            out[first : first + count] = np.ndarray(shape, kind, lines, 0, strides)

    def _damaged(self, segment: Segment, reason: str) -> CorruptError:
        noun = "tile" if self._layout.tiled else "strip"
        return CorruptError(
            f"{self._name}: the file is damaged: the {noun} at {segment.box} cannot be decoded "
            f"({reason}); get a fresh copy"
        )


class StreamedSegments(Segments):
    """Large strips of deflate, of which only some rows are ever in memory.

    Rows are asked for from top to bottom.
    """

    def __init__(
        self, description: Description, file: BinaryIO, name: str, *, keeps: bool = False
    ) -> None:
        super().__init__(description, file, name)
        self._open: dict[int, _Inflating] = {}

    def finish(self) -> None:
        """Check the end of the data, with its checksum."""
        for strip in self._open.values():
            self._ended(strip)

    def _ended(self, strip: _Inflating) -> None:
        try:
            strip.finish()
        except _InflateError as error:
            raise self._damaged(strip.segment, str(error)) from error

    def _put(self, segment: Segment, part: Box, out: Pixels) -> None:
        layout = self._layout
        offset, count = int(self._offsets[segment.index]), int(self._counts[segment.index])
        if not offset or not count:
            out[...] = self._blank()
            return
        strip = self._open.get(segment.plane)
        if strip is None or strip.segment != segment:
            if strip is not None:
                self._ended(strip)
            strip = self._open[segment.plane] = _Inflating(segment, self._file, offset, count)
        step = max(1, _PIECE_BYTES // layout.row_bytes)
        for first in range(0, len(out), step):
            target = out[first : first + step]
            try:
                data = strip.take(len(target) * layout.row_bytes)
                target[...] = rows_of(layout, data, len(target))
            except (_InflateError, DecodeError) as error:
                raise self._damaged(segment, str(error)) from error


class _Inflating:
    """The bytes of a strip, inflated as they are asked for."""

    def __init__(self, segment: Segment, file: BinaryIO, offset: int, count: int) -> None:
        self.segment = segment
        self._file, self._offset, self._left = file, offset, count
        self._inflater = isal_zlib.decompressobj()
        self._held: bytes = b""

    def take(self, size: int) -> bytearray:
        """Return the next bytes; fewer at the end."""
        found = bytearray()
        while len(found) < size and not self._inflater.eof:
            data = self._held or self._piece()
            found += self._inflater.decompress(data, size - len(found))
            self._held = self._inflater.unconsumed_tail
            if not data and not self._left:
                break
        return found

    def finish(self) -> None:
        """Read on to the end, so that the checksum is compared."""
        while not self._inflater.eof and (self._held or self._left):
            self.take(_PIECE_BYTES)

    def _piece(self) -> bytes:
        self._file.seek(self._offset)
        data = self._file.read(min(_PIECE_BYTES, self._left))
        self._offset += len(data)
        self._left -= len(data) or self._left
        return data
