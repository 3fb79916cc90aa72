"""Thresholds: values above a level become white."""

from __future__ import annotations

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.values import as_declared

__all__ = ["above"]


@accelerated
def above(chunk: Pixels, level: int) -> Pixels:
    """Return ``white if value > level else 0``, with the maximum of the dtype as white.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers.
    level : int
        A value of their dtype.
    """
    return as_declared(chunk > chunk.dtype.type(level), chunk.dtype, "above")
