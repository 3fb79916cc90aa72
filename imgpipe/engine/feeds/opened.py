"""Opened feed: one worker opens and decodes the image.

So a small file is one task, in the same queue as the chunks of large ones. A decoder that crashes
or hangs takes a worker, and not the run.
"""

from __future__ import annotations

import numpy as np

from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.base import Span, Wake
from imgpipe.engine.tasks import Input
from imgpipe.formats.base import Source
from imgpipe.formats.rows import RowsOf
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["Opened", "OpenedFeed", "can_be_opened"]


def can_be_opened(source: Source) -> bool:
    """Return whether a worker can open `source`: it comes from something that has a reference."""
    origin = getattr(source, "origin", None)
    return origin is not None and origin.reference is not None


@dataclass(frozen=True)
class Opened:
    """A source of any access, which can be pickled."""

    source: Source

    def hold(self, box: Box) -> tuple[Pixels, Box]:
        """Read as much of the image as `box` needs, and check it."""
        source, info = self.source, self.source.info
        if source.access == "random":
            return source.read(box), box
        if source.access == "whole":
            pixels = np.empty(info.shape, info.dtype)
            source.decode_into(pixels)
            return pixels, info.box
        rows = RowsOf(source)
        try:
            band = Box(box.y0, 0, box.y1, info.width)
            return rows.read(band), band
        finally:
            rows.close()

    def read(self, box: Box) -> Pixels:
        """Read `box`."""
        pixels, held = self.hold(box)
        return pixels[box.within(held)]


class OpenedFeed:
    """A feed of one task, which reads all it needs."""

    reads = False
    exhausted = True

    def __init__(self, source: Source) -> None:
        self._image = Opened(source)

    @staticmethod
    def cost(source: Source) -> Cost:
        """Return the memory of all pixels."""
        return Cost(per_worker=source.info.nbytes)

    def start(self, wake: Wake | None) -> None:
        """Nothing has to be begun."""

    def take(self) -> Input:
        """Return the source."""
        return self._image

    def spans(self) -> list[Span]:
        """Return nothing: nothing is read here."""
        return []

    def give_back(self, given: Input) -> None:
        """Nothing was lent."""

    def close(self) -> None:
        """Nothing has to be freed."""
