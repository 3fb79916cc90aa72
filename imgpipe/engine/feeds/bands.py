"""Bands feed: rows in shared memory, from top to bottom, in a rolling set of slots.

Each slot holds the rows of its task and the halo, so that a worker sees one array. Rows that two
neighbours have in common are copied from one slot to the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.buffered import BufferedFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Inline, Input, Shared
from imgpipe.engine.tiler import Tiler
from imgpipe.formats.base import Check, Placer, SequentialSource
from imgpipe.formats.rows import RowsOf
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["BandsFeed", "InlineBandsFeed", "band_bytes"]


class BandsFeed(BufferedFeed):
    """Rows of a sequential source.

    Parameters
    ----------
    count, size : int
        The number of bands under way at once, and the bytes of each.
    source, parts, check, shared, keep
        As for `BufferedFeed`.
    """

    def __init__(
        self,
        source: SequentialSource,
        parts: Parts,
        check: Check,
        *,
        count: int,
        size: int,
        shared: bool,
        keep: Placer | None = None,
    ) -> None:
        super().__init__(source, parts, check, shared=shared, keep=keep)
        self._count, self._size = count, size

    @staticmethod
    def cost(tiler: Tiler, window: int) -> Cost:
        """Return the memory of the slots."""
        return Cost(shared=window * band_bytes(tiler))

    def give_back(self, given: Input) -> None:
        """Take back the slot of a task that has landed."""
        if isinstance(given, Shared):
            self._room.put(given.slot)

    def _open(self, *, threaded: bool) -> None:
        for slot in self._allocate(self._count, self._size, threaded=threaded).slots:
            self._room.put(slot)

    def _read(self) -> Iterator[Input]:
        rows, kept = RowsOf(self._source, self._check, ahead=self._ahead), 0
        try:
            for needs in self._parts.bands(self._source.info.width):
                pixels, image = self._band(needs)
                with self._timed(needs):
                    rows.fill(pixels, needs.y0)
                    if self._keep is not None:
                        new = Box(max(kept, needs.y0), 0, needs.y1, needs.x1)
                        self._keep.place(new, pixels[new.within(needs)])
                        kept = needs.y1
                yield image
            rows.finish()
        finally:
            rows.close()

    def _band(self, needs: Box) -> tuple[Pixels, Input]:
        slot, info = self._take_room(), self._source.info
        pixels = slot.array((*needs.shape, info.channels), info.dtype)
        return pixels, Shared(slot, needs, info.channels, info.dtype)


class InlineBandsFeed(BandsFeed):
    """The same, where the workers share no memory: each task carries its rows."""

    @staticmethod
    def cost(tiler: Tiler, window: int) -> Cost:
        """Return the memory of the rows under way, and of the rows of a worker."""
        size = band_bytes(tiler)
        return Cost(shared=window * size, per_worker=size)

    def give_back(self, given: Input) -> None:
        """Allow for one more."""
        self._room.put(0)

    def _open(self, *, threaded: bool) -> None:
        for _ in range(self._count):
            self._room.put(0)

    def _band(self, needs: Box) -> tuple[Pixels, Input]:
        self._take_room()
        info = self._source.info
        pixels = np.empty((*needs.shape, info.channels), info.dtype)
        return pixels, Inline(((pixels, needs),))


def band_bytes(*tilers: Tiler) -> int:
    """Return the size of the largest band of a pass that makes one output or several."""
    info = tilers[0].info
    if len(tilers) == 1:
        return tilers[0].most_rows * info.row_bytes
    return max(band.height for band in Parts(tilers).bands(info.width)) * info.row_bytes
