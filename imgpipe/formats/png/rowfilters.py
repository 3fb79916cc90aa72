"""Row filters of PNG applied, tile by tile, in NumPy.

A tile is copied behind a column of padding, one pixel wide. Then left, above and corner of
all its bytes are the same memory, begun a little earlier: every step is one operation over
contiguous bytes that stay in the cache.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, sections 9 and 12.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = ["AVERAGE", "NONE", "PAETH", "SUB", "UP", "choose_kinds", "filter_rows"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

NONE, SUB, UP, AVERAGE, PAETH = range(5)

_TILE_BYTES = 128 << 10
_space = Workspace()


def filter_rows(rows: Pixels, above: Pixels, pixel: int, kinds: Bytes, out: Bytes) -> None:
    """Filter `rows` into `out`, which is one column wider: the filter of each row goes first.

    Parameters
    ----------
    rows : ndarray of uint8 or uint16, shape (rows, width * channels)
    above : ndarray, shape (width * channels,)
        The row above the first; zeros at the top of the image.
    pixel : int
        Bytes per pixel.
    kinds : ndarray of uint8, shape (rows,)
        The filter of each row.
    out : ndarray of uint8, shape (rows, 1 + bytes of a row)
    """
    out[:, 0] = kinds
    for tile in _tiles(rows, above, pixel):
        target = out[tile.rows, 1:][:, tile.columns]
        own = kinds[tile.rows]
        for kind in np.flatnonzero(np.bincount(own)).tolist():
            if (own == kind).all():
                tile.residuals(kind, target)
            else:
                tile.residuals(kind, tile.spare)
                np.copyto(target, tile.spare, where=(own == kind)[:, None])


def choose_kinds(rows: Pixels, above: Pixels, pixel: int) -> Bytes:
    """Return the filter of each row that leaves the least sum of absolute residuals."""
    costs = np.zeros((5, len(rows)), np.int64)
    for tile in _tiles(rows, above, pixel):
        for kind in range(5):
            tile.residuals(kind, tile.spare)
            magnitude = np.abs(tile.spare.view(np.int8)).view(np.uint8)
            costs[kind, tile.rows] += magnitude.sum(axis=1, dtype=np.int64)
    best: Bytes = costs.argmin(axis=0).astype(np.uint8)
    return best


class _Tile:
    """Bytes of some rows and columns, with what is left of, above and diagonal to them."""

    def __init__(self, lines: Bytes, pixel: int, rows: slice, columns: slice) -> None:
        self.rows, self.columns = rows, columns
        count, self._stride = len(lines) - 1, lines.shape[1]
        self._shape = count, self._stride - pixel
        flat, size = lines.reshape(-1), count * self._stride - pixel
        start = self._stride + pixel
        self._here = lines[1:, pixel:]
        self._left = flat[start - pixel :][:size]
        self._above = flat[start - self._stride :][:size]
        self._corner = flat[:size]
        self._guess = _space.array("guess", np.uint8, count * self._stride)
        self.spare = _space.array("spare", np.uint8, count * self._shape[1]).reshape(self._shape)

    def residuals(self, kind: int, out: Bytes) -> None:
        """Write what filter `kind` leaves of the tile."""
        if kind == NONE:
            out[...] = self._here
            return
        guess = self._guess[: len(self._corner)]
        _PREDICTORS[kind](self._left, self._above, self._corner, guess)
        np.subtract(self._here, self._guess.reshape(-1, self._stride)[:, : self._shape[1]], out=out)


def _tiles(rows: Pixels, above: Pixels, pixel: int) -> Iterator[_Tile]:
    item = rows.itemsize
    in_file_order = rows.dtype.newbyteorder(">")
    margin = pixel // item
    columns = min(rows.shape[1], max(1, _TILE_BYTES // pixel) * margin)
    step = max(1, _TILE_BYTES // (columns * item))
    for y in range(0, len(rows), step):
        upper = above if y == 0 else rows[y - 1]
        part = rows[y : y + step]
        for x in range(0, rows.shape[1], columns):
            end = min(x + columns, rows.shape[1])
            shape = len(part) + 1, margin + end - x
            lines = _space.array("lines", np.uint8, shape[0] * shape[1] * item)
            lines = lines.view(in_file_order).reshape(shape)
            before = slice(x - margin, end) if x else slice(0, end)
            start = 0 if x else margin
            lines[:, :start] = 0
            lines[0, start:] = upper[before]
            lines[1:, start:] = part[:, before]
            yield _Tile(
                lines.view(np.uint8), pixel, slice(y, y + len(part)), slice(x * item, end * item)
            )


def _sub(left: Bytes, _above: Bytes, _corner: Bytes, out: Bytes) -> None:
    out[:] = left


def _up(_left: Bytes, above: Bytes, _corner: Bytes, out: Bytes) -> None:
    out[:] = above


def _average(left: Bytes, above: Bytes, _corner: Bytes, out: Bytes) -> None:
    """Halve the sum of left and above, without its ninth bit."""
    common = np.bitwise_and(left, above, out=_space.array("common", np.uint8, len(out)))
    np.bitwise_xor(left, above, out=out)
    np.right_shift(out, 1, out=out)
    np.add(out, common, out=out)


def _paeth(left: Bytes, above: Bytes, corner: Bytes, out: Bytes) -> None:
    """Take whichever of left, above and corner is nearest to ``left + above - corner``.

    That is the smaller of left and above where the corner is at most a third of their
    distance below the larger one, the larger where it is as near to the smaller one, and
    the corner in between. Clipped to the range between them first, nothing leaves 8 bits.
    """
    size = len(out)
    low = np.minimum(left, above, out=_space.array("low", np.uint8, size))
    high = np.maximum(left, above, out=_space.array("high", np.uint8, size))
    np.maximum(corner, low, out=out)
    np.minimum(out, high, out=out)
    over = np.subtract(out, low, out=low)
    under = np.subtract(high, out, out=high)
    half = _space.array("half", np.uint8, size)
    near = _space.array("near", np.uint8, size)
    np.right_shift(over, 1, out=half)
    np.less_equal(under, half, out=near.view(np.bool_))
    np.right_shift(under, 1, out=half)
    np.less_equal(over, half, out=half.view(np.bool_))
    np.multiply(over, near, out=over)
    np.multiply(under, half, out=under)
    np.subtract(out, over, out=out)
    np.add(out, under, out=out)


_PREDICTORS: dict[int, Callable[[Bytes, Bytes, Bytes, Bytes], None]] = {
    SUB: _sub,
    UP: _up,
    AVERAGE: _average,
    PAETH: _paeth,
}
