"""Box mean: sums by doubling, so that every radius costs about the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from imgpipe.filters.separable import apply, scratch
from imgpipe.image import Pixels

__all__ = ["box_mean"]


def box_mean(chunk: Pixels, *, radius: int | tuple[int, int]) -> Pixels:
    """Take the mean over a rectangle around each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * ry, columns + 2 * rx, channels)
        uint8, uint16, float32 or float64.
    radius : int or (int, int)
        Pixels on each side of the centre, ``ry`` down and ``rx`` along.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of ``chunk``
        ``sum / ((2 ry + 1) (2 rx + 1))``; of integers the exact mean, rounded.
    """
    ry, rx = radius if isinstance(radius, tuple) else (radius, radius)
    height, width = 2 * ry + 1, 2 * rx + 1
    area = height * width
    down = _Window(height, 1, _holds(chunk.dtype, height))
    along = _Window(width, area, _holds(chunk.dtype, area))
    return apply(chunk, down, along, (ry, rx))


def _holds(dtype: np.dtype[Any], count: int) -> np.dtype[Any]:
    """Choose the type for a sum of ``count`` values, and half of ``count`` more for rounding."""
    if dtype.kind == "f":
        return dtype
    return np.min_scalar_type(max(2**16 - 1, count * int(np.iinfo(dtype).max) + count // 2))


@dataclass(frozen=True)
class _Window:
    """The sum of ``length`` neighbours, divided by ``divisor``."""

    length: int
    divisor: int
    dtype: np.dtype[Any]

    @property
    def support(self) -> int:
        return self.length - 1

    def run(self, x: Pixels, unit: int) -> Pixels:
        """Sum windows of 1, 2, 4, ... neighbours, and those that make up ``length``."""
        here, there, total = (scratch(name, self.dtype, x.size) for name in "abc")
        n = x.size - self.support * unit
        total = total[:n]
        # Odd lengths all begin with a window of one.
        result, window, power, covered = x[:n], x, 1, 1
        while covered < self.length:
            n_window = window.size - power * unit
            window = np.add(window[:n_window], window[power * unit :], out=there[:n_window])
            here, there, power = there, here, 2 * power
            if self.length & power:
                result = np.add(result, window[covered * unit :][:n], out=total)
                covered += power
        if result is not total:
            np.copyto(total, result)
        return scratch("c", self.dtype, x.size)

    def finish(self, done: Pixels, out: Pixels) -> None:
        if self.divisor == 1:
            np.copyto(out, done, casting="unsafe")
        elif done.dtype.kind == "f":
            np.divide(done, self.divisor, out=out)
        else:
            # The area is odd, so that no mean lies halfway between two integers.
            np.add(done, self.divisor // 2, out=done)
            np.floor_divide(done, self.divisor, out=done)
            np.copyto(out, done, casting="unsafe")
