"""Weighted sums of floats of any magnitude.

A sum within a type may overflow where its result does not, lose small terms where it has few bits
left for them, and make NaN of infinity. So footprints with such values are summed again in double
precision and scaled, or get what their infinities make. That depends on the largest magnitude
within the footprint alone, and never on where a chunk begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from imgpipe.image import Pixels
from imgpipe.kernels.extremes import extreme
from imgpipe.workspace import Workspace

__all__ = ["summed"]

_space = Workspace()

# Magnitudes between which sums are safe, with room for thousands of terms; the binary exponent that
# brings others, in double precision, between them.
_SAFE = {
    "float16": (2.0**-24, 65504.0),  # all of them: they are summed in float32
    "float32": (2.0**-90, 2.0**70),
    "float64": (2.0**-800, 2.0**900),
}
_SCALE = 300

_BLOCK = 64 * 1024


def summed(
    chunk: Pixels,
    radius: int,
    working: np.dtype[Any],
    total: Callable[[Pixels, np.dtype[Any]], Pixels],
    *,
    mean: bool,
) -> Pixels:
    """Return a weighted sum over the footprint of each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Of any type.
    radius : int
        Pixels on each side that take part.
    working : dtype
        Type to sum in where nothing speaks against it.
    total : callable
        Called as ``total(chunk, working)``, with `chunk` or one like it: returns the sums.
    mean : bool
        Whether no weight is negative: then a footprint with infinities of one sign has that
        infinity. Else it has NaN.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the type that `total` returns
    """
    if chunk.dtype.kind != "f":
        return total(chunk, working)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        out = total(chunk, working)
        if not _all_safe(chunk):
            _mend(chunk, radius, total, out, mean=mean)
    return out


def _all_safe(chunk: Pixels) -> bool:
    """Return whether all values are zero or of a safe magnitude, and none is NaN."""
    native = chunk.dtype.newbyteorder("=")
    kind = np.dtype(f"u{native.itemsize}")
    low, high = (native.type(limit).view(kind) for limit in _SAFE[native.name])
    step = max(1, _BLOCK // (chunk.shape[1] * chunk.shape[2]))
    for y in range(0, len(chunk), step):
        part = chunk[y : y + step]
        size = _space.array("magnitudes", native, part.size)
        np.abs(part, out=size.reshape(part.shape))
        bits = size.view(kind)  # in the order of the magnitudes
        if bits.max() > high:
            return False
        np.subtract(bits, kind.type(1), out=bits)  # zero becomes the largest
        if bits.min() < low - 1:
            return False
    return True


def _mend(
    chunk: Pixels,
    radius: int,
    total: Callable[[Pixels, np.dtype[Any]], Pixels],
    out: Pixels,
    *,
    mean: bool,
) -> None:
    """Sum footprints of unsafe magnitudes again."""
    native = chunk.astype(chunk.dtype.newbyteorder("="))
    largest = extreme(np.abs(native), np.maximum, radius, "square")
    low, high = _SAFE[native.dtype.name]
    double = np.dtype(np.float64)
    finite = np.where(np.isfinite(native), native, 0).astype(double)
    for unsafe, exponent in ((largest > high, -_SCALE), (largest < low, _SCALE)):
        if unsafe.any():
            again = np.ldexp(total(np.ldexp(finite, exponent), double), -exponent)
            if mean:
                np.clip(again, -largest.astype(double), largest, out=again)
            out[unsafe] = again[unsafe]
    lost = ~np.isfinite(largest)
    if mean:
        both = (extreme(native, better, radius, "square") for better in (np.maximum, np.minimum))
        out[lost] = np.add(*both)[lost]
    else:
        out[lost] = np.nan
