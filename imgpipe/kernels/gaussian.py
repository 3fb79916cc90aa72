"""Gaussian blur of a padded chunk.

8-bit images are filtered in whole numbers of 16 bits: narrow Gaussians along lines, wide ones by
way of every second row and column. All others are exact sums in floating point.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from imgpipe.image import Pixels
from imgpipe.kernels.lines import lines
from imgpipe.kernels.pyramid import pyramid
from imgpipe.kernels.separable import apply

if TYPE_CHECKING:
    from imgpipe.kernels.cascade import Cascade

__all__ = ["exact_type", "gaussian", "gaussian_line", "gaussian_radius", "gaussian_samples"]


def gaussian_radius(sigma: float, truncate: float) -> int:
    """Return the radius of a Gaussian that is cut off at ``truncate`` standard deviations."""
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
    origin: tuple[int, int] = (0, 0),
    into: Pixels | None = None,
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
        Distance at which the Gaussian is cut off, in standard deviations.
    dtype : dtype, optional
        Type of the result; that of ``chunk`` by default.
    origin : (int, int), optional
        Row and column of the first sample in the whole image. It counts if 8 bits become 8 bits,
        where even and odd rows are computed each in their own way.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of that dtype
        uint8 is within 3 levels, usually 1, of the unrounded Gaussian: see
        `imgpipe.kernels.lines` and `imgpipe.kernels.pyramid` for the whole numbers that are
        computed. A Gaussian of at least 2 pixels that is cut off before 3.5 standard deviations is
        exact, and rounded half to even. Other types are exact to 1e-6 of
        the largest absolute value within the footprint where they are computed in float32, see
        `exact_type`, else to 1e-10; then they are rounded half to even.
    """
    radius = gaussian_radius(sigma, truncate)
    dtype = dtype or chunk.dtype.newbyteorder("=")
    if radius == 0:
        return chunk.astype(dtype)
    if dtype == chunk.dtype == np.uint8:
        from imgpipe.kernels.gaussian_design import Lines, Pyramid, designed  # noqa: PLC0415

        design = designed(float(sigma), radius)
        if isinstance(design, Lines):
            return lines(chunk, radius, *design, into=into)
        if isinstance(design, Pyramid):
            y, x = ((start + radius) % 2**design.levels for start in origin)
            return pyramid(chunk, radius, (y, x), *design, into=into)
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
