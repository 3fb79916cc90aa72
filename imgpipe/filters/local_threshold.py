"""Local thresholds: one for each pixel, from its neighbourhood."""

from __future__ import annotations

import math
from typing import Annotated, Literal, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.chains.definition import Place
from imgpipe.errors import UsageError
from imgpipe.image import Pixels
from imgpipe.kernels.boxes import box_mean
from imgpipe.kernels.gaussian import gaussian
from imgpipe.parameters import Between
from imgpipe.values import full_scale

__all__ = ["adaptive_threshold"]

_WIDEST = 4  # bytes of integers whose differences fit a type

Method = Literal["mean", "gaussian"]

# A Gaussian whose standard deviation is a third of the radius, cut off at four of them.
_SIGMAS, _TRUNCATE = 3, 4.0


def _reach(radius: int, method: Method) -> int:
    return radius if method == "mean" else int(_TRUNCATE * radius / _SIGMAS + 0.5)


@filter(halo=_reach)
def adaptive_threshold(
    chunk: Pixels,
    *,
    radius: Annotated[int, Between(1, 300), "pixels on each side of the centre"] = 15,
    offset: Annotated[
        float, Between(-1, 1, of_white=True), "subtracted from the mean, as a fraction of white"
    ] = 0.08,
    method: Annotated[Method, "mean over a square, or weighted by a Gaussian"] = "mean",
    place: Place,
) -> Pixels:
    """Make pixels white that are brighter than their neighbourhood.

    ``white if value > mean - offset * white else 0``, for each channel by itself; white is the
    maximum for integers and 1 for floats. The mean is taken over a square of ``2 * radius + 1``
    pixels on a side, or weighted by a Gaussian with a standard deviation of ``radius / 3``. For
    integers the mean is rounded to a whole number, as by `box` or `blur`, so the result is exactly
    ``white if value > mean - ceil(offset * white) else 0``.

    The defaults suit a scanned or photographed page: letters are darker than the mean by more than
    the offset and become black; the grain of the paper is not, and becomes white.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers of 8, 16 or 32 bits, or float.
    radius : int
        Pixels on each side of the centre, 1 to 300. It should be larger than the width of a stroke.
    offset : float
        Subtracted from the mean, as a fraction of white, -1 to 1. With an offset above 0 flat
        areas become white; with 0 about half of their pixels do, because of noise.
    method : {"mean", "gaussian"}
        Weights of the neighbourhood: all equal, or those of a Gaussian.

    Returns
    -------
    ndarray
        The same type; only 0 and white. A pixel with NaN in its neighbourhood becomes 0.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 10.3.
    """
    if chunk.dtype.kind in "iu" and chunk.itemsize > _WIDEST:
        raise UsageError(
            f"adaptive_threshold: cannot compare {chunk.dtype} exactly; convert the image first, "
            "for example by astype:int32"
        )
    reach = _reach(radius, method)
    centre = chunk[reach:-reach, reach:-reach]
    if method == "mean":
        local = box_mean(chunk, radius=radius)
    else:
        origin = place.padded.y0, place.padded.x0
        sigma = radius / _SIGMAS
        local = gaussian(chunk, sigma=sigma, truncate=_TRUNCATE, origin=origin)
    if chunk.dtype.kind == "f":
        return cast(Pixels, centre > np.subtract(local, offset, out=local))
    # Of whole numbers a value is above the mean less the offset if it is above that rounded down.
    levels = math.ceil(round(offset * full_scale(chunk.dtype), 6))
    return _is_above(centre, local, levels)


def _is_above(values: Pixels, means: Pixels, levels: int) -> Pixels:
    """Return whether whole `values` are above `means` less `levels`.

    A distance that is not negative fits the unsigned type of the values. So for positive `levels`
    the mean must be above the value by less than them; else the value must be above the mean by
    more than ``-levels``.
    """
    unsigned = np.dtype(f"u{values.itemsize}")
    larger = np.maximum(values, means)
    smaller = values if levels > 0 else means
    distance = np.subtract(larger, smaller, out=larger).view(unsigned)
    if levels > 0:
        return cast(Pixels, distance < unsigned.type(levels))
    return cast(Pixels, distance > unsigned.type(-levels))
