"""Tiler: the cut of the output of a chain into tasks, and of tasks into chunks.

A task is a rectangle of the output: a stretch of whole rows where the output is written from top to
bottom, about a square where boxes may be placed in any order. It is a multiple of the unit of the
output format. A chunk is the input of one call of a filter: small enough for the cache, large
enough for its halo. Every output pixel is in exactly one chunk of one task.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from imgpipe.chains.stages import Stage, input_box, reads
from imgpipe.geometry import Box, Halo
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Tiler", "falling"]

_SIDES = 64  # times the halo at least: the width of a task whose sides are chunks of their own
_LOW = 8  # times the halo at least: the rows of a task that has room for halos


@dataclass(frozen=True)
class Tiler:
    """The cut of the output of some stages.

    Attributes
    ----------
    info : ImageInfo
        The source.
    stages : tuple of Stage
        The stages.
    height, width : int
        Size of the output.
    task_rows : int
        Rows of a task.
    chunk : (int, int)
        Rows and columns of a chunk.
    context_rows : int
        Rows of output above a task that its encoder needs.
    task_columns : int
        Columns of a task; 0 for whole rows.
    first : (int, int)
        Rows of the topmost tasks and columns of the leftmost ones, where these are smaller than
        all others so that the others are on a grid; 0 where they are not.
    """

    info: ImageInfo
    stages: tuple[Stage, ...]
    height: int
    width: int
    task_rows: int
    chunk: tuple[int, int]
    context_rows: int = 0
    task_columns: int = 0
    first: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return self._down * self._across

    @property
    def task(self) -> tuple[int, int]:
        """Rows and columns of a task."""
        return min(self.task_rows, self.height), min(self.task_columns or self.width, self.width)

    def box(self, index: int) -> Box:
        """Return the output box of a task: they go from top to bottom, and from left to right."""
        down, across = divmod(range(len(self))[index], self._across)
        y0, y1 = _span(self.height, self.task_rows, self.first[0], down)
        x0, x1 = _span(self.width, *self._columns, across)
        return Box(y0, x0, y1, x1)

    def boxes(self) -> Iterator[Box]:
        """Yield the output box of every task."""
        return map(self.box, range(len(self)))

    def with_context(self, box: Box) -> Box:
        """Return the box of a task and of the rows above it that are made along with it."""
        return Box(max(0, box.y0 - self.context_rows), box.x0, box.y1, box.x1)

    def needs(self, box: Box) -> Box:
        """Return the input box of a task."""
        return input_box(self.stages, self.with_context(box), self.info)

    @cached_property
    def most_rows(self) -> int:
        """The most rows of the input that are held for a task, if they come from top to bottom."""
        rows = [(needs.y0, needs.y1) for needs in map(self.needs, self.boxes())]
        return max(y1 - y0 for y0, y1 in falling(rows))

    @cached_property
    def most_needed(self) -> int:
        """The most pixels of the input that a task needs."""
        return max(self.needs(box).area for box in self.boxes())

    def reads(self, box: Box) -> list[list[Box]]:
        """Return the boxes that a task reads of each of its inputs."""
        return reads(self.stages, self.with_context(box))

    def chunks(self, box: Box, *, apart: bool = False) -> Iterator[Box]:
        """Yield the output box of each chunk of a task, row by row.

        With `apart`, pixels whose halo reaches beyond the image come in chunks of their own: those
        at the top first, and those at the other sides last. No other chunk needs pixels beyond the
        image then, so that its input need not be copied.
        """
        box = self.with_context(box)
        inner = self._inner(box) if apart else box
        top = Box(box.y0, box.x0, inner.y0, box.x1)
        if not top.empty:
            yield top
        yield from inner.cut(*self.chunk)
        for side in (
            Box(inner.y0, box.x0, inner.y1, inner.x0),
            Box(inner.y0, inner.x1, inner.y1, box.x1),
            Box(inner.y1, box.x0, box.y1, box.x1),
        ):
            if not side.empty:
                yield side

    def _inner(self, box: Box) -> Box:
        """Return the part of a box that needs no pixels beyond the image; all if that is little."""
        rows, columns = self._halo
        inner = box.intersect(Box(rows, columns, self.height - rows, self.width - columns))
        if box.width < _SIDES * columns:
            inner = Box(inner.y0, box.x0, inner.y1, box.x1)
        if box.height < _LOW * rows:
            inner = Box(box.y0, inner.x0, box.y1, inner.x1)
        return inner

    @cached_property
    def _halo(self) -> Halo:
        """Rows and columns on each side that a chunk is made from; 0 where pixels may move."""
        if not all(one.filter.definition.ours and one.is_local for one in self.stages):
            return 0, 0
        contexts = [one.context for one in self.stages]
        return sum(rows for rows, _ in contexts), sum(columns for _, columns in contexts)

    @cached_property
    def room(self) -> Halo | None:
        """The halo of chunks that a filter may write to as well; None if it writes elsewhere."""
        if not self.stages or not self.stages[-1].takes_room:
            return None
        halo = self.stages[-1].filter.halo
        return halo if _LOW * halo[0] <= self.task_rows else None

    @property
    def _down(self) -> int:
        return _count(self.height, self.task_rows, self.first[0])

    @property
    def _across(self) -> int:
        return _count(self.width, *self._columns)

    @property
    def _columns(self) -> tuple[int, int]:
        return (self.task_columns, self.first[1]) if self.task_columns else (self.width, 0)


def _count(size: int, step: int, first: int) -> int:
    """Return the number of pieces of `size`: one of `first` if it is not 0, then all of `step`."""
    return 1 + len(range(first or step, size, step))


def _span(size: int, step: int, first: int, index: int) -> tuple[int, int]:
    """Return begin and end of such a piece."""
    end = (first or step) + index * step
    return max(0, end - step) if index else 0, min(size, end)


def falling(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return stretches that hold the given ones; none begins or ends above the one before.

    Rows that a later stretch needs again are part of all in between.
    """
    rows = list(rows)
    for index in range(len(rows) - 1, 0, -1):
        top, bottom = rows[index - 1]
        rows[index - 1] = min(top, rows[index][0]), bottom
    for index in range(1, len(rows)):
        top, bottom = rows[index]
        rows[index] = top, max(bottom, rows[index - 1][1])
    return rows
