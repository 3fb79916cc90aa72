"""Kernels of OpenCV that put values in order: minimum, maximum, median."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import inner
from imgpipe.image import Pixels

__all__ = ["extreme"]

_ORDERED = (np.uint8, np.uint16, np.int16)


def extreme(chunk: Pixels, better: np.ufunc, radius: int, shape: str) -> Pixels | None:
    """Compute `imgpipe.kernels.extremes.extreme`."""
    if chunk.dtype not in _ORDERED or radius == 0:
        return None
    function = cv2.erode if better is np.minimum else cv2.dilate
    made = function(chunk, _element(radius, shape), borderType=cv2.BORDER_REPLICATE)
    return inner(made, chunk, radius)


@lru_cache(maxsize=16)
def _element(radius: int, shape: str) -> Pixels:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    inside = {
        "square": np.ones((x + y).shape),
        "cross": (x == 0) | (y == 0),
        "disk": x * x + y * y <= radius * radius,
    }
    return np.asarray(inside[shape], np.uint8)
