"""Direct feed: the workers read the image themselves."""

from __future__ import annotations

from imgpipe.engine.costs import Cost, pixel_bytes
from imgpipe.engine.feeds.base import Span, Wake
from imgpipe.engine.tasks import Direct, Input
from imgpipe.engine.tiler import Tiler
from imgpipe.formats.base import RandomSource

__all__ = ["DirectFeed"]


class DirectFeed:
    """A feed that has nothing to do."""

    reads = False
    exhausted = True

    def __init__(self, source: RandomSource) -> None:
        self._image = Direct(source)

    @staticmethod
    def cost(tiler: Tiler) -> Cost:
        """Return the memory of the pixels that a worker reads for a task."""
        return Cost(per_worker=tiler.most_needed * pixel_bytes(tiler.info))

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
