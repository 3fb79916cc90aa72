"""Weighted sums of bytes along both axes, in whole numbers.

The weights of one axis are whole and add up to 256, so that a sum of bytes, and the half that
rounds it, fit in 16 bits. Such a sum takes fewest additions as a product: sums of two samples that
lie some way apart, sums of two of these sums, and so on, and a short rest. For example::

    2 9 28 55 68 55 28 9 2  =  (1 1) (1 1) (2 5 16 18 16 5 2)

Sums of two are in no order that matters, for whole numbers are exact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.geometry import equal, equal_at_most, pieces
from imgpipe.image import Pixels
from imgpipe.kernels.room import inside, without
from imgpipe.workspace import Workspace

__all__ = ["HALF", "SHIFT", "additions", "lines", "tiles", "weighted", "whole", "whole_weights"]

_space = Workspace()

_VALUES, _ROWS = 1 << 17, 128  # of an array, of which there are three or four
_FARTHEST = 4  # distance of two samples in the product

_Whole: TypeAlias = np.ndarray[Any, np.dtype[np.uint16]]
_Group: TypeAlias = tuple[_Whole, int, tuple[int, ...]]  # a weight, twice, and its distances


def whole(value: int) -> _Whole:
    """Return an operand that NumPy need not convert for every call."""
    return np.array(value % (1 << 16), np.uint16)


SUM = 256
HALF, SHIFT = whole(128), whole(8)


@accelerated
def lines(
    chunk: Pixels, radius: int, taps: int, spread: float, *, into: Pixels | None = None
) -> Pixels:
    """Blur a padded chunk of bytes, down the columns and then along the rows.

    Of each line, ``(w[0] p[i] + sum_k w[k] (p[i - k] + p[i + k]) + 128) >> 8``, with the weights of
    `whole_weights`.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows + 2 * radius, columns + 2 * radius, channels)
    radius : int
        The halo, at least ``taps // 2``.
    taps : int
        Number of weights, odd.
    spread : float
        The standard deviation that the weights are made from.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, channels)
    """
    spare = radius - taps // 2
    seen = chunk[spare : len(chunk) - spare, spare : chunk.shape[1] - spare]
    return weighted(seen, whole_weights(taps, spread), without(into, radius))


@functools.lru_cache(maxsize=4096)
def whole_weights(taps: int, spread: float) -> tuple[int, ...]:
    """Return a Gaussian in whole weights of sum 256, the centre first.

    From the outermost one inwards, each weight is the Gaussian plus what was lost so far, rounded
    half to even; the centre is what is left of 256. These are the weights of OpenCV [1]_.

    References
    ----------
    .. [1] OpenCV, ``modules/imgproc/src/smooth.dispatch.cpp``, getGaussianKernelFixedPoint_ED.
    """
    half = taps // 2
    scale = -0.125 / (spread * spread)
    samples = [math.exp((2 * i + 1 - taps) ** 2 * scale) for i in range(half)]
    total = 0.0
    for sample in samples:
        total += sample
    lost, sides = 0.0, []
    for sample in samples:
        value = sample * (1 / (2 * total + 1)) * SUM + lost
        sides.append(round(value))
        lost = value - sides[-1]
    return SUM - 2 * sum(sides), *sides[::-1]


def tiles(rows: int, columns: int, values: int) -> Iterator[tuple[slice, slice]]:
    """Yield parts of so many rows and columns that fit into the cache, with `values` each."""
    height = equal_at_most(rows, _ROWS)
    width = equal(columns, round(height * columns * values / _VALUES) or 1, 8)
    for y in pieces(rows, height):
        for x in pieces(columns, width):
            yield y, x


def weighted(chunk: Pixels, weights: tuple[int, ...], place: Pixels | None = None) -> Pixels:
    """Sum along both axes, each sum rounded.

    Parameters
    ----------
    chunk : ndarray of uint8, shape (rows, columns, channels)
        The halo is ``len(weights) - 1``.
    weights : tuple of int
        The centre first.
    place : ndarray, optional
        Takes the result.
    """
    halo = 2 * (len(weights) - 1)
    height, width, channels = chunk.shape
    rows, columns = height - halo, width - halo
    out = inside(place, (rows, columns, channels), chunk.dtype)
    plan = additions(weights)
    for y, x in tiles(rows, columns, channels):
        part = chunk[y.start : y.stop + halo, x.start : x.stop + halo]
        count, unit = y.stop - y.start, part.shape[1] * channels
        buffers = [_space.array(name, np.uint16, part.size) for name in "abc"]
        np.copyto(buffers[0].reshape(part.shape), part)
        down = plan.run(buffers[0], unit, buffers)
        plan.run(down, channels, buffers)  # the last sums of a row are junk
        made = buffers[0][: count * unit].reshape(count, -1, channels)[:, : x.stop - x.start]
        np.copyto(out[y, x], made, casting="unsafe")
    return out


class Additions(NamedTuple):
    """A way to sum: pairs at some distances, then weighted samples at other distances."""

    pairs: tuple[int, ...]
    groups: tuple[_Group, ...]
    rest: int  # the largest distance in the groups
    operations: int

    def run(self, x: Pixels, unit: int, buffers: list[Pixels]) -> Pixels:
        """Sum lines whose samples are `unit` apart, and round.

        `x` lies in the first of three buffers, and so does the result: for that, the buffers are
        put into another order.
        """
        for distance in self.pairs:
            here, there, _ = buffers
            y = there[: x.size - distance * unit]
            np.add(x[: y.size], x[distance * unit :], out=y)
            x, buffers[:2] = y, (there, here)
        here, out, spare = buffers
        size = x.size - 2 * self.rest * unit
        out, spare = out[:size], spare[:size]
        first, *others = self.groups
        total = self._group(first, x, unit, out)
        for group in others:
            total = np.add(total, self._group(group, x, unit, spare), out=out)
        np.add(total, HALF, out=out)
        np.right_shift(out, SHIFT, out=out)
        buffers[:2] = buffers[1], here
        return out

    def _group(self, group: _Group, x: Pixels, unit: int, out: Pixels) -> Pixels:
        """Sum the samples of one weight, in `out` unless the sum is there already."""
        weight, value, distances = group
        terms = [
            x[(self.rest + side) * unit :][: out.size]
            for distance in distances
            for side in ((distance, -distance) if distance else (0,))
        ]
        total = terms[0]
        for term in terms[1:]:
            total = np.add(total, term, out=out)
        return total if value == 1 else np.multiply(total, weight, out=out)


@functools.lru_cache(maxsize=1024)
def additions(weights: tuple[int, ...]) -> Additions:
    """Find the way with the fewest operations."""
    operations, pairs, rest = min(_products(list(weights[:0:-1]) + list(weights), ()))
    half = len(rest) // 2
    groups: dict[int, list[int]] = {}
    for distance, weight in enumerate(rest[half:]):
        if weight:
            groups.setdefault(weight, []).append(distance)
    found = tuple((whole(weight), weight, tuple(near)) for weight, near in groups.items())
    return Additions(pairs, found, half, operations)


def _products(
    line: list[int], pairs: tuple[int, ...]
) -> Iterator[tuple[int, tuple[int, ...], list[int]]]:
    """Yield ways to write weights as a product, with their costs."""
    if len(line) % 2:
        yield len(pairs) + _cost(line[len(line) // 2 :]), pairs, line
    for distance in range(pairs[-1] if pairs else 1, _FARTHEST + 1):
        quotient = _divided(line, distance)
        if quotient is not None:
            yield from _products(quotient, (*pairs, distance))


def _divided(line: list[int], distance: int) -> list[int] | None:
    """Divide by a sum of two samples; None if something would be left."""
    if len(line) <= distance:
        return None
    quotient: list[int] = []
    for k, weight in enumerate(line):
        quotient.append(weight - (quotient[k - distance] if k >= distance else 0))
    return None if any(quotient[-distance:]) else quotient[:-distance]


def _cost(weights: list[int]) -> int:
    """Return the operations of a symmetrical sum of weights, the centre first."""
    sides = sum(weight != 0 for weight in weights[1:])
    terms = sides + (weights[0] != 0)
    return sides + terms - 1 + len(set(weights) - {0, 1})
