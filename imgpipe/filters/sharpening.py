"""Sharpening: filters that strengthen detail."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.chains.definition import Place
from imgpipe.image import Pixels
from imgpipe.kernels.gaussian import exact_type, gaussian, gaussian_radius
from imgpipe.kernels.neighbourhood import scaled
from imgpipe.parameters import Between
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = ["unsharp"]

_space = Workspace()

# Up to this radius 8-bit images are blurred in floating point; beyond, integers are much faster,
# and exact enough where their errors are not made larger.
_FINE = 3.0

_TRUNCATE = 4.0
_BLOCK = 48 * 1024


@filter(halo=lambda radius: gaussian_radius(radius, _TRUNCATE))
def unsharp(
    chunk: Pixels,
    *,
    white: float,
    radius: Annotated[float, Between(0.3, 100), "standard deviation of the blur, in pixels"] = 1.0,
    amount: Annotated[float, Between(-1, 100), "how much of the detail to add"] = 1.0,
    threshold: Annotated[
        float, Between(0, 1, of_white=True), "smaller details are not added; a fraction of white"
    ] = 0.0,
    place: Place,
) -> Pixels:
    """Unsharp mask: sharpen by adding the details that a blur removes.

    ``value + amount * (value - blurred)`` where ``abs(value - blurred)`` is more than `threshold`
    as a fraction of white, else ``value``. The blur is a Gaussian cut off at 4 standard
    deviations.

    The error of the blur is at most 1e-10 of the largest absolute value in the neighbourhood for
    float64, signed integers, and integers of 32 and 64 bits, and 1e-6 for other types. For uint8
    with a radius above 3 and an amount of at most 1 it is at most 3 levels, usually 1.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    white : float
        The value of full colour.
    radius : float
        Standard deviation of the blur in pixels, 0.3 to 100.
    amount : float
        Factor of the added details; negative values blur.
    threshold : float
        Smaller details are not added; a fraction of white.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even and saturated.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.6.
    """
    reach, real = gaussian_radius(radius, _TRUNCATE), exact_type(chunk.dtype)
    coarse = chunk.dtype == np.uint8 and radius > _FINE and abs(amount) <= 1
    working = chunk.dtype if coarse else real
    origin = place.padded.y0, place.padded.x0
    blurred = gaussian(chunk, sigma=radius, truncate=_TRUNCATE, dtype=working, origin=origin)
    inside = chunk[reach : len(chunk) - reach, reach : chunk.shape[1] - reach]
    out = np.empty(inside.shape, np.uint8 if chunk.dtype == np.uint8 else real)
    step = max(1, _BLOCK // (inside.shape[1] * inside.shape[2]))
    for y in range(0, len(inside), step):
        part = inside[y : y + step]
        value, detail = (_space.array(name, real, part.size).reshape(part.shape) for name in "ab")
        np.copyto(value, part)
        np.copyto(detail, blurred[y : y + step])
        np.subtract(value, detail, out=detail)
        if threshold:
            counts = np.abs(detail) > real.type(threshold * white)
            np.multiply(detail, counts, out=detail)
        scaled(detail, amount, 0)
        np.add(value, detail, out=value)
        settle(value, out[y : y + step])
    return out
