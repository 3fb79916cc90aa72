"""Chunks as OpenCV takes them, and its results as kernels return them."""

from __future__ import annotations

import numpy as np

from imgpipe.image import Pixels

__all__ = ["MOST_CHANNELS", "inner", "solid"]

MOST_CHANNELS = 128  # of an array that OpenCV takes


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
    out = np.empty(chunk.shape, chunk.dtype)
    for channel in range(channels):  # to copy the channels of every pixel at once is slow
        np.copyto(out[..., channel], chunk[..., channel])
    return out
