"""Edges: filters made of the differences of neighbours."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.image import Pixels
from imgpipe.kernels.neighbourhood import (
    Taps,
    Weights,
    by_rows,
    scaled,
    working_type,
)
from imgpipe.parameters import Between
from imgpipe.values import full_scale
from imgpipe.workspace import Workspace

__all__ = [
    "emboss",
    "laplace",
    "prewitt",
    "scharr",
    "sobel",
]

_space = Workspace()

Axis = Literal["magnitude", "x", "y"]

_GAIN_HELP = "factor on the result"
_AXIS_HELP = "strength of the edge, or the derivative along x or along y"
_OFFSET_HELP = "added to the result, as a fraction of white"


@filter(halo=1)
def sobel(
    chunk: Pixels,
    *,
    axis: Annotated[Axis, _AXIS_HELP] = "magnitude",
    offset: Annotated[
        float | None, Between(-1, 1, of_white=True), _OFFSET_HELP + "; 0.5 for x and y by default"
    ] = None,
) -> Pixels:
    """Find edges with the Sobel operator.

    ``sqrt((dx**2 + dy**2) / 2)``, where ``dx`` is ``value[x + 1] - value[x - 1]`` averaged over
    three rows with the weights ``(1, 2, 1) / 4``, and ``dy`` the same with rows and columns
    exchanged. An edge from black to white has a ``dx`` of white.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    axis : {"magnitude", "x", "y"}
        The magnitude, or ``dx`` or ``dy`` alone.
    offset : float, optional
        Added to the result, as a fraction of white: 0 by default for the magnitude, and 0.5
        for ``dx`` and ``dy``, whose negative values unsigned integers cannot hold.

    Returns
    -------
    ndarray
        The same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] I. Sobel, An isotropic 3x3 image gradient operator, in Machine Vision for
       Three-Dimensional Scenes, 1990.
    """
    return _gradient(chunk, 1, 2, axis, offset)


@filter(halo=1)
def scharr(
    chunk: Pixels,
    *,
    axis: Annotated[Axis, _AXIS_HELP] = "magnitude",
    offset: Annotated[
        float | None, Between(-1, 1, of_white=True), _OFFSET_HELP + "; 0.5 for x and y by default"
    ] = None,
) -> Pixels:
    """Find edges with the Scharr operator.

    As `sobel`, with the weights ``(3, 10, 3) / 16``: the result is nearly the same at every angle.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    axis : {"magnitude", "x", "y"}
        The magnitude, or the derivative along ``x`` or ``y`` alone.
    offset : float, optional
        Added to the result, as a fraction of white: 0 by default for the magnitude, and 0.5
        for the derivatives.

    Returns
    -------
    ndarray
        The same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] H. Scharr, Optimal operators in digital image processing, thesis, Heidelberg, 2000.
    """
    return _gradient(chunk, 3, 10, axis, offset)


@filter(halo=1)
def prewitt(
    chunk: Pixels,
    *,
    axis: Annotated[Axis, _AXIS_HELP] = "magnitude",
    offset: Annotated[
        float | None, Between(-1, 1, of_white=True), _OFFSET_HELP + "; 0.5 for x and y by default"
    ] = None,
) -> Pixels:
    """Find edges with the Prewitt operator.

    As `sobel`, with the weights ``(1, 1, 1) / 3``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    axis : {"magnitude", "x", "y"}
        The magnitude, or the derivative along ``x`` or ``y`` alone.
    offset : float, optional
        Added to the result, as a fraction of white: 0 by default for the magnitude, and 0.5
        for the derivatives.

    Returns
    -------
    ndarray
        The same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] J. M. S. Prewitt, Object enhancement and extraction, in Picture Processing and
       Psychopictorics, 1970.
    """
    return _gradient(chunk, 1, 1, axis, offset)


@filter(halo=1)
def laplace(
    chunk: Pixels,
    *,
    gain: Annotated[float, Between(-1e6, 1e6), _GAIN_HELP] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Laplacian: the sum of the second differences along both axes.

    ``gain * (up + down + left + right - 4 * centre) + offset * maximum``, where the maximum is
    that of the dtype, and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    gain : float
        Factor of the result.
    offset : float
        Added to the result, as a fraction of white. The default shifts 0 to the middle,
        so that unsigned integers can hold both signs.

    Returns
    -------
    ndarray
        The same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.6.
    """
    return _weighted(chunk, ((0, 1, 0), (1, -4, 1), (0, 1, 0)), gain, offset)


@filter(halo=1)
def emboss(
    chunk: Pixels,
    *,
    strength: Annotated[
        float, Between(-100, 100), "depth; negative values invert the relief"
    ] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Emboss: a relief of the image, lit from the top left.

    The three neighbours to the right, below and to the lower right, less the three to the left,
    above and to the upper left, times `strength`, plus ``offset * maximum``, where the maximum is
    that of the dtype, and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    strength : float
        Depth of the relief; negative values invert it.
    offset : float
        The value of flat areas, as a fraction of white.

    Returns
    -------
    ndarray
        The same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] J. C. Russ, The Image Processing Handbook, CRC Press, 2011.
    """
    return _weighted(chunk, ((-1, -1, 0), (-1, 0, 1), (0, 1, 1)), strength, offset)


def _weighted(chunk: Pixels, weights: Weights, gain: float, offset: float) -> Pixels:
    """Return a weighted sum over 3 x 3 pixels, times `gain`, plus `offset` of the full range."""
    taps, working = Taps.of(weights), working_type(chunk.dtype, weights)

    def compute(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        total = out if working == out.dtype else _space.array("total", working, out.size)
        taps.sum(x, row, pixel, total)
        if total is not out:
            np.copyto(out, total)
        scaled(out, gain, offset * full_scale(chunk.dtype))

    return by_rows(chunk, (1, 1), working, compute)


def _gradient(chunk: Pixels, side: int, centre: int, axis: Axis, offset: float | None) -> Pixels:
    """Return derivatives smoothed with the weights (side, centre, side), or their magnitude."""
    total = 2 * side + centre
    if offset is None:
        offset = 0.0 if axis == "magnitude" else 0.5
    add = offset * full_scale(chunk.dtype)

    def derivative(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        across, along = (row, pixel) if axis == "x" else (pixel, row)
        np.copyto(out, _derivative(x, across, along, side, centre, out.size))
        scaled(out, 1 / total, add)

    def magnitude(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        other = _space.array("other", out.dtype, out.size)
        np.copyto(out, _derivative(x, row, pixel, side, centre, out.size))
        np.copyto(other, _derivative(x, pixel, row, side, centre, out.size))
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

    working = working_type(chunk.dtype, ((-total, total),))
    return by_rows(chunk, (1, 1), working, magnitude if axis == "magnitude" else derivative)


def _derivative(x: Pixels, across: int, along: int, side: int, centre: int, size: int) -> Pixels:
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
