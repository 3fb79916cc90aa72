"""Passes: all tasks of one way through the image, from the reader to the stitcher.

::

    Reader ─▶ TaskQueue ─▶ worker ─▶ Stitcher ─▶ deliver
"""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass, replace
from typing import Any

from imgpipe.chains.faint import both
from imgpipe.chains.sending import by_value
from imgpipe.chains.stages import Stage
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine import worker
from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.engine.fold import Fold
from imgpipe.engine.labels import Labels
from imgpipe.engine.plan import Plan
from imgpipe.engine.reader import Reader
from imgpipe.engine.stitcher import Stitcher
from imgpipe.engine.taskqueue import Done, Lost, Ready, Stop, TaskQueue
from imgpipe.engine.tiler import JobRef, Task, Tiler
from imgpipe.engine.whereabouts import NOTE_BYTES, chunk_at, last_noted
from imgpipe.engine.worker import Job, Receipt
from imgpipe.errors import Cancelled
from imgpipe.events import Event, SpanDone, TaskDone, WorkerLost
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.serial import SerialExecutor
from imgpipe.formats.base import RandomSource, Source
from imgpipe.geometry import Box
from imgpipe.machine import usable_processors
from imgpipe.refusals import begin

__all__ = ["Control", "Pass", "Passes", "must_travel"]

# With two processors it is their time that is short, and one more thread only takes of it.
_WORTH_A_THREAD = 3

Deliver = Callable[[Task, Receipt], None]


class Control:
    """How another thread follows a run and stops it."""

    def __init__(self) -> None:
        self.progress = 0.0
        self._stopped = threading.Event()
        self._wake: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Ask the run to end."""
        self._stopped.set()
        self._wake()

    def check(self) -> None:
        """Raise if the run is to end.

        Raises
        ------
        Cancelled
            If `stop` has been called.
        """
        if self._stopped.is_set():
            raise Cancelled("stopped before it was complete")

    def attach(self, wake: Callable[[], None]) -> None:
        """Tell how to wake the run up."""
        self._wake = wake
        if self._stopped.is_set():
            wake()


@dataclass(frozen=True)
class Pass:
    """One way through the image.

    Attributes
    ----------
    turn : int
        Its number.
    kind : str
        Kind of its tasks.
    job : Job
        What they have in common.
    payload_bytes : int
        Size of the slot for what a task encodes; 0 if it encodes nothing.
    """

    turn: int
    kind: str
    job: Job
    payload_bytes: int = 0


class Passes:
    """Has the tasks of passes done by one executor.

    Parameters
    ----------
    plan : Plan
        How pixels travel, and how many tasks are under way at once.
    executor : Executor
        What carries the tasks.
    control : Control
        May stop it.
    tell : callable
        Gets the events.
    lasting : bool
        Whether the executor is there for others as well, and after the passes.
    """

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        control: Control,
        tell: Callable[[Event], None],
        *,
        lasting: bool,
    ) -> None:
        self._plan, self._executor, self._control, self._tell = plan, executor, control, tell
        self._lasting = lasting
        self._traits = traits_of(executor)
        self._labels = Labels()
        self.seen: tuple[int, ...] = ()  # of the filters, by all tasks; see `filters.faint`

    @property
    def supervised(self) -> bool:
        """Whether a worker may be ended without harm."""
        return isinstance(self._executor, Supervised)

    @property
    def isolated(self) -> bool:
        """Whether workers have not what this process has in memory."""
        return self._traits.isolates

    def measure(self, this: Pass, source: Source, operands: tuple[RandomSource, ...]) -> Any:
        """Have every task of a pass of measuring done; return what all of it comes to."""
        fold = Fold(len(this.job.tiler))
        self.run(this, source, operands, lambda _, receipt: fold.add(receipt.measured), fold)
        return fold.result

    def run(
        self,
        this: Pass,
        source: Source,
        operands: tuple[RandomSource, ...],
        deliver: Deliver,
        fold: Fold | None = None,
    ) -> None:
        """Have every task of a pass done; deliver the receipts in order.

        With `fold`, have merged what is due in it, until nothing is.
        """
        shared = self._traits.isolates and self._traits.shares_memory
        with CleanupStack() as held:
            ref = self._job_ref(this.job, held)
            reader = Reader(
                source, operands, self._plan, this.job.tiler, this.kind, ref,
                shared=shared, check=self._control.check,
            )  # fmt: skip
            held.callback(reader.close)
            outputs = self._slots(this.payload_bytes if shared else 0, held)
            notes = self._notes(held)
            queue = self._queue(this, held)
            self._warm_up(ref)
            if reader.streams and not isinstance(self._executor, SerialExecutor):
                inline: Iterator[Task] = iter(())
                held.enter_context(_reading(reader, queue))
            else:
                inline = reader.tasks()
            room = deque(zip(outputs, notes, strict=False))
            self._flow(this, ref, queue, reader, inline, room, notes[-1], deliver, fold)
            next(inline, None)  # lets the reader look at what follows the last row

    def seal(self, this: Pass) -> None:
        """Have the last task of a placed sink done."""
        with CleanupStack() as held:
            ref = self._job_ref(this.job, held)
            note = self._notes(held)[-1]
            queue = self._queue(this, held)
            last = len(this.job.tiler)
            queue.submit(Task("seal", last, Box(0, 0, 0, 0), (), None, ref, note=note))
            while not isinstance(message := queue.next(), Done):
                self._note(message)
            self._note_done(this, message)

    def _notes(self, held: CleanupStack) -> tuple[Slot | None, ...]:
        """Return a slot for the notes of each task under way, and one for a task beside them."""
        return self._slots(NOTE_BYTES if self.supervised else 0, held, beside=1)

    def _slots(self, size: int, held: CleanupStack, *, beside: int = 0) -> tuple[Slot | None, ...]:
        """Return a shared slot of `size` bytes for each task under way; none for a size of 0."""
        count = self._plan.window + beside
        if not size:
            return (None,) * count
        buffers = Buffers(count, size, shared=True)
        held.callback(buffers.close)
        return buffers.slots

    def _flow(
        self,
        this: Pass,
        ref: JobRef,
        queue: TaskQueue,
        reader: Reader,
        inline: Iterator[Task],
        room: deque[tuple[Slot | None, Slot | None]],
        merging: Slot | None,
        deliver: Deliver,
        fold: Fold | None,
    ) -> None:
        """Move tasks from the reader to the queue, and receipts from the queue to `deliver`."""
        stitcher: Stitcher[tuple[Task, Receipt]] = Stitcher(len(room))
        waiting: deque[Task] = deque()
        left = len(this.job.tiler)
        while left or (fold is not None and fold.open):
            while room:
                task = waiting.popleft() if waiting else next(inline, None)
                if task is None:
                    break
                output, note = room.popleft()
                queue.submit(replace(task, output=output, note=note))
            if fold is not None and (due := fold.due()):
                queue.submit(_merging(this.job.tiler, ref, due, merging))
            message = queue.next()
            for box, began, ended in reader.spans():
                now = time.monotonic()
                self._tell(SpanDone(time=now, name="read", box=box, started=began, ended=ended))
            if not isinstance(message, Done):
                waiting.extend(self._note(message))
                continue
            self._note_done(this, message)
            if fold is not None and message.task.kind == "merge":
                fold.land(message.receipt.measured)
                continue
            reader.release(message.task)
            stitcher.land(message.task.index, (message.task, message.receipt))
            for task, receipt in stitcher.pop():
                deliver(task, receipt)
                room.append((task.output, task.note))
                left -= 1

    def _note(self, message: Ready | Lost | Done) -> list[Task]:
        """Return the task that the reader made; tell of workers that were lost."""
        if isinstance(message, Ready):
            if message.error is not None:
                raise message.error
            return [message.task] if message.task is not None else []
        if isinstance(message, Lost):
            self._tell(
                WorkerLost(time=time.monotonic(), reason=message.reason, tasks=message.tasks)
            )
        return []

    def _note_done(self, this: Pass, message: Done) -> None:
        task, receipt = message.task, message.receipt
        self.seen = both(self.seen, receipt.seen)
        self._tell(
            TaskDone(
                time=time.monotonic(),
                kind=task.kind,
                pass_index=this.turn,
                index=task.index,
                box=task.box,
                worker=self._labels.of(receipt),
                pid=receipt.worker if self._traits.shares_memory else 0,
                made=task.made,
                started=receipt.started,
                ended=receipt.ended,
                cpu=receipt.cpu,
                spans=receipt.spans,
            )
        )

    def _warm_up(self, ref: JobRef) -> None:
        """Have our own workers start, and get ready, while the reader reads the first rows."""
        if self.supervised:
            with contextlib.suppress(BrokenExecutor, RuntimeError):  # the queue deals with that
                for _ in range(self._plan.workers):
                    self._executor.submit(worker.warm_up, ref)

    def _queue(self, this: Pass, held: CleanupStack) -> TaskQueue:
        queue = TaskQueue(
            self._executor, self._plan.source, lambda task: _described(task, this.job)
        )
        if self._lasting:
            held.callback(queue.abandon)
        self._control.attach(lambda: queue.inbox.put(Stop()))
        return queue

    def _job_ref(self, job: Job, held: CleanupStack) -> JobRef:
        """Return what tells workers of `job`: pickled once, or as it is inside this process."""
        if not self._traits.isolates:
            ref = worker.adopt(job)
            held.callback(worker.disown, ref)
            return ref
        data = _pickled(job)
        if not self._traits.shares_memory:
            return worker.carried(data)
        buffers = Buffers(1, len(data), shared=True)
        held.callback(buffers.close)
        buffers.slots[0].bytes()[: len(data)] = data
        return worker.stored(data, buffers.slots[0])


@contextlib.contextmanager
def _reading(reader: Reader, queue: TaskQueue) -> Iterator[None]:
    """Read in a thread of its own, which ends with this context."""

    def work() -> None:
        try:
            for task in reader.tasks(ahead=usable_processors() >= _WORTH_A_THREAD):
                queue.inbox.put(Ready(task))
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the run
            queue.inbox.put(Ready(None, error))

    thread = threading.Thread(target=work, name="imgpipe-reader", daemon=True)
    try:
        with uninterrupted():  # or it could run without being known to
            begin(thread)
        yield
    except BaseException:
        reader.stop()
        raise
    finally:
        if thread.ident is not None:
            with uninterrupted():  # a thread whose `join` is interrupted counts as ended
                thread.join()
    while not queue.inbox.empty():  # what the reader found after the last row
        left = queue.inbox.get()
        if isinstance(left, Ready) and left.error is not None:
            raise left.error


def _merging(tiler: Tiler, ref: JobRef, values: tuple[Any, ...], note: Slot | None) -> Task:
    """Return the task of merging `values`; there is never more than one of them under way."""
    whole = Box.of(tiler.height, tiler.width)
    return Task("merge", len(tiler), whole, (), None, ref, values=values, note=note)


def _described(task: Task, job: Job) -> str:
    """Return what a task is at, as far as is known."""
    filters = [repr(stage.filter) for stage in job.all_stages]
    if task.kind == "seal":
        return "finishing the file"
    at = last_noted(task.note)
    if task.kind == "merge" or (at and at[1] == len(filters)):
        return f"the merge function of {filters[-1]}"
    if at:
        return f"{chunk_at(at[0])}: the filter {filters[at[1]]}"
    chain = " | ".join(filters) or "the image"
    return f"the chunks at rows {task.box.y0}-{task.box.y1} of {chain}"


def must_travel(stages: tuple[Stage, ...]) -> bytes:
    """Return the functions that are not ours as bytes; none if all are.

    Raises
    ------
    UsageError
        If they cannot be sent to another process, with the reason.
    """
    if all(stage.filter.definition.ours for stage in stages):
        return b""
    return by_value(stages, "a filter")


def _pickled(job: Job) -> bytes:
    """Return `job` as bytes that a worker can load, whatever module its functions are from."""
    if all(stage.filter.definition.ours for stage in job.all_stages):
        return pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
    return by_value(job, "a filter")
