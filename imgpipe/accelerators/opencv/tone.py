"""Kernels of OpenCV that look at one pixel at a time: tables, thresholds, sums of channels."""

from __future__ import annotations

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS, beside_alpha, solid
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

__all__ = ["above", "looked_up", "luma", "mixed"]

_space = Workspace()

_BLOCK = 64 * 1024  # samples in floats at once
_LONG_TABLES = 5  # version that takes tables of 65,536 entries
_COLOURS_TO_COLOURS = (3, 3)  # NumPy's matrix product is as fast for other matrices
_LEVELS = (np.uint8, np.uint16)


def looked_up(chunk: Pixels, tables: Pixels) -> Pixels | None:
    """Compute `imgpipe.kernels.lookup.looked_up`."""
    long = chunk.dtype != np.uint8
    if chunk.shape[2] > MOST_CHANNELS or (long and int(cv2.__version__[0]) < _LONG_TABLES):
        return None
    entries = np.ascontiguousarray(tables.T)[None]
    made: Pixels = cv2.LUT(solid(chunk), entries)
    return made.reshape(chunk.shape)


def above(chunk: Pixels, level: int) -> Pixels | None:
    """Compute `imgpipe.kernels.thresholds.above`."""
    if chunk.dtype not in (*_LEVELS, np.int16):
        return None
    flat = solid(chunk).reshape(len(chunk), -1)
    _, made = cv2.threshold(flat, level, np.iinfo(chunk.dtype).max, cv2.THRESH_BINARY)
    return made.reshape(chunk.shape)


def luma(chunk: Pixels) -> Pixels | None:
    """Compute `imgpipe.kernels.mixing.luma`."""
    four = beside_alpha(chunk)
    if four is not None:
        return cv2.cvtColor(four, cv2.COLOR_RGBA2GRAY)[..., None]
    return cv2.cvtColor(chunk, cv2.COLOR_RGB2GRAY)[..., None]


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
