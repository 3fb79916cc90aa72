"""Tiler: an image and a chain become tasks, and tasks become chunks.

A task is a stretch of whole rows, a multiple of the rows that the output format encodes at once.
A chunk is what a filter sees: small enough for the cache, large enough for its halo. Every output
pixel is in exactly one chunk of one task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgpipe.chains.stages import Stage, input_box, reads
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

__all__ = ["Chunk", "Tiler"]


@dataclass(frozen=True)
class Chunk:
    """The unit a filter sees: the output box and the input box that it needs."""

    box: Box
    needs: Box


@dataclass(frozen=True)
class Tiler:
    """How the output of some stages is cut.

    Attributes
    ----------
    info : ImageInfo
        The source.
    stages : tuple of Stage
        What is done to it.
    height, width : int
        Size of the output.
    task_rows : int
        Rows of a task.
    chunk : (int, int)
        Rows and columns of a chunk.
    context_rows : int
        Rows of output above a task that its encoder wants to see too.
    """

    info: ImageInfo
    stages: tuple[Stage, ...]
    height: int
    width: int
    task_rows: int
    chunk: tuple[int, int]
    context_rows: int = 0

    def __len__(self) -> int:
        return (self.height + self.task_rows - 1) // self.task_rows

    def boxes(self) -> Iterator[Box]:
        """Yield the output box of every task, from top to bottom."""
        return Box.of(self.height, self.width).cut(self.task_rows, self.width)

    def with_context(self, box: Box) -> Box:
        """Return the box of a task and of the rows above it that are made along with it."""
        return Box(max(0, box.y0 - self.context_rows), box.x0, box.y1, box.x1)

    def needs(self, box: Box) -> Box:
        """Return the input box of a task."""
        return input_box(self.stages, self.with_context(box), self.info)

    def reads(self, box: Box) -> list[list[Box]]:
        """Return the boxes that a task reads of each of its inputs."""
        return reads(self.stages, self.with_context(box))

    def chunks(self, box: Box) -> Iterator[Chunk]:
        """Yield the chunks of a task."""
        for part in self.with_context(box).cut(*self.chunk):
            yield Chunk(part, input_box(self.stages, part, self.info))
