"""Conversion of chunks for OpenCV, and of its results for kernels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided

from imgpipe.image import Pixels

__all__ = ["MOST_CHANNELS", "beside_alpha", "has_long_tables", "inner", "solid"]

MOST_CHANNELS = 128  # of an array that OpenCV takes
_LONG_TABLES = 5  # version of OpenCV
_COLOURS = (np.uint8, np.uint16, np.float32)


def inner(made: Pixels, chunk: Pixels, radius: int) -> Pixels:
    """Return the result for a chunk without its halo, and with its channels."""
    height, width, _ = chunk.shape
    whole: Pixels = made.reshape(chunk.shape)
    return whole[radius : height - radius, radius : width - radius]


def solid(chunk: Pixels) -> Pixels:
    """Return a chunk whose pixels of a row lie side by side; OpenCV is slow to copy others."""
    size, channels = chunk.itemsize, chunk.shape[2]
    if chunk.strides[2] == size and chunk.strides[1] == size * channels:
        return chunk
    four = beside_alpha(chunk)
    if four is not None:
        return cv2.cvtColor(four, cv2.COLOR_RGBA2RGB)
    out = np.empty(chunk.shape, chunk.dtype)
    for channel in range(channels):  # to copy the channels of every pixel at once is slow
        np.copyto(out[..., channel], chunk[..., channel])
    return out


def beside_alpha(chunk: Pixels) -> Pixels | None:
    """Return three channels together with a fourth, if one follows each pixel in memory."""
    size, base = chunk.itemsize, chunk.base
    if chunk.dtype not in _COLOURS or chunk.shape[2] != 3 or chunk.strides[1:] != (4 * size, size):
        return None
    if not (isinstance(base, np.ndarray) and base.flags.forc and chunk.strides[0] > 0):
        return None
    last = chunk[-1:, -1:, -1:]
    if _address(last) + 2 * size > _address(base) + base.nbytes:
        return None
    return as_strided(chunk, (*chunk.shape[:2], 4))


def has_long_tables() -> bool:
    """Return whether this version looks up words of 16 bits."""
    return int(cv2.__version__.partition(".")[0]) >= _LONG_TABLES


def _address(array: Pixels) -> int:
    return int(array.__array_interface__["data"][0])
