"""Whole: the whole image in shared memory, decoded at once."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.engine.buffers import Buffers
from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.base import ReadingFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Input, Shared
from imgpipe.formats.base import Check, SequentialSource, WholeSource
from imgpipe.formats.rows import decode

__all__ = ["Decoded", "WholeFeed"]

Decoded = SequentialSource | WholeSource


class WholeFeed(ReadingFeed):
    """All pixels of a source.

    Parameters
    ----------
    source : Decoded
        The image.
    parts : Parts
        The tasks.
    check : callable
        Raises if the run is to end.
    shared : bool
        Whether the pixels must be visible to other processes.
    """

    def __init__(self, source: Decoded, parts: Parts, check: Check, *, shared: bool) -> None:
        super().__init__(parts, check)
        self._source, self._shared = source, shared
        self._buffers: Buffers | None = None

    @staticmethod
    def cost(source: Decoded) -> Cost:
        """Return the memory of all pixels."""
        return Cost(shared=source.info.nbytes)

    def close(self) -> None:
        """Stop reading and free the memory."""
        super().close()
        if self._buffers is not None:
            self._buffers.close()

    def _open(self, *, threaded: bool) -> None:
        self._buffers = Buffers(1, self._source.info.nbytes, shared=self._shared)
        self._room.put(0)

    def _read(self) -> Iterator[Input]:
        assert self._buffers is not None
        info, slot = self._source.info, self._buffers.slots[0]
        pixels = slot.array(info.shape, info.dtype)
        with self._timed(info.box):
            decode(self._source, pixels, self._check)
        image = Shared(slot, info.box, info.channels, info.dtype)
        for _ in range(len(self._parts)):
            yield image
