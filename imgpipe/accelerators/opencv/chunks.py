"""Chunks as OpenCV takes them, and its results as kernels return them."""

from __future__ import annotations

from imgpipe.image import Pixels

__all__ = ["inner"]


def inner(made: Pixels, chunk: Pixels, radius: int) -> Pixels:
    """Return what was made of a chunk without its halo, and with its channels."""
    height, width, _ = chunk.shape
    whole: Pixels = made.reshape(chunk.shape)
    return whole[radius : height - radius, radius : width - radius]
