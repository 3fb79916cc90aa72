"""Rank: filters that put the values of a neighbourhood in order and pick one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.image import Pixels
from imgpipe.kernels.counting import rank_by_counting
from imgpipe.kernels.extremes import extreme
from imgpipe.kernels.lanes import rank_by_lanes
from imgpipe.kernels.networks import rank_by_network
from imgpipe.parameters import Between

__all__ = ["median", "percentile"]

# Lanes are faster for bytes, from so many on, with these radii; if not, then networks up to this
# radius, for values of so many bytes.
_LANES = range(10, 26)
_MANY = 190_000
_NARROW = {1: 10, 2: 11, 4: 9, 8: 7}

Radius = Annotated[int, Between(0, 100), "pixels on each side of the centre"]


@filter(halo=lambda radius: radius, never_brighter=True)
def median(chunk: Pixels, *, radius: Radius = 1) -> Pixels:
    """Take the median around each pixel.

    Of each channel, over a square of ``2 * radius + 1`` pixels on a side: as many values are below
    as above. It is one of the values, exactly. Where the square has a NaN, the result is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    radius : int
        Pixels on each side of the centre.

    Returns
    -------
    ndarray
        The same dtype; zero has no sign.

    References
    ----------
    .. [1] T. S. Huang, G. J. Yang, G. Y. Tang, A fast two-dimensional median filtering algorithm,
       IEEE Transactions on Acoustics, Speech, and Signal Processing 27(1), 1979.
    .. [2] A. Adams, Fast median filters using separable sorting networks, ACM Transactions on
       Graphics 40(4), 2021.
    """
    return _ranked(chunk, radius, (2 * radius + 1) ** 2 // 2)


@filter(halo=lambda radius: radius, never_brighter=True)
def percentile(
    chunk: Pixels,
    *,
    percentile: Annotated[
        float, Between(0, 100), "the percentile: 0 minimum, 50 median, 100 maximum"
    ] = 50.0,
    radius: Radius = 1,
) -> Pixels:
    """Take a percentile around each pixel.

    Each channel is filtered by itself, over a square of ``2 * radius + 1`` pixels on a side. Its
    ``n`` values are sorted. The result is the value at index ``int(n * percentile / 100)``, or
    the last value for 100. There is no interpolation, as in `scipy.ndimage.percentile_filter`.
    A percentile of 0 is the minimum, 50 the median and 100 the maximum. If the square has a NaN,
    the result is NaN.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    percentile : float
        The percentile, 0 to 100.
    radius : int
        Pixels on each side of the centre.

    Returns
    -------
    ndarray
        The same dtype; zero has no sign.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 5.3.
    """
    count = (2 * radius + 1) ** 2
    return _ranked(chunk, radius, min(int(float(count) * percentile / 100), count - 1))


def _ranked(chunk: Pixels, radius: int, rank: int) -> Pixels:
    if rank in (0, (2 * radius + 1) ** 2 - 1):
        return extreme(chunk, np.maximum if rank else np.minimum, radius, "square")
    return _method(chunk, radius)(chunk, radius, rank)


def _method(chunk: Pixels, radius: int) -> Callable[[Pixels, int, int], Pixels]:
    """Return the function that is fastest; all of them find the same."""
    if chunk.dtype == np.uint8 and radius in _LANES and chunk.size >= _MANY:
        return rank_by_lanes
    return rank_by_network if radius <= _NARROW.get(chunk.itemsize, 0) else rank_by_counting
