"""TaskQueue: a bounded window of tasks over any executor, and the ledger of them.

Whatever happens anywhere reaches the run through one inbox: a worker has finished, the reader has
a task ready, somebody wants to stop. The ledger knows every task that is out. When workers die,
their tasks run again, one at a time, until the one that kills them is found or all are done.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass

from imgpipe.errors import Cancelled, FilterTimeout, ImgpipeError, WorkerError
from imgpipe.executors.base import Supervised
from imgpipe.tiler import Task
from imgpipe.worker import Receipt, run_task

__all__ = ["Done", "Lost", "Ready", "Stop", "TaskQueue"]

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Done:
    """A task has been done."""

    task: Task
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Lost:
    """Workers died with these tasks; they run again."""

    tasks: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The reader has made a task, or failed to, or has no more (both None)."""

    task: Task | None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody wants the run to end."""


@dataclass(frozen=True, slots=True)
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
            message = self.inbox.get()
            if isinstance(message, Stop):
                raise Cancelled(f"{self._name}: stopped before it was complete")
            if isinstance(message, Ready):
                return message
            self._settle(message.future)
        return self._finished.popleft()

    def _start(self, task: Task) -> None:
        try:
            future = self._executor.submit(run_task, task)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self._out[future] = task
        future.add_done_callback(lambda done: self.inbox.put(_Settled(done)))

    def _settle(self, future: Future[Receipt]) -> None:
        task = self._out.get(future)
        if task is None:  # dealt with when its worker died
            return
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if isinstance(error, BrokenExecutor):
            self._recover(error)
        elif isinstance(error, ImgpipeError):
            raise error from None  # it tells all; how it came here from a worker is no news
        elif error is not None:
            raise error
        else:
            del self._out[future]
            self._complete(task, future.result())

    def _complete(self, task: Task, receipt: Receipt) -> None:
        self._attempts.pop(task.index, None)
        self._finished.append(Done(task, receipt))
        if self._recovering:
            self._advance()

    def _recover(self, error: BrokenExecutor) -> None:
        """Replace dead workers and run again what they had, one task at a time."""
        if not isinstance(self._executor, Supervised):
            raise WorkerError(
                f"{self._name}: the workers of the executor that was passed died ({error}); "
                "nothing was written. Let imgpipe make the workers, and it replaces dead ones"
            ) from error
        # Nothing is resubmitted before every old future is settled and every old worker gone:
        # a slot must never have two writers.
        wait(list(self._out))
        reason = self._executor.rebuild()
        out, self._out = self._out, {}
        lost = []
        for future, task in sorted(out.items(), key=lambda item: item[1].index):
            if future.cancelled() or future.exception() is not None:
                lost.append(task)
            else:
                self._attempts.pop(task.index, None)
                self._finished.append(Done(task, future.result()))
        if len(lost) == 1:
            self._blame(lost[0], reason)
        self._recovering = True
        self._suspects.extendleft(reversed(lost))
        self._finished.append(Lost(len(lost), reason.partition("\n")[0]))
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

    def _blame(self, task: Task, reason: str) -> None:
        tried = self._attempts[task.index] = self._attempts.get(task.index, 0) + 1
        what = f"{self._name}: {self._describe(task)}"
        if reason.startswith("timeout"):
            raise FilterTimeout(
                f"{what} did not finish in time{reason.removeprefix('timeout')}\n"
                "Allow more (--timeout, or timeout=), or mend the function"
            )
        if tried >= _ATTEMPTS:
            raise WorkerError(
                f"{what} ended {tried} workers in a row, the last by {reason}\n"
                "The function of a filter crashes, or there is too little memory"
            )
