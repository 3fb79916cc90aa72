"""Whole feed: the whole image in shared memory, decoded at once."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.base import ReadingFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Input, Shared
from imgpipe.formats.base import Check, SequentialSource, WholeSource
from imgpipe.formats.rows import decode

__all__ = ["Decoded", "HeldImage", "WholeFeed"]

Decoded = SequentialSource | WholeSource


class HeldImage:
    """A whole image in memory, which the passes of a run read one after the other."""

    def __init__(self) -> None:
        self.complete = False
        self._buffers: Buffers | None = None

    def slot(self, size: int, *, shared: bool) -> Slot:
        """Return the memory of the image."""
        if self._buffers is None:
            self._buffers = Buffers(1, size, shared=shared)
        return self._buffers.slots[0]

    def close(self) -> None:
        """Free the memory. Safe to call twice."""
        if self._buffers is not None:
            self._buffers.close()


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
    held : HeldImage, optional
        Keeps them for further passes; its owner frees them.
    """

    def __init__(
        self,
        source: Decoded,
        parts: Parts,
        check: Check,
        *,
        shared: bool,
        held: HeldImage | None = None,
    ) -> None:
        super().__init__(parts, check)
        self._source, self._shared = source, shared
        self._held, self._is_own = held or HeldImage(), held is None

    @staticmethod
    def cost(source: Decoded) -> Cost:
        """Return the memory of all pixels."""
        return Cost(shared=source.info.nbytes)

    def close(self) -> None:
        """Stop reading and free the memory."""
        super().close()
        if self._is_own:
            self._held.close()

    def _open(self, *, threaded: bool) -> None:
        self._slot = self._held.slot(self._source.info.nbytes, shared=self._shared)
        self._room.put(0)

    def _read(self) -> Iterator[Input]:
        info, slot = self._source.info, self._slot
        if not self._held.complete:
            with self._timed(info.box):
                decode(self._source, slot.array(info.shape, info.dtype), self._check)
            self._held.complete = True
        image = Shared(slot, info.box, info.channels, info.dtype)
        for _ in range(len(self._parts)):
            yield image
