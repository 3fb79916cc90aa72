"""Row filters of PNG applied, block by block, in NumPy.

References
----------
Portable Network Graphics (PNG) Specification (Third Edition), W3C, section 9.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_BYTES", "filter_rows"]

Bytes = NDArray[np.uint8]

NONE, SUB, UP, AVERAGE, PAETH = range(5)
BLOCK_BYTES = 48 << 10

_scratch = threading.local()


def filter_rows(rows: Bytes, above: Bytes, pixel: int, out: Bytes) -> None:
    """Filter `rows` into `out`, which is one column wider: the filter of each row goes first.

    Parameters
    ----------
    rows : ndarray of uint8, shape (rows, bytes)
        In the byte order of the file.
    above : ndarray of uint8, shape (bytes,)
        The row above the first; zeros at the top of the image.
    pixel : int
        Bytes per pixel.
    out : ndarray of uint8, shape (rows, 1 + bytes)
    """
    upper = np.concatenate([above[None], rows[:-1]])
    left = np.zeros_like(rows)
    left[:, pixel:] = rows[:, :-pixel]
    corner = np.zeros_like(rows)
    corner[:, pixel:] = upper[:, :-pixel]
    out[:, 0] = PAETH
    np.subtract(rows, _paeth(left, upper, corner), out=out[:, 1:])


def _paeth(a: Bytes, b: Bytes, c: Bytes) -> Bytes:
    """Return whichever of left, above and corner is nearest to ``a + b - c``.

    With c clipped into the range of a and b, that is the lower one where c is at most a
    third of the range below the upper one, the upper one where it is as near to the lower
    one, and c itself in between: no sum leaves 8 bits.
    """
    low, high = np.minimum(a, b), np.maximum(a, b)
    c = np.minimum(np.maximum(c, low), high)
    below, beyond = c - low, high - c
    take_low = (beyond <= (below >> 1)).view(np.uint8)
    take_high = (below <= (beyond >> 1)).view(np.uint8)
    c -= below * take_low
    c += beyond * take_high
    return c
