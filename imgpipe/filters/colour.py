"""Colour: filters that mix channels, or the pixels of two images."""

from __future__ import annotations

from typing import Annotated, Any, cast

import numpy as np

from imgpipe.errors import UsageError
from imgpipe.filters.base import filter
from imgpipe.filters.parameters import Between
from imgpipe.image import Pixels

__all__ = ["blend", "grayscale"]


# ITU-R BT.601-7, section 2.5.1, in units of 2**-16; they sum to 2**16.
_LUMA = (19595, 38470, 7471)


def _gray_channels(colours: int) -> int:
    if colours not in (1, 3):
        raise UsageError(f"grayscale: needs an image of 1 or 3 colours, not of {colours}")
    return 1


@filter(halo=0, channels=_gray_channels, colour="gray")
def grayscale(chunk: Pixels) -> Pixels:
    """Reduce colours to gray, by luma.

    ``0.299 * red + 0.587 * green + 0.114 * blue`` of the values as they are. An image that is
    gray stays as it is.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, 3 or 1)
        Any dtype.

    Returns
    -------
    ndarray, shape (rows, columns, 1)
        Of the same dtype.

    References
    ----------
    .. [1] ITU-R Recommendation BT.601-7, section 2.5.1.
    """
    if chunk.shape[2] == 1:
        return chunk
    if chunk.dtype.kind == "f":
        weighted = [chunk[..., c] * chunk.dtype.type(w / 65536) for c, w in enumerate(_LUMA)]
        return cast(Pixels, weighted[0] + weighted[1] + weighted[2])
    wide = np.uint32 if chunk.dtype.itemsize <= 2 else np.uint64
    total = np.full(chunk.shape[:2], 32768, wide)
    for channel, weight in enumerate(_LUMA):
        total += chunk[..., channel] * wide(weight)
    total >>= wide(16)
    return total.astype(chunk.dtype)


@filter(halo=0, alpha="filter", operands=("other",))
def blend(
    chunk: Pixels,
    *,
    operands: tuple[Pixels, ...],
    other: Annotated[Any, "path of an image of the same size and kind"],
    amount: Annotated[float, Between(0, 1), "how much of the other image, 0 to 1"] = 0.5,
) -> Pixels:
    """Mix with a second image of the same size.

    ``(1 - amount) * value + amount * other``.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any dtype.
    operands : tuple of ndarray
        The same pixels of the other image.
    other : path or array
        The other image: as many pixels and channels, of the same dtype.
    amount : float
        How much of the other image, 0 to 1.

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    (second,) = operands
    if second.shape != chunk.shape or second.dtype != chunk.dtype:
        raise UsageError(
            f"blend: the second image has {second.shape[2]} channels of {second.dtype}, "
            f"the first {chunk.shape[2]} of {chunk.dtype}; convert one of them first"
        )
    working = np.float32 if chunk.dtype.itemsize <= 2 else np.float64
    return cast(Pixels, chunk * working(1 - amount) + second * working(amount))
