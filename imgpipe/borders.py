"""Borders: pixels beyond the edge of an image, in the words of `numpy.pad`.

==========  ======================  ==================
border      beyond ``a b c d``      in scipy.ndimage
==========  ======================  ==================
edge        ``a a | a b c d | d d``   nearest
symmetric   ``b a | a b c d | d c``   reflect
reflect     ``c b | a b c d | c b``   mirror
wrap        ``c d | a b c d | a b``   wrap (grid-wrap)
constant    ``0 0 | a b c d | 0 0``   constant, cval=0
==========  ======================  ==================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np

from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["BORDERS", "Border", "extend", "wrapped_pieces", "wrapped_reads"]

Border = Literal["edge", "symmetric", "reflect", "wrap", "constant"]
BORDERS: tuple[Border, ...] = get_args(Border)

Index = np.ndarray[Any, np.dtype[np.intp]]


def extend(
    inside: Pixels, held: Box, wanted: Box, height: int, width: int, border: Border
) -> Pixels:
    """Return the pixels of `wanted`, part of which lies beyond the image.

    Parameters
    ----------
    inside : ndarray, shape (rows, columns, channels)
        The pixels of `held`, which is `wanted` clipped to the image.
    height, width : int
        Size of the image.
    border : str
        Any but ``wrap``, which needs pixels from the far side (`wrapped_pieces`).
    """
    out = np.empty((*wanted.shape, inside.shape[2]), inside.dtype)
    rows, columns = held.within(wanted)
    out[rows, columns] = inside
    if border == "constant":
        out[: rows.start] = out[rows.stop :] = 0
        out[rows, : columns.start] = out[rows, columns.stop :] = 0
        return out
    lines = out.reshape(len(out), -1)
    pixels = lines.view(np.dtype((np.void, out.strides[1])))  # to be copied as they are
    x = _reflected(wanted.x0, wanted.x1, width, border) - wanted.x0
    for beyond in _beyond(columns, wanted.width):
        pixels[rows, beyond] = np.take(pixels[rows], x[beyond], axis=1, mode="clip")
    y = _reflected(wanted.y0, wanted.y1, height, border) - wanted.y0
    for beyond in _beyond(rows, wanted.height):
        np.take(lines, y[beyond], axis=0, out=lines[beyond], mode="clip")
    return out


def _beyond(inside: slice, length: int) -> list[slice]:
    """Return the parts of a range of `length` that are on either side of `inside`, if any."""
    sides = slice(0, inside.start), slice(inside.stop, length)
    return [side for side in sides if side.start < side.stop]


def wrapped_pieces(wanted: Box, height: int, width: int) -> Iterator[tuple[Box, Box]]:
    """Yield the boxes of the image that fill `wanted` when the image repeats without end.

    Yields
    ------
    inside : Box
        A box of the image.
    at : Box
        The part of `wanted` that it fills.
    """
    for y, rows in _runs(wanted.y0, wanted.y1, height):
        for x, columns in _runs(wanted.x0, wanted.x1, width):
            at = Box(y, x, y + rows, x + columns)
            yield at.shift(y % height - y, x % width - x), at


def wrapped_reads(wanted: Box, height: int, width: int) -> list[Box]:
    """Return the boxes of the image that hold all pixels of `wanted` when the image repeats.

    There are at most four, and no pixel is in two of them.
    """
    rows = _needed(wanted.y0, wanted.y1, height)
    columns = _needed(wanted.x0, wanted.x1, width)
    return [Box(y0, x0, y1, x1) for y0, y1 in rows for x0, x1 in columns]


def _needed(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges inside `size` that a range needs, the longest a whole image."""
    if stop - start >= size:
        return [(0, size)]
    return [(at % size, at % size + length) for at, length in _runs(start, stop, size)]


def _runs(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of the stretches of a range between multiples of `size`."""
    while start < stop:
        length = min(size - start % size, stop - start)
        yield start, length
        start += length


def _reflected(start: int, stop: int, size: int, border: Border) -> Index:
    """Return, for each coordinate of a range, the coordinate inside that has its value."""
    at = np.arange(start, stop)
    if border == "edge" or size == 1:
        return np.minimum(np.maximum(at, 0), size - 1)  # `clip` takes several times as long
    if border == "symmetric":
        at = at % (2 * size)
        return np.minimum(at, 2 * size - 1 - at)
    at = at % (2 * size - 2)
    return np.minimum(at, 2 * size - 2 - at)
