"""Rank: filters that put the values of a neighbourhood in order and pick one."""

from __future__ import annotations

from typing import Annotated

from imgpipe.chains.decorator import filter
from imgpipe.image import Pixels
from imgpipe.kernels.ranks import ranked
from imgpipe.parameters import Between

__all__ = ["median", "percentile"]

Radius = Annotated[int, Between(0, 100), "pixels on each side of the centre"]


@filter(halo=lambda radius: radius, never_brighter=True)
def median(chunk: Pixels, *, radius: Radius = 1, into: Pixels | None = None) -> Pixels:
    """Take the median around each pixel.

    Each channel is filtered by itself, over a square of ``2 * radius + 1`` pixels on a side. The
    result is ``sorted(square)[n // 2]`` for its ``n`` values. So it is always one of
    the values. If the square has a NaN, the result is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    radius : int
        Pixels on each side of the centre.

    Returns
    -------
    ndarray
        The same type; -0.0 becomes 0.0.

    References
    ----------
    .. [1] T. S. Huang, G. J. Yang, G. Y. Tang, A fast two-dimensional median filtering algorithm,
       IEEE Transactions on Acoustics, Speech, and Signal Processing 27(1), 1979.
    .. [2] A. Adams, Fast median filters using separable sorting networks, ACM Transactions on
       Graphics 40(4), 2021.
    """
    return ranked(chunk, radius, (2 * radius + 1) ** 2 // 2, into=into)


@filter(halo=lambda radius: radius, never_brighter=True)
def percentile(
    chunk: Pixels,
    *,
    percentile: Annotated[
        float, Between(0, 100), "the percentile: 0 minimum, 50 median, 100 maximum"
    ] = 50.0,
    radius: Radius = 1,
    into: Pixels | None = None,
) -> Pixels:
    """Take a percentile around each pixel.

    Each channel is filtered by itself, over a square of ``2 * radius + 1`` pixels on a side. Its
    ``n`` values are sorted. The result is the value at index ``int(n * percentile / 100)``, or
    the last value for 100. As in `scipy.ndimage.percentile_filter`, there is no interpolation.
    A percentile of 0 is the minimum, 50 the median and 100 the maximum. If the square has a NaN,
    the result is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    percentile : float
        The percentile, 0 to 100.
    radius : int
        Pixels on each side of the centre.

    Returns
    -------
    ndarray
        The same type; -0.0 becomes 0.0.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 5.3.
    """
    count = (2 * radius + 1) ** 2
    rank = min(int(float(count) * percentile / 100), count - 1)
    return ranked(chunk, radius, rank, into=into)
