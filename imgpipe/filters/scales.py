"""Scales: filters that find detail of one size, by Gaussians of that size."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.errors import ParameterError
from imgpipe.image import Pixels
from imgpipe.kernels.gaussian import (
    exact_type,
    gaussian,
    gaussian_line,
    gaussian_radius,
    gaussian_samples,
)
from imgpipe.kernels.magnitudes import summed
from imgpipe.kernels.neighbourhood import finished
from imgpipe.kernels.separable import apply
from imgpipe.parameters import Between
from imgpipe.values import full_scale

__all__ = ["difference_of_gaussians", "gaussian_laplace"]

_GAIN_HELP = "factor of the result; by default an edge from black to white spans the full range"
_OFFSET_HELP = "added to the result, as a fraction of white"

# The least response to a step that the default gain makes up for.
_LEAST_RESPONSE = 1e-3


@filter(halo=gaussian_radius)
def gaussian_laplace(
    chunk: Pixels,
    *,
    sigma: Annotated[float, Between(0.3, 100), "standard deviation in pixels"] = 2.0,
    truncate: Annotated[float, Between(1, 10), "radius in standard deviations"] = 4.0,
    gain: Annotated[float | None, Between(-1e6, 1e6), _GAIN_HELP] = None,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Laplacian of Gaussian: second derivatives of the blurred image.

    The result is ``gain * sum + offset * white``. The sum is that of the second derivatives of the
    blurred image along both axes, for each channel by itself; white is the maximum for integers
    and 1 for floats. The sum is negative in bright details. A gain of 1 and an offset of 0 give
    the result of ``scipy.ndimage.gaussian_laplace``. Its values decrease as ``1 / sigma**2``, so
    in 8 bits they are hardly visible.

    With a gain of ``sigma**2``, results are exact to 1e-6 of the largest absolute value in the
    neighbourhood for uint8, uint16, float16 and float32, and to 1e-10 for other types, before they
    are rounded.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    sigma : float
        Standard deviation of the Gaussian in pixels, 0.3 to 100.
    truncate : float
        Radius in standard deviations.
    gain : float, optional
        Factor of the sum. By default about ``2.07 * sigma**2``: then a straight edge from black to
        white spans the full range, half of it above the offset and half below.
    offset : float
        Added to the result, as a fraction of white; flat areas get this value.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even and saturated. NaN where the
        neighbourhood has NaN or infinity.

    References
    ----------
    .. [1] D. Marr, E. Hildreth, Theory of edge detection, Proc. R. Soc. B 207, 1980.
    """
    radius, working = gaussian_radius(sigma, truncate), exact_type(chunk.dtype)

    def total(x: Pixels, working: np.dtype[Any]) -> Pixels:
        smooth = gaussian_line(sigma, radius, working)
        second = gaussian_line(sigma, radius, working, second=True)
        made = apply(x, second, smooth, (radius, radius), working)
        np.add(made, apply(x, smooth, second, (radius, radius), working), out=made)
        return made

    made = summed(chunk, radius, working, total, mean=False)
    if gain is None:
        factor = _visible(gaussian_samples(sigma, radius, second=True))
    else:
        factor = gain / sigma**2
    return finished(made, chunk.dtype, factor, offset * full_scale(chunk.dtype))


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
    low_sigma: Annotated[float, Between(0, 60), "standard deviation of the narrow Gaussian"] = 1.0,
    high_sigma: Annotated[
        float | None,
        Between(0, 100),
        "standard deviation of the wide Gaussian; 1.6 times the narrow one by default",
    ] = None,
    truncate: Annotated[float, Between(1, 10), "radius in standard deviations"] = 4.0,
    gain: Annotated[float | None, Between(-1e6, 1e6), _GAIN_HELP] = None,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
) -> Pixels:
    """Difference of Gaussians: details between two scales.

    ``gain * (blur(low_sigma) - blur(high_sigma)) + offset * white``, where white is the maximum for
    integers and 1 for floats. With a gain of 1 and an offset of 0 the result is the plain
    difference, which in 8 bits can hardly be seen.

    With a gain of 1, results are exact to 1e-6 of the largest absolute value in the
    neighbourhood for uint8, uint16, float16 and float32, and to 1e-10 for other types, before they
    are rounded.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    low_sigma : float
        Standard deviation of the narrow Gaussian in pixels; 0 leaves the image as it is.
    high_sigma : float, optional
        Standard deviation of the wide one, ``1.6 * low_sigma`` by default.
    truncate : float
        Radius in standard deviations.
    gain : float, optional
        Factor of the difference. By default a straight edge from black to white spans the full
        range, half of it above the offset and half below. This factor is about 4.5 where
        `high_sigma` is ``1.6 * low_sigma``, and at most 500.
    offset : float
        Added to the result, as a fraction of white; flat areas get this value.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even and saturated.

    References
    ----------
    .. [1] D. Marr, E. Hildreth, Theory of edge detection, Proc. R. Soc. B 207, 1980.
    """
    high_sigma = _high_sigma(low_sigma, high_sigma)
    working = exact_type(chunk.dtype)
    low_radius, radius = (gaussian_radius(sigma, truncate) for sigma in (low_sigma, high_sigma))
    cut = radius - low_radius
    inner = chunk[cut : len(chunk) - cut, cut : chunk.shape[1] - cut]
    total = gaussian(inner, sigma=low_sigma, truncate=truncate, dtype=working)
    wide = gaussian(chunk, sigma=high_sigma, truncate=truncate, dtype=working)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        np.subtract(total, wide, out=total)
    if gain is None:
        difference = -gaussian_samples(high_sigma, radius)
        difference[: low_radius + 1] += gaussian_samples(low_sigma, low_radius)
        gain = _visible(difference)
    return finished(total, chunk.dtype, gain, offset * full_scale(chunk.dtype))


def _visible(half: Pixels) -> float:
    """Return the gain for which the response to a step from 0 to 1 is at most 0.5.

    `half` are the weights of a symmetric filter, from its middle to its end.
    """
    response = np.abs(np.cumsum(np.concatenate([half[:0:-1], half]))).max()
    return 0.5 / max(float(response), _LEAST_RESPONSE)
