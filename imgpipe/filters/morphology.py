"""Morphology: filters made of the least and the greatest value of a neighbourhood."""

from __future__ import annotations

from typing import Annotated, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.image import Pixels
from imgpipe.kernels.extremes import Neighbourhood, extreme
from imgpipe.kernels.neighbourhood import real_type
from imgpipe.kernels.room import without
from imgpipe.parameters import Between
from imgpipe.values import to_unsigned

__all__ = [
    "blackhat",
    "close",
    "dilate",
    "erode",
    "maximum",
    "minimum",
    "morphological_gradient",
    "open",
    "tophat",
]

Radius = Annotated[int, Between(0, 1000), "pixels on each side of the centre"]
# Filters of two steps reach twice as far.
Reach = Annotated[int, Between(0, 500), "pixels on each side of the centre"]
Shape = Annotated[Neighbourhood, "which pixels within the radius count"]
Gain = Annotated[float, Between(0, 1e6), "factor on the result"]


@filter(halo=lambda radius: radius, never_brighter=True)
def minimum(
    chunk: Pixels, *, radius: Radius = 1, shape: Shape = "square", into: Pixels | None = None
) -> Pixels:
    """Take the minimum around each pixel.

    ``min(value[y + j, x + i])`` over all ``(j, i)`` of the shape, whose centre is ``(0, 0)``.
    Each channel is filtered by itself. If the neighbourhood has a NaN, the result is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] M. van Herk, A fast algorithm for local minimum and maximum filters on rectangular and
       octagonal kernels, Pattern Recognition Letters 13(7), 1992.
    """
    return extreme(chunk, np.minimum, radius, shape, into=into)


@filter(halo=lambda radius: radius)
def maximum(
    chunk: Pixels, *, radius: Radius = 1, shape: Shape = "square", into: Pixels | None = None
) -> Pixels:
    """Take the maximum around each pixel.

    ``max(value[y + j, x + i])`` over all ``(j, i)`` of the shape, whose centre is ``(0, 0)``.
    Each channel is filtered by itself. If the neighbourhood has a NaN, the result is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 5.3.
    """
    return extreme(chunk, np.maximum, radius, shape, into=into)


@filter(halo=lambda radius: radius, never_brighter=True)
def erode(
    chunk: Pixels, *, radius: Radius = 1, shape: Shape = "square", into: Pixels | None = None
) -> Pixels:
    """Erode: the minimum around each pixel.

    The same as `minimum`, under its name in morphology: ``min(value[y + j, x + i])`` over all
    ``(j, i)`` of the shape, whose centre is ``(0, 0)``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    return extreme(chunk, np.minimum, radius, shape, into=into)


@filter(halo=lambda radius: radius)
def dilate(
    chunk: Pixels, *, radius: Radius = 1, shape: Shape = "square", into: Pixels | None = None
) -> Pixels:
    """Dilate: the maximum around each pixel.

    The same as `maximum`, under its name in morphology: ``max(value[y + j, x + i])`` over all
    ``(j, i)`` of the shape, whose centre is ``(0, 0)``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    return extreme(chunk, np.maximum, radius, shape, into=into)


@filter(halo=lambda radius: 2 * radius, never_brighter=True)
def open(  # noqa: A001 - it is called opening
    chunk: Pixels, *, radius: Reach = 1, shape: Shape = "square", into: Pixels | None = None
) -> Pixels:
    """Open: remove bright details smaller than the shape.

    ``dilate(erode(value))``: an erosion, then a dilation of its result. The image is extended
    once, before the erosion, so the result is never above the image. The chain ``erode | dilate``
    also extends the result of the erosion. So with the borders ``edge`` and ``constant`` it gives
    other pixels at the edges of the image.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    return _opened(chunk, radius, shape, into)


@filter(halo=lambda radius: 2 * radius)
def close(
    chunk: Pixels, *, radius: Reach = 1, shape: Shape = "square", into: Pixels | None = None
) -> Pixels:
    """Close: fill dark details smaller than the shape.

    ``erode(dilate(value))``: a dilation, then an erosion of its result. The image is extended
    once, before the dilation, so the result is never below the image.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    return _closed(chunk, radius, shape, into)


@filter(halo=lambda radius: 2 * radius)
def tophat(
    chunk: Pixels, *, radius: Reach = 1, shape: Shape = "square", gain: Gain = 1.0
) -> Pixels:
    """White top-hat: the image minus its opening.

    ``gain * (value - open(value))``: it keeps the bright details that `open` removes. For the
    border see `open`. The result is often faint; for a photograph it is almost black. To make it
    visible, use a `gain` of 4 to 16, or apply `autocontrast` to it.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.
    gain : float
        Factor of the result, 0 to 1e6.

    Returns
    -------
    ndarray
        The same type; never negative. Integers are rounded and saturated.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    return _difference(_inner(chunk, 2 * radius), _opened(chunk, radius, shape), gain)


@filter(halo=lambda radius: 2 * radius)
def blackhat(
    chunk: Pixels, *, radius: Reach = 1, shape: Shape = "square", gain: Gain = 1.0
) -> Pixels:
    """Black top-hat: the closing minus the image.

    ``gain * (close(value) - value)``: it keeps the dark details that `close` fills. For the border
    see `open`. The result is often faint: use a `gain` of 4 to 16, or apply `autocontrast` to it.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.
    gain : float
        Factor of the result, 0 to 1e6.

    Returns
    -------
    ndarray
        The same type; never negative. Integers are rounded and saturated.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    return _difference(_closed(chunk, radius, shape), _inner(chunk, 2 * radius), gain)


@filter(halo=lambda radius: radius)
def morphological_gradient(
    chunk: Pixels, *, radius: Radius = 1, shape: Shape = "square", gain: Gain = 1.0
) -> Pixels:
    """Take the range of values around each pixel.

    ``gain * (dilate(value) - erode(value))``: the maximum minus the minimum, for each channel.
    The result is bright at edges and 0 in flat areas.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        ``square`` has ``2 * radius + 1`` pixels on a side. ``cross`` is its middle row and column.
        ``disk`` has the pixels whose centres are at most `radius` pixels from the centre.
    gain : float
        Factor of the result, 0 to 1e6.

    Returns
    -------
    ndarray
        The same type; never negative. Integers are rounded and saturated.

    References
    ----------
    .. [1] J. Serra, Image Analysis and Mathematical Morphology, Academic Press, 1982.
    .. [2] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 9.8.
    """
    high, low = extreme(chunk, np.maximum, radius, shape), extreme(chunk, np.minimum, radius, shape)
    return _difference(high, low, gain)


def _opened(chunk: Pixels, radius: int, shape: Neighbourhood, into: Pixels | None = None) -> Pixels:
    least = extreme(chunk, np.minimum, radius, shape)
    return extreme(least, np.maximum, radius, shape, into=without(into, radius))


def _closed(chunk: Pixels, radius: int, shape: Neighbourhood, into: Pixels | None = None) -> Pixels:
    greatest = extreme(chunk, np.maximum, radius, shape)
    return extreme(greatest, np.minimum, radius, shape, into=without(into, radius))


def _difference(high: Pixels, low: Pixels, gain: float) -> Pixels:
    """Return ``gain * (high - low)``; `high` is nowhere below `low`."""
    real = real_type(high.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        if high.dtype.kind == "f":
            less = np.subtract(high, low, dtype=real)
        else:  # signed integers may be further apart than their maximum
            less = np.subtract(to_unsigned(high), to_unsigned(low))
        return cast(Pixels, less if gain == 1 else np.multiply(less, gain, dtype=real))


def _inner(chunk: Pixels, halo: int) -> Pixels:
    height, width = chunk.shape[:2]
    return chunk[halo : height - halo, halo : width - halo]
