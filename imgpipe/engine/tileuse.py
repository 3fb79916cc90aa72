"""Tile use: the tiles of a source that each task of a pass needs, and how long they are held."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeGuard

import numpy as np

from imgpipe.engine.parts import Parts
from imgpipe.formats.base import Source, Tiles
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

__all__ = ["TileUse", "in_tiles", "redundancy"]

Numbers = np.ndarray[Any, np.dtype[np.int32]]


def in_tiles(source: Source) -> TypeGuard[Tiles]:
    """Return whether `source` has compressed tiles that can be decoded one by one."""
    return bool(getattr(source, "compressed", False)) and hasattr(source, "tile_into")


class TileUse:
    """The tiles that the tasks of a pass need, by number: row by row, from left to right.

    Parameters
    ----------
    parts : Parts
        The tasks.
    info : ImageInfo
        The source.
    grain : (int, int)
        Rows and columns of a tile, 0 columns for whole rows.
    """

    def __init__(self, parts: Parts, info: ImageInfo, grain: tuple[int, int]) -> None:
        self._parts, self._size = parts, info.shape[:2]
        self.grain = grain[0], grain[1] or info.width
        self.across = -(-info.width // self.grain[1])
        self.count = -(-info.height // self.grain[0]) * self.across
        self.row_bytes = self.grain[0] * info.row_bytes  # of a row of tiles

    def of(self, index: int) -> Numbers:
        """Return the tiles that a task needs, in order."""
        found = [self._in(box) for box in self._parts.reads(index)]
        return found[0] if len(found) == 1 else np.unique(np.concatenate(found))

    def place(self, tile: int) -> tuple[int, int]:
        """Return row and column of a tile among all tiles."""
        return divmod(tile, self.across)

    def box(self, tile: int) -> Box:
        """Return the pixels of a tile."""
        (row, column), (rows, columns) = self.place(tile), self.grain
        whole = Box(row * rows, column * columns, (row + 1) * rows, (column + 1) * columns)
        return whole.clip(*self._size)

    @cached_property
    def uses(self) -> Numbers:
        """Number of tasks that need each tile."""
        return self._spans[2]

    @property
    def order(self) -> Numbers:
        """The tiles that tasks need, in the order in which they need them."""
        first, _, uses = self._spans
        order = np.argsort(first, kind="stable").astype(np.int32)
        return order[uses[order] > 0]

    def most_rows(self, ahead: int) -> int:
        """Return the largest number of rows of tiles needed at once, with the rows between.

        They are needed by a task and by so many after it, in any column of tiles: tasks side by
        side take and leave different columns.
        """
        first, last, uses = (one.reshape(-1, self.across) for one in self._spans)
        begin = np.where(uses > 0, first - ahead, len(self._parts))
        end = np.where(uses > 0, last, -1)
        whole = begin.min(axis=1), end.max(axis=1)  # rows, of which there are far fewer
        for rows in range(len(first), 1, -1):
            if _meet(*whole, rows) and _meet(begin, end, rows):
                return rows
        return 1

    @cached_property
    def _spans(self) -> tuple[Numbers, Numbers, Numbers]:
        """The first and the last task that need each tile, and the number of such tasks."""
        first = np.zeros(self.count, np.int32)
        last, uses = np.zeros_like(first), np.zeros_like(first)
        for index in range(len(self._parts)):
            tiles = self.of(index)
            first[tiles[uses[tiles] == 0]] = index
            last[tiles] = index
            uses[tiles] += 1
        return first, last, uses

    def _in(self, box: Box) -> Numbers:
        (height, width), whole = self.grain, box.snap(*self.grain)
        down = np.arange(whole.y0 // height, whole.y1 // height, dtype=np.int32)
        across = np.arange(whole.x0 // width, whole.x1 // width, dtype=np.int32)
        return (down[:, None] * self.across + across).reshape(-1)


def _meet(begin: Any, end: Any, rows: int) -> bool:
    """Return whether the first and last of so many rows of tiles are ever needed at once."""
    above, below = slice(len(begin) - rows + 1), slice(rows - 1, None)
    both = np.maximum(begin[above], begin[below]) <= np.minimum(end[above], end[below])
    return bool(both.any())


def redundancy(uses: list[TileUse]) -> float:
    """Return the mean number of times that the tasks of these passes decode a tile."""
    decoded: Any = sum(use.uses for use in uses)
    return float(decoded.sum() / max(1, np.count_nonzero(decoded)))
