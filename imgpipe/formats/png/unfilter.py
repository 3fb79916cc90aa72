"""Row filters of PNG undone, block by block.

Average and Paeth make every byte depend on the one before, which no array operation can do.
libpng can, so a block of filtered rows goes into an envelope, a PNG file of its own, after the row
above it. Blocks whose rows are all filtered by None or Up are sums of whole rows: NumPy's part.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, section 9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from imgpipe.formats.deflate import Buffer
from imgpipe.formats.png.envelope import SEGMENT, Bytes, Envelope, Layout
from imgpipe.image import Pixels

__all__ = ["PAETH", "BadFilterError", "Unfilter"]

NONE, SUB, UP, AVERAGE, PAETH = range(5)


class BadFilterError(ValueError):
    """A row names a filter that does not exist; the argument is its index."""


class Unfilter:
    """Undoes the filters of successive rows.

    Parameters
    ----------
    layout : Layout
        Layout of a row.
    read : callable
        Gives the next so many bytes of filtered rows.
    height : int, optional
        Rows of the image, if they are known.
    """

    def __init__(
        self, layout: Layout, read: Callable[[int], list[Buffer]], height: int | None = None
    ) -> None:
        self._layout, self._read = layout, read
        rows = layout.block_rows if height is None else min(layout.block_rows, height)
        self._block: Pixels = np.zeros((1 + rows, layout.width, layout.channels), layout.dtype)
        self._above: Bytes = np.zeros(layout.row_bytes, np.uint8)  # in the order of the file
        self._envelope = Envelope(layout)
        self._first = True

    def next(self, rows: int, block: Pixels | None = None) -> Pixels:
        """Return the next `rows` rows, at most ``layout.block_rows``.

        They go into `block`, shape (1 + rows, width, channels), which begins with the row above.
        Without `block` they are valid until the next call.

        Raises
        ------
        BadFilterError
            If a row has an unknown filter.
        """
        if block is None:
            block = self._block[: 1 + rows]
        pixels = block[1:]
        if self._layout.wide:
            self._wide_row(_bytes(pixels)[0])
        else:
            self._rows(block, pixels)
        self._first = False
        return pixels

    def _rows(self, block: Pixels, pixels: Pixels) -> None:
        layout, rows = self._layout, len(pixels)
        line = 1 + layout.row_bytes
        parts = self._read(rows * line)
        kinds = _kinds(parts, line)
        most = max(kinds)
        if most > PAETH:
            raise BadFilterError(next(at for at, kind in enumerate(kinds) if kind > PAETH))
        if kinds.count(UP) + kinds.count(NONE) == rows:
            self._add_up(_lines(parts, line), _bytes(pixels))
            if layout.itemsize == 2:
                _swap(pixels)
        elif layout.pixel_bytes > 4 and most == PAETH:
            self._halves(_lines(parts, line), pixels)
        elif self._first:
            self._envelope.decode(parts, pixels)
        else:
            self._envelope.decode([b"\0", self._above.data, *parts], block)
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
        envelope = Envelope(half)
        part = np.zeros((1 + rows, 1 + half.row_bytes), np.uint8)
        part[1:, 0] = lines[:, 0]
        decoded = np.empty((1 + rows, layout.width, layout.channels), np.uint8)
        values = pixels.view(np.uint8).reshape(*pixels.shape, 2)
        for significance in (0, 1):  # the file has the high byte first
            part[0, 1:] = self._above[significance::2]
            part[1:, 1:] = lines[:, 1 + significance :: 2]
            envelope.decode([part.reshape(-1).data], decoded)
            values[..., significance ^ np.little_endian] = decoded[1:]

    def _wide_row(self, row: Bytes) -> None:
        """Decode one row in segments, each with the pixel before it as its first."""
        layout, pixel = self._layout, self._layout.pixel_bytes
        kind = _joined(self._read(1))[0]
        if kind > PAETH:
            raise BadFilterError(0)
        for start in range(0, layout.row_bytes, SEGMENT * pixel):
            part = slice(start, min(start + SEGMENT * pixel, layout.row_bytes))
            filtered = _joined(self._read(part.stop - part.start))
            if kind == NONE:
                row[part] = np.frombuffer(filtered, np.uint8)
            elif kind == UP:
                np.add(self._above[part], np.frombuffer(filtered, np.uint8), out=row[part])
            else:
                self._segment(kind, filtered, part, row)
        self._above[:] = row
        if layout.itemsize == 2:
            _swap(row.view(np.uint16))

    def _segment(self, kind: int, filtered: Buffer, part: slice, row: Bytes) -> None:
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
        Envelope(layout).decode(raw, decoded)
        if layout.itemsize == 2:
            _swap(decoded)
        row[part] = _bytes(decoded)[1, pixel:]


def _kinds(parts: list[Buffer], line: int) -> bytes:
    """Return the filter of each row."""
    at, kinds = 0, []
    for part in parts:
        kinds.append(bytes(part[-at % line :: line]))
        at += len(part)
    return b"".join(kinds)


def _joined(parts: list[Buffer]) -> Buffer:
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _lines(parts: list[Buffer], line: int) -> Bytes:
    return np.frombuffer(_joined(parts), np.uint8).reshape(-1, line)


def _bytes(pixels: Pixels) -> Bytes:
    return pixels.reshape(len(pixels), -1).view(np.uint8)


def _swap(values: np.ndarray[Any, np.dtype[np.uint16]]) -> None:
    """Turn values from the order of the file (big-endian) to that of the machine, or back."""
    if np.little_endian:
        values.byteswap(inplace=True)
