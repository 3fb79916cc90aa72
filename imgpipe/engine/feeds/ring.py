"""Ring feed: rows in shared memory, from top to bottom; new rows replace those far above.

Tasks side by side read the same rows, so that rows of tiles of a wide image take the memory of
little more than one of them. A row gives way to another when all tasks that need it have landed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.engine.costs import Cost, pixel_bytes
from imgpipe.engine.feeds.buffered import BufferedFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Input, Ring, Tiled
from imgpipe.engine.tiler import Tiler
from imgpipe.formats.base import Check, Placer, SequentialSource
from imgpipe.formats.rows import COPY_BYTES, RowsOf
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

__all__ = ["RingFeed", "ring_rows"]

_AHEAD_BYTES = 32 << 20  # of rows that are read while no task can need them yet, at most


class RingFeed(BufferedFeed):
    """Rows of a sequential source.

    Parameters
    ----------
    window : int
        The number of tasks under way at once.
    source, parts, check, shared, keep
        As for `BufferedFeed`.
    """

    def __init__(
        self,
        source: SequentialSource,
        parts: Parts,
        check: Check,
        *,
        window: int,
        shared: bool,
        keep: Placer | None = None,
    ) -> None:
        super().__init__(source, parts, check, shared=shared, keep=keep)
        self._needs = parts.bands(source.info.width)
        self._rows = ring_rows(parts, source.info, window)
        self._landed = np.zeros(len(parts), bool)
        self._first = 0  # task that has not landed

    @staticmethod
    def cost(tiler: Tiler, window: int) -> Cost:
        """Return the memory of the ring, and of input that is at both ends of it."""
        rows = ring_rows(Parts((tiler,)), tiler.info, window)
        copied = tiler.most_needed * pixel_bytes(tiler.info)
        return Cost(shared=rows * tiler.info.row_bytes, per_worker=copied)

    def give_back(self, given: Input) -> None:
        """Note that a task has landed: rows that no other needs may give way."""
        assert isinstance(given, Tiled)
        self._landed[given.number] = True
        while self._first < len(self._landed) and self._landed[self._first]:
            self._first += 1
        self._room.put(0)

    def _open(self, *, threaded: bool) -> None:
        self._allocate(1, self._rows * self._source.info.row_bytes, threaded=threaded)

    def _taken_here(self) -> Input | None:
        if self._given < len(self._needs) and self._needs[self._given].y1 > self._end:
            return None
        self._room.put(0)  # there is
        return super()._taken_here()

    def _read(self) -> Iterator[Input]:
        assert self._buffers is not None
        info, rows = self._source.info, RowsOf(self._source, self._check, ahead=self._ahead)
        ring = Ring(self._buffers.slots[0], (self._rows, *info.shape[1:]), info.dtype)
        at = 0
        try:
            for number, needs in enumerate(self._needs):
                if at < needs.y0:
                    rows.skip_to(needs.y0)
                    at = needs.y0
                for piece in self._pieces(Box(at, 0, needs.y1, info.width)):
                    while piece.y1 > self._end:
                        self._take_room()
                    pixels = ring.pixels(piece)
                    with self._timed(piece):
                        rows.read_into(pixels)
                    if self._keep is not None:
                        self._keep.place(piece, pixels)
                at = max(at, needs.y1)
                yield Tiled(number, ring)
            rows.finish()
        finally:
            rows.close()

    @property
    def _end(self) -> int:
        """The end of the rows that there is room for."""
        if self._first == len(self._needs):
            return self._source.info.height
        return self._needs[self._first].y0 + self._rows

    def _pieces(self, box: Box) -> Iterator[Box]:
        """Yield rows that are read at once, and are in one piece in the ring."""
        step = max(1, COPY_BYTES // self._source.info.row_bytes)
        y = box.y0
        while y < box.y1:
            end = min(box.y1, y + step, y + self._rows - y % self._rows)
            yield Box(y, box.x0, end, box.x1)
            y = end


def ring_rows(parts: Parts, info: ImageInfo, window: int) -> int:
    """Return the number of rows of a ring: those of a task, and most of those of the next ones.

    The rows of later tasks within the window are read meanwhile, up to some megabytes.
    """
    needs = parts.bands(info.width)
    last = len(needs) - 1
    least = max(box.height for box in needs)
    most = max(needs[min(at + window, last)].y1 - box.y0 for at, box in enumerate(needs))
    return min(most, least + max(1, _AHEAD_BYTES // info.row_bytes), info.height)
