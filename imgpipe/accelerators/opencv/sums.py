"""Kernels of OpenCV that add values up: the mean over a square."""

from __future__ import annotations

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS, inner, solid
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = ["box_mean"]

_space = Workspace()

# Largest radius at which the mean of OpenCV is the nearest whole number for every sum. It is a
# product in float32, which beyond this radius rounds some means next to a half to the wrong side.
_UINT8, _UINT16, _INT16 = map(np.dtype, ("uint8", "uint16", "int16"))
_WIDEST_MEAN = {_UINT8: 81, _UINT16: 4, _INT16: 7}
# Largest radius for whole sums: 31 bits hold them, and of bytes they are faster than in NumPy.
_WIDEST_SUM = {_UINT8: 300, _UINT16: 90, _INT16: 127}

_BLOCK = 96 * 1024  # sums that are divided at once


def box_mean(chunk: Pixels, *, radius: int, into: Pixels | None = None) -> Pixels | None:
    """Compute `imgpipe.kernels.boxes.box_mean`."""
    side, dtype = 2 * radius + 1, chunk.dtype
    if not 1 <= radius <= _WIDEST_SUM.get(dtype, 0) or chunk.shape[2] > MOST_CHANNELS:
        return None
    if radius <= _WIDEST_MEAN[dtype]:
        return inner(cv2.blur(solid(chunk), (side, side), dst=into), chunk, radius)
    return _mean_of_sums(chunk, radius, into)


def _mean_of_sums(chunk: Pixels, radius: int, into: Pixels | None) -> Pixels:
    """Divide whole sums, and round to the nearest."""
    side = 2 * radius + 1
    area = side * side
    whole = _space.array("sums", np.int32, chunk.size).reshape(chunk.shape)
    cv2.boxFilter(solid(chunk), cv2.CV_32S, (side, side), dst=whole, normalize=False)
    sums = inner(whole, chunk, radius)
    out = np.empty(sums.shape, chunk.dtype) if into is None else inner(into, chunk, radius)
    step = max(1, _BLOCK // sums[0].size)
    for y in range(0, len(sums), step):
        part = sums[y : y + step]
        mean = _space.array("mean", np.int32, part.size).reshape(part.shape)
        np.add(part, area // 2, out=mean)
        np.floor_divide(mean, area, out=mean)
        np.copyto(out[y : y + step], mean, casting="unsafe")
    return out
