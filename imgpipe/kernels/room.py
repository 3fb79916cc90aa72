"""Room: the place of a result, with the halo of its chunk around it."""

from __future__ import annotations

from typing import Any

import numpy as np

from imgpipe.image import Pixels

__all__ = ["inside", "without"]


def inside(into: Pixels | None, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Pixels:
    """Return the array for a result: the inside of `into`, or a new one if there is none."""
    if into is None:
        return np.empty(shape, dtype)
    y, x = ((there - here) // 2 for there, here in zip(into.shape[:2], shape[:2], strict=True))
    return into[y : y + shape[0], x : x + shape[1]]


def without(into: Pixels | None, halo: int) -> Pixels | None:
    """Return `into` without so many rows and columns on each side."""
    if into is None:
        return None
    height, width = into.shape[:2]
    return into[halo : height - halo, halo : width - halo]
