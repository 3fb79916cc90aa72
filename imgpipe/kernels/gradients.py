"""Gradients: differences of neighbours, smoothed across, and their magnitude."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.neighbourhood import by_rows, scaled, working_type
from imgpipe.workspace import Workspace

__all__ = ["derivative", "magnitude"]

_space = Workspace()


@accelerated
def derivative(
    chunk: Pixels,
    side: int,
    centre: int,
    axis: Literal["x", "y"],
    *,
    add: float,
    into: Pixels | None = None,
) -> Pixels:
    """Return the derivative of a padded chunk along an axis, plus `add`.

    ``(side * before + centre * here + side * after) / (2 * side + centre) + add``, where `here` is
    the difference of the two neighbours along the axis, and `before` and `after` are those of the
    lines beside it. Of uint8 and uint16 the sum is a whole number, and exact. It is multiplied by
    the reciprocal of the divisor and `add` is added in single precision; the result is rounded
    half to even.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2, columns + 2, channels)
        Any type.
    side, centre : int
        Weights across the axis.
    axis : {"x", "y"}
        Along columns or along rows.
    add : float
        Added to the result.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    total = 2 * side + centre

    def compute(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        across, along = (row, pixel) if axis == "x" else (pixel, row)
        np.copyto(out, _differences(x, across, along, side, centre, out.size))
        scaled(out, 1 / total, add)

    return by_rows(chunk, (1, 1), working_type(chunk.dtype, ((-total, total),)), compute, into)


@accelerated
def magnitude(
    chunk: Pixels, side: int, centre: int, *, add: float, into: Pixels | None = None
) -> Pixels:
    """Return ``sqrt((dx**2 + dy**2) / 2) + add`` of a padded chunk.

    Both are derivatives as in `derivative`. Of uint8 the sum of the squares of their whole
    numbers is rounded once, to single precision. It is multiplied by ``1 / (2 * divisor**2)``; the
    root is taken, `add` is added, each in single precision, and the result is rounded half to
    even.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2, columns + 2, channels)
        Any type.
    side, centre : int
        Weights across the axis of each derivative.
    add : float
        Added to the result.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    total = 2 * side + centre

    def compute(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        other = _space.array("other", out.dtype, out.size)
        np.copyto(out, _differences(x, row, pixel, side, centre, out.size))
        np.copyto(other, _differences(x, pixel, row, side, centre, out.size))
        if chunk.dtype.kind == "f":
            _hypotenuse(out, other)
            scaled(out, math.sqrt(0.5) / total, add)
            return
        np.multiply(out, out, out=out)
        np.multiply(other, other, out=other)
        np.add(out, other, out=out)
        scaled(out, 0.5 / total**2, 0)
        np.sqrt(out, out=out)
        scaled(out, 1, add)

    return by_rows(chunk, (1, 1), working_type(chunk.dtype, ((-total, total),)), compute, into)


def _differences(x: Pixels, across: int, along: int, side: int, centre: int, size: int) -> Pixels:
    """Return the differences of samples that are two steps of `along` apart, smoothed across."""
    smooth = _space.array("smooth", x.dtype, size + 2 * along)
    spare = _space.array("spare", x.dtype, smooth.size)
    np.add(x[: smooth.size], x[2 * across :][: smooth.size], out=smooth)
    if side != 1:
        np.multiply(smooth, x.dtype.type(side), out=smooth)
    middle = x[across:][: smooth.size]
    if centre != 1:
        middle = np.multiply(middle, x.dtype.type(centre), out=spare)
    np.add(smooth, middle, out=smooth)
    return np.subtract(smooth[2 * along :], smooth[:size], out=spare[:size])


def _hypotenuse(out: Pixels, other: Pixels) -> None:
    """Write ``sqrt(out**2 + other**2)`` to `out`.

    `numpy.hypot` is right for any magnitude, but slow. So it is called only where the sum of the
    squares is too large, or too small for all its digits. That depends on the two values alone.
    """
    limits = np.finfo(out.dtype)
    least = limits.smallest_normal / limits.eps**2
    squares, spare = (_space.array(name, out.dtype, out.size) for name in ("squares", "spare"))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        np.add(np.multiply(out, out, out=squares), np.multiply(other, other, out=spare), squares)
        if out.size and not (squares.min() >= least and squares.max() <= limits.max):
            unsafe = ~((squares >= least) & (squares <= limits.max)) & ((out != 0) | (other != 0))
            np.hypot(out, other, out=out, where=unsafe)
            np.sqrt(squares, out=out, where=~unsafe)
            return
        np.sqrt(squares, out=out)
