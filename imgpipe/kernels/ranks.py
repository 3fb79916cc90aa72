"""Ranks: the value of a rank in a square, by the way that is fastest for its size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.counting import rank_by_counting
from imgpipe.kernels.extremes import extreme
from imgpipe.kernels.lanes import rank_by_lanes
from imgpipe.kernels.networks import rank_by_network

__all__ = ["ranked"]

# Lanes are faster for bytes, from so many on, with these radii; if not, then networks up to this
# radius, for values of so many bytes.
_LANES = range(10, 26)
_MANY = 190_000
_NARROW = {1: 10, 2: 11, 4: 9, 8: 7}


@accelerated
def ranked(chunk: Pixels, radius: int, rank: int, *, into: Pixels | None = None) -> Pixels:
    """Take the value of a rank in the square around each pixel of a padded chunk.

    It is ``sorted(square)[rank]``, one of the values themselves, so that nothing is rounded.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Any type. A minus sign of zero is lost. A square that holds NaN makes NaN.
    radius : int
        Pixels on each side of the centre.
    rank : int
        Number of values of the square before the wanted one: 0 for the minimum,
        ``(2 * radius + 1) ** 2 // 2`` for the median.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    if rank in (0, (2 * radius + 1) ** 2 - 1):
        return extreme(chunk, np.maximum if rank else np.minimum, radius, "square", into=into)
    return _method(chunk, radius)(chunk, radius, rank)


def _method(chunk: Pixels, radius: int) -> Callable[[Pixels, int, int], Pixels]:
    """Return the function that is fastest; all of them find the same."""
    if chunk.dtype == np.uint8 and radius in _LANES and chunk.size >= _MANY:
        return rank_by_lanes
    return rank_by_network if radius <= _NARROW.get(chunk.itemsize, 0) else rank_by_counting
