"""Sealing: the last task of an image with placed sinks."""

from __future__ import annotations

import time

from imgpipe.cleanup import CleanupStack
from imgpipe.engine.feeds.base import Wake
from imgpipe.engine.flow import Worker, next_number, task_done
from imgpipe.engine.jobs import Job
from imgpipe.engine.lease import Lease
from imgpipe.engine.tasks import JobRef, Task
from imgpipe.engine.worker import Receipt
from imgpipe.events import Observer

__all__ = ["SealFlow"]


class SealFlow:
    """A flow of one task, which finishes the files of placed sinks.

    Parameters
    ----------
    pass_index, index : int
        Numbers of the pass, and of the task within it.
    job : Job
        The job of the pass that placed the pixels.
    ref : JobRef
        Its way to the workers.
    lease : Lease
        Memory for the note of the task.
    on_event : callable
        Gets the events.
    held : CleanupStack
        Frees the memory.
    """

    reads = aside = False

    def __init__(
        self,
        *,
        pass_index: int,
        index: int,
        job: Job,
        ref: JobRef,
        lease: Lease,
        on_event: Observer,
        held: CleanupStack,
    ) -> None:
        self.number = next_number()
        self.done = self._given = False
        self._pass_index, self._index = pass_index, index
        self._job, self._ref, self._note = job, ref, lease.beside
        self._on_event, self._held = on_event, held

    def start(self, wake: Wake | None) -> None:
        """Nothing has to be begun."""

    def job_to_warm_up(self) -> None:
        """Return nothing: there is one task only."""

    def next_task(self) -> Task | None:
        """Return the task, once."""
        if self._given:
            return None
        self._given = True
        return Task(
            "seal", self.number, self._index, self._ref, note=self._note, made=time.monotonic()
        )

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        """Take the receipt of the task."""
        self._on_event(task_done(self._pass_index, task, receipt, worker))
        self.done = True

    def describe(self, task: Task) -> str:
        """Return a description of the work of the task."""
        return "finishing the file"

    def close(self) -> None:
        """Give back all memory."""
        self._held.close()
