"""Edges: filters made of the differences of neighbours."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, Literal

import numpy as np

from imgpipe.errors import ParameterError
from imgpipe.filters.base import filter
from imgpipe.filters.gaussian import gaussian, gaussian_radius
from imgpipe.filters.kernels import (
    Line,
    Taps,
    Weights,
    by_rows,
    finished,
    real_type,
    scaled,
    working_type,
)
from imgpipe.filters.parameters import Between
from imgpipe.filters.separable import apply, scratch
from imgpipe.filters.values import full_scale
from imgpipe.image import Pixels

__all__ = [
    "difference_of_gaussians",
    "emboss",
    "gaussian_laplace",
    "laplace",
    "prewitt",
    "scharr",
    "sobel",
]

Axis = Literal["magnitude", "x", "y"]

_GAIN_HELP = "what the result is multiplied by"
_AXIS_HELP = "strength of the edge, or the derivative along x or along y"
_OFFSET_HELP = "added to the result, in units of the full range"


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
    exchanged. A step from black to white has a ``dx`` of the full range.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8, uint16 or float.
    axis : {"magnitude", "x", "y"}
        The magnitude, or ``dx`` or ``dy`` alone.
    offset : float, optional
        Added to the result, in units of the full range: 0 by default for the magnitude, and 0.5
        for ``dx`` and ``dy``, whose negative values integers cannot hold.

    Returns
    -------
    ndarray
        Of the same dtype; integers are rounded and saturated.

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

    As `sobel`, with the weights ``(3, 10, 3) / 16``: nearly the same at every angle.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8, uint16 or float.
    axis : {"magnitude", "x", "y"}
        The magnitude, or the derivative along ``x`` or ``y`` alone.
    offset : float, optional
        Added to the result, in units of the full range: 0 by default for the magnitude, and 0.5
        for the derivatives.

    Returns
    -------
    ndarray
        Of the same dtype; integers are rounded and saturated.

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
        uint8, uint16 or float.
    axis : {"magnitude", "x", "y"}
        The magnitude, or the derivative along ``x`` or ``y`` alone.
    offset : float, optional
        Added to the result, in units of the full range: 0 by default for the magnitude, and 0.5
        for the derivatives.

    Returns
    -------
    ndarray
        Of the same dtype; integers are rounded and saturated.

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
        uint8, uint16 or float.
    gain : float
        What the result is multiplied by.
    offset : float
        Added to the result, in units of the full range. By default 0 becomes the middle of the
        range, so that integers show both signs.

    Returns
    -------
    ndarray
        Of the same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.6.
    """
    return _weighted(chunk, ((0, 1, 0), (1, -4, 1), (0, 1, 0)), gain, offset)


@filter(halo=1)
def emboss(
    chunk: Pixels,
    *,
    strength: Annotated[float, Between(-100, 100), "how deep; negative turns it inside out"] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Emboss: a relief of the image, lit from the top left.

    The three neighbours to the right, below and to the lower right, less the three to the left,
    above and to the upper left, times `strength`, plus ``offset * maximum``, where the maximum is
    that of the dtype, and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8, uint16 or float.
    strength : float
        How deep the relief is; negative values turn it inside out.
    offset : float
        The tone of what is flat, in units of the full range.

    Returns
    -------
    ndarray
        Of the same dtype; integers are rounded and saturated.

    References
    ----------
    .. [1] J. C. Russ, The Image Processing Handbook, CRC Press, 2011.
    """
    return _weighted(chunk, ((-1, -1, 0), (-1, 0, 1), (0, 1, 1)), strength, offset)


@filter(halo=gaussian_radius)
def gaussian_laplace(
    chunk: Pixels,
    *,
    sigma: Annotated[float, Between(0.3, 100), "standard deviation in pixels"] = 2.0,
    truncate: Annotated[float, Between(1, 10), "radius in standard deviations"] = 4.0,
    gain: Annotated[float, Between(-1e6, 1e6), _GAIN_HELP] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Laplacian of Gaussian: second derivatives of the blurred image.

    Each channel is convolved with the second derivative, along both axes, of a Gaussian, and the
    two are summed: ``gain * sum + offset * maximum``, where the maximum is that of the dtype, and
    1 for floats. Values grow smaller as ``1 / sigma**2``; a `gain` of ``sigma**2`` makes up for it.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8, uint16 or float.
    sigma : float
        Standard deviation of the Gaussian in pixels, 0.3 to 100.
    truncate : float
        Radius in standard deviations.
    gain : float
        What the result is multiplied by.
    offset : float
        Added to the result, in units of the full range; what is flat gets this value.

    Returns
    -------
    ndarray
        Of the same dtype; integers are computed in float32, rounded and saturated.

    References
    ----------
    .. [1] D. Marr, E. Hildreth, Theory of edge detection, Proc. R. Soc. B 207, 1980.
    """
    radius = gaussian_radius(sigma, truncate)
    real = real_type(chunk.dtype)
    smooth, second = _gaussian_lines(sigma, radius, real)
    total = apply(chunk, second, smooth, (radius, radius), real)
    np.add(total, apply(chunk, smooth, second, (radius, radius), real), out=total)
    return finished(total, chunk.dtype, gain, offset * full_scale(chunk.dtype))


def _difference_radius(low_sigma: float, high_sigma: float | None, truncate: float) -> int:
    high = _high_sigma(low_sigma, high_sigma)
    if high < low_sigma:
        raise ParameterError(
            "difference_of_gaussians: high_sigma must not be less than low_sigma, "
            f"{high:g} is less than {low_sigma:g}"
        )
    return gaussian_radius(high, truncate)


def _high_sigma(low_sigma: float, high_sigma: float | None) -> float:
    return 1.6 * low_sigma if high_sigma is None else high_sigma


@filter(halo=_difference_radius)
def difference_of_gaussians(
    chunk: Pixels,
    *,
    low_sigma: Annotated[float, Between(0, 60), "standard deviation of the narrow one"] = 1.0,
    high_sigma: Annotated[
        float | None, Between(0, 100), "that of the wide one, 1.6 times as much by default"
    ] = None,
    truncate: Annotated[float, Between(1, 10), "radius in standard deviations"] = 4.0,
    gain: Annotated[float, Between(-1e6, 1e6), _GAIN_HELP] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Difference of Gaussians: what is between two scales.

    ``gain * (blur(low_sigma) - blur(high_sigma)) + offset * maximum``, where the maximum is that of
    the dtype, and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        uint8, uint16 or float.
    low_sigma : float
        Standard deviation of the narrow Gaussian in pixels; 0 leaves the image as it is.
    high_sigma : float, optional
        Standard deviation of the wide one, ``1.6 * low_sigma`` by default.
    truncate : float
        Radius in standard deviations.
    gain : float
        What the difference is multiplied by.
    offset : float
        Added to the result, in units of the full range; what is flat gets this value.

    Returns
    -------
    ndarray
        Of the same dtype; integers are computed in float32, rounded and saturated. Blurs are
        exact up to a sigma of about 5, and beyond within 2e-4 of the range.

    References
    ----------
    .. [1] D. Marr, E. Hildreth, Theory of edge detection, Proc. R. Soc. B 207, 1980.
    """
    high_sigma = _high_sigma(low_sigma, high_sigma)
    real = real_type(chunk.dtype)
    cut = gaussian_radius(high_sigma, truncate) - gaussian_radius(low_sigma, truncate)
    inner = chunk[cut : len(chunk) - cut, cut : chunk.shape[1] - cut]
    total = gaussian(inner, sigma=low_sigma, truncate=truncate, dtype=real)
    wide = gaussian(chunk, sigma=high_sigma, truncate=truncate, dtype=real)
    np.subtract(total, wide, out=total)
    return finished(total, chunk.dtype, gain, offset * full_scale(chunk.dtype))


@functools.lru_cache(maxsize=64)
def _gaussian_lines(sigma: float, radius: int, dtype: np.dtype[Any]) -> tuple[Line, Line]:
    """Return the passes of a Gaussian of sum 1 and of its second derivative."""
    squares = np.arange(-radius, radius + 1) ** 2
    g = np.exp(-0.5 * squares / sigma**2)
    g /= math.fsum(g)
    second = g * (squares / sigma**4 - 1 / sigma**2)
    return Line.of(tuple(g.tolist()), dtype), Line.of(tuple(second.tolist()), dtype)


def _weighted(chunk: Pixels, weights: Weights, gain: float, offset: float) -> Pixels:
    """Return a weighted sum over 3 x 3 pixels, times `gain`, plus `offset` of the full range."""
    taps, working = Taps.of(weights), working_type(chunk.dtype, weights)

    def compute(x: Pixels, row: int, pixel: int, out: Pixels) -> None:
        total = out if working == out.dtype else scratch("total", working, out.size)
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
        other = scratch("other", out.dtype, out.size)
        np.copyto(out, _derivative(x, row, pixel, side, centre, out.size))
        np.copyto(other, _derivative(x, pixel, row, side, centre, out.size))
        if chunk.dtype.kind == "f":  # whose squares may be too large, or too small
            np.hypot(out, other, out=out)
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
    smooth = scratch("smooth", x.dtype, size + 2 * along)
    spare = scratch("spare", x.dtype, smooth.size)
    np.add(x[: smooth.size], x[2 * across :][: smooth.size], out=smooth)
    if side != 1:
        np.multiply(smooth, x.dtype.type(side), out=smooth)
    middle = x[across:][: smooth.size]
    if centre != 1:
        middle = np.multiply(middle, x.dtype.type(centre), out=spare)
    np.add(smooth, middle, out=smooth)
    return np.subtract(smooth[2 * along :], smooth[:size], out=spare[:size])
