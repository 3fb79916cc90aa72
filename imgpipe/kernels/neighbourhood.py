"""Weighted sums over a neighbourhood, for edge filters and convolutions.

Rows of a padded chunk are laid end to end, so that the neighbours of all samples, so many rows
down and so many pixels to the right, are one contiguous slice. Where a row runs over into the
next the result is junk, but that is halo and cut off.

The taps of a sum are added in the same order for every sample, wherever a chunk begins.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.room import inside
from imgpipe.records import dataclass
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = [
    "Line",
    "Taps",
    "by_rows",
    "finished",
    "real_type",
    "scaled",
    "weighted_sum",
    "working_type",
]

_space = Workspace()

Weights: TypeAlias = tuple[tuple[float, ...], ...]

# Samples worked on at once: a few such arrays fit a second-level cache of a megabyte.
_BLOCK = 48 * 1024


def by_rows(
    chunk: Pixels,
    halo: tuple[int, int],
    working: np.dtype[Any],
    compute: Callable[[Pixels, int, int, Pixels], None],
    into: Pixels | None = None,
) -> Pixels:
    """Compute the interior of a padded chunk, some rows at a time.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * halo[0], columns + 2 * halo[1], channels)
        The chunk with its halo.
    working : dtype
        Type of ``x``.
    compute : callable
        Called as ``compute(x, row, pixel, out)``: ``x`` is flat and of the `working` type, one
        row further down is ``row`` samples away and one pixel to the right ``pixel`` samples.
        The result for the neighbourhood with its top left sample at ``x[i]`` goes to ``out[i]``,
        of the type that `real_type` names, not yet rounded.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of ``chunk``
    """
    height, width, channels = chunk.shape
    rows, columns = height - 2 * halo[0], width - 2 * halo[1]
    out = inside(into, (rows, columns, channels), chunk.dtype)
    source, target = chunk.reshape(height, -1), out.reshape(rows, -1)
    row = source.shape[1]
    step = max(1, _BLOCK // row)
    for y in range(0, rows, step):
        part = source[y : min(y + step, rows) + 2 * halo[0]]
        count = len(part) - 2 * halo[0]
        x = _space.array("flat", working, part.size)
        np.copyto(x.reshape(part.shape), part)
        done = _space.array("done", real_type(chunk.dtype), count * row)
        compute(x, row, channels, done[: done.size - 2 * halo[1] * channels])
        settle(done.reshape(count, row)[:, : target.shape[1]], target[y : y + count])
    return out


@accelerated
def weighted_sum(
    chunk: Pixels,
    weights: Weights,
    *,
    gain: float = 1.0,
    divisor: float = 1.0,
    add: float = 0.0,
    into: Pixels | None = None,
) -> Pixels:
    """Return ``gain * sum / divisor + add``, with a weighted sum over a rectangle.

    The sum is exact for uint8 and whole weights, if ``255 * sum(abs(weights)) < 2**15``. It is
    then divided, multiplied, and `add` is added, each in single precision, and the result is
    rounded half to even.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * down, columns + 2 * along, channels)
        Any type.
    weights : tuple of tuples of float, ``2 * down + 1`` rows and ``2 * along + 1`` columns
        From the sample above and to the left.
    gain, divisor, add : float
        The sum is divided by `divisor`, multiplied by `gain`, and `add` is added.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    taps, working = _taps(weights), working_type(chunk.dtype, weights)

    def compute(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        total = out if working == out.dtype else _space.array("total", working, out.size)
        taps.sum(x, row, pixel, total)
        if total is not out:
            np.copyto(out, total)
        if divisor != 1:
            np.divide(out, out.dtype.type(divisor), out=out)
        scaled(out, gain, add)

    return by_rows(chunk, (len(weights) // 2, len(weights[0]) // 2), working, compute, into)


def finished(values: Pixels, dtype: np.dtype[Any], gain: float = 1.0, add: float = 0.0) -> Pixels:
    """Return ``gain * values + add`` in another type. The values may be overwritten."""
    out = np.empty(values.shape, dtype)
    source, target = values.reshape(-1), out.reshape(-1)
    for start in range(0, source.size, _BLOCK):
        part = source[start : start + _BLOCK]
        scaled(part, gain, add)
        settle(part, target[start : start + _BLOCK])
    return out


def real_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the floating-point type that values of `dtype` are computed in."""
    single = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float32 if single else np.float64)


def scaled(done: Pixels, gain: float, add: float) -> None:
    """Multiply by ``gain`` and add ``add``, in place."""
    if gain != 1:
        np.multiply(done, done.dtype.type(gain), out=done)
    if add:
        np.add(done, done.dtype.type(add), out=done)


def working_type(dtype: np.dtype[Any], weights: Weights) -> np.dtype[Any]:
    """Return the smallest type that a weighted sum can be computed in.

    If an integer type is returned, the sum is exact. So it is in float32 for integers of 8 and
    16 bits while it stays below ``2**24``.
    """
    if dtype == np.uint8 and all(float(w).is_integer() for row in weights for w in row):
        reach = 255 * math.fsum(abs(w) for row in weights for w in row)
        if reach < 2**15:
            return np.dtype(np.int16)
    return real_type(dtype)


class _Group(NamedTuple):
    """Taps of the same weight; those in ``minus`` are subtracted."""

    weight: float
    plus: tuple[tuple[int, int], ...]
    minus: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Taps:
    """A weighted sum over a rectangle, its equal weights brought together."""

    groups: tuple[_Group, ...]

    @classmethod
    def of(cls, weights: Weights) -> Taps:
        """Return the sum of ``weights[j][i]`` times the sample ``j`` down and ``i`` along."""
        found: dict[float, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
        for j, row in enumerate(weights):
            for i, weight in enumerate(row):
                if weight:
                    found.setdefault(abs(weight), ([], []))[weight < 0].append((j, i))
        groups = []
        for weight, (plus, minus) in found.items():
            if plus:
                groups.append(_Group(weight, tuple(plus), tuple(minus)))
            else:
                groups.append(_Group(-weight, tuple(minus), ()))
        return cls(tuple(groups))

    def sum(self, x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        """Write the sum for the neighbourhood of each ``x[i]`` to ``out[i]``."""
        if not self.groups:
            out.fill(0)
        for number, (weight, plus, minus) in enumerate(self.groups):
            here = _space.array("group", out.dtype, out.size) if number else out
            total = x[_at(plus[0], row, pixel) :][: out.size]
            for tap in plus[1:]:
                total = np.add(total, x[_at(tap, row, pixel) :][: out.size], out=here)
            for tap in minus:
                total = np.subtract(total, x[_at(tap, row, pixel) :][: out.size], out=here)
            if weight != 1:
                total = np.multiply(total, out.dtype.type(weight), out=here)
            if number:
                np.add(out, total, out=out)
            elif total is not out:
                np.copyto(out, total)


@dataclass(frozen=True)
class Line:
    """One direction of a separable filter: a weighted sum, over ``divisor``, plus ``add``."""

    taps: Taps
    support: int
    dtype: np.dtype[Any]
    divisor: float = 1.0
    add: float = 0.0

    @classmethod
    def of(cls, weights: tuple[float, ...], dtype: np.dtype[Any]) -> Line:
        """Return the sum of ``weights[i]`` times the sample ``i`` further; their number is odd."""
        return cls(Taps.of((weights,)), len(weights) - 1, dtype)

    def run(self, x: Pixels, unit: int) -> Pixels:
        """Sum; see `imgpipe.kernels.separable.Sweep`."""
        out = _space.array("a", self.dtype, x.size)
        self.taps.sum(x, 0, unit, out[: x.size - self.support * unit])
        return out

    def finish(self, done: Pixels, out: Pixels) -> None:
        """Divide, add, round and saturate."""
        if self.divisor != 1:
            np.divide(done, done.dtype.type(self.divisor), out=done)
        scaled(done, 1, self.add)
        settle(done, out)


_taps = functools.lru_cache(maxsize=64)(Taps.of)


def _at(tap: tuple[int, int], row: int, pixel: int) -> int:
    return tap[0] * row + tap[1] * pixel
