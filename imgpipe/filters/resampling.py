"""Resampling: every pixel of the output is a weighted sum of the input pixels around its place.

The axes are done one after the other. What an output pixel is made from, and with which weights,
follows from its place in the whole output alone; weights are worked out for blocks of places that
do not depend on the chunk, since a sine may be rounded otherwise in an array of another length.
Sums of uint8 are sums of integers, exact in any order. Those of other types go tap by tap, in one
order, each a multiplication and an addition per sample.

Across rows, a whole row is one operand of NumPy. For the other axis the rows are turned into
columns on the way, so that the same holds again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np

from imgpipe.filters.separable import scratch
from imgpipe.image import Pixels

__all__ = ["Axis", "Method", "Part", "nearest", "resampled"]

Method = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_REACH = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}

# Weights worked out, and samples worked on, at once: a few such arrays fit the cache.
_TABLE = 1 << 15
_STRIPE = 1 << 17
_BLOCK = 1 << 15

# What to start a sum of many rows costs, in products of samples.
_START = 15_000

# uint8 times 22 bits, and what is left of that with 4 bits after the point times 17 bits, are
# less than 2**31 though weights of both signs add up to 1.6 without their signs.
_BITS_DOWN, _BITS_BETWEEN, _BITS_ALONG = 22, 4, 17


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an image that changes its length.

    Attributes
    ----------
    before, after : int
        Pixels of the input and of the output along it.
    method : str
        One of `Method`.
    """

    before: int
    after: int
    method: Method

    def centres(self, places: Pixels) -> Pixels:
        """Return where the middle of output pixels is, in pixels of the input."""
        return (places + 0.5) * (self.before / self.after)

    @property
    def copies(self) -> bool:
        """Whether every output pixel is one of the input."""
        return self.method == "nearest" or self.before == self.after

    @property
    def stretch(self) -> float:
        """How much wider than usual the weights reach: what shrinks must not alias."""
        return max(self.before / self.after, 1.0)

    @property
    def taps(self) -> int:
        """The most input pixels that an output pixel is made from."""
        reach = 0.5 if self.copies else _REACH[self.method] * self.stretch
        return min(math.ceil(2 * reach), self.before)

    def window(self, places: Pixels) -> tuple[Pixels, Pixels]:
        """Return the first input pixel, and the one after the last, of output pixels."""
        if self.copies:
            first = (2 * places + 1) * self.before // (2 * self.after)
            return first, first + 1
        middle, reach = self.centres(places), _REACH[self.method] * self.stretch
        first = np.maximum(np.floor(middle - reach + 0.5), 0).astype(np.intp)
        return first, np.minimum(np.floor(middle + reach + 0.5), self.before).astype(np.intp)

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """Return the part of the input that a part of the output is made from."""
        first, last = self.window(np.array([start, stop - 1]))
        return int(first[0]), int(last[1])

    def weights(self, start: int, stop: int) -> Pixels:
        """Return the weights of the output pixels from `start` to `stop`, one row for each."""
        size = max(1, _TABLE // self.taps)
        blocks = range(start // size, (stop - 1) // size + 1)
        found = np.concatenate([_weights(self, block, size) for block in blocks])
        return found[start - blocks[0] * size :][: stop - start]


@lru_cache(maxsize=16)
def _weights(axis: Axis, block: int, size: int) -> Pixels:
    places = np.arange(block * size, min((block + 1) * size, axis.after))
    if axis.copies:
        return np.ones((len(places), 1))
    first, last = axis.window(places)
    pixels = first[:, None] + np.arange(axis.taps)
    distance = (pixels + 0.5 - axis.centres(places)[:, None]) / axis.stretch
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
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)


_SHAPES = {"bilinear": _triangle, "bicubic": _cubic, "lanczos": _lanczos}


Part = tuple[Axis, int, int]
"""An axis, and the output pixels from one place on it to another."""


@dataclass(frozen=True, eq=False)
class Span:
    """What a part of the output is made from along one axis.

    Attributes
    ----------
    first, last : ndarray of int
        The window of each output pixel, counted from the first input pixel that is needed.
    weights : ndarray, shape (pixels, taps)
        Its weights, 0 beyond the window.
    """

    first: Pixels
    last: Pixels
    weights: Pixels

    def __len__(self) -> int:
        return len(self.first)


@lru_cache(maxsize=32)
def _span(axis: Axis, start: int, stop: int, dtype: type[np.floating[Any]]) -> Span:
    first, last = axis.window(np.arange(start, stop))
    return Span(first - first[0], last - first[0], axis.weights(start, stop).astype(dtype))


@lru_cache(maxsize=32)
def _span_of_integers(axis: Axis, start: int, stop: int, bits: int) -> Span:
    """Return a span whose weights are whole numbers that add up to ``2**bits``."""
    span = _span(axis, start, stop, np.float64)
    whole = np.rint(np.cumsum(span.weights, axis=1) * 2.0**bits)
    return Span(span.first, span.last, np.diff(whole, axis=1, prepend=0).astype(np.int32))


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
    source, count = chunk.reshape(height, -1), len(way.down)

    turned = scratch("turned", way.dtype, source.shape[1] * count).reshape(-1, count)
    for x in _parts(source.shape[1], height + 2 * count):
        part = scratch("part", way.dtype, height * (x.stop - x.start)).reshape(height, -1)
        np.copyto(part, source[:, x])
        turned[x] = way.sum_down(part).T
    turned = turned.reshape(width, -1)

    out = np.empty((count, len(way.along), channels), way.result)
    across = np.moveaxis(out, 0, 2)
    for y in _parts(len(way.along), 2 * turned.shape[1]):
        made = way.sum_along(turned, y).reshape(-1, channels, count)
        np.copyto(across[y], made, casting="unsafe")
    return out


def nearest(chunk: Pixels, rows: Part, columns: Part) -> Pixels:
    """Return a box of the output, each pixel that under its middle; else as `resampled`."""
    down, along = _offsets(*rows), _offsets(*columns)
    channels = chunk.shape[2]
    samples = (along[:, None] * channels + np.arange(channels)).reshape(-1)
    grows = len(down) > len(chunk)
    lines = (chunk if grows else chunk[down]).reshape(-1, chunk.shape[1] * channels)
    made = np.take(lines, samples, axis=1, mode="clip").reshape(-1, len(along), channels)
    return np.take(made, down, axis=0, mode="clip") if grows else made


def _offsets(axis: Axis, start: int, stop: int) -> Pixels:
    first, _ = axis.window(np.arange(start, stop))
    return cast(Pixels, first - first[0])


def _parts(length: int, size: int) -> Iterator[slice]:
    """Cut ``length`` lines of ``size`` samples into blocks, about equal."""
    most = -(-length // max(1, round(length * size / _STRIPE)))
    return (slice(start, min(start + most, length)) for start in range(0, length, most))


class _Integers:
    """uint8: the weights are whole numbers, so that sums are exact and need no order."""

    dtype = np.dtype(np.int32)
    result = np.dtype(np.uint8)

    def __init__(self, rows: Part, columns: Part) -> None:
        self.down = _span_of_integers(*rows, _BITS_DOWN)
        self.along = _span_of_integers(*columns, _BITS_ALONG)

    def sum_down(self, x: Pixels) -> Pixels:
        made = self._sum(x, self.down, slice(0, len(self.down)))
        return np.right_shift(made, _BITS_DOWN - _BITS_BETWEEN, out=made)

    def sum_along(self, x: Pixels, part: slice) -> Pixels:
        made = self._sum(x, self.along, part)
        bits = _BITS_BETWEEN + _BITS_ALONG
        # A half to round, and half of what was cut off between the passes.
        np.add(made, (1 << (bits - 1)) + (1 << (_BITS_ALONG - 1)), out=made)
        np.right_shift(made, bits, out=made)
        return np.clip(made, 0, 255, out=made)

    def _sum(self, x: Pixels, span: Span, part: slice) -> Pixels:
        """Sum up a few output rows at a time: more products, many of them by 0, but fewer calls."""
        count, length = part.stop - part.start, x.shape[1]
        first, last = span.first[part], span.last[part]
        step = (first[-1] - first[0]) / count
        group = min(max(1, round(math.sqrt(_START / (length * max(step, 1e-3))))), count)
        offset = first - np.repeat(first[::group], group)[:count]
        weights = np.zeros((count, int(offset.max()) + span.weights.shape[1]), np.int32)
        places = offset[:, None] + np.arange(span.weights.shape[1])
        np.put_along_axis(weights, places, span.weights[part], axis=1)
        out = scratch("made", self.dtype, count * length).reshape(count, length)
        for start in range(0, count, group):
            stop = min(start + group, count)
            low, high = first[start], last[stop - 1]
            np.einsum(
                "jk,kx->jx", weights[start:stop, : high - low], x[low:high], out=out[start:stop]
            )
        return out


class _Floats:
    """All other types: one tap after the other, in the order of the input."""

    def __init__(self, rows: Part, columns: Part, chunk: Pixels) -> None:
        working = np.float32 if chunk.itemsize <= 2 or chunk.dtype == np.float32 else np.float64
        self.dtype = self.result = np.dtype(working)
        self.down, self.along = _span(*rows, working), _span(*columns, working)

    def sum_down(self, x: Pixels) -> Pixels:
        return self._sum(x, self.down, slice(0, len(self.down)))

    def sum_along(self, x: Pixels, part: slice) -> Pixels:
        return self._sum(x, self.along, part)

    def _sum(self, x: Pixels, span: Span, part: slice) -> Pixels:
        count, length = part.stop - part.start, x.shape[1]
        out = scratch("made", self.dtype, count * length).reshape(count, length)
        most = max(1, _BLOCK // length)
        for start in range(0, count, most):
            stop = min(start + most, count)
            block = slice(part.start + start, part.start + stop)
            self._sum_block(x, span, block, out[start:stop])
        return out

    def _sum_block(self, x: Pixels, span: Span, part: slice, out: Pixels) -> None:
        first, last, weights = span.first[part], span.last[part], span.weights[part]
        tap = scratch("tap", self.dtype, out.size).reshape(out.shape)
        for k in range(weights.shape[1]):
            # Beyond the window the weight is 0, and the pixel the last of the window.
            target = tap if k else out
            np.take(x, np.minimum(first + k, last - 1), axis=0, out=target, mode="clip")
            np.multiply(target, weights[:, k, None], out=target)
            if k:
                np.add(out, tap, out=out)
