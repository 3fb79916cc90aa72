"""Carried feed: pixels within each task, for workers that share neither memory nor files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.engine.costs import Cost, pixel_bytes
from imgpipe.engine.feeds.base import ReadingFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Inline, Input
from imgpipe.engine.tiler import Tiler
from imgpipe.formats.base import Check, RandomSource
from imgpipe.geometry import Box

__all__ = ["CarriedFeed", "carried"]


class CarriedFeed(ReadingFeed):
    """Boxes of a random source.

    Parameters
    ----------
    source : RandomSource
        The image.
    parts : Parts
        The tasks.
    check : callable
        Raises if the run is to end.
    count : int
        The number of tasks under way at once.
    """

    def __init__(self, source: RandomSource, parts: Parts, check: Check, *, count: int) -> None:
        super().__init__(parts, check)
        self._source, self._count = source, count

    @staticmethod
    def cost(tiler: Tiler, window: int) -> Cost:
        """Return the memory of the boxes under way, and of the boxes of a worker."""
        size = tiler.most_needed * pixel_bytes(tiler.info)
        return Cost(shared=window * size, per_worker=size)

    def give_back(self, given: Input) -> None:
        """Allow for one more."""
        self._room.put(0)

    def _open(self, *, threaded: bool) -> None:
        for _ in range(self._count):
            self._room.put(0)

    def _read(self) -> Iterator[Input]:
        for index in range(len(self._parts)):
            self._take_room()
            self._check()
            asked = self._parts.reads(index)
            with self._timed(asked[0]):
                image = carried(self._source, asked)
            yield image


def carried(source: RandomSource, asked: list[Box]) -> Inline:
    """Return an input that holds the pixels of some boxes."""
    return Inline(tuple((np.ascontiguousarray(source.read(box)), box) for box in asked))
