"""Extremes: the least or the greatest value of a neighbourhood, by footprints that double.

The extreme of a footprint is that of two footprints that cover it, and they may overlap. So a line
of any length takes as many steps as its length has binary digits. Rows lie end to end in a flat
array, in which a neighbour is a shift: by a row's length down, by the channels along.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import cycle
from typing import Literal

import numpy as np

from imgpipe.acceleration import accelerated
from imgpipe.image import Pixels
from imgpipe.kernels.room import inside
from imgpipe.workspace import Workspace

__all__ = ["Neighbourhood", "extreme"]

_space = Workspace()

Neighbourhood = Literal["square", "cross", "disk"]

# Samples worked on at once, so that a few such arrays fit a second-level cache.
_BLOCK = 192 * 1024


@accelerated
def extreme(
    chunk: Pixels,
    better: np.ufunc,
    radius: int,
    shape: Neighbourhood,
    *,
    into: Pixels | None = None,
) -> Pixels:
    """Take the extreme over a neighbourhood of each pixel of a padded chunk.

    It is ``min(neighbourhood)`` or ``max(neighbourhood)``, one of the values themselves, so that
    nothing is rounded.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Any type.
    better : numpy.ufunc
        ``np.minimum`` or ``np.maximum``; both pass NaN on.
    radius : int
        Pixels on each side of the centre.
    shape : {"square", "cross", "disk"}
        Pixels at most `radius` away along both axes; along one of them, and on the other not at
        all; or in a straight line.
    into : ndarray, optional
        The place of the result; see `imgpipe.acceleration.accelerated`.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of the dtype of `chunk`
    """
    if radius == 0:
        return chunk
    rows, columns, channels = (
        chunk.shape[0] - 2 * radius,
        chunk.shape[1] - 2 * radius,
        chunk.shape[2],
    )
    line = chunk.shape[1] * channels
    out = inside(into, (rows, columns, channels), chunk.dtype)
    step = max(2 * radius, _BLOCK // line)
    for y in range(0, rows, step):
        target = out[y : y + step].reshape(-1, columns * channels)
        x = np.ravel(chunk[y : y + len(target) + 2 * radius])
        found = _OVER[shape](x, better, radius, line, channels)
        # A footprint that runs over into the next row is junk, and skipped.
        target[:] = np.ndarray(
            target.shape, found.dtype, found, strides=(line * found.itemsize, found.itemsize)
        )
    return out


def _square(x: Pixels, better: np.ufunc, radius: int, down: int, along: int) -> Pixels:
    spare = _buffers(x, "a", "b")
    length = 2 * radius + 1
    return _widened(_widened(x, 1, length, down, better, spare), 1, length, along, better, spare)


def _cross(x: Pixels, better: np.ufunc, radius: int, down: int, along: int) -> Pixels:
    length = 2 * radius + 1
    upright = _widened(x, 1, length, down, better, _buffers(x, "a", "b"))[radius * along :]
    middle = x[radius * down : x.size - radius * down]
    flat = _widened(middle, 1, length, along, better, _buffers(x, "c", "flat"))
    better(upright[: flat.size], flat, out=flat)
    return flat


def _disk(x: Pixels, better: np.ufunc, radius: int, down: int, along: int) -> Pixels:
    """Go through the rows of the disk, the shortest first; widen the footprints for the next."""
    spare = _buffers(x, "a", "b")
    total = next(_buffers(x, "c"))[: x.size - 2 * radius * (down + along)]
    footprints, width = x, 1
    for half, away in _chords(radius):
        footprints = _widened(footprints, width, 2 * half + 1, along, better, spare)
        width = 2 * half + 1
        above, below = (
            footprints[row * down + (radius - half) * along :][: total.size]
            for row in (radius - away, radius + away)
        )
        if away == radius:
            better(above, below, out=total)
        else:
            better(total, above, out=total)
            better(total, below, out=total)
    return total


_OVER = {"square": _square, "cross": _cross, "disk": _disk}


def _chords(radius: int) -> Iterator[tuple[int, int]]:
    """Yield half the length of each row of a disk, and its distance from the centre."""
    for away in range(radius, -1, -1):
        yield math.isqrt(radius * radius - away * away), away


def _widened(
    x: Pixels, width: int, wanted: int, unit: int, better: np.ufunc, spare: Iterator[Pixels]
) -> Pixels:
    """Make footprints of `wanted` neighbours, `unit` samples apart, of footprints of `width`."""
    while width < wanted:
        step = min(width, wanted - width)
        size = x.size - step * unit
        x = better(x[:size], x[step * unit :], out=next(spare)[:size])
        width += step
    return x


def _buffers(x: Pixels, *names: str) -> Iterator[Pixels]:
    """Lend arrays of the size of `x`, in turn: the last result is not overwritten next."""
    return cycle([_space.array(name, x.dtype, x.size) for name in names])
