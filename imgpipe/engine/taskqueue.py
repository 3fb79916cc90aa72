"""TaskQueue: tasks on their way to the workers of an executor and back, and the ledger of them.

The tasks of all flows are in one ledger, by flow and index. The result or the failure of a task is
a message for its flow alone. If a worker dies, only the tasks that it had are lost: they run again
at once, and the one that it worked on has one attempt less.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import NamedTuple

from imgpipe.cleanup import uninterrupted
from imgpipe.engine.tasks import Task
from imgpipe.engine.worker import Receipt, run_task
from imgpipe.engine.workernotes import filter_noted, forget, item_noted, signed_by, was_reading
from imgpipe.errors import CorruptError, FilterTimeout, ImgpipeError, WorkerError
from imgpipe.executors.base import End, Supervised, works_at_once
from imgpipe.refusals import refused

__all__ = ["Done", "Ended", "Failed", "Lost", "Message", "Settled", "TaskQueue", "blamed"]

# How often the worker of a task may be lost.
_ATTEMPTS = 3  # after deaths of its own making
_FROM_OUTSIDE = 20  # after signals from other programs
_STARTS = 20  # before it began with the task
_UNEXPLAINED = 50  # while it was not at this task

_NOBODY = 0  # has signed the note of a task that has not begun

Key = tuple[int, str, int]


class Settled(NamedTuple):
    """The future of a task is done."""

    future: Future[Receipt]


class Done(NamedTuple):
    """A task has been done."""

    task: Task
    receipt: Receipt
    worker: str


class Failed(NamedTuple):
    """A task has failed, which ends its flow."""

    task: Task
    error: BaseException


class Lost(NamedTuple):
    """A worker died with these tasks; they run again."""

    tasks: tuple[Task, ...]
    reason: str


class Ended(NamedTuple):
    """A call has not come back: its flow decides about its items.

    Attributes
    ----------
    task : Task
        The call.
    error : Exception or None
        Its exception; None if its worker died of it.
    end : End or None
        The end of its worker.
    item : int or None
        The number of the item that was under way, if that is known.
    reads : bool
        Whether the item was being read.
    filter : str
        The filter that it was at, if that is known.
    """

    task: Task
    error: Exception | None = None
    end: End | None = None
    item: int | None = None
    reads: bool = False
    filter: str = ""


Message = Done | Ended | Failed | Lost


class TaskQueue:
    """The ledger of the tasks that are out.

    Parameters
    ----------
    executor : Executor
        Carries them.
    window : int
        The number of tasks that may be out at once. Those that run again are not counted.
    settled : callable
        Called from any thread with every future that is done; it is to come back to `settle`.
    describe : callable
        Returns the name of the image and a description of the work of a task, for messages.
    """

    def __init__(
        self,
        executor: Executor,
        window: int,
        settled: Callable[[Settled], None],
        describe: Callable[[Task], tuple[str, str]],
    ) -> None:
        self._executor, self._window = executor, window
        self._ours = executor if isinstance(executor, Supervised) else None  # slow to find out
        self._at_once = works_at_once(executor)
        self._settled, self._describe = settled, describe
        self._out: dict[Future[Receipt], Task] = {}
        self._again: deque[Task] = deque()  # lost tasks, which go out again at once
        self._abandoned: set[int] = set()
        self._losses: defaultdict[Key, Counter[str]] = defaultdict(Counter)

    def __len__(self) -> int:
        """Return the number of tasks that are out."""
        return len(self._out)

    @property
    def room(self) -> bool:
        """Return whether one more may go out."""
        return len(self._out) < self._window

    def out(self, flow: int) -> int:
        """Return the number of tasks of a flow under way, abandoned ones included."""
        return sum(task.flow == flow for task in (*self._out.values(), *self._again))

    def submit(self, task: Task) -> Iterator[Message]:
        """Hand over a task; yield that it has failed if the executor refuses it."""
        forget(task.note)
        # An interrupt in between would leave a task out that is not in the ledger.
        with contextlib.nullcontext() if self._at_once else uninterrupted():
            error = self._hand_over(task)
        if error is not None:
            yield Failed(task, self._refusal(task, error))

    def settle(self, future: Future[Receipt]) -> Iterator[Message]:
        """Yield the message about the task of a future, and about tasks lost with it."""
        task = self._out.get(future)
        if task is None:  # dealt with when its worker died
            return
        error = _failure(future)
        if isinstance(error, (BrokenExecutor, CancelledError)):
            yield from self._recover(future, task, error)
            return
        del self._out[future]
        if task.flow in self._abandoned:
            self._forget_if_back(task.flow)
        elif error is None:
            yield self._done(task, future)
        else:
            if isinstance(error, ImgpipeError):  # it tells all; its way from a worker is no news
                error.__cause__, error.__suppress_context__ = None, True
            if task.kind == "call" and isinstance(error, Exception):
                yield Ended(task, error)
            else:
                yield Failed(task, error)

    def abandon(self, flow: int) -> None:
        """Drop the tasks of a flow; most of the tasks that have not begun are cancelled."""
        self._abandoned.add(flow)
        self._again = deque(task for task in self._again if task.flow != flow)
        for key in [key for key in self._losses if key[0] == flow]:
            del self._losses[key]
        for future, task in list(self._out.items()):
            if task.flow == flow and future.cancel():
                self._out.pop(future, None)
        self._forget_if_back(flow)

    def end(self, flow: int) -> Iterator[Message]:
        """Have no task of an abandoned flow out any more.

        The workers that are at one are ended, if they may be. A task that has not begun is left to
        its worker, which will find that there is nothing to be done.
        """
        for future, task in list(self._out.items()):
            if task.flow == flow and future in self._out:
                begun = not future.done() and signed_by(task.note) != _NOBODY
                if begun and self._ours is not None:
                    self._ours.rebuild(future, wanted=True)
                    yield from self._restart(self._ours)
                self._out.pop(future, None)
        self._forget_if_back(flow)

    def close(self) -> None:
        """Forget all tasks."""
        self._out.clear()
        self._again.clear()

    def _hand_over(self, task: Task) -> Exception | None:
        """Submit a task; return the error if the executor refuses it."""
        future: Future[Receipt]
        try:
            future = self._executor.submit(run_task, task)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - it is the end of the flow
            return error
        self._out[future] = task
        settled = self._settled  # the future is not to refer to this queue, which refers to it
        future.add_done_callback(lambda done: settled(Settled(done)))
        return None

    def _done(self, task: Task, future: Future[Receipt]) -> Done:
        self._losses.pop(_key(task), None)
        label = self._ours.label(future) if self._ours is not None else ""
        return Done(task, future.result(), label)

    def _forget_if_back(self, flow: int) -> None:
        if not self.out(flow):
            self._abandoned.discard(flow)

    def _recover(
        self, future: Future[Receipt], task: Task, error: BaseException
    ) -> Iterator[Message]:
        """Have the tasks of dead workers run again."""
        if self._ours is not None:
            yield from self._restart(self._ours)
            return
        del self._out[future]
        if task.flow in self._abandoned:
            self._forget_if_back(task.flow)
            return
        died = isinstance(error, BrokenExecutor)
        told = WorkerError(
            f"{self._describe(task)[0]}: the executor that was passed "
            f"{f'has lost its workers ({error})' if died else 'has cancelled the work'}; "
            "nothing was written. Use the workers of imgpipe, which replaces dead ones"
        )
        told.__cause__ = error
        yield Failed(task, told)

    def _restart(self, executor: Supervised) -> Iterator[Message]:
        """Run the lost tasks again, after their workers are surely gone."""
        found = self._lost(executor)
        # All notes are read now: once a flow has failed, its memory may be another's.
        ended = [
            Ended(
                task,
                end=end,
                item=item_noted(task.note),
                reads=was_reading(task.note),
                filter=filter_noted(task.note),
            )
            for end, lost in found
            for task in lost
            if task.kind == "call" and _died_of(task, end)
        ]
        calls = {id(one.task) for one in ended}
        for one in ended:
            self._losses.pop(_key(one.task), None)
        faults = [
            (task, self._fault(task, end))
            for end, lost in found
            for task in lost
            if id(task) not in calls
        ]
        failed = {task.flow for task, fault in faults if fault is not None}
        self._again.extend(task for task, _ in faults if task.flow not in failed)
        for end, lost in found:
            if again := tuple(task for task in lost if task.flow not in failed):
                yield Lost(again, end.reason.partition("\n")[0])
        yield from ended
        for task, fault in faults:
            if fault is not None:
                yield Failed(task, fault)
        while self._again:  # of which there may be fewer by now: a message may end other flows
            yield from self.submit(self._again.popleft())

    def _lost(self, executor: Supervised) -> list[tuple[End, list[Task]]]:
        """Take the tasks of dead workers from the ledger; return them by the end of the worker."""
        for future in self._broken():
            executor.rebuild(future)  # all else that this worker had is broken, too, from now on
        found: dict[int, tuple[End, list[Task]]] = {}
        for future in self._broken():
            task, end = self._out.pop(future), executor.rebuild(future)
            _, tasks = found.setdefault(id(end), (end, []))
            if task.flow in self._abandoned:
                self._forget_if_back(task.flow)
            else:
                tasks.append(task)
        return list(found.values())

    def _broken(self) -> list[Future[Receipt]]:
        """Return the futures whose tasks were lost, in the order of their tasks."""
        lost = BrokenExecutor, CancelledError
        broken = [one for one in self._out if one.done() and isinstance(_failure(one), lost)]
        return sorted(broken, key=lambda future: self._out[future].index)

    def _refusal(self, task: Task, error: Exception) -> ImgpipeError:
        """Return in plain words that the executor does not take `task`."""
        if isinstance(error, ImgpipeError):
            return error
        name = self._describe(task)[0]
        if isinstance(error, RuntimeError):
            said = f"takes no more work ({error}); do not shut it down before the run has ended"
        else:
            said = f"did not take the work ({type(error).__name__}: {error})"
        told = refused(error) or WorkerError(f"{name}: the executor {said}")
        told.__cause__ = error
        return told

    def _fault(self, task: Task, end: End) -> ImgpipeError | None:
        """Count the loss of a task; return an error if it is to run no more."""
        if end.wanted:
            return None
        losses, (name, at) = self._losses[_key(task)], self._describe(task)
        if _died_of(task, end):
            reads = was_reading(task.note)
            work = f"{name}: reading it" if reads else f"{name}: {at}"
            return blamed(work, losses, end, reads=reads)
        losses["stillborn" if end.stillborn else "unexplained"] += 1
        if losses["stillborn"] >= _STARTS or losses["unexplained"] >= _UNEXPLAINED:
            return WorkerError(
                f"{name}: no worker could start, the last attempt ended by "
                f"{end.reason}\n"
                "The system may refuse processes, threads or memory (ulimit -u, ulimit -v), or end "
                "them; lower -j (workers=), or use one worker"
            )
        return None


def blamed(work: str, losses: Counter[str], end: End, *, reads: bool) -> ImgpipeError | None:
    """Count a worker that work has ended; return an error if it is to be done no more.

    Parameters
    ----------
    work : str
        The work, for messages.
    losses : Counter
        Number of workers that it has ended, by cause.
    end : End
        The end of the worker.
    reads : bool
        Whether it was reading an image.
    """
    kind: type[ImgpipeError]
    if end.reason.startswith("timeout"):
        kind, cure = (
            (CorruptError, "get a fresh copy") if reads else (FilterTimeout, "fix the function")
        )
        return kind(
            f"{work} did not finish within its {end.reason}\n"
            f"Allow more time (--timeout, or timeout=), or {cure}"
        )
    losses["outside" if end.outside else "fault"] += 1
    if losses["fault"] >= _ATTEMPTS:
        kind, cure = (
            (CorruptError, "Get a fresh copy, or convert it with another program")
            if reads
            else (
                WorkerError,
                "The filter crashes, or the system has too little memory",
            )
        )
        return kind(
            f"{work} ended {losses['fault']} workers in a row, the last with {end.reason}\n{cure}"
        )
    if losses["outside"] >= _FROM_OUTSIDE:
        return WorkerError(
            f"{work} lost {losses['outside']} workers in a row, the last with {end.reason}\n"
            "Something else ends the workers, or the filter ends its own process"
        )
    return None


def _died_of(task: Task, end: End) -> bool:
    """Return whether a worker ended by itself while it was at a task."""
    return not end.wanted and end.pid is not None and signed_by(task.note) == end.pid


def _key(task: Task) -> Key:
    return task.flow, task.kind, task.index


def _failure(future: Future[Receipt]) -> BaseException | None:
    """Return the error of a future that is done."""
    try:
        return future.exception()
    except CancelledError as cancelled:
        return cancelled
