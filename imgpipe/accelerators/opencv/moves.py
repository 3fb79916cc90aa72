"""Kernels of OpenCV that move pixels: mirroring, turns by quarters, transposition."""

from __future__ import annotations

import cv2
import numpy as np

from imgpipe.image import Pixels

__all__ = ["moved_bits"]

# A type of OpenCV for each size of a value. No value is looked at.
_TYPES = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}

# Bytes of a pixel that OpenCV moves faster. NumPy is as fast where a pixel is one item to it.
_REVERSED = (1, 2, 3, 4, 6, 12, 24)
_TURNED = (1, 2, 3, 6, 12, 24)
_TURNED_TWICE = (1, 2, 3)

_AROUND = {(True, False): 0, (False, True): 1, (True, True): -1}  # what `cv2.flip` is told
_QUARTERS = {
    (True, False, True): cv2.ROTATE_90_CLOCKWISE,
    (False, True, True): cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def moved_bits(bits: Pixels, order: tuple[bool, bool, bool]) -> Pixels | None:
    """Compute `imgpipe.items.moved_bits`."""
    height, width, channels = bits.shape
    faster: tuple[int, ...] = _TURNED if order[2] else _REVERSED
    if all(order):  # in two steps
        faster = _TURNED_TWICE
    if bits.itemsize * channels not in faster:
        return None
    made = bits.view(_TYPES[bits.itemsize])
    if order in _QUARTERS:
        made = cv2.rotate(made, _QUARTERS[order])
    else:
        if order[:2] in _AROUND:
            made = cv2.flip(made, _AROUND[order[:2]])
        if order[2]:
            made = cv2.transpose(made)
    shape = (width, height, channels) if order[2] else bits.shape
    return made.view(bits.dtype).reshape(shape)
