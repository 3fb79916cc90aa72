"""Tile decoding: a pass over an image whose tiles are decoded by tasks of their own."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from imgpipe.engine.buffers import Slot
from imgpipe.engine.feeds.tiles import TilesFeed
from imgpipe.engine.flow import PassFlow, Worker, task_done
from imgpipe.engine.tasks import Task
from imgpipe.engine.worker import Receipt

__all__ = ["TilesFlow"]


class TilesFlow(PassFlow):
    """The tasks of a pass, and the tasks that decode its tiles.

    A task whose tiles are there goes first, so that their slots are soon free. If there is none,
    further tiles are decoded.

    Parameters
    ----------
    feed : TilesFeed
        Knows which tiles are there.
    notes : tuple of (Slot or None)
        Memory for the whereabouts of workers, for tasks that decode.
    **given
        The parameters of a `PassFlow`.
    """

    def __init__(self, *, feed: TilesFeed, notes: tuple[Slot | None, ...], **given: Any) -> None:
        super().__init__(feed=feed, **given)
        self._tiles, self._notes, self._decodings = feed, deque(notes), 0

    def next_task(self) -> Task | None:
        """Return the next task, None if there is none just now."""
        return super().next_task() or self._decoding()

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        """Take the receipt of a task."""
        if task.decoding is None:
            super().land(task, receipt, worker)
            return
        self._on_event(task_done(self._pass_index, task, receipt, worker))
        self._tiles.decoded(task.decoding)
        self._notes.append(task.note)

    def describe(self, task: Task) -> str:
        """Return a description of the work of a task, as far as is known."""
        return "decoding its tiles" if task.decoding is not None else super().describe(task)

    def _decoding(self) -> Task | None:
        decoding = self._tiles.decoding() if self._notes else None
        if decoding is None:
            return None
        self._decodings += 1
        return Task(
            kind="decode",
            flow=self.number,
            index=self._decodings - 1,
            job=self._ref,
            note=self._notes.popleft(),
            decoding=decoding,
            made=time.monotonic(),
        )
