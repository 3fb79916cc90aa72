"""TaskQueue: a bounded window of tasks over any executor, and the ledger of them.

Whatever happens anywhere reaches the run through one inbox: a worker has finished, the reader has
a task ready, somebody wants to stop. The ledger knows every task that is out. When workers die,
their tasks run again, one at a time, until the one that kills them is found or all are done. Other
runs may use the same workers: what they did to them counts for none of the tasks here.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass

from imgpipe.engine.tiler import Task
from imgpipe.engine.whereabouts import forget, signed_by
from imgpipe.engine.worker import Receipt, run_task
from imgpipe.errors import Cancelled, FilterTimeout, ImgpipeError, WorkerError
from imgpipe.executors.base import End, Supervised
from imgpipe.refusals import refused

__all__ = ["Done", "Lost", "Ready", "Stop", "TaskQueue"]

_ATTEMPTS = 3
_STARTS = 20  # times that workers may fail to start, one after the other
_UNEXPLAINED = 50  # times that workers may be lost without a task of this run being at fault
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 0.5


@dataclass(frozen=True)
class Done:
    """A task has been done."""

    task: Task
    receipt: Receipt


@dataclass(frozen=True)
class Lost:
    """Workers died with these tasks; they run again."""

    tasks: int
    reason: str


@dataclass(frozen=True)
class Ready:
    """The reader has made a task, or failed to, or has no more (both None)."""

    task: Task | None
    error: BaseException | None = None


@dataclass(frozen=True)
class Stop:
    """Somebody wants the run to end."""


@dataclass(frozen=True)
class _Settled:
    future: Future[Receipt]


Message = Done | Lost | Ready


class TaskQueue:
    """Tasks on their way to workers and back.

    Parameters
    ----------
    executor : Executor
        What carries them.
    name : str
        The input file, for messages.
    describe : callable
        Says in words what a task works on, for messages.
    """

    def __init__(self, executor: Executor, name: str, describe: Callable[[Task], str]) -> None:
        self.inbox: queue.SimpleQueue[Ready | Stop | _Settled] = queue.SimpleQueue()
        self._executor = executor
        self._name, self._describe = name, describe
        self._out: dict[Future[Receipt], Task] = {}
        self._finished: deque[Message] = deque()
        self._suspects: deque[Task] = deque()
        self._held: deque[Task] = deque()
        self._attempts: dict[int, int] = {}
        self._recovering = False
        self._stillborn = self._unexplained = 0

    def __len__(self) -> int:
        """Return the number of tasks that are not done."""
        return len(self._out) + len(self._suspects) + len(self._held)

    def submit(self, task: Task) -> None:
        """Hand over a task."""
        if self._recovering:
            self._held.append(task)
        else:
            self._start(task)

    def next(self) -> Message:
        """Wait for whatever happens next.

        Raises
        ------
        ImgpipeError
            What a task failed with; `WorkerError` if one takes down every worker that tries it.
        Cancelled
            If the run is to stop.
        """
        while not self._finished:
            message = self._received()
            if isinstance(message, Stop):
                raise Cancelled(f"{self._name}: stopped before it was complete")
            if isinstance(message, Ready):
                return message
            self._settle(message.future)
        return self._finished.popleft()

    def abandon(self) -> None:
        """Leave nothing to workers that others use: end those that do not come to an end.

        A task that began later would look for slots that are others' by then.
        """
        if not isinstance(self._executor, Supervised):
            for future in self._out:
                future.cancel()
        left = wait(list(self._out), _GRACE_SECONDS).not_done
        while left and isinstance(self._executor, Supervised):
            self._executor.rebuild(next(iter(left)), wanted=True)
            left = wait(list(self._out), 0).not_done
        self._out.clear()

    def _received(self) -> Ready | Stop | _Settled:
        while True:
            try:
                return self.inbox.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if isinstance(self._executor, Supervised):
                    self._executor.look_after()

    def _start(self, task: Task) -> None:
        forget(task.note)
        try:
            future = self._executor.submit(run_task, task)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        except RuntimeError as error:
            told = refused(error) or WorkerError(
                f"{self._name}: the executor takes no more work ({error}); "
                "do not shut it down before the run has ended"
            )
            raise told from error
        self._out[future] = task
        future.add_done_callback(lambda done: self.inbox.put(_Settled(done)))

    def _settle(self, future: Future[Receipt]) -> None:
        task = self._out.get(future)
        if task is None:  # dealt with when its worker died
            return
        error = _failure(future)
        if isinstance(error, (BrokenExecutor, CancelledError)):
            self._recover(future, error)
        elif isinstance(error, ImgpipeError):
            raise error from None  # it tells all; how it came here from a worker is no news
        elif error is not None:
            raise error
        else:
            del self._out[future]
            self._complete(task, future.result())

    def _complete(self, task: Task, receipt: Receipt) -> None:
        self._attempts.pop(task.index, None)
        self._stillborn = self._unexplained = 0
        self._finished.append(Done(task, receipt))
        if self._recovering:
            self._advance()

    def _recover(self, future: Future[Receipt], error: BaseException) -> None:
        """Replace dead workers and run again what they had, one task at a time."""
        if not isinstance(self._executor, Supervised):
            died = isinstance(error, BrokenExecutor)
            raise WorkerError(
                f"{self._name}: the executor that was passed "
                f"{f'has lost its workers ({error})' if died else 'has cancelled the work'}; "
                "nothing was written. Use the workers of imgpipe, which replaces dead ones"
            ) from error
        # Nothing is resubmitted before every old worker is gone: a slot must never have two
        # writers. What others have started since goes on.
        end = self._executor.rebuild(future)
        lost = []
        for one, task in sorted(self._out.items(), key=lambda item: item[1].index):
            if not one.done():
                continue
            failure = _failure(one)
            if failure is None:
                self._attempts.pop(task.index, None)
                self._finished.append(Done(task, one.result()))
            elif isinstance(failure, (BrokenExecutor, CancelledError)):
                lost.append(task)
            else:
                continue  # its own message is on its way
            del self._out[one]
        self._find_fault(lost, end)
        self._recovering = True
        self._suspects.extendleft(reversed(lost))
        self._finished.append(Lost(len(lost), end.reason.partition("\n")[0]))
        self._advance()

    def _advance(self) -> None:
        """Start the next suspect; when there is none left, all that was held back."""
        if self._out:
            return
        if self._suspects:
            self._start(self._suspects.popleft())
            return
        self._recovering = False
        while self._held:
            self._start(self._held.popleft())

    def _find_fault(self, lost: list[Task], end: End) -> None:
        """Blame the tasks whose own workers died; give up where nothing can come of it."""
        if end.wanted:
            return
        at_fault = [task for task in lost if _at_fault(task, end, alone=len(lost) == 1)]
        for task in at_fault:
            self._blame(task, end.reason)
        self._stillborn = self._stillborn + 1 if end.stillborn else 0
        self._unexplained = 0 if at_fault else self._unexplained + 1
        if self._stillborn >= _STARTS or self._unexplained >= _UNEXPLAINED:
            raise WorkerError(
                f"{self._name}: no worker could start, the last attempt ended by {end.reason}\n"
                "The system may refuse processes, threads or memory (ulimit -u, ulimit -v), or end "
                "them; lower -j (workers=), or use one worker"
            )

    def _blame(self, task: Task, reason: str) -> None:
        tried = self._attempts[task.index] = self._attempts.get(task.index, 0) + 1
        what = f"{self._name}: {self._describe(task)}"
        if reason.startswith("timeout"):
            raise FilterTimeout(
                f"{what} did not finish in time{reason.removeprefix('timeout')}\n"
                "Allow more time (--timeout, or timeout=), or fix the function"
            )
        if tried >= _ATTEMPTS:
            raise WorkerError(
                f"{what} ended {tried} workers in a row, the last by {reason}\n"
                "The filter crashes, or there is too little memory"
            )


def _failure(future: Future[Receipt]) -> BaseException | None:
    """Return what a future that is done failed with."""
    try:
        return future.exception()
    except CancelledError as cancelled:
        return cancelled


def _at_fault(task: Task, end: End, *, alone: bool) -> bool:
    """Whether it was the worker of `task` that ended by itself.

    Where that cannot be told, a task is at fault that was the only one lost.
    """
    worker = signed_by(task.note)
    if worker is None or end.dead is None:
        return alone
    return worker in end.dead
