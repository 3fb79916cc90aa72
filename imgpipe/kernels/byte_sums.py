"""Byte sums: weighted sums of uint8 by products of matrices, exact in any order.

Samples are integers around 0, and so are the weights, up to a power of two. As long as sums stay
below 2**24 units, float32 holds all of them, and below 2**53 float64 does. So the bytes depend
neither on the order in which the BLAS of NumPy adds, nor on its number of threads.

A few output pixels have one footprint together, and make one small matrix of weights, most of them
not 0. The product that sums rows turns them into columns, so that columns are summed likewise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from imgpipe.geometry import pieces
from imgpipe.image import Pixels
from imgpipe.kernels.axes import Axis, Part
from imgpipe.kernels.blocks import blocks
from imgpipe.records import dataclass
from imgpipe.workspace import Workspace

__all__ = ["resampled_bytes"]

_space = Workspace()

# Weights add up to 1.6 without their signs. So sums down are less than 256 * 1.6 * 2**15. From the
# rest of them, with 3 bits after the point, 128 is taken away; then sums along are less than
# 128 * 1.6 * 1.6 * 2**(3 + 12).
_BITS_DOWN, _BITS_BETWEEN, _BITS_ALONG = 15, 3, 12
_MIDDLE = 128
# Of many weights each is small, and needs more bits.
_MANY, _BITS_OF_MANY = 32, 24

_ROWS = 96  # of the output that are made at once
_LINES = 128  # of the input, at most, for which columns are cut to fit the cache


@dataclass(frozen=True, eq=False)
class _Groups:
    """Output pixels a few at a time, of one footprint of the input for all of them.

    Attributes
    ----------
    first : list of int
        The first input pixel of each footprint, counted from the first that is needed.
    weights : ndarray, shape (groups, size, width)
        The weights of every input pixel of a footprint in every output pixel.
    """

    first: list[int]
    weights: Pixels

    @property
    def size(self) -> int:
        """Output pixels of a group."""
        return int(self.weights.shape[1])

    @property
    def width(self) -> int:
        """Input pixels of a footprint."""
        return int(self.weights.shape[2])


@lru_cache(maxsize=32)
def _groups(axis: Axis, start: int, stop: int, bits: int, dtype: type[Any], unit: int) -> _Groups:
    """Return a part of the output with weights that add up to ``2**unit`` and have so many bits."""
    first, last = axis.footprint(np.arange(start, stop))
    first, last = first - first[0], last - first[0]
    size, count = min(_size(axis), stop - start), stop - start
    begins, ends = (
        first[::size],
        last[np.minimum(np.arange(size - 1, count + size - 1, size), count - 1)],
    )
    width = int((ends - begins).max())
    begins = np.minimum(begins, last[-1] - width)
    values = np.cumsum(axis.weights(start, stop), axis=1)
    values *= 2.0**bits
    np.rint(values, out=values)
    values[:, 1:] -= values[:, :-1].copy()
    values *= 2.0 ** (unit - bits)
    # Beyond its footprint a pixel has weights of 0; they may lie beyond that of the group.
    taps = values.shape[1]
    weights = np.zeros((len(begins) * size, width + taps), dtype)
    place = first - np.repeat(begins, size)[:count] + np.arange(count) * (width + taps)
    weights.reshape(-1)[place[:, None] + np.arange(taps)] = values
    whole = np.ascontiguousarray(weights[:, :width])
    return _Groups(begins.tolist(), whole.reshape(len(begins), size, width))


def _size(axis: Axis) -> int:
    """Return the number of output pixels with a common footprint; more waste more products."""
    return 12 if axis.step < 2.5 else 8


def resampled_bytes(chunk: Pixels, rows: Part, columns: Part) -> Pixels:
    """Return a box of the output; see `imgpipe.kernels.resampling.resampled`."""
    height, width, channels = chunk.shape
    many = columns[0].taps > _MANY
    dtype, bits = (np.float64, _BITS_OF_MANY) if many else (np.float32, _BITS_ALONG)
    down = _groups(*rows, _BITS_DOWN, np.float32, _BITS_BETWEEN)
    along = _groups(*columns, bits, dtype, -_BITS_BETWEEN)
    out = np.empty((rows[2] - rows[1], columns[2] - columns[1], channels), np.uint8)
    for groups in pieces(len(down.first), max(1, _ROWS // down.size)):
        turned = _sums_down(chunk.reshape(height, -1), down, groups, dtype)
        count = turned.shape[1]
        found = _sums_along(turned.reshape(width, -1), along).reshape(-1, count)
        np.add(found, _MIDDLE + 0.5, out=found)
        np.clip(found, 0, 255, out=found)
        whole = _space.array("whole", np.uint8, found.size).reshape(found.shape)
        np.copyto(whole, found, casting="unsafe")
        made = out[groups.start * down.size : groups.stop * down.size]
        made = made.reshape(len(made), -1)
        np.copyto(made, whole[: made.shape[1], : len(made)].T)
    return out


def _sums_down(source: Pixels, span: _Groups, groups: slice, dtype: type[Any]) -> Pixels:
    """Return rounded sums of rows, around 0, as columns."""
    top = span.first[groups.start]
    source = source[top : span.first[groups.stop - 1] + span.width]
    weights = span.weights[groups].swapaxes(1, 2)
    count = len(weights) * span.size
    turned = _space.array("turned", dtype, source.shape[1] * count).reshape(-1, count)
    part = sums = np.empty((0, 0), np.float32)
    products: list[tuple[Pixels, Pixels, Pixels]] = []  # the same for all blocks of a size
    for x in blocks(source.shape[1], min(len(source), _LINES), np.dtype(np.float32)):
        size = x.stop - x.start
        if size != len(sums):
            part = _space.array("part", np.float32, len(source) * size).reshape(-1, size)
            sums = _space.array("sums", np.float32, size * count).reshape(size, -1)
            footprints = (part[y - top :][: span.width].T for y in span.first[groups])
            targets = (sums[:, y : y + span.size] for y in range(0, count, span.size))
            products = list(zip(footprints, weights, targets, strict=True))
        np.copyto(part, source[:, x])
        for footprint, weight, target in products:
            np.matmul(footprint, weight, out=target)
        np.subtract(sums, _MIDDLE << _BITS_BETWEEN, out=sums)
        np.rint(sums, out=turned[x])
    return turned


def _sums_along(turned: Pixels, span: _Groups) -> Pixels:
    """Return sums of columns, as rows."""
    count = len(span.first) * span.size
    made = _space.array("made", turned.dtype, count * turned.shape[1]).reshape(count, -1)
    width, targets = span.width, made.reshape(len(span.first), span.size, -1)
    for first, weight, target in zip(span.first, span.weights, targets, strict=True):
        np.matmul(weight, turned[first : first + width], out=target)
    return made
