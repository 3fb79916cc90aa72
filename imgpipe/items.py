"""Items: pixels as single values, which NumPy moves far faster than three channels."""

from __future__ import annotations

import numpy as np

from imgpipe.image import Pixels

__all__ = ["as_items", "in_order"]

_ITEMS = {2: "u2", 4: "u4", 8: "u8", 16: "V16"}
_STRIPE = 64


def as_items(pixels: Pixels) -> Pixels:
    """Return a view that has one item to a pixel, if pixels are of 2, 4, 8 or 16 bytes."""
    item = _ITEMS.get(pixels.shape[2] * pixels.itemsize)
    if item is None or pixels.strides[2] != pixels.itemsize:
        return pixels
    return pixels.view(item)


def in_order(pixels: Pixels) -> Pixels:
    """Return a copy of a view whose rows, columns, or both were reversed or swapped.

    A copy of pixels one by one spends its time on starting loops over a few channels. So pixels
    are moved as one item each where that is possible, and otherwise channel by channel.
    """
    out = np.empty(pixels.shape, pixels.dtype)
    source = as_items(pixels)
    target = out.view(source.dtype)
    down, across, _ = map(abs, pixels.strides)
    # Where rows have become columns, a stripe reads few lines of the cache at once.
    width = _STRIPE if across > down else max(1, pixels.shape[1])
    for x in range(0, pixels.shape[1], width):
        for channel in range(source.shape[2]):
            target[:, x : x + width, channel] = source[:, x : x + width, channel]
    return out
