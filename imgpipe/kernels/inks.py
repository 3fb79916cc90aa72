"""Inks: CMYK and its colours. 0 is no ink, white of the type is all of it."""

from __future__ import annotations

import numpy as np

from imgpipe.image import Pixels
from imgpipe.values import full_scale

__all__ = ["ink_of", "rgb_of_inks"]

_ROWS = 64
_WHITE = 255


def ink_of(parts: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return cyan, magenta, yellow and black of red, green and blue, all 0 to 255.

    As much as possible is black.
    """
    light = max(parts)
    if light == 0:
        return 0, 0, 0, _WHITE
    cyan, magenta, yellow = (((light - part) * _WHITE * 2 + light) // (2 * light) for part in parts)
    return cyan, magenta, yellow, _WHITE - light


def rgb_of_inks(chunk: Pixels) -> Pixels:
    """Return red, green and blue of inks: ``(1 - ink) * (1 - black)``, of the same type.

    Integers of up to 32 bits are exact, rounded to the nearest; those of 64 bits are computed in
    float64.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, 4)
        Cyan, magenta, yellow and black.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
    """
    dtype = chunk.dtype
    out = np.empty((*chunk.shape[:2], 3), dtype)
    exact = dtype.kind in "iu" and dtype.itemsize <= 4
    wide = np.dtype(f"{dtype.kind}{2 * dtype.itemsize}" if exact else np.float64).type
    white = wide(full_scale(dtype))
    for y in range(0, len(chunk), _ROWS):
        part, made = chunk[y : y + _ROWS], out[y : y + _ROWS]
        part = np.maximum(part, 0) if dtype.kind == "i" else part
        paper = white - part[..., 3].astype(wide)
        for channel in range(3):
            light = (white - part[..., channel].astype(wide)) * paper
            if exact:
                light += wide(int(white) // 2)  # white is odd: there are no halves
                light //= white
            else:
                light /= white
                if dtype.kind in "iu":
                    light = np.clip(np.rint(light), 0, np.nextafter(float(white), 0))
            with np.errstate(over="ignore"):  # of large negative values in float16
                np.copyto(made[..., channel], light, casting="unsafe")
    return out
