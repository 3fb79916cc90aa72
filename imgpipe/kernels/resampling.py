"""Resampling: pixels of the output as weighted sums of the input pixels around their places.

The axes are done one after the other. The input pixels of an output pixel, and their weights,
follow from its place in the whole output alone; weights are worked out for tables of places that
do not depend on the chunk, since a sine may be rounded otherwise in an array of another length.
Sums of uint8 are sums of integers, exact in any order. Those of other types go tap by tap, in one
order, each a multiplication and an addition per sample.

Across rows, a whole row is one operand of NumPy. For the other axis the rows are turned into
columns on the way, so that the same holds again.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np

from imgpipe.image import Pixels
from imgpipe.items import as_items
from imgpipe.kernels.blocks import blocks
from imgpipe.records import dataclass
from imgpipe.workspace import Workspace

__all__ = ["Axis", "Method", "Part", "nearest", "resampled"]

_space = Workspace()

Method = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_REACH = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}

# Weights worked out, and samples worked on, at once: a few such arrays fit the cache.
_TABLE = 1 << 15
_LINES = 128
_GATHERED = 1 << 18
_BLOCK = 1 << 16

# uint8 times 22 bits, and the rest of that with 4 bits after the point times 17 bits, are
# less than 2**31 though weights of both signs add up to 1.6 without their signs.
_BITS_DOWN, _BITS_BETWEEN, _BITS_ALONG = 22, 4, 17


@dataclass(frozen=True)
class Axis:
    """One axis of an image that changes its length.

    Attributes
    ----------
    before, after : int
        Pixels of the input and of the output along it.
    method : str
        One of `Method`.
    pixels : int
        Pixels of the image, if the input is a smaller version of it; 0 if it is the image.
    share : int
        Pixels of the image that one of the input stands for; its first or last one may stand for
        fewer.
    missing : int
        Pixels of the image by which the first one of the input stands for fewer.
    """

    before: int
    after: int
    method: Method
    pixels: int = 0
    share: int = 1
    missing: int = 0

    def centres(self, places: Pixels) -> Pixels:
        """Return where the middle of output pixels is, in pixels of the input."""
        middle: Pixels = (places + 0.5) * self.step
        return middle + self.missing / self.share if self.missing else middle

    @property
    def length(self) -> int:
        """Pixels of the image that the output shows."""
        return self.pixels or self.before

    @property
    def step(self) -> float:
        """Distance of output pixels, in pixels of the input."""
        return self.length / (self.after * self.share)

    @property
    def copies(self) -> bool:
        """Whether every output pixel is one of the input."""
        return self.method == "nearest" or self.length == self.after * self.share

    @property
    def stretch(self) -> float:
        """Factor on the reach of the weights: an image that shrinks must not alias."""
        return max(self.step, 1.0)

    @property
    def taps(self) -> int:
        """The most input pixels that an output pixel is made from."""
        reach = 0.5 if self.copies else _REACH[self.method] * self.stretch
        return min(math.ceil(2 * reach), self.before)

    def footprint(self, places: Pixels) -> tuple[Pixels, Pixels]:
        """Return the first input pixel, and the one after the last, of output pixels."""
        if self.copies:
            first = (2 * places + 1) * self.length // (2 * self.after * self.share)
            return first, first + 1
        middle, reach = self.centres(places), _REACH[self.method] * self.stretch
        first = np.maximum(np.floor(middle - reach + 0.5), 0).astype(np.intp)
        return first, np.minimum(np.floor(middle + reach + 0.5), self.before).astype(np.intp)

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """Return the part of the input that a part of the output is made from."""
        first, last = self.footprint(np.array([start, stop - 1]))
        return int(first[0]), int(last[1])

    def weights(self, start: int, stop: int) -> Pixels:
        """Return the weights of the output pixels from `start` to `stop`, one row for each."""
        size = max(1, _TABLE // self.taps)
        tables = range(start // size, (stop - 1) // size + 1)
        found = np.concatenate([_weights(self, table, size) for table in tables])
        return found[start - tables[0] * size :][: stop - start]


@lru_cache(maxsize=16)
def _weights(axis: Axis, table: int, size: int) -> Pixels:
    places = np.arange(table * size, min((table + 1) * size, axis.after))
    if axis.copies:
        return np.ones((len(places), 1))
    first, last = axis.footprint(places)
    pixels = first[:, None] + np.arange(axis.taps)
    # In whole numbers first: a whole distance is exact, and has no weight.
    after = axis.after * axis.share
    halves = (2 * pixels + 1) * after - (2 * places[:, None] + 1) * axis.length
    halves -= 2 * axis.missing * axis.after
    distance = halves / (2 * max(axis.length, after))
    found = np.where(pixels < last[:, None], _SHAPES[axis.method](distance), 0.0)
    found /= found.sum(axis=1, keepdims=True)
    return found


def _triangle(distance: Pixels) -> Pixels:
    return cast(Pixels, np.maximum(1 - np.abs(distance), 0))


def _cubic(distance: Pixels) -> Pixels:
    """Keys' cubic convolution with a = -1/2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(distance: Pixels) -> Pixels:
    found = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return np.where(distance == np.rint(distance), distance == 0, found)  # pi is not exact


_SHAPES = {"bilinear": _triangle, "bicubic": _cubic, "lanczos": _lanczos}


Part = tuple[Axis, int, int]
"""An axis, and the output pixels from one place on it to another."""


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
    height, width, channels = chunk.shape
    way = _Integers(rows, columns) if chunk.dtype == np.uint8 else _Floats(rows, columns, chunk)
    source, count = chunk.reshape(height, -1), rows[2] - rows[1]

    turned = _space.array("turned", way.dtype, source.shape[1] * count).reshape(-1, count)
    for x in blocks(source.shape[1], min(height, _LINES), way.dtype):
        part = _space.array("part", way.dtype, height * (x.stop - x.start)).reshape(height, -1)
        np.copyto(part, source[:, x])
        turned[x] = way.sum_down(part).T
    turned = turned.reshape(width, -1)

    out = np.empty((count, columns[2] - columns[1], channels), way.result)
    across = np.moveaxis(out, 0, 2)
    for x in blocks(len(across), turned.shape[1], way.dtype, way.along.size):
        made = way.sum_along(turned, x).reshape(-1, channels, count)
        np.copyto(across[x], made, casting="unsafe")
    return out


@dataclass(frozen=True, eq=False)
class _Groups:
    """Output pixels a few at a time, of one footprint of the input for all of them.

    Attributes
    ----------
    first : ndarray of int, shape (groups,)
        The first input pixel of each footprint, counted from the first that is needed.
    weights : ndarray of int32, shape (groups, size, width)
        The weights of every input pixel of a footprint in every output pixel; most are 0.
    """

    first: Pixels
    weights: Pixels

    @property
    def size(self) -> int:
        """Output pixels of a group."""
        return int(self.weights.shape[1])


@lru_cache(maxsize=32)
def _groups(axis: Axis, start: int, stop: int, bits: int) -> _Groups:
    """Return a part of the output with whole weights that add up to ``2**bits``."""
    first, _ = axis.footprint(np.arange(start, stop))
    sums = np.rint(np.cumsum(axis.weights(start, stop), axis=1) * 2.0**bits)
    # A footprint is copied once for its group, and its every row goes into every output pixel.
    step = axis.step
    size = max(1, min(round(math.sqrt(max(axis.taps - step, 0) / step)), stop - start))
    starts = first[::size]
    offset = first - np.repeat(starts, size)[: len(first)]
    weights = np.zeros((len(starts) * size, int(offset.max()) + axis.taps), np.int32)
    places = offset[:, None] + np.arange(axis.taps)
    values = np.diff(sums, axis=1, prepend=0).astype(np.int32)
    np.put_along_axis(weights[: len(first)], places, values, axis=1)
    return _Groups(starts - first[0], weights.reshape(len(starts), size, -1))


class _Integers:
    """uint8: the weights are whole numbers, so that sums are exact and need no order."""

    dtype = np.dtype(np.int32)
    result = np.dtype(np.uint8)

    def __init__(self, rows: Part, columns: Part) -> None:
        self.down, self.along = _groups(*rows, _BITS_DOWN), _groups(*columns, _BITS_ALONG)
        self.rows = rows[2] - rows[1]

    def sum_down(self, x: Pixels) -> Pixels:
        made = self._sum(x, self.down, slice(0, self.rows))
        return np.right_shift(made, _BITS_DOWN - _BITS_BETWEEN, out=made)

    def sum_along(self, x: Pixels, part: slice) -> Pixels:
        made = self._sum(x, self.along, part)
        bits = _BITS_BETWEEN + _BITS_ALONG
        # A half to round, and half of the bits cut off between the sweeps.
        np.add(made, (1 << (bits - 1)) + (1 << (_BITS_ALONG - 1)), out=made)
        np.right_shift(made, bits, out=made)
        return np.clip(made, 0, 255, out=made)

    def _sum(self, x: Pixels, span: _Groups, part: slice) -> Pixels:
        """Return some rows of sums; `part` begins with a group."""
        groups = slice(part.start // span.size, -(-part.stop // span.size))
        first, weights = span.first[groups], span.weights[groups]
        count, size, width = weights.shape
        out = _space.array("made", self.dtype, count * size * x.shape[1]).reshape(count, size, -1)
        most = max(1, _GATHERED // (width * x.shape[1]))
        held = _space.array("rows", self.dtype, most * width * x.shape[1])
        held = held.reshape(most, width, -1)
        for start in range(0, count, most):
            block = slice(start, min(start + most, count))
            footprints = held[: block.stop - start]
            places = first[block, None] + np.arange(width)
            np.take(x, places, axis=0, out=footprints, mode="clip")
            np.einsum("gjk,gkx->gjx", weights[block], footprints, out=out[block])
        return out.reshape(count * size, -1)[: part.stop - part.start]


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
    size = 1


@lru_cache(maxsize=32)
def _taps(axis: Axis, start: int, stop: int, dtype: type[np.floating[Any]]) -> _Taps:
    first, last = axis.footprint(np.arange(start, stop))
    return _Taps(first - first[0], last - first[0], axis.weights(start, stop).astype(dtype))


class _Floats:
    """All other types: one tap after the other, in the order of the input."""

    def __init__(self, rows: Part, columns: Part, chunk: Pixels) -> None:
        working = np.float32 if chunk.itemsize <= 2 or chunk.dtype == np.float32 else np.float64
        self.dtype = self.result = np.dtype(working)
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
