"""Resampling: pixels of the output as weighted sums of the input pixels around their places.

The axes are done one after the other. Sums of uint8 are exact, see `byte_sums`. Those of other
types go tap by tap, in one order, each a multiplication and an addition per sample.

Across rows, a whole row is one operand of NumPy. For the other axis the rows are turned into
columns on the way, so that the same holds again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np

from imgpipe.image import Pixels
from imgpipe.items import as_items
from imgpipe.kernels.axes import Axis, Part
from imgpipe.kernels.blocks import blocks
from imgpipe.kernels.byte_sums import resampled_bytes
from imgpipe.records import dataclass
from imgpipe.workspace import Workspace

__all__ = ["nearest", "resampled"]

_space = Workspace()

# Samples worked on at once: a few such arrays fit the cache.
_LINES = 128
_BLOCK = 1 << 16


def nearest(chunk: Pixels, rows: Part, columns: Part) -> Pixels:
    """Return a box of the output, each pixel that under its middle; else as `resampled`."""
    down, along = _offsets(*rows), _offsets(*columns)
    grows = len(down) > len(chunk)
    lines = as_items(chunk if grows else chunk[down])
    items = lines.shape[2]
    places = (along[:, None] * items + np.arange(items)).reshape(-1)
    made = np.take(lines.reshape(len(lines), -1), places, axis=1, mode="clip")
    if grows:
        made = np.take(made, down, axis=0, mode="clip")
    return cast(Pixels, made.view(chunk.dtype).reshape(len(down), len(along), -1))


def _offsets(axis: Axis, start: int, stop: int) -> Pixels:
    first, _ = axis.footprint(np.arange(start, stop))
    return cast(Pixels, first - first[0])


def resampled(chunk: Pixels, rows: Part, columns: Part) -> Pixels:
    """Return a box of the output.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        The pixels that both axes need for it.
    rows, columns : (Axis, int, int)
        The box.

    Returns
    -------
    ndarray, shape (rows, columns, channels)
        uint8 if `chunk` is, otherwise floats that have yet to be rounded.
    """
    if chunk.dtype == np.uint8:
        return resampled_bytes(chunk, rows, columns)
    height, width, channels = chunk.shape
    way, count = _Floats(rows, columns, chunk), rows[2] - rows[1]
    source = chunk.reshape(height, -1)
    turned = _space.array("turned", way.dtype, source.shape[1] * count).reshape(-1, count)
    for x in blocks(source.shape[1], min(height, _LINES), way.dtype):
        part = _space.array("part", way.dtype, height * (x.stop - x.start)).reshape(height, -1)
        np.copyto(part, source[:, x])
        turned[x] = way.sum_down(part).T
    turned = turned.reshape(width, -1)

    out = np.empty((count, columns[2] - columns[1], channels), way.dtype)
    across = np.moveaxis(out, 0, 2)
    for x in blocks(len(across), turned.shape[1], way.dtype):
        np.copyto(across[x], way.sum_along(turned, x).reshape(-1, channels, count))
    return out


@dataclass(frozen=True, eq=False)
class _Taps:
    """The footprints of output pixels, and their weights.

    Attributes
    ----------
    first, last : ndarray of int, shape (pixels,)
        The footprint of each output pixel, counted from the first input pixel that is needed.
    weights : ndarray, shape (pixels, taps)
        Its weights, 0 beyond the footprint.
    """

    first: Pixels
    last: Pixels
    weights: Pixels


@lru_cache(maxsize=32)
def _taps(axis: Axis, start: int, stop: int, dtype: type[np.floating[Any]]) -> _Taps:
    first, last = axis.footprint(np.arange(start, stop))
    return _Taps(first - first[0], last - first[0], axis.weights(start, stop).astype(dtype))


class _Floats:
    """All other types: one tap after the other, in the order of the input."""

    def __init__(self, rows: Part, columns: Part, chunk: Pixels) -> None:
        working = np.float32 if chunk.itemsize <= 2 or chunk.dtype == np.float32 else np.float64
        self.dtype = np.dtype(working)
        self.down, self.along = _taps(*rows, working), _taps(*columns, working)

    def sum_down(self, x: Pixels) -> Pixels:
        return self._sum(x, self.down, slice(0, len(self.down.first)))

    def sum_along(self, x: Pixels, part: slice) -> Pixels:
        return self._sum(x, self.along, part)

    def _sum(self, x: Pixels, span: _Taps, part: slice) -> Pixels:
        count, length = part.stop - part.start, x.shape[1]
        out = _space.array("made", self.dtype, count * length).reshape(count, length)
        most = max(1, _BLOCK // length)
        for start in range(part.start, part.stop, most):
            block = slice(start, min(start + most, part.stop))
            self._sum_block(x, span, block, out[start - part.start :][: block.stop - start])
        return out

    def _sum_block(self, x: Pixels, span: _Taps, block: slice, out: Pixels) -> None:
        first, last, weights = span.first[block], span.last[block], span.weights[block]
        tap = _space.array("tap", self.dtype, out.size).reshape(out.shape)
        for k in range(weights.shape[1]):
            target = tap if k else out
            # Beyond the footprint the weight is 0, and the pixel the last of the footprint.
            np.take(x, np.minimum(first + k, last - 1), axis=0, out=target, mode="clip")
            np.multiply(target, weights[:, k, None], out=target)
            if k:
                np.add(out, tap, out=out)
