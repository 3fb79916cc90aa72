"""Kernels of OpenCV that move pixels: mirroring, turns by quarters, transposition."""

from __future__ import annotations

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import MOST_CHANNELS
from imgpipe.image import Pixels

__all__ = ["moved_bits"]

# A type of OpenCV for each size of a value. No value is looked at.
_TYPES = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}

# Bytes of a pixel that OpenCV transposes.
_TRANSPOSABLE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

_AROUND = {(True, False): 0, (False, True): 1, (True, True): -1}  # what `cv2.flip` is told
_QUARTERS = {
    (True, False, True): cv2.ROTATE_90_CLOCKWISE,
    (False, True, True): cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def moved_bits(bits: Pixels, order: tuple[bool, bool, bool]) -> Pixels | None:
    """Compute `imgpipe.items.moved_bits`."""
    height, width, channels = bits.shape
    size = bits.itemsize * channels
    if channels > MOST_CHANNELS or (order[2] and size not in _TRANSPOSABLE):
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
