"""Kernels of OpenCV that add up weighted neighbours of bytes: edges and small convolutions.

Sums of whole numbers are exact. If every step from the sum to the result is exact in single
precision, OpenCV does all steps in one call. If not, a table gives the result for every sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS, has_long_tables, solid
from imgpipe.image import Pixels
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = ["derivative", "magnitude", "weighted_sum"]

_space = Workspace()

Weights = tuple[tuple[float, ...], ...]
Halo = tuple[int, int]

_LARGEST = 25  # weights: NumPy is as fast with more
_UNIT = 2**10  # numbers of so many units are exact below 2**14, with the 24 bits of float32
_WIDEST_SHIFT = 64  # binary digits: no number is too large or too small for float32
_BLOCK = 192 * 1024  # sums at once
_BLOCK_OF_FLOATS = 96 * 1024


def weighted_sum(
    chunk: Pixels,
    weights: Weights,
    *,
    gain: float = 1.0,
    divisor: float = 1.0,
    add: float = 0.0,
    into: Pixels | None = None,
) -> Pixels | None:
    """Compute `imgpipe.kernels.neighbourhood.weighted_sum` of bytes with few whole weights."""
    array = np.array(weights)
    sums = 255 * np.abs(array).sum()
    if array.size > _LARGEST or not (np.rint(array) == array).all() or sums >= 2**15:
        return None
    halo = array.shape[0] // 2, array.shape[1] // 2

    def sum_(part: Pixels, depth: int, factor: float, out: Pixels | None) -> Pixels:
        return cv2.filter2D(part, depth, array * factor, dst=out, delta=_single(add, depth))

    return _made(chunk, halo, sum_, sums, (gain, divisor, add), into)


def derivative(
    chunk: Pixels,
    side: int,
    centre: int,
    axis: str,
    *,
    add: float,
    into: Pixels | None = None,
) -> Pixels | None:
    """Compute `imgpipe.kernels.gradients.derivative` of bytes."""
    total = 2 * side + centre
    difference, smooth = _kernels(side, centre)

    def sum_(part: Pixels, depth: int, factor: float, out: Pixels | None) -> Pixels:
        across = smooth * factor
        along_x, along_y = (difference, across) if axis == "x" else (across, difference)
        made: Pixels = cv2.sepFilter2D(
            part, depth, along_x, along_y, dst=out, delta=_single(add, depth)
        )
        return made

    return _made(chunk, (1, 1), sum_, 255 * total, (1 / total, 1.0, add), into)


def _kernels(side: int, centre: int) -> tuple[Pixels, Pixels]:
    return np.array([-1.0, 0, 1]), np.array([side, centre, side], float)


def _single(add: float, depth: int) -> float:
    """Return the number that OpenCV adds if its results are bytes."""
    return float(np.float32(add)) if depth == cv2.CV_8U else 0.0


def _made(
    chunk: Pixels,
    halo: Halo,
    sum_: Callable[[Pixels, int, float, Pixels | None], Pixels],
    largest: float,
    finish: tuple[float, float, float],
    into: Pixels | None,
) -> Pixels | None:
    """Return the results for a chunk: its sums, with a gain, a divisor and an addition."""
    if chunk.dtype != np.uint8 or chunk.shape[2] > MOST_CHANNELS:
        return None
    if _is_exact(finish, largest):
        factor = finish[0] / finish[1]
        return _inner(sum_(solid(chunk), cv2.CV_8U, factor, into).reshape(chunk.shape), halo)
    if not has_long_tables():
        return None
    table = _table(*finish)
    out = _inner(np.empty(chunk.shape, np.uint8) if into is None else into, halo)
    step = max(1, _BLOCK // chunk[0].size)
    for y in range(0, len(out), step):
        part = solid(chunk[y : y + step + 2 * halo[0]])
        sums = _space.array("sums", np.int16, part.size).reshape(part.shape)
        sum_(part, cv2.CV_16S, 1.0, sums)
        target = out[y : y + step]
        target[...] = cv2.LUT(_inner(sums, halo).view(np.uint16), table).reshape(target.shape)
    return out


def _is_exact(finish: tuple[float, float, float], largest: float) -> bool:
    """Return whether every step from a sum to the result is exact in single precision.

    NumPy divides, multiplies, and adds. OpenCV multiplies by the quotient of both numbers.
    """
    gain, divisor, add = finish[0], finish[1], float(np.float32(finish[2]))
    mantissa, exponent = math.frexp(divisor)
    if abs(mantissa) != 0.5 or abs(exponent) > _WIDEST_SHIFT:
        return False  # NumPy rounds the quotient of the sum
    factor = gain / divisor
    whole = (factor * _UNIT).is_integer() and (add * _UNIT).is_integer()
    return whole and (max(largest, 1) * abs(factor) + abs(add)) * _UNIT < 2**24


@lru_cache(maxsize=32)
def _table(gain: float, divisor: float, add: float) -> Pixels:
    """Return the results for all sums, in the order of the sums as unsigned integers."""
    values = np.arange(2**16, dtype=np.uint16).view(np.int16).astype(np.float32)
    np.divide(values, np.float32(divisor), out=values)
    np.multiply(values, np.float32(gain), out=values)
    np.add(values, np.float32(add), out=values)
    table = np.empty(values.shape, np.uint8)
    settle(values, table)
    return table


def magnitude(
    chunk: Pixels, side: int, centre: int, *, add: float, into: Pixels | None = None
) -> Pixels | None:
    """Compute `imgpipe.kernels.gradients.magnitude` of bytes."""
    if chunk.dtype != np.uint8 or chunk.shape[2] > MOST_CHANNELS:
        return None
    difference, smooth = _kernels(side, centre)
    factor = np.float32(0.5 / (2 * side + centre) ** 2)
    out = _inner(np.empty(chunk.shape, np.uint8) if into is None else into, (1, 1))
    step = max(1, _BLOCK_OF_FLOATS // chunk[0].size)
    for y in range(0, len(out), step):
        part = solid(chunk[y : y + step + 2])
        x, other = (
            _space.array(name, np.float32, part.size).reshape(part.shape) for name in ("x", "y")
        )
        cv2.sepFilter2D(part, cv2.CV_32F, difference, smooth, dst=x)
        cv2.sepFilter2D(part, cv2.CV_32F, smooth, difference, dst=other)
        cv2.multiply(x, x, dst=x)
        cv2.accumulateSquare(other, x)
        np.multiply(x, factor, out=x)
        cv2.sqrt(x, dst=x)
        if add:
            np.add(x, np.float32(add), out=x)
        if add < 0:
            np.maximum(x, 0, out=x)  # the next step takes the magnitude
        target = out[y : y + step]
        target[...] = cv2.convertScaleAbs(_inner(x, (1, 1))).reshape(target.shape)
    return out


def _inner(padded: Pixels, halo: Halo) -> Pixels:
    (rows, columns), (height, width) = halo, padded.shape[:2]
    return padded[rows : height - rows, columns : width - columns]
