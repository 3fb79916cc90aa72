"""Kernels of OpenCV that move values: mirroring, turns by quarters, alpha that comes and goes."""

from __future__ import annotations

import cv2
import numpy as np

from imgpipe.accelerators.opencv.chunks import solid
from imgpipe.image import Pixels

__all__ = ["colour_of", "moved_bits", "with_white"]

# A type of OpenCV for each size of a value. No value is looked at.
_TYPES = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}

# Bytes of a pixel that OpenCV moves faster. NumPy is as fast where a pixel is one item to it.
_REVERSED = (1, 2, 3, 4, 6, 12, 24)
_TURNED = (1, 2, 3, 6, 12, 24)
_TURNED_TWICE = (1, 2, 3)

_AROUND = {(True, False): 0, (False, True): 1, (True, True): -1}  # codes of `cv2.flip`
_QUARTERS = {
    (True, False, True): cv2.ROTATE_90_CLOCKWISE,
    (False, True, True): cv2.ROTATE_90_COUNTERCLOCKWISE,
}

_LEVELS = (np.uint8, np.uint16)


def moved_bits(bits: Pixels, order: tuple[bool, bool, bool]) -> Pixels | None:
    """Compute `imgpipe.items.moved_bits`."""
    height, width, channels = bits.shape
    faster: tuple[int, ...] = _TURNED if order[2] else _REVERSED
    if all(order):  # in two steps
        faster = _TURNED_TWICE
    if not any(order) or bits.itemsize * channels not in faster:
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


def colour_of(pixels: Pixels) -> Pixels | None:
    """Compute `imgpipe.chains.transparency.colour_of` of red, green, blue and alpha."""
    if pixels.dtype not in _LEVELS or pixels.shape[2] != 4:
        return None
    return cv2.cvtColor(solid(pixels), cv2.COLOR_RGBA2RGB)


def with_white(colour: Pixels) -> Pixels | None:
    """Compute `imgpipe.chains.transparency.with_white` of red, green and blue."""
    if colour.dtype not in _LEVELS or colour.shape[2] != 3:
        return None
    return cv2.cvtColor(solid(colour), cv2.COLOR_RGB2RGBA)
