"""Kernels of OpenCV that look at one pixel at a time: tables, and sums of channels."""

from __future__ import annotations

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS, beside_alpha, has_long_tables, solid
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = ["looked_up", "luma", "mixed"]

_space = Workspace()

_BLOCK = 64 * 1024  # samples in floats at once
_COLOURS_TO_COLOURS = (3, 3)  # NumPy's matrix product is as fast for other matrices


def looked_up(chunk: Pixels, tables: Pixels) -> Pixels | None:
    """Compute `imgpipe.kernels.lookup.looked_up` of uint16; of bytes NumPy is about as fast."""
    if chunk.dtype != np.uint16 or chunk.shape[2] > MOST_CHANNELS or not has_long_tables():
        return None
    entries = np.ascontiguousarray(tables.T)[None]
    made: Pixels = cv2.LUT(solid(chunk), entries)
    return made.reshape(chunk.shape)


def luma(chunk: Pixels, *, into: Pixels | None = None) -> Pixels | None:
    """Compute `imgpipe.kernels.mixing.luma`."""
    four = beside_alpha(chunk)
    if four is not None:
        return cv2.cvtColor(four, cv2.COLOR_RGBA2GRAY, dst=into).reshape(*chunk.shape[:2], 1)
    made: Pixels = cv2.cvtColor(chunk, cv2.COLOR_RGB2GRAY, dst=into)
    return made.reshape(*chunk.shape[:2], 1)


def mixed(chunk: Pixels, columns: Pixels, saturates: bool) -> Pixels | None:  # noqa: FBT001
    """Compute `imgpipe.kernels.mixing.mixed` where the sums are exact in float32."""
    if columns.dtype != np.float32 or columns.shape != _COLOURS_TO_COLOURS:
        return None
    out = np.empty(chunk.shape, np.uint8)
    weights = np.ascontiguousarray(columns.T)
    step = max(1, _BLOCK // chunk[0].size)
    for y in range(0, len(chunk), step):
        part = solid(chunk[y : y + step])
        given, total = (_space.array(name, np.float32, part.size) for name in ("given", "total"))
        np.copyto(given.reshape(part.shape), part)
        cv2.transform(given.reshape(part.shape), weights, dst=total.reshape(part.shape))
        if saturates:
            np.maximum(total, 0, out=total)  # the next step takes the magnitude
        cv2.convertScaleAbs(total.reshape(1, -1), dst=out[y : y + step].reshape(1, -1))
    return out
