"""Lanes: rank filters of bytes, in hundreds of small tiles at once.

The value of a rank in a footprint is at least a level, if the number of pixels below this level is
at most the rank. So the value is found by counting pixels below some levels. The footprints of a
small tile have similar values, and need few levels: in photographs 40 of 256 for a tile of 15 x 15,
but 150 for a tile of 128 x 128. Each tile needs other levels. The last axis of all arrays therefore
runs over the tiles, as lanes: one call of NumPy does a step for all tiles, each with its own level.
Running sums from row to row count the pixels, so the cost hardly grows with the footprint.

Intervals of levels that contain values of a tile are halved again and again. Tiles with a similar
number of such intervals form a group, because a group ends with its slowest tile.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from imgpipe.geometry import equal_at_most
from imgpipe.image import Pixels
from imgpipe.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["rank_by_lanes"]

_space = Workspace()

# Bytes of the pixels of a group, and how often intervals are halved until there are new groups.
_BYTES = 600_000
_STAGES = (3, 3, 2)


def rank_by_lanes(chunk: Pixels, radius: int, rank: int) -> Pixels:
    """Take the value of a rank in the square around each pixel of a padded chunk.

    Parameters
    ----------
    chunk : ndarray, shape (rows + 2 * radius, columns + 2 * radius, channels)
        Of uint8.
    radius : int
        Pixels on each side of the centre, at most 127.
    rank : int
        Number of values of the footprint before the wanted one.

    Returns
    -------
    ndarray, shape (rows, columns, channels), of uint8
    """
    tiles = _tiles(chunk, radius)
    *grid, height, width = tiles.shape
    lanes = equal_at_most(math.prod(grid), -(-_BYTES // (height * width)))
    height, width = height - 2 * radius, width - 2 * radius
    values = np.zeros((math.prod(grid), width * height), np.uint8)
    reached = np.full((len(values), 2), (width * height, 0), np.uint16)
    for halvings in _STAGES:
        occupied = np.count_nonzero(reached[:, :-1] != reached[:, 1:], axis=1)
        order = np.argsort(occupied, kind="stable")
        before = reached
        reached = np.empty((len(values), ((before.shape[1] - 1) << halvings) + 1), np.uint16)
        for at in range(0, len(order), lanes):
            some = order[at : at + lanes]
            group = _Group(tiles[np.unravel_index(some, grid)], radius, rank, before[some].T)
            for _ in range(halvings):
                group.halve()
            reached[some] = group.reached.T
            values[some] = np.maximum(values[some], group.first.T.copy())
    whole = values.reshape(*grid, width, height).transpose(1, 4, 2, 3, 0)
    whole = whole.reshape(grid[1] * height, grid[2] * width, grid[0])
    return whole[: len(chunk) - 2 * radius, : chunk.shape[1] - 2 * radius]


def _tiles(chunk: Pixels, radius: int) -> Pixels:
    """Look at a padded chunk as tiles: channels, rows and columns of them, each with its halo."""
    # Measured: the wider the halo, the more it pays to have fewer tiles that try more levels.
    most, halo = 16 + radius // 3, 2 * radius
    rows, columns = (size - halo for size in chunk.shape[:2])
    height, width = equal_at_most(rows, most), equal_at_most(columns, most)
    missing = (0, 0), (0, -rows % height), (0, -columns % width)
    planes = np.pad(chunk.transpose(2, 0, 1), missing, "edge")
    return sliding_window_view(planes, (height + halo, width + halo), (1, 2))[:, ::height, ::width]


class _Group:
    """Tiles, and the state of the search for the values wanted.

    Attributes
    ----------
    first : ndarray, shape (width * height, lanes)
        For each footprint of each tile, column by column, the highest level tried that its value
        is at or beyond.
    reached : ndarray, shape (intervals + 1, lanes)
        Number of footprints of each tile with their value at or beyond the ends of intervals.
    """

    def __init__(self, tiles: Pixels, radius: int, rank: int, reached: Pixels) -> None:
        self.side, self.rank, self.reached = 2 * radius + 1, rank, reached
        self.lanes, rows, columns = tiles.shape
        height, width = rows - 2 * radius, columns - 2 * radius
        self.pixels = self.array("pixels", np.uint8, rows, columns)
        np.copyto(self.pixels, tiles.transpose(1, 2, 0))
        self.inside = self.array("inside", np.bool_, rows, columns)
        self.down = self.array("down", np.uint8, height, columns)
        self.wide = self.array("wide", np.uint16, columns, height)
        self.counts = self.array("counts", np.uint16, width, height)
        self.beyond = self.array("beyond", np.bool_, width * height)
        self.tried = self.array("tried", np.uint8, width * height)
        self.first = np.zeros((width * height, self.lanes), np.uint8)

    def array(self, name: str, dtype: DTypeLike, *shape: int) -> Pixels:
        """Lend an array whose last axis are the lanes."""
        size = math.prod(shape) * self.lanes
        return _space.array(name, np.dtype(dtype), size).reshape(*shape, self.lanes)

    def halve(self) -> None:
        """Try the middle of each interval with values inside."""
        before, intervals = self.reached, len(self.reached) - 1
        flat = np.flatnonzero((before[:-1] != before[1:]).T)
        lane = flat // intervals
        interval = flat - lane * intervals
        turn = np.arange(len(lane)) - np.searchsorted(lane, np.arange(self.lanes))[lane]
        # A lane whose turn is over tries level 0, and nothing comes of it.
        levels = np.zeros((turn.max() + 1, self.lanes), np.uint8)
        levels[turn, lane] = (2 * interval + 1) * (128 // intervals)
        found = np.array([self.tried_at(level) for level in levels])
        self.reached = before.repeat(2, axis=0)[:-1]
        self.reached[2 * interval + 1, lane] = found[turn, lane]

    def tried_at(self, level: Pixels) -> Pixels:
        """Compare footprints with a level in each lane; return the number with values beyond."""
        # Written out for a row, for NumPy's loops are as long as the part that two operands share.
        np.less(self.pixels, np.tile(level, (self.pixels.shape[1], 1)), out=self.inside)
        _sum(self.inside.view(np.uint8), self.side, self.down)
        np.copyto(self.wide, self.down.transpose(1, 0, 2))
        _sum(self.wide, self.side, self.counts)
        np.less_equal(self.counts.reshape(self.beyond.shape), self.rank, out=self.beyond)
        beyond = self.beyond.view(np.uint8)
        np.multiply(beyond, level, out=self.tried)
        np.maximum(self.first, self.tried, out=self.first)
        found: Pixels = np.add.reduce(beyond, axis=0, dtype=np.uint16)
        return found


def _sum(x: Pixels, length: int, out: Pixels) -> None:
    """Sum `length` rows from each one on. Differences below zero wrap, and sums wrap back."""
    np.add.reduce(x[:length], axis=0, dtype=x.dtype, out=out[0])
    np.subtract(x[length:], x[: len(out) - 1], out=out[1:])
    for above, row in pairwise(out):
        np.add(above, row, out=row)
