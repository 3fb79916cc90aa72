"""Gaussian blur of a padded chunk.

8-bit images are filtered in 16-bit integers, and wide Gaussians of them by way of every fourth row
and column, where the place of the chunk is known. All others are exact sums in floating point.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from imgpipe.image import Pixels
from imgpipe.kernels.separable import Sweep, apply

if TYPE_CHECKING:
    from imgpipe.kernels.cascade import Cascade

__all__ = ["exact_type", "gaussian", "gaussian_line", "gaussian_radius", "gaussian_samples"]

# From this sigma on, 8-bit images go by way of every fourth sample.
_WIDE = 14.0


def gaussian_radius(sigma: float, truncate: float) -> int:
    """Return how far a Gaussian reaches that is cut off at ``truncate`` standard deviations."""
    return int(truncate * sigma + 0.5)


def exact_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the floating-point type that is exact enough for sums of values of `dtype`.

    float32 for uint8, uint16, float16 and float32, else float64.
    """
    single = dtype.kind == "f" and dtype.itemsize <= 4
    return np.dtype(np.float32 if single or dtype in (np.uint8, np.uint16) else np.float64)


def gaussian(
    chunk: Pixels,
    *,
    sigma: float,
    truncate: float = 4.0,
    dtype: np.dtype[Any] | None = None,
    origin: tuple[int, int] | None = None,
) -> Pixels:
    """Blur a padded chunk with a Gaussian and return its interior.

    ``sum_k g[k] x[i + k] / sum_k g[k]``, ``g[k] = exp(-k**2 / (2 sigma**2))``,
    ``abs(k) <= radius``, along both axes.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Of any real type; ``radius = int(truncate * sigma + 0.5)``.
    sigma : float
        Standard deviation in pixels.
    truncate : float
        Where the Gaussian is cut off, in standard deviations.
    dtype : dtype, optional
        Type of the result; that of ``chunk`` by default.
    origin : (int, int), optional
        Row and column of the first sample in the whole image: wide Gaussians of 8 bits are
        faster where it is known.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of that dtype
        uint8 is within about one level of the unrounded Gaussian. Other types are exact to 1e-6 of
        the largest absolute value within the footprint where they are computed in float32, see
        `exact_type`, else to 1e-10; then they are rounded half to even.
    """
    radius = gaussian_radius(sigma, truncate)
    dtype = dtype or chunk.dtype.newbyteorder("=")
    if radius == 0:
        return chunk.astype(dtype)
    if dtype == np.uint8:
        from imgpipe.kernels.half_design import half_rows  # noqa: PLC0415 - only for this

        design = None if origin is None else half_rows(float(sigma), radius)
        if design is not None and origin is not None:
            from imgpipe.kernels.half_rows import blurred_by_half  # noqa: PLC0415 - only for this

            return blurred_by_half(chunk, radius, origin[0], design)
        from imgpipe.kernels.gaussian_design import LONG, chains  # noqa: PLC0415 - only for this

        if origin is not None and sigma >= _WIDE and radius >= LONG * sigma:
            from imgpipe.kernels.wide_gaussian import blurred_by_way  # noqa: PLC0415 - only for this

            return blurred_by_way(chunk, radius, origin, _what_is_left(float(sigma), radius))
        both = chains(float(sigma), radius)
        if both is not None:
            return apply(chunk, *both, (radius, radius), dtype)
    from imgpipe.kernels.magnitudes import summed  # noqa: PLC0415 - not for narrow blurs of 8 bits

    working = exact_type(dtype)

    def total(x: Pixels, working: np.dtype[Any]) -> Pixels:
        line = gaussian_line(float(sigma), radius, working)
        return apply(x, line, line, (radius, radius), dtype if x is chunk else working)

    return summed(chunk, radius, working, total, mean=True)


@functools.lru_cache(maxsize=64)
def gaussian_line(
    sigma: float, radius: int, dtype: np.dtype[Any], *, second: bool = False
) -> Cascade:
    """Return the sweep of a Gaussian, see `gaussian_samples`."""
    from imgpipe.kernels.cascade import cascade  # noqa: PLC0415 - not for narrow blurs of 8 bits

    return cascade(gaussian_samples(sigma, radius, second=second), sigma, dtype)


def gaussian_samples(sigma: float, radius: int, *, second: bool = False) -> Pixels:
    """Return a Gaussian of sum 1 at 0, 1, ... radius, or its second derivative times ``sigma**2``.

    All but the first stand for two samples.
    """
    squares = (np.arange(radius + 1) / (sigma or 1)) ** 2
    g = np.exp(-0.5 * squares)
    g /= g[0] + 2 * math.fsum(g[1:])
    return g * (squares - 1) if second else g


@functools.lru_cache(maxsize=64)
def _what_is_left(sigma: float, radius: int) -> Sweep:
    """Choose the blur, in both directions, between thinning out and filling in."""
    from imgpipe.kernels.gaussian_design import coarse_chain  # noqa: PLC0415 - only for this
    from imgpipe.kernels.wide_gaussian import left_over  # noqa: PLC0415 - only for this

    return coarse_chain(*left_over(sigma, radius))
