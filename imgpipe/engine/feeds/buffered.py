"""Buffered feed: the base of feeds that read rows into memory for the workers."""

from __future__ import annotations

from imgpipe.engine.buffers import Buffers
from imgpipe.engine.feeds.base import ReadingFeed
from imgpipe.engine.parts import Parts
from imgpipe.formats.base import Check, Placer, SequentialSource
from imgpipe.machine import usable_processors

__all__ = ["BufferedFeed"]

# With two processors it is their time that is short, and one more thread only takes of it.
_WORTH_A_THREAD = 3


class BufferedFeed(ReadingFeed):
    """Rows of a sequential source, in memory that is freed in the end.

    Parameters
    ----------
    source : SequentialSource
        The image.
    parts : Parts
        The tasks.
    check : callable
        Raises if the run is to end.
    shared : bool
        Whether the rows must be visible to other processes.
    keep : Placer, optional
        Gets all rows that are read, for further passes.
    """

    def __init__(
        self,
        source: SequentialSource,
        parts: Parts,
        check: Check,
        *,
        shared: bool,
        keep: Placer | None = None,
    ) -> None:
        super().__init__(parts, check)
        self._source, self._shared, self._keep = source, shared, keep
        self._buffers: Buffers | None = None
        self._ahead = False

    def close(self) -> None:
        """Stop reading and free the memory."""
        super().close()
        if self._buffers is not None:
            self._buffers.close()

    def _allocate(self, count: int, size: int, *, threaded: bool) -> Buffers:
        """Return the memory; where that pays, rows will be decoded by one more thread."""
        self._ahead = threaded and usable_processors() >= _WORTH_A_THREAD
        self._buffers = Buffers(count, size, shared=self._shared)
        return self._buffers
