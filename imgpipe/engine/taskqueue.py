"""TaskQueue: a bounded window of tasks over any executor, and the ledger of them.

Whatever happens anywhere reaches the run through one inbox: a worker has finished, the reader has
a task ready, somebody wants to stop. The ledger knows every task that is out. When a worker dies,
its tasks run again at once. Only the one that it was at counts the death. Other runs may use the
same workers: what they did to them counts for none of the tasks here.
"""

from __future__ import annotations

import queue
from collections import Counter, defaultdict, deque
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

_ATTEMPTS = 3  # workers that a task may end
_FROM_OUTSIDE = 20  # workers that others may end while they are at one task
_STARTS = 20  # workers that may fail to start with one task
_UNEXPLAINED = 50  # times that a task may be lost without being at fault
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
        self._losses: defaultdict[int, Counter[str]] = defaultdict(Counter)

    def __len__(self) -> int:
        """Return the number of tasks that are not done."""
        return len(self._out)

    def submit(self, task: Task) -> None:
        """Hand over a task."""
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
        self._losses.pop(task.index, None)
        self._finished.append(Done(task, receipt))

    def _recover(self, future: Future[Receipt], error: BaseException) -> None:
        """Replace a dead worker and run again what it had."""
        if not isinstance(self._executor, Supervised):
            died = isinstance(error, BrokenExecutor)
            raise WorkerError(
                f"{self._name}: the executor that was passed "
                f"{f'has lost its workers ({error})' if died else 'has cancelled the work'}; "
                "nothing was written. Use the workers of imgpipe, which replaces dead ones"
            ) from error
        # Nothing is resubmitted before the worker is gone: a slot must never have two writers.
        end = self._executor.rebuild(future)
        lost = {
            one: task
            for one, task in sorted(self._out.items(), key=lambda item: item[1].index)
            if one.done() and _is_lost(one) and self._executor.rebuild(one) is end
        }
        for one, task in lost.items():
            del self._out[one]
            self._count(task, end)
        self._finished.append(Lost(len(lost), end.reason.partition("\n")[0]))
        for task in lost.values():
            self._start(task)

    def _count(self, task: Task, end: End) -> None:
        """Count the loss of a task; give it up where nothing can come of it."""
        if end.wanted:
            return
        losses = self._losses[task.index]
        if end.pid is not None and signed_by(task.note) == end.pid:
            losses["outside" if end.outside else "fault"] += 1
            self._blame(task, losses, end.reason)
        else:
            losses["stillborn" if end.stillborn else "unexplained"] += 1
        if losses["stillborn"] >= _STARTS or losses["unexplained"] >= _UNEXPLAINED:
            raise WorkerError(
                f"{self._name}: no worker could start, the last attempt ended by {end.reason}\n"
                "The system may refuse processes, threads or memory (ulimit -u, ulimit -v), or end "
                "them; lower -j (workers=), or use one worker"
            )

    def _blame(self, task: Task, losses: Counter[str], reason: str) -> None:
        what = f"{self._name}: {self._describe(task)}"
        if reason.startswith("timeout"):
            raise FilterTimeout(
                f"{what} did not finish in time{reason.removeprefix('timeout')}\n"
                "Allow more time (--timeout, or timeout=), or fix the function"
            )
        if losses["fault"] >= _ATTEMPTS:
            raise WorkerError(
                f"{what} ended {losses['fault']} workers in a row, the last by {reason}\n"
                "The filter crashes, or there is too little memory"
            )
        if losses["outside"] >= _FROM_OUTSIDE:
            raise WorkerError(
                f"{what} lost {losses['outside']} workers in a row, the last by {reason}\n"
                "Something else ends the workers, or the filter ends its own process"
            )


def _is_lost(future: Future[Receipt]) -> bool:
    return isinstance(_failure(future), (BrokenExecutor, CancelledError))


def _failure(future: Future[Receipt]) -> BaseException | None:
    """Return what a future that is done failed with."""
    try:
        return future.exception()
    except CancelledError as cancelled:
        return cancelled
