"""Blocks: pieces of an array that fit the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from imgpipe.geometry import equal, pieces

__all__ = ["blocks"]

# A few such arrays fit a second-level cache of a megabyte, and are long enough to hide the cost
# of calling NumPy.
_BYTES = 256 * 1024


def blocks(length: int, size: int, dtype: np.dtype[Any], multiple: int = 1) -> Iterator[slice]:
    """Cut `length` lines of `size` samples of `dtype` into equal blocks of whole `multiple`."""
    count = max(1, round(length * size * dtype.itemsize / _BYTES))
    return pieces(length, equal(length, count, multiple))
