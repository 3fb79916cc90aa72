"""Gaussian blur of a padded chunk.

8-bit images are filtered in 16-bit integers and others in floating point. Wide Gaussians of 8-bit
images go by way of every fourth row and column, where the place of the chunk is known.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from imgpipe.filters.gaussian_design import LONG, chains, real_chain
from imgpipe.filters.separable import Pass, apply
from imgpipe.filters.wide_gaussian import blurred_by_way, left_over
from imgpipe.image import Pixels

__all__ = ["gaussian", "gaussian_radius"]

# From this sigma on, 8-bit images go by way of every fourth sample; sigma that octaves may leave
# there, where less is asked of what is left.
_WIDE = 14.0
_LEAST_LEFT = 1.3


def gaussian_radius(sigma: float, truncate: float) -> int:
    """Return how far a Gaussian reaches that is cut off at ``truncate`` standard deviations."""
    return int(truncate * sigma + 0.5)


def gaussian(
    chunk: Pixels,
    *,
    sigma: float,
    truncate: float = 4.0,
    dtype: np.dtype[Any] | None = None,
    origin: tuple[int, int] | None = None,
) -> Pixels:
    """Blur a padded chunk with a Gaussian and return its interior.

    Approximates ``sum_k g[k] x[i + k] / sum_k g[k]``, ``g[k] = exp(-k**2 / (2 sigma**2))``,
    ``abs(k) <= radius``, along both axes.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        uint8, uint16, float32 or float64; ``radius = int(truncate * sigma + 0.5)``.
    sigma : float
        Standard deviation in pixels.
    truncate : float
        Where the Gaussian is cut off, in standard deviations.
    dtype : dtype, optional
        What to compute in and to return, that of ``chunk`` by default.
    origin : (int, int), optional
        Row and column of the first sample in the whole image: wide Gaussians of 8 bits are
        faster where it is known.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of that dtype
        8-bit samples are within about one level of the unrounded Gaussian; others are
        exact up to a sigma of about 5, and beyond within 2e-4 of their range.
    """
    radius, dtype = gaussian_radius(sigma, truncate), dtype or chunk.dtype
    if radius == 0:
        return chunk.astype(dtype)
    if origin is not None and dtype == np.uint8 and sigma >= _WIDE and radius >= LONG * sigma:
        return blurred_by_way(chunk, radius, origin, _what_is_left(float(sigma), radius))
    down, along = chains(float(sigma), radius, dtype)
    return apply(chunk, down, along, (radius, radius), dtype)


@functools.lru_cache(maxsize=64)
def _what_is_left(sigma: float, radius: int) -> Pass:
    """Choose what blurs, in both directions, between thinning out and filling in."""
    return real_chain(*left_over(sigma, radius), np.dtype(np.float32), _LEAST_LEFT)
