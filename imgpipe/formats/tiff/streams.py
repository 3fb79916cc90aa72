"""Streams: large strips of deflate or JPEG, of which only some rows are ever in memory."""

from __future__ import annotations

from typing import BinaryIO, Protocol

import numpy as np
from isal import isal_zlib

from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import JpegError, read_header
from imgpipe.formats.jpegs.scanlines import LIBRARY_BYTES, Scanlines, band_rows, is_there
from imgpipe.formats.tiff.decoding import DEFLATE, JPEG, OLD_JPEG, DecodeError, rows_of
from imgpipe.formats.tiff.describing import Description
from imgpipe.formats.tiff.layout import Layout, Segment
from imgpipe.formats.tiff.segments import Segments
from imgpipe.formats.unnamedfiles import NamelessFile, no_room
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["LARGE_BYTES", "StreamedSegments", "memory_of", "stream_of"]

LARGE_BYTES = 8 << 20
"""Bytes of a segment that is too large to be decoded again for every task."""

_PIECE_BYTES = 256 << 10
_HEADER_BYTES = 1 << 20
_END = b"\xff\xd9"

_InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_ERRORS = (_InflateError, DecodeError, JpegError)


class Strip(Protocol):
    """A position in the data of a strip, moving down row by row."""

    def rows(self, count: int) -> Pixels:
        """Return the samples of the next rows."""

    def finish(self) -> None:
        """Check the end of the data."""

    def close(self) -> None:
        """Let go of everything."""


class Inflating:
    """A strip of deflate, inflated as its rows are asked for."""

    def __init__(
        self, layout: Layout, segment: Segment, file: BinaryIO, offset: int, count: int
    ) -> None:
        self._layout, self._file, self._offset, self._left = layout, file, offset, count
        self._inflater, self._held = isal_zlib.decompressobj(), b""

    def rows(self, count: int) -> Pixels:
        """Return the samples of the next rows."""
        return rows_of(self._layout, self._take(count * self._layout.row_bytes), count)

    def finish(self) -> None:
        """Read on to the end, so that the checksum is compared.

        The inflater may hold that already, and compares it when it is asked for more.
        """
        while not self._inflater.eof:
            over = not self._held and not self._left
            if not self._take(_PIECE_BYTES) and over:
                return

    def close(self) -> None:
        """Nothing has to be let go of."""

    def _take(self, size: int) -> bytearray:
        """Return the next bytes; fewer at the end."""
        found = bytearray()
        while len(found) < size and not self._inflater.eof:
            data = self._held or self._piece()
            found += self._inflater.decompress(data, size - len(found))
            self._held = self._inflater.unconsumed_tail
            if not data and not self._left:
                break
        return found

    def _piece(self) -> bytes:
        self._file.seek(self._offset)
        data = self._file.read(min(_PIECE_BYTES, self._left))
        self._offset += len(data)
        self._left -= len(data) or self._left
        return data


class Scanned:
    """A strip of JPEG, copied to a file of its own for the decoder of scanlines."""

    def __init__(
        self, layout: Layout, segment: Segment, file: BinaryIO, offset: int, count: int
    ) -> None:
        self._lines: Scanlines | None = None
        self._shape = (*segment.box.shape, layout.depth)
        try:
            self._copy = NamelessFile()
        except OSError as error:
            raise no_room("a strip of JPEG", error) from error
        try:
            self._fill(layout, file, offset, count)
            self._lines = Scanlines(self._copy.path, self._shape)
        except OSError as error:
            self.close()
            raise no_room("a strip of JPEG", error) from error
        except BaseException:
            self.close()
            raise

    def rows(self, count: int) -> Pixels:
        """Return the samples of the next rows."""
        assert self._lines is not None
        out = np.empty((count, *self._shape[1:]), np.uint8)
        self._lines.read_into(out)
        return out

    def finish(self) -> None:
        """Nothing follows the last row: the end was looked for at the beginning."""

    def close(self) -> None:
        """Remove the copy."""
        if self._lines is not None:
            self._lines.close()
        self._copy.close()

    def _fill(self, layout: Layout, file: BinaryIO, offset: int, count: int) -> None:
        file.seek(offset)
        head = file.read(min(count, _HEADER_BYTES))
        transform = False if layout.colours == "rgb" else None
        self._copy.write(strict.joined(head, layout.tables, transform=transform))
        last, left = head, count - len(head)
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            self._copy.write(piece)
            last, left = last[-len(_END) :] + piece, left - len(piece)
        if left or _END not in last[-64:]:
            raise JpegError("its pixels end too early")


def stream_of(layout: Layout) -> type[Inflating | Scanned] | None:
    """Return the way to decode the segments of an image row by row; None if there is none."""
    plain = not layout.tiled and not layout.reversed and layout.sampling == (1, 1)
    if not plain or layout.segment_bytes <= LARGE_BYTES:
        return None
    if layout.compression in DEFLATE:
        return Inflating
    simple = layout.bits == 8 and layout.depth in (1, 3) and not layout.header
    is_jpeg = layout.compression in JPEG and layout.compression != OLD_JPEG
    return Scanned if is_jpeg and simple and is_there() else None


def memory_of(layout: Layout, file: BinaryIO, offset: int) -> int:
    """Return the bytes that the decoder of a strip at an offset needs.

    Raises
    ------
    JpegError
        If its header is damaged.
    """
    if stream_of(layout) is not Scanned:
        return 8 * layout.row_bytes * layout.planes
    file.seek(offset)
    header = read_header(file)
    lines = LIBRARY_BYTES + (band_rows(layout.row_bytes) + 32) * layout.row_bytes * layout.planes
    return lines if header.at_once else lines + header.coefficient_bytes * layout.planes


class StreamedSegments(Segments):
    """The strips of an image in an open file, whose rows are asked for from top to bottom."""

    def __init__(self, description: Description, file: BinaryIO, name: str) -> None:
        super().__init__(description, file, name)
        self._strips: dict[int, tuple[Segment, Strip]] = {}
        self.suspect: Box | None = None  # of the last strip whose end was wrong

    def finish(self) -> None:
        """Check the end of the data, with its checksum where it has one."""
        for plane in list(self._strips):
            self._end(plane)

    def close(self) -> None:
        """Let go of the strips."""
        for _, strip in self._strips.values():
            strip.close()
        self._strips.clear()

    def _put(self, segment: Segment, part: Box, out: Pixels) -> None:
        offset, count = self._place(segment)
        if not offset or not count:
            out[...] = self.blank()
            return
        try:
            strip = self._strip(segment, offset, count)
            step = max(1, _PIECE_BYTES // self._layout.row_bytes)
            for first in range(0, len(out), step):
                target = out[first : first + step]
                target[...] = strip.rows(len(target))
        except _ERRORS as error:
            self._let_go(segment.plane)
            raise self.damaged(segment, error) from error

    def _strip(self, segment: Segment, offset: int, count: int) -> Strip:
        known, strip = self._strips.get(segment.plane, (None, None))
        if strip is not None and known == segment:
            return strip
        self._end(segment.plane)
        opened = stream_of(self._layout)
        assert opened is not None
        strip = opened(self._layout, segment, self._file, offset, count)
        self._strips[segment.plane] = segment, strip
        return strip

    def _let_go(self, plane: int) -> None:
        """Let go of the strip of a plane, without a look at its end."""
        if plane in self._strips:
            self._strips.pop(plane)[1].close()

    def _end(self, plane: int) -> None:
        """Check the end of the strip of a plane, and let go of it."""
        if plane not in self._strips:
            return
        segment, strip = self._strips.pop(plane)
        try:
            strip.finish()
        except _ERRORS as error:
            self.suspect = segment.box
            raise self.damaged(segment, error) from error
        finally:
            strip.close()
