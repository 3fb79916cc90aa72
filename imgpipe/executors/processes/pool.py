"""Processes: a pool of workers that are watched and replaced one by one.

Several runs may share a pool, so a worker may have tasks of each. If it dies, these tasks fail, and
their runs submit them again; the other workers go on.

This is no `ProcessPoolExecutor`: there, one death breaks all workers. A pool of one for each worker
was tried. It takes two threads more for each, and five named semaphores, of which the resource
tracker warns when a script ends by a signal while its workers are kept.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from multiprocessing import util
from typing import Any, ParamSpec, TypeVar

from imgpipe.cleanup import uninterrupted
from imgpipe.executors.base import End, Traits
from imgpipe.executors.processes.server import Server, fork_now
from imgpipe.executors.processes.worker import JOIN_SECONDS, OPEN_FILES, Worker
from imgpipe.machine import allow_open_files
from imgpipe.refusals import refused

__all__ = ["ProcessExecutor", "fork_now"]

P = ParamSpec("P")
T = TypeVar("T")

_EARLY = 50  # at the end of a process, but after the runs that are waited for


class ProcessExecutor(Executor):
    """A pool of worker processes.

    Parameters
    ----------
    workers : int
        Their number.

    Attributes
    ----------
    held : (int, int)
        The memory that a worker held before the run that goes on, at most; see
        `machine.private_memory`.
    """

    traits = Traits(shares_memory=True, shares_files=True, isolates=True)

    def __init__(self, workers: int) -> None:
        self._max_workers = workers
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._closed = False
        self._workers: dict[int, Worker] = {}
        self._order, self._turns = itertools.count(), dict[int, int]()
        self._forgotten: dict[int, Worker] = {}
        self.held: tuple[int, int] = (0, 0)
        self._given: weakref.WeakKeyDictionary[Future[Any], Worker] = weakref.WeakKeyDictionary()
        allow_open_files(OPEN_FILES * workers)
        with _typed():
            self._server = Server.acquire()
        # A child process of `multiprocessing` waits at its end for children that still run.
        _pools.add(self)
        self._at_exit = util.Finalize(None, _end_left, (weakref.ref(self),), exitpriority=_EARLY)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a task to the worker with the fewest tasks; of equals, the one served longest ago.

        If the worker has died, the future has the error.

        Raises
        ------
        WorkerError
            If the system refuses what a worker needs.
        RuntimeError
            If the pool was shut down, or belongs to another process.
        """
        with uninterrupted(), self._lock:  # submitting may start a worker
            if self._owner != os.getpid():
                raise RuntimeError("this pool of workers belongs to another process")
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            number = min(range(self._max_workers), key=self._load)
            with _typed():
                if number not in self._workers:
                    self._workers[number] = Worker(f"worker {number + 1}", self._server)
                worker = self._workers[number]
                future = worker.submit(fn, *args, **kwargs)
            self._given[future], self._turns[number] = worker, next(self._order)
            return future

    @property
    def pids(self) -> set[int]:
        """Process ids of the workers and of their fork server."""
        return {process.pid for process in self._processes() if process.pid} | self._server.pids

    def rebuild(self, lost: Future[Any], *, wanted: bool = False) -> End:
        """End the worker of `lost`, unless it has ended; return the reason of its end.

        Its other tasks have failed afterwards. The other workers go on. A later task starts a
        new worker in its place. With `wanted` its end is no failure.
        """
        with uninterrupted(), self._lock:
            worker = self._given[lost]
            end = worker.end(wanted=wanted)
            for number, current in list(self._workers.items()):
                if current is worker:
                    del self._workers[number]
            return end

    def label(self, future: Future[Any]) -> str:
        """Return the name, for people, of the worker that `future` was given to."""
        return self._given[future].label

    def look_after(self) -> None:
        """Notice deaths that were not reported: to be called when nothing happens for long."""
        with self._lock:
            for worker in self._workers.values():
                worker.look_after()

    def limit(self, workers: int) -> None:
        """Have at most `workers` workers from now on; end the surplus."""
        with self._lock:
            self._max_workers = workers
            surplus = [self._workers.pop(n) for n in list(self._workers) if n >= workers]
        allow_open_files(OPEN_FILES * workers)
        _finish(surplus, cancel=False)

    def prune(self) -> None:
        """Put away the workers that have ended; a later task starts new ones."""
        with self._lock:
            for number, worker in list(self._workers.items()):
                if not worker.is_living:
                    worker.end()
                    del self._workers[number]

    def everyone(self, fn: Callable[[], T]) -> list[Future[T]]:
        """Have every worker that has started call `fn`."""
        with uninterrupted(), self._lock:
            self.prune()
            return [worker.submit(fn) for worker in self._workers.values()]

    def dismiss(self) -> None:
        """Let all workers end, and do not wait for that: no task will come any more."""
        with self._lock:
            for worker in self._workers.values():
                worker.finish(cancel=False)

    def kill(self) -> None:
        """End all workers at once."""
        with self._lock:
            self.held = (0, 0)
            workers, self._workers = list(self._workers.values()), {}
            for worker in workers:
                worker.strike()
            for worker in workers:
                worker.end(wanted=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """End the pool, and the fork server when no other pool needs it."""
        with self._lock:
            workers, self._workers = list(self._workers.values()), {}
            released, self._closed = self._closed, True
        if self._owner != os.getpid():
            return
        _finish(workers, cancel=cancel_futures, wait=wait)
        if not released:
            self._at_exit.cancel()
            self._server.release()

    def forget(self) -> None:
        """Close, in a fork of this process, the files that it holds open for its workers."""
        self._lock = threading.RLock()  # a thread that the fork has not may have held it
        self._forgotten, self._workers = self._workers, {}
        for worker in self._forgotten.values():
            worker.forget()

    def _load(self, number: int) -> tuple[int, int]:
        """Return the number of tasks of a worker, and its rank among workers with as many."""
        worker = self._workers.get(number)
        if worker is None or not worker.unfinished:
            return 0, number
        return worker.unfinished, self._turns[number]

    def _processes(self) -> list[Any]:
        found = (worker.process for worker in list(self._workers.values()))
        return [process for process in found if process is not None]


def _finish(workers: list[Worker], *, cancel: bool, wait: bool = True) -> None:
    """Have workers end after their last task; wait for that."""
    for worker in workers:
        worker.finish(cancel=cancel)
    if not wait:
        return
    for worker in workers:
        worker.drain()
    until = time.monotonic() + JOIN_SECONDS
    for worker in workers:
        worker.wait(until)


_pools: weakref.WeakSet[ProcessExecutor] = weakref.WeakSet()
_forgotten: list[ProcessExecutor] = []


def _after_fork() -> None:
    """Let go of all pools in a fork of this process: its own end must not depend on the fork's."""
    _forgotten.extend(_pools)  # for good: their end would be reported to other processes
    for pool in _forgotten:
        pool.forget()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _end_left(left: weakref.ref[ProcessExecutor]) -> None:
    """End the workers of a pool that was not shut down, at the end of this process."""
    pool = left()
    if pool is not None:
        pool.kill()


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Turn a refusal of the system into an error in plain words."""
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        told = refused(error)
        if told is None:
            raise
        raise told from error
