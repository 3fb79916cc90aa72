"""Row filters of PNG undone, block by block.

Average and Paeth make every byte depend on the one before, which no array operation can do.
libpng can, so a block of filtered rows is dressed up as a PNG of its own: the row above it,
already known, goes first, and the deflate stream is made of stored blocks, which cost a
copy. Blocks whose rows are all filtered by None or Up are sums of whole rows: NumPy's part.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, section 9.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib

from imgpipe.formats.deflate import LAST_BLOCK
from imgpipe.image import Pixels

__all__ = ["PAETH", "BadFilterError", "Layout", "Unfilter", "by_libpng"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

NONE, SUB, UP, AVERAGE, PAETH = range(5)
_STORED = 65535
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_SEGMENT = 1 << 16
_BLOCK_BYTES = 192 << 10


class BadFilterError(ValueError):
    """A row names a filter that does not exist; the argument is its index."""


class Layout:
    """How a row of the file lies in memory.

    Parameters
    ----------
    width : int
        Pixels, or bytes where several pixels share one.
    channels : int
        Samples per pixel.
    itemsize : int
        Bytes per sample, 1 or 2.
    """

    def __init__(self, width: int, channels: int, itemsize: int) -> None:
        self.width, self.channels, self.itemsize = width, channels, itemsize
        self.pixel_bytes = channels * itemsize
        self.row_bytes = width * self.pixel_bytes
        self.dtype = np.dtype(np.uint8 if itemsize == 1 else np.uint16)
        self.wide = width > _SEGMENT and self.row_bytes > _BLOCK_BYTES
        self.block_rows = max(1, _BLOCK_BYTES // self.row_bytes)


class Unfilter:
    """Undoes the filters of successive rows.

    Parameters
    ----------
    layout : Layout
        What a row is made of.
    read : callable
        Gives the next so many bytes of filtered rows.
    height : int, optional
        Rows of the image, if they are known.
    """

    def __init__(
        self, layout: Layout, read: Callable[[int], bytes | memoryview], height: int | None = None
    ) -> None:
        self._layout, self._read = layout, read
        rows = layout.block_rows if height is None else min(layout.block_rows, height)
        self._block: Pixels = np.zeros((1 + rows, layout.width, layout.channels), layout.dtype)
        self._above: Bytes = np.zeros(layout.row_bytes, np.uint8)  # in the order of the file
        self._first = True

    def next(self, rows: int) -> Pixels:
        """Return the next `rows` rows, at most ``layout.block_rows``, valid until the next call.

        Raises
        ------
        BadFilterError
            If a row has an unknown filter.
        """
        pixels = self._block[1 : 1 + rows]
        if self._layout.wide:
            self._wide_row(_bytes(pixels)[0])
        else:
            self._rows(pixels)
        self._first = False
        return pixels

    def _rows(self, pixels: Pixels) -> None:
        layout, rows = self._layout, len(pixels)
        filtered = self._read(rows * (1 + layout.row_bytes))
        lines = np.frombuffer(filtered, np.uint8).reshape(rows, 1 + layout.row_bytes)
        kinds = lines[:, 0]
        if kinds.max() > PAETH:
            raise BadFilterError(int(np.argmax(kinds > PAETH)))
        if np.all((kinds == UP) | (kinds == NONE)):
            self._add_up(lines, _bytes(pixels))
            if layout.itemsize == 2:
                _swap(pixels)
        elif layout.pixel_bytes > 4 and kinds.max() == PAETH:
            self._halves(lines, pixels)
        else:
            first = b"" if self._first else b"\0" + self._above.tobytes()
            target = self._block[1 if self._first else 0 : 1 + rows]
            by_libpng((first, filtered), target, layout)
        self._above[:] = _bytes(pixels)[-1]
        if layout.itemsize == 2:
            _swap(self._above.view(np.uint16))

    def _add_up(self, lines: Bytes, out: Bytes) -> None:
        above = self._above
        for line, row in zip(lines, out, strict=True):
            if line[0] == UP:
                np.add(above, line[1:], out=row)
            else:
                row[:] = line[1:]
            above = row

    def _halves(self, lines: Bytes, pixels: Pixels) -> None:
        """Decode the high and the low bytes of 16 bits as two images of 8 bits.

        To a filter bytes are bytes; libpng is fast for pixels of three and four of them only.
        """
        rows, layout = len(lines), self._layout
        half = Layout(layout.width, layout.channels, 1)
        part = np.zeros((1 + rows, 1 + half.row_bytes), np.uint8)
        part[1:, 0] = lines[:, 0]
        decoded = np.empty((1 + rows, layout.width, layout.channels), np.uint8)
        values = pixels.view(np.uint8).reshape(*pixels.shape, 2)
        for significance in (0, 1):  # the file has the high byte first
            part[0, 1:] = self._above[significance::2]
            part[1:, 1:] = lines[:, 1 + significance :: 2]
            by_libpng((part.tobytes(),), decoded, half)
            values[..., significance ^ np.little_endian] = decoded[1:]

    def _wide_row(self, row: Bytes) -> None:
        """Decode one row in segments, each with the pixel before it as its first."""
        layout, pixel = self._layout, self._layout.pixel_bytes
        kind = self._read(1)[0]
        if kind > PAETH:
            raise BadFilterError(0)
        for start in range(0, layout.row_bytes, _SEGMENT * pixel):
            part = slice(start, min(start + _SEGMENT * pixel, layout.row_bytes))
            filtered = self._read(part.stop - part.start)
            if kind == NONE:
                row[part] = np.frombuffer(filtered, np.uint8)
            elif kind == UP:
                np.add(self._above[part], np.frombuffer(filtered, np.uint8), out=row[part])
            else:
                self._segment(kind, filtered, part, row)
        self._above[:] = row
        if layout.itemsize == 2:
            _swap(row.view(np.uint16))

    def _segment(self, kind: int, filtered: bytes | memoryview, part: slice, row: Bytes) -> None:
        pixel = self._layout.pixel_bytes
        if part.start == 0:
            before = above_before = np.zeros(pixel, np.uint8)
        else:
            before = row[part.start - pixel : part.start]
            above_before = self._above[part.start - pixel : part.start]
        # The pixel before has none to its left here, so its predictor is a simple one.
        predicted = {SUB: 0 * above_before, AVERAGE: above_before >> 1, PAETH: above_before}[kind]
        raw = (
            b"\0",
            above_before.tobytes(),
            self._above[part].tobytes(),
            bytes([kind]),
            (before - predicted).tobytes(),
            filtered,
        )
        width = 1 + len(filtered) // pixel
        layout = Layout(width, pixel, 1) if pixel <= 4 else Layout(width, pixel // 2, 2)
        decoded = np.empty((2, width, layout.channels), layout.dtype)
        by_libpng(raw, decoded, layout)
        if layout.itemsize == 2:
            _swap(decoded)
        row[part] = _bytes(decoded)[1, pixel:]


def _bytes(pixels: Pixels) -> Bytes:
    return pixels.reshape(len(pixels), -1).view(np.uint8)


def _swap(values: np.ndarray[Any, np.dtype[np.uint16]]) -> None:
    """Turn values from the order of the file (big-endian) to that of the machine, or back."""
    if np.little_endian:
        values.byteswap(inplace=True)


def by_libpng(raw: tuple[bytes | memoryview, ...], out: Pixels, layout: Layout) -> None:
    """Have libpng decode filtered rows, which come in parts, into `out`."""
    data: list[bytes | memoryview] = [b"IDAT\x78\x01"]
    adler = 1
    for part in raw:
        adler = isal_zlib.adler32(part, adler)
        for start in range(0, len(part), _STORED):
            block = memoryview(part)[start : start + _STORED]
            data += (struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block)
    data += (LAST_BLOCK, struct.pack(">I", adler))
    crc = 0
    for part in data:
        crc = isal_zlib.crc32(part, crc)
    png = b"".join(
        (
            _head(layout, len(out)),
            struct.pack(">I", sum(map(len, data)) - 4),
            *data,
            struct.pack(">I", crc),
            b"\0\0\0\0IEND\xae\x42\x60\x82",
        )
    )
    imagecodecs.png_decode(png, out=out if layout.channels > 1 else out[..., 0])


def _head(layout: Layout, rows: int) -> bytes:
    depth, colour_type = 8 * layout.itemsize, _COLOUR_TYPES[layout.channels]
    header = b"IHDR" + struct.pack(">IIBBBBB", layout.width, rows, depth, colour_type, 0, 0, 0)
    crc = struct.pack(">I", isal_zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + crc
