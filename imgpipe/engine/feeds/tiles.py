"""Tiles feed: compressed tiles, each decoded once, by a task of its own.

They go into a ring of rows in shared memory, so that the input of a task is one array. A task
begins when its tiles are there. Another tile takes the place of one that no task needs any more.
"""

from __future__ import annotations

import numpy as np

from imgpipe.engine.buffers import Buffers
from imgpipe.engine.costs import Cost, pixel_bytes
from imgpipe.engine.feeds.base import Span, Wake
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Decoding, Input, Ring, Tiled
from imgpipe.engine.tiler import Tiler
from imgpipe.engine.tileuse import TileUse
from imgpipe.formats.base import Source, Tiles

__all__ = ["TilesFeed", "tiles_bytes"]

_TASK_BYTES = 4 << 20  # of tiles that one task decodes: so that it takes some milliseconds


class TilesFeed:
    """Tiles of a random source.

    Parameters
    ----------
    source : Tiles
        The image.
    use : TileUse
        The tiles that each task needs.
    count : int
        The number of tasks.
    window : int
        The number of tasks under way at once.
    shared : bool
        Whether the tiles must be visible to other processes.
    """

    reads = False

    def __init__(
        self, source: Tiles, use: TileUse, *, count: int, window: int, shared: bool
    ) -> None:
        self._source, self._use, self._count, self._shared = source, use, count, shared
        self._rows = _rows(use, window)
        self._buffers: Buffers | None = None
        self._given, self._begun = 0, 0
        self._needed = use.of(0)
        self._order, self._uses = use.order, use.uses.copy()
        self._there = np.zeros(use.count, bool)
        self._taken = np.zeros(self._rows * use.across, bool)

    @staticmethod
    def cost(use: TileUse, window: int, tiler: Tiler) -> Cost:
        """Return the memory of the ring, and of input that is at both ends of it."""
        copied = tiler.most_needed * pixel_bytes(tiler.info)
        return Cost(shared=_rows(use, window) * use.row_bytes, per_worker=copied)

    @property
    def exhausted(self) -> bool:
        """Return whether the input of every task was given; then all tiles are decoded."""
        return self._given == self._count

    def start(self, wake: Wake | None) -> None:
        """Get the memory of the ring."""
        self._buffers = Buffers(1, self._rows * self._use.row_bytes, shared=self._shared)

    def take(self) -> Input | None:
        """Return the input of the next task, None if a tile of it is not there."""
        if self.exhausted or not self._there[self._needed].all():
            return None
        given = Tiled(self._given, self._ring())
        self._given += 1
        if not self.exhausted:
            self._needed = self._use.of(self._given)
        return given

    def decoding(self) -> Decoding | None:
        """Return some tiles to be decoded, None if there are none, or there is no room."""
        use = self._use
        count = max(1, _TASK_BYTES * use.across // use.row_bytes)
        found = []
        for tile in self._order[self._begun : self._begun + count].tolist():
            place = tile % len(self._taken)
            if self._taken[place]:
                break
            self._taken[place] = True
            found.append((use.place(tile), use.box(tile)))
        self._begun += len(found)
        return Decoding(self._source, tuple(found), self._ring()) if found else None

    def decoded(self, decoding: Decoding) -> None:
        """Note that some tiles are there."""
        for (row, column), _ in decoding.tiles:
            self._there[row * self._use.across + column] = True

    def spans(self) -> list[Span]:
        """Return nothing: nothing is read here."""
        return []

    def give_back(self, given: Input) -> None:
        """Free the places of the tiles that no other task needs."""
        assert isinstance(given, Tiled)
        tiles = self._use.of(given.number)
        self._uses[tiles] -= 1
        self._taken[tiles[self._uses[tiles] == 0] % len(self._taken)] = False

    def close(self) -> None:
        """Free the memory."""
        if self._buffers is not None:
            self._buffers.close()

    def _ring(self) -> Ring:
        assert self._buffers is not None
        info, rows = self._source.info, self._rows * self._use.grain[0]
        return Ring(self._buffers.slots[0], (rows, *info.shape[1:]), info.dtype)


def tiles_bytes(source: Source, tilers: tuple[Tiler, ...], window: int) -> int:
    """Return the memory of the ring of a pass that makes one output or several."""
    use = TileUse(Parts(tilers), source.info, source.grain)
    return _rows(use, window) * use.row_bytes


def _rows(use: TileUse, window: int) -> int:
    """Return the rows of tiles of the ring: half of the window is worked on, or soon will be."""
    return use.most_rows(window // 2 + 1)
