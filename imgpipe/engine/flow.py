"""Flow: one pass of one run, as a state machine.

It gives its next task, takes receipts, and knows when it is done. It has no loop and no executor:
a crew has these, and asks the flows of all its runs for tasks.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, NamedTuple, Protocol

from imgpipe.acceleration import remark
from imgpipe.chains.faintimages import merged_findings
from imgpipe.cleanup import CleanupStack
from imgpipe.engine.feeds.base import Feed, Wake
from imgpipe.engine.feeds.carried import carried
from imgpipe.engine.fold import Fold
from imgpipe.engine.jobs import Job
from imgpipe.engine.lease import Lease, TaskSlots
from imgpipe.engine.outlets import Outlet
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Direct, Input, JobRef, Part, Task
from imgpipe.engine.worker import Receipt
from imgpipe.engine.workernotes import chunk_at, last_noted
from imgpipe.events import Observer, SpanDone, TaskDone
from imgpipe.formats.base import RandomSource

__all__ = ["Flow", "PassFlow", "Worker", "next_number", "task_done"]

_numbers = itertools.count(1)


class Worker(NamedTuple):
    """The worker of a task.

    Attributes
    ----------
    label : str
        Its name, for people.
    pid : int
        Its process, 0 if that is not one of this host.
    """

    label: str
    pid: int


class Flow(Protocol):
    """A flow as its crew sees it."""

    @property
    def number(self) -> int:
        """Tells flows apart; no other of this process has it."""

    @property
    def reads(self) -> bool:
        """Return whether it reads an image, now or later, and so is worth a thread of its own."""

    @property
    def aside(self) -> bool:
        """Return whether it is worth a thread of its own where other images go on."""

    @property
    def done(self) -> bool:
        """Return whether all is done."""

    def start(self, wake: Wake | None) -> None:
        """Begin; with `wake`, in a thread, which calls it when there may be a new task."""

    def next_task(self) -> Task | None:
        """Return the next task, None if there is none just now."""

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        """Take the receipt of a task."""

    def describe(self, task: Task) -> str:
        """Return a description of the work of a task, as far as is known."""

    def job_to_warm_up(self) -> JobRef | None:
        """Return the job that idle workers may get ready for."""

    def close(self) -> None:
        """End, and give back all memory. Safe to call at any time, and twice."""


def next_number() -> int:
    """Return a number that no other flow has."""
    return next(_numbers)


def task_done(pass_index: int, task: Task, receipt: Receipt, worker: Worker) -> TaskDone:
    """Return the event of a landed task."""
    now = time.monotonic()
    return TaskDone(
        time=now,
        kind=task.kind,
        pass_index=pass_index,
        index=task.index,
        box=task.box,
        worker=worker.label,
        pid=worker.pid,
        made=task.made,
        started=receipt.started,
        ended=receipt.ended,
        cpu=receipt.cpu,
        spans=receipt.spans,
    )


class PassFlow:
    """The tasks of one pass over the image.

    Parameters
    ----------
    pass_index : int
        Number of the pass within the run, for events.
    kind : str
        Kind of the tasks.
    job : Job
        The common part of the tasks.
    ref : JobRef
        Its way to the workers.
    feed : Feed
        Gives each task its input.
    parts : Parts
        The parts of every task.
    outlets : tuple of Outlet
        The end of each branch.
    operands : tuple of (tuple of RandomSource)
        The further images of each branch.
    inline : bool
        Whether tasks carry the pixels of these.
    lease : Lease
        Memory for tasks under way.
    fold : Fold or None
        Measurements to be merged.
    on_event : callable
        Gets the events.
    held : CleanupStack
        Frees the memory.
    """

    aside = False

    def __init__(
        self,
        *,
        pass_index: int,
        kind: str,
        job: Job,
        ref: JobRef,
        feed: Feed,
        parts: Parts,
        outlets: tuple[Outlet, ...],
        operands: tuple[tuple[RandomSource, ...], ...],
        inline: bool,
        lease: Lease,
        fold: Fold | None,
        on_event: Observer,
        held: CleanupStack,
    ) -> None:
        self.number = next_number()
        self._pass_index, self._kind = pass_index, kind
        self._job, self._ref, self._feed, self._parts = job, ref, feed, parts
        self._outlets, self._operands, self._inline = outlets, operands, inline
        self._lease, self._fold, self._on_event, self._held = lease, fold, on_event, held
        self._made = 0
        self._waiting = len(parts)  # tasks that are not served
        self._lent: dict[int, tuple[TaskSlots, int]] = {}  # and how many parts are not served
        self._task_of: dict[tuple[int, int], int] = {}
        self.seen: tuple[int, ...] = ()  # of the filters, by all tasks; see `chains.faintimages`

    @property
    def reads(self) -> bool:
        """Return whether it reads the image."""
        return self._feed.reads

    @property
    def done(self) -> bool:
        """Return whether every part is served, every measurement merged, and the image read."""
        merged = self._fold is None or not self._fold.open
        return not self._waiting and merged and self._feed.exhausted

    def start(self, wake: Wake | None) -> None:
        """Begin to read."""
        self._feed.start(wake)

    def job_to_warm_up(self) -> JobRef | None:
        """Return the job that idle workers may get ready for."""
        return self._ref

    def next_task(self) -> Task | None:
        """Return the next task, None if there is none just now.

        Raises
        ------
        InputError
            If the image cannot be read.
        """
        if self._fold is not None and (due := self._fold.due()):
            return self._merging(due)
        if self._made == len(self._parts):
            if not self._feed.exhausted:
                self._feed.take()  # the reader checks the rest of the file
            return None
        if not self._lease:
            return None
        image = self._feed.take()
        for started, ended, box in self._feed.spans():
            self._on_event(SpanDone(time=ended, name="read", box=box, started=started, ended=ended))
        return None if image is None else self._task(image)

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        """Take the receipt of a task.

        Raises
        ------
        OutputError
            If its output cannot be written.
        """
        self.seen = merged_findings(self.seen, receipt.seen)
        for text in receipt.remarks:
            remark(text)
        self._on_event(task_done(self._pass_index, task, receipt, worker))
        if task.kind == "merge":
            assert self._fold is not None
            self._fold.land(receipt.measured)
            return
        assert task.image is not None
        self._feed.give_back(task.image)
        for at, part in enumerate(task.parts):
            for served in self._outlets[part.branch].land(part, receipt, at):
                self._serve(served)

    def describe(self, task: Task) -> str:
        """Return a description of the work of a task, as far as is known."""
        return _described(task, self._job)

    def close(self) -> None:
        """End, and give back all memory."""
        self._feed.close()
        self._held.close()

    def _serve(self, part: Part) -> None:
        """Note that a part is served; the slots of its task are free once all parts of it are."""
        index = self._task_of.pop((part.branch, part.turn))
        slots, left = self._lent.pop(index)
        if left > 1:
            self._lent[index] = slots, left - 1
            return
        self._lease.give_back(slots)
        self._waiting -= 1

    def _task(self, image: Input) -> Task:
        index, slots = self._made, self._lease.take()
        self._made += 1
        free = dict(enumerate(slots.outputs))  # further parts of a branch come with the receipt
        parts = tuple(
            part._replace(
                operands=tuple(
                    map(self._operand, self._operands[part.branch], self._parts.operands(part))
                ),
                output=free.pop(part.branch, None),
            )
            for part in self._parts[index]
        )
        self._lent[index] = slots, len(parts)
        for part in parts:
            self._task_of[part.branch, part.turn] = index
        return Task(
            kind=self._kind,
            flow=self.number,
            index=index,
            job=self._ref,
            parts=parts,
            image=image,
            note=slots.note,
            made=time.monotonic(),
        )

    def _merging(self, values: tuple[Any, ...]) -> Task:
        """Return the task of merging `values`; there is never more than one of them under way."""
        index, note = len(self._parts), self._lease.beside
        return Task(
            "merge", self.number, index, self._ref, note=note, values=values, made=time.monotonic()
        )

    def _operand(self, source: RandomSource, asked: list[Any]) -> Input:
        return carried(source, asked) if self._inline else Direct(source)


def _described(task: Task, job: Job) -> str:
    filters = [repr(stage.filter) for stage in job.all_stages]
    at = last_noted(task.note)
    if task.kind == "merge" or (at and at[1] == len(filters)):
        return f"the merge function of {filters[-1]}"
    if at:
        return f"{chunk_at(at[0])}: the filter {filters[at[1]]}"
    chain = " | ".join(filters) or "the image"
    return f"the chunks at rows {task.box.y0}-{task.box.y1} of {chain}"
