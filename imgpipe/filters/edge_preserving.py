"""Edge-preserving smoothing: averages of neighbours that are alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.geometry import equal_at_most, pieces
from imgpipe.image import Pixels
from imgpipe.kernels.neighbourhood import real_type
from imgpipe.parameters import Between
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = ["bilateral"]

_space = Workspace()

# Rows and columns worked on at once: a larger square has less halo, a smaller one stays in cache.
_SIDE = 192


def _bilateral_radius(sigma_spatial: float) -> int:
    return max(2, math.ceil(3 * sigma_spatial))


@filter(halo=_bilateral_radius, alpha="premultiply", never_brighter=True)
def bilateral(
    chunk: Pixels,
    *,
    white: float,
    sigma_color: Annotated[
        float,
        Between(1e-4, 100),
        "standard deviation of the colour difference, as a fraction of white",
    ] = 0.1,
    sigma_spatial: Annotated[float, Between(0.3, 10), "standard deviation in pixels"] = 1.0,
) -> Pixels:
    """Bilateral filter: smooth, but not across edges.

    The weighted mean over a square. The weight of a pixel is ``exp(-distance**2 / (2 *
    sigma_spatial**2)) * exp(-difference**2 / (2 * sigma_color**2))``, where the difference is the
    length of the vector between the two colours, as a fraction of white. The square has a radius
    of ``max(2, ceil(3 * sigma_spatial))`` pixels.

    The mean is computed in float32 for integers of 8 and 16 bits, float16 and float32, and in
    float64 for all other types.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    white : float
        The value of full colour.
    sigma_color : float
        Standard deviation of the colour difference, as a fraction of white.
    sigma_spatial : float
        Standard deviation in pixels, 0.3 to 10.

    Returns
    -------
    ndarray
        The same type; integers are rounded.

    References
    ----------
    .. [1] C. Tomasi, R. Manduchi, Bilateral filtering for gray and color images, Proc. IEEE
       International Conference on Computer Vision, 1998.
    """
    radius, real = _bilateral_radius(sigma_spatial), real_type(chunk.dtype)
    rows, columns = chunk.shape[0] - 2 * radius, chunk.shape[1] - 2 * radius
    out = np.empty((rows, columns, chunk.shape[2]), np.uint8 if chunk.dtype == np.uint8 else real)
    # Colours in units of this, their squared difference is the exponent.
    unit = math.sqrt(2) * sigma_color * white
    most = max(_SIDE, 4 * radius)
    with np.errstate(over="ignore"):  # an infinite difference has no weight
        for y in pieces(rows, equal_at_most(rows, most)):
            for x in pieces(columns, equal_at_most(columns, most)):
                part = chunk[y.start : y.stop + 2 * radius, x.start : x.stop + 2 * radius]
                _mix(part, radius, unit, 0.5 / sigma_spatial**2, out[y, x])
    return out


def _mix(part: Pixels, radius: int, unit: float, narrowness: float, out: Pixels) -> None:
    """Filter a small padded chunk, one plane for each channel, its rows end to end.

    Two pixels have the same weight for one another, so half of the square is enough.
    """
    height, width, channels = part.shape
    real = real_type(part.dtype)
    planes = _space.array("flat", real, part.size).reshape(channels, -1)
    np.copyto(planes.reshape(channels, height, width), part.transpose(2, 0, 1))
    np.multiply(planes, real.type(1 / unit), out=planes)
    if part.dtype.kind == "f":  # no difference is infinite, whose product with no weight is NaN
        most = np.finfo(real).max / 4
        np.clip(planes, -most, most, out=planes)
    # From the first to the last pixel of the interior, with the pixels between its rows.
    first = radius * (width + 1)
    size = planes.shape[1] - 2 * first
    weights = _space.array("a", real, size)
    rows = _space.array("b", real, channels * len(out) * width).reshape(channels, -1)
    changes = rows[:, :size]
    weights.fill(1)
    changes.fill(0)
    for down, along in _half_square(radius):
        away = down * width + along
        near = planes[:, first - away : first + size]
        far = planes[:, first : first + size + away]
        change = _space.array("c", real, near.size).reshape(near.shape)
        np.subtract(far, near, out=change)
        weight = _likeness(change, narrowness * (down**2 + along**2))
        np.multiply(change, weight, out=change)
        np.add(weights, weight[away:], out=weights)
        np.add(weights, weight[:size], out=weights)
        np.add(changes, change[:, away:], out=changes)
        np.subtract(changes, change[:, :size], out=changes)
    np.divide(changes, weights, out=changes)
    np.multiply(changes, real.type(unit), out=changes)
    for channel, plane in enumerate(rows):
        mixed = plane.reshape(len(out), width)[:, : out.shape[1]]
        np.add(mixed, part[radius : height - radius, radius : width - radius, channel], out=mixed)
        settle(mixed, out[..., channel])


def _half_square(radius: int) -> Iterator[tuple[int, int]]:
    """Yield the pixels of a square that follow its centre."""
    for down in range(radius + 1):
        for along in range(-radius if down else 1, radius + 1):
            yield down, along


def _likeness(change: Pixels, exponent: float) -> Pixels:
    """Return ``exp(-exponent - sum of squares)``."""
    squares = _space.array("d", change.dtype, change.size).reshape(change.shape)
    np.multiply(change, change, out=squares)
    total = squares[0]
    for square in squares[1:]:
        np.add(total, square, out=total)
    np.subtract(change.dtype.type(-exponent), total, out=total)
    weight = _space.array("e", change.dtype, total.size)
    np.exp(total, out=weight)
    return weight
