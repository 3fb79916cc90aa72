"""Kernels of OpenCV that put values in order: minimum, maximum, median."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS, inner, solid
from imgpipe.image import Pixels

__all__ = ["extreme", "ranked"]

_UINT8, _UINT16, _INT16 = map(np.dtype, ("uint8", "uint16", "int16"))
_ORDERED = (_UINT8, _UINT16, _INT16)

# Largest radius at which OpenCV is faster. NumPy combines the results of smaller footprints,
# OpenCV compares more pixels the larger the footprint is.
_WIDEST = {_UINT8: 10, _UINT16: 12, _INT16: 10}
_WIDEST_DISK = 4

# Radii of medians at which OpenCV is faster: it sorts small footprints, and counts the values of
# large ones, for which they must be bytes.
_SORTED = range(1, 3)
_COUNTED = range(8, 128)
_INTERLEAVED = (1, 3, 4)  # channels that its median takes in one call


def extreme(
    chunk: Pixels, better: np.ufunc, radius: int, shape: str, *, into: Pixels | None = None
) -> Pixels | None:
    """Compute `imgpipe.kernels.extremes.extreme`."""
    widest = _WIDEST.get(chunk.dtype, 0)
    if shape == "disk":
        widest = min(widest, _WIDEST_DISK)
    if not 1 <= radius <= widest or chunk.shape[2] > MOST_CHANNELS:
        return None
    function = cv2.erode if better is np.minimum else cv2.dilate
    return inner(function(solid(chunk), _element(radius, shape), dst=into), chunk, radius)


def ranked(chunk: Pixels, radius: int, rank: int, *, into: Pixels | None = None) -> Pixels | None:
    """Compute `imgpipe.kernels.ranks.ranked`, where it is the median."""
    side = 2 * radius + 1
    radii = _SORTED if chunk.dtype in _ORDERED else ()
    counted = chunk.dtype == np.uint8 and radius in _COUNTED
    if rank != side * side // 2 or not (radius in radii or counted):
        return None
    if chunk.shape[2] in _INTERLEAVED:
        return inner(cv2.medianBlur(solid(chunk), side, dst=into), chunk, radius)
    out = np.empty(
        (chunk.shape[0] - side + 1, chunk.shape[1] - side + 1, chunk.shape[2]), chunk.dtype
    )
    for channel in range(chunk.shape[2]):
        plane = np.ascontiguousarray(chunk[..., channel])
        out[..., channel] = cv2.medianBlur(plane, side)[radius:-radius, radius:-radius]
    return out


@lru_cache(maxsize=16)
def _element(radius: int, shape: str) -> Pixels:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    inside = {
        "square": np.ones((x + y).shape),
        "cross": (x == 0) | (y == 0),
        "disk": x * x + y * y <= radius * radius,
    }
    return np.asarray(inside[shape], np.uint8)
