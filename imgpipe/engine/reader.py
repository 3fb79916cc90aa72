"""Reader: gives every task its pixels, from top to bottom.

Rows are read into a rolling set of slots. Each slot holds the rows of its task and the halo, so
that a worker sees one array; what two neighbours have in common is copied from one to the other.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.engine.plan import Plan
from imgpipe.engine.tiler import Direct, Inline, Input, JobRef, Shared, Task, Tiler
from imgpipe.errors import Cancelled
from imgpipe.formats.base import (
    Check,
    RandomSource,
    Rows,
    SequentialSource,
    Source,
    WholeSource,
)
from imgpipe.geometry import Box
from imgpipe.image import Pixels

if TYPE_CHECKING:
    from imgpipe.formats.scratch import Scratch

__all__ = ["Reader", "copied_to_scratch"]

_COPY_BYTES = 4 << 20


class Reader:
    """Makes the tasks of a pass.

    Parameters
    ----------
    source : Source
        The image; already a scratch file if the plan said so.
    operands : tuple of RandomSource
        Its further images.
    plan : Plan
        How pixels travel.
    tiler : Tiler
        How this pass is cut.
    kind : str
        Kind of the tasks.
    job : JobRef
        What they have in common.
    shared : bool
        Whether slots must be visible to other processes.
    check : callable
        Raises if the run is to end.
    """

    def __init__(
        self,
        source: Source,
        operands: tuple[RandomSource, ...],
        plan: Plan,
        tiler: Tiler,
        kind: str,
        job: JobRef,
        *,
        shared: bool,
        check: Check,
    ) -> None:
        self._stopped, self._check_run = False, check
        self._source, self._operands = source, operands
        self._feed, self._tiler, self._kind, self._job = plan.feed, tiler, kind, job
        self._free: queue.SimpleQueue[Slot | None] = queue.SimpleQueue()
        self._buffers: Buffers | None = None
        self._ahead = False
        self._spans: deque[tuple[Box, float, float]] = deque()
        if plan.feed in ("bands", "whole"):
            count = plan.window if plan.feed == "bands" else 1
            self._buffers = Buffers(count, plan.band_bytes, shared=shared)
            for slot in self._buffers.slots:
                self._free.put(slot)

    @property
    def streams(self) -> bool:
        """Whether making a task takes time: reading is worth a thread of its own."""
        return self._feed == "bands"

    def tasks(self, *, ahead: bool = False) -> Iterator[Task]:
        """Yield the tasks in order; wait where there is no free slot.

        With `ahead` the source may decode in a thread of its own.
        """
        self._ahead = ahead
        for index, (box, first) in enumerate(self._inputs()):
            _, *asked = self._tiler.reads(box)
            others = tuple(map(self._operand, self._operands, asked))
            yield Task(self._kind, index, box, (first, *others), None, self._job)

    def release(self, task: Task) -> None:
        """Take back the slot of a task that is done."""
        first = task.inputs[0]
        if self._feed == "bands" and isinstance(first, Shared):
            self._free.put(first.slot)

    def spans(self) -> Iterator[tuple[Box, float, float]]:
        """Yield what has been read since this was last asked, with its begin and its end."""
        while self._spans:
            yield self._spans.popleft()

    def stop(self) -> None:
        """Have the thread that reads come to an end, also where it waits for a slot."""
        self._stopped = True
        self._free.put(None)

    def close(self) -> None:
        """Free the slots."""
        if self._buffers is not None:
            self._buffers.close()

    def _check(self) -> None:
        if self._stopped:
            raise Cancelled("the reader was stopped")
        self._check_run()

    def _inputs(self) -> Iterator[tuple[Box, Input]]:
        boxes = self._tiler.boxes()
        if self._feed == "bands":
            return self._bands(boxes, self._shared_band)
        if self._feed == "direct":
            direct = Direct(cast(RandomSource, self._source))
            return ((box, direct) for box in boxes)
        if self._feed == "whole":
            whole = self._whole()
            return ((box, whole) for box in boxes)
        if self._source.access == "random":
            return ((box, _carried(self._source, self._tiler.reads(box)[0])) for box in boxes)
        return self._bands(boxes, self._inline_band)

    def _bands(
        self, boxes: Iterator[Box], band: Callable[[Box], tuple[Pixels, Input]]
    ) -> Iterator[tuple[Box, Input]]:
        info = self._source.info
        rows = _RowsOf(self._source, self._check, ahead=self._ahead)
        try:
            held, last = Box(0, 0, 0, info.width), np.empty((0, *info.shape[1:]), info.dtype)
            for box in boxes:
                needs = self._tiler.needs(box)
                needs = Box(needs.y0, 0, needs.y1, info.width)
                pixels, made = band(needs)
                common = held.intersect(needs).height
                if common:
                    pixels[:common] = last[len(last) - common :]
                began = time.monotonic()
                rows.skip_to(needs.y0 + common)
                if common < needs.height:
                    rows.read_into(pixels[common:])
                    read = Box(needs.y0 + common, 0, needs.y1, info.width)
                    self._spans.append((read, began, time.monotonic()))
                held, last = needs, pixels
                yield box, made
            rows.finish()
        finally:
            rows.close()

    def _shared_band(self, needs: Box) -> tuple[Pixels, Input]:
        slot = self._free.get()
        if slot is None:
            raise Cancelled("the reader was stopped")
        info = self._source.info
        pixels = slot.array((*needs.shape, info.channels), info.dtype)
        return pixels, Shared(slot, needs, info.channels, info.dtype)

    def _inline_band(self, needs: Box) -> tuple[Pixels, Input]:
        pixels = np.empty((*needs.shape, self._source.info.channels), self._source.info.dtype)
        return pixels, Inline(((pixels, needs),))

    def _whole(self) -> Input:
        assert self._buffers is not None
        info = self._source.info
        slot = self._buffers.slots[0]
        pixels = slot.array(info.shape, info.dtype)
        began = time.monotonic()
        cast(WholeSource, self._source).decode_into(pixels, self._check)
        self._spans.append((info.box, began, time.monotonic()))
        return Shared(slot, info.box, info.channels, info.dtype)

    def _operand(self, source: RandomSource, asked: list[Box]) -> Input:
        return _carried(source, asked) if self._feed == "inline" else Direct(source)


def _carried(source: RandomSource, asked: list[Box]) -> Input:
    return Inline(tuple((np.ascontiguousarray(source.read(box)), box) for box in asked))


def copied_to_scratch(source: Source, tell: Callable[[Box], None], check: Check) -> Scratch:
    """Return a scratch file that holds the pixels of `source`.

    `tell` is called with every box that has been copied, `check` more often; both may raise to
    stop it.
    """
    from imgpipe.formats.scratch import Scratch  # noqa: PLC0415 - only for this

    info = source.info
    step = max(1, _COPY_BYTES // info.row_bytes)
    scratch = Scratch(info)
    try:
        if source.access == "whole":
            pixels = np.empty(info.shape, info.dtype)
            source.decode_into(pixels, check)
            for box in info.box.cut(step, info.width):
                scratch.placer.place(box, pixels[box.slices])
                tell(box)
        elif source.access == "sequential":
            pixels = np.empty((step, *info.shape[1:]), info.dtype)
            with contextlib.closing(_RowsOf(source, check)) as rows:
                for box in info.box.cut(step, info.width):
                    part = pixels[: box.height]
                    rows.read_into(part)
                    scratch.placer.place(box, part)
                    tell(box)
                rows.finish()
    except BaseException:
        scratch.abort()
        raise
    return scratch


class _RowsOf:
    """A position in a sequential source that can also pass rows over."""

    def __init__(self, source: Source, check: Check, *, ahead: bool = False) -> None:
        self._info, self._check = source.info, check
        self._rows: Rows = cast(SequentialSource, source).rows(ahead=ahead)
        self._next = 0

    def read_into(self, out: Pixels) -> None:
        self._rows.read_into(out)
        self._next += len(out)

    def skip_to(self, row: int) -> None:
        step = max(1, _COPY_BYTES // self._info.row_bytes)
        while self._next < row:
            self._check()
            count = min(step, row - self._next)
            self.read_into(np.empty((count, *self._info.shape[1:]), self._info.dtype))

    def finish(self) -> None:
        if self._next == self._info.height:
            self._rows.finish()

    def close(self) -> None:
        self._rows.close()
