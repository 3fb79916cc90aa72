"""Row filters of PNG applied, tile by tile, in NumPy.

Left, above and corner of all the bytes of a tile are the same memory, begun a little earlier: every
step is one operation over contiguous bytes that stay in the cache. The first pixel of a row has
none to its left, so its prediction is written afterwards.

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
        for kind in sorted(set(own.tolist())):
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
    """Bytes of whole rows, or of a part of one row.

    Parameters
    ----------
    block : ndarray of uint8, shape (1 + rows, bytes of a row)
        The rows, and the one above them first. Contiguous.
    pixel : int
        Bytes per pixel.
    rows : slice
        Their position in the image.
    columns : slice
        The bytes of each row.
    """

    def __init__(self, block: Bytes, pixel: int, rows: slice, columns: slice) -> None:
        self.rows, self.columns = rows, columns
        self._here, self._upper = block[1:, columns], block[:-1, columns]
        self._shape, self._size = self._here.shape, self._here.size
        self._edge = pixel if columns.start == 0 else 0
        flat, stride, size = block.reshape(-1), block.shape[1], self._size - self._edge
        start = stride + columns.start + self._edge
        self._left = flat[start - pixel :][:size]
        self._above = flat[start - stride :][:size]
        self._corner = flat[start - stride - pixel :][:size]

    @property
    def spare(self) -> Bytes:
        """Room for residuals."""
        return _space.array("spare", np.uint8, self._size).reshape(self._shape)

    def residuals(self, kind: int, out: Bytes) -> None:
        """Write the residuals of filter `kind` for the tile."""
        if kind == NONE:
            out[...] = self._here
            return
        edge, guess = self._edge, _space.array("guess", np.uint8, self._size)
        _PREDICTORS[kind](self._left, self._above, self._corner, guess[edge:])
        guess = guess.reshape(self._shape)
        if edge:
            guess[:, :edge] = 0 if kind == SUB else self._upper[:, :edge] >> (kind == AVERAGE)
        np.subtract(self._here, guess, out=out)


def _tiles(rows: Pixels, above: Pixels, pixel: int) -> Iterator[_Tile]:
    lines, upper = _in_file_order(rows), _in_file_order(above[None])
    count, line = lines.shape
    width = min(line, max(1, _TILE_BYTES // pixel) * pixel)
    step = max(1, _TILE_BYTES // line)
    for y in range(0, count, step):
        part = slice(y, min(y + step, count))
        block = lines[y - 1 : part.stop] if y else np.concatenate((upper, lines[part]))
        for x in range(0, line, width):
            yield _Tile(block, pixel, part, slice(x, min(x + width, line)))


def _in_file_order(rows: Pixels) -> Bytes:
    """Return the bytes of rows, contiguous and the most significant first."""
    ordered = np.ascontiguousarray(rows, rows.dtype.newbyteorder(">"))
    lines: Bytes = ordered.view(np.uint8)
    return lines


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
    """Take the one of left, above and corner that is nearest to ``left + above - corner``.

    It is the smaller of left and above where the corner is at most a third of their
    distance below the larger one, the larger where it is as near to the smaller one, and
    the corner in between. Clipped to the range between them first, nothing leaves 8 bits.
    """
    low, high, half, near = _space.array("paeth", np.uint8, 4 * len(out)).reshape(4, -1)
    np.minimum(left, above, out=low)
    np.maximum(left, above, out=high)
    np.maximum(corner, low, out=out)
    np.minimum(out, high, out=out)
    over = np.subtract(out, low, out=low)
    under = np.subtract(high, out, out=high)
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
