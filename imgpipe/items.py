"""Items: pixels as single values, which NumPy moves far faster than three channels."""

from __future__ import annotations

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels

__all__ = ["as_items", "moved"]

Order = tuple[bool, bool, bool]

_ITEMS = {2: "u2", 4: "u4", 8: "u8", 16: "V16"}
_STRIPE = 64


def as_items(pixels: Pixels) -> Pixels:
    """Return a view that has one item to a pixel, if pixels are of 2, 4, 8 or 16 bytes."""
    item = _ITEMS.get(pixels.shape[2] * pixels.itemsize)
    if item is None or pixels.strides[2] != pixels.itemsize:
        return pixels
    return pixels.view(item)


def moved(pixels: Pixels, order: Order) -> Pixels:
    """Return a copy of pixels in another order.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns, channels)
        Any type.
    order : (bool, bool, bool)
        Whether rows are reversed, whether columns are, and whether both are exchanged after that.
    """
    return moved_bits(pixels.view(f"u{pixels.itemsize}"), order).view(pixels.dtype)


@accelerated
def moved_bits(bits: Pixels, order: Order) -> Pixels:
    """Compute `moved` of unsigned integers.

    A copy of pixels one by one spends its time on starting loops over a few channels. So pixels
    are moved as one item each where that is possible, and otherwise channel by channel.
    """
    from_bottom, from_right, transposed = order
    bits = bits[:: -1 if from_bottom else 1, :: -1 if from_right else 1]
    if transposed:
        bits = bits.swapaxes(0, 1)
    out = np.empty(bits.shape, bits.dtype)
    source = as_items(bits)
    target = out.view(source.dtype)
    down, across, _ = map(abs, bits.strides)
    # Where rows have become columns, a stripe reads few lines of the cache at once.
    width = _STRIPE if across > down else max(1, bits.shape[1])
    for x in range(0, bits.shape[1], width):
        for channel in range(source.shape[2]):
            target[:, x : x + width, channel] = source[:, x : x + width, channel]
    return out
