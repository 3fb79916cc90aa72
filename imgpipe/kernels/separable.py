"""Separable filters: one sweep down the columns, one along the rows, within the cache.

A sweep works on a flat array in which the neighbours of a sample are ``unit`` samples
away, so that a shift by any number of pixels is one contiguous slice:

* down the columns, the chunk is cut into stripes and each copied end to end, so that one
  row further down is one stripe's width away;
* along the rows, rows lie end to end, and one pixel to the right is as many samples away
  as there are channels.  Where a row runs over into the next, the result is junk, but
  that is halo and cut off.

Every result is the same sequence of elementwise operations on the same inputs, whatever
the size of the chunk and the place of the blocks.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from imgpipe.image import Pixels
from imgpipe.kernels.blocks import blocks
from imgpipe.kernels.room import inside
from imgpipe.workspace import Workspace

__all__ = ["Sweep", "apply"]

_space = Workspace()


class Sweep(Protocol):
    """One direction of a separable filter."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its arithmetic."""

    @property
    def support(self) -> int:
        """Neighbours it needs, on both sides together; an even number."""

    def run(self, x: Pixels, unit: int) -> Pixels:
        """Filter; the result is as long as ``x``, its last ``support * unit`` are junk."""

    def finish(self, done: Pixels, out: Pixels) -> None:
        """Bring results, which may be overwritten, into another type."""


def apply(
    chunk: Pixels,
    down: Sweep,
    along: Sweep,
    halo: tuple[int, int],
    dtype: np.dtype[Any] | None = None,
    into: Pixels | None = None,
) -> Pixels:
    """Filter a chunk of shape (rows, columns, channels) and return it without its halo.

    The result is of the type of the chunk, or of another one. It may have a place in `into`, see
    `imgpipe.acceleration.accelerated`.
    """
    height, width, channels = chunk.shape
    rows, columns = height - 2 * halo[0], width - 2 * halo[1]
    # A sweep may need less than the whole halo.
    top, left = halo[0] - down.support // 2, halo[1] - along.support // 2
    chunk = chunk[top : height - top, left : width - left]
    source = chunk.reshape(len(chunk), -1)

    middle = _space.array("middle", down.dtype, rows * source.shape[1]).reshape(rows, -1)
    for x in blocks(source.shape[1], len(source), down.dtype, multiple=32):
        part = source[:, x]
        done = down.run(_flat(part, down.dtype), part.shape[1]).reshape(part.shape)
        down.finish(done[:rows], middle[:, x])

    out = inside(into, (rows, columns, channels), dtype or chunk.dtype)
    target = out.reshape(rows, -1)
    for y in blocks(rows, source.shape[1], along.dtype):
        part = middle[y]
        flat = part.reshape(-1) if part.dtype == along.dtype else _flat(part, along.dtype)
        done = along.run(flat, channels).reshape(part.shape)
        along.finish(done[:, : target.shape[1]], target[y])
    return out


def _flat(part: Pixels, dtype: np.dtype[Any]) -> Pixels:
    flat = _space.array("flat", dtype, part.size)
    np.copyto(flat.reshape(part.shape), part)
    return flat
