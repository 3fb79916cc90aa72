"""Processes: a `ProcessPoolExecutor` whose workers are watched and can be replaced.

Several runs may share one. Workers that were started together are a generation: they end together,
once, whoever asks for it first. What they had is lost to every run that gave it to them, and each
of these gives it to the next generation.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor
from concurrent.futures import process as pools
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, util
from typing import Any, ParamSpec, TypeVar

from imgpipe.cleanup import uninterrupted
from imgpipe.errors import WorkerError
from imgpipe.executors.base import End
from imgpipe.executors.processes.ends import describe
from imgpipe.executors.processes.server import Server, fork_now, launching, revive_the_tracker
from imgpipe.executors.processes.startup import prepare_worker
from imgpipe.refusals import refusal, refused

__all__ = ["ProcessExecutor", "fork_now"]

P = ParamSpec("P")
T = TypeVar("T")

_JOIN_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_TRIES = 5
_EARLY = 50  # at the end of a process, but after the runs that are waited for
_LOG_BYTES = 1 << 16


class ProcessExecutor(Executor):
    """A pool of worker processes.

    Parameters
    ----------
    workers : int
        How many.
    """

    shares_memory = True
    shares_files = True
    isolates = True

    def __init__(self, workers: int) -> None:
        self._max_workers = workers
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._closed = False
        self._current: _Generation | None = None
        self._generations: weakref.WeakKeyDictionary[Future[Any], _Generation] = (
            weakref.WeakKeyDictionary()
        )
        with _typed():
            self._server = Server.acquire()
        # A child process of `multiprocessing` waits at its end for children that nobody ended.
        self._at_exit = util.Finalize(None, _end_left, (weakref.ref(self),), exitpriority=_EARLY)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a task to the next free worker.

        Where that cannot be, because workers died, the future tells.

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
            with _typed():
                if self._current is None:
                    self._current = _Generation(self._max_workers, self._server)
                future = self._current.submit(fn, *args, **kwargs)
            self._generations[future] = self._current
            return future

    @property
    def pids(self) -> set[int]:
        """Process ids of the workers and of their fork server."""
        return {process.pid for process in self._processes() if process.pid} | self._server.pids

    def rebuild(self, lost: Future[Any], *, wanted: bool = False) -> End:
        """End the workers that `lost` was given to, unless they have ended; return how they did.

        No worker that ever had it is left afterwards, and whatever else they had has failed.
        With `wanted` it is nobody's fault.
        """
        with uninterrupted(), self._lock:
            generation = self._generations[lost]
            end = generation.end(wanted=wanted)
            if self._current is generation:
                self._current = None
            return end

    def look_after(self) -> None:
        """Notice a death that the pool itself does not: to be called when nothing happens."""
        with self._lock:
            if self._current is not None:
                self._current.look_after()

    def limit(self, workers: int) -> None:
        """Have no more than `workers` start from now on."""
        with self._lock:
            self._max_workers = workers
            if self._current is not None:
                self._current.limit(workers)

    def kill(self) -> None:
        """End all workers at once."""
        with self._lock:
            generation, self._current = self._current, None
            if generation is not None:
                generation.end(wanted=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """End the pool, and the fork server when no other pool needs it."""
        with self._lock:
            generation, self._current = self._current, None
            released, self._closed = self._closed, True
        if self._owner != os.getpid():
            return
        if generation is not None:
            generation.shut_down(wait=wait, cancel=cancel_futures)
        if not released:
            self._at_exit.cancel()
            self._server.release()

    def _processes(self) -> list[Any]:
        generation = self._current
        return [] if generation is None else generation.processes


def _end_left(left: weakref.ref[ProcessExecutor]) -> None:
    """End the workers of a pool that was not shut down, at the end of this process."""
    pool = left()
    if pool is not None:
        pool.kill()


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Say in plain words what the system refused."""
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        told = refused(error)
        if told is None:
            raise
        raise told from error


class _Generation:
    """Workers that were started together and end together."""

    def __init__(self, workers: int, server: Server) -> None:
        self._log = tempfile.TemporaryFile(prefix="imgpipe-workers-")  # noqa: SIM115 - see `end`
        log = f"/proc/{os.getpid()}/fd/{self._log.fileno()}"
        self._given: set[Future[Any]] = set()
        self._ended: End | None = None
        self._unstarted = ""
        self._late = False
        # The pool has no public names for what is in it; without that it cannot be supervised.
        self._pool: Any
        try:
            self._pool = _pool_of(workers, server, log)
        except BaseException:
            self._log.close()
            raise
        self._started: dict[int, Any] = self._pool._processes
        self._results, self._calls = self._pool._result_queue, self._pool._call_queue

    @property
    def processes(self) -> list[Any]:
        """The workers."""
        return list(self._started.values())

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand a task to the next free worker; the future tells if there is none."""
        if self._unstarted:
            return _lost(self._unstarted)
        future: Future[T]
        try:
            with launching():
                self._start_feeding()
                future = self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool as error:
            return _lost(str(error))
        except (EOFError, OSError) as error:
            self._unstarted = f"no worker could be started ({type(error).__name__}: {error})"
            if refusal(error):
                raise
            return _lost(self._unstarted)
        self._given.add(future)
        future.add_done_callback(self._given.discard)
        return future

    def limit(self, workers: int) -> None:
        """Have no more than `workers` start from now on."""
        self._pool._max_workers = workers

    def end(self, *, wanted: bool = False) -> End:
        """End all of them at once, unless that is done; leave nothing undecided that they had."""
        if self._ended is None:
            with contextlib.suppress(OSError):
                revive_the_tracker()  # semaphores will be given back to it
            processes = self.processes
            for process in processes:
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    process.kill()
            with contextlib.suppress(OSError):
                self._results._writer.close()  # or half a result would be waited for
            self._join(cancel=True)
            for process in processes:
                with contextlib.suppress(ValueError, AssertionError):
                    process.join(_JOIN_SECONDS)
                if hasattr(process, "gone"):
                    process.gone(_JOIN_SECONDS)
            self._settle()
            self._ended = self._description(processes, wanted=wanted)
            self._log.close()
        return self._ended

    def shut_down(self, *, wait: bool, cancel: bool) -> None:
        """Let them end once they have done what they were given."""
        processes = self.processes
        manager = self._pool._executor_manager_thread
        self._pool.shutdown(wait=False, cancel_futures=cancel)
        if not wait:
            return
        _leave_alone(manager)
        with contextlib.suppress(OSError):
            revive_the_tracker()
        while futures.wait(list(self._given), _LOOK_SECONDS).not_done:
            self.look_after()
        _end_the_late(processes)
        if manager is not None:
            manager.join(_JOIN_SECONDS)
        self._calls.close()
        self._log.close()

    def look_after(self) -> None:
        """End all of them if one is gone and nobody seems to notice.

        That is so where one was killed while it sent a result: the pool waits for the rest.
        """
        manager = self._pool._executor_manager_thread
        unattended = manager is not None and manager.ident and not manager.is_alive()
        if not unattended and not any(
            one.gone(0) for one in self.processes if hasattr(one, "gone")
        ):
            self._late = False
        elif self._late:
            self.end()
        else:
            self._late = True

    def _start_feeding(self) -> None:
        """Start the thread that feeds the workers, here, where somebody is told if it fails."""
        with self._calls._notempty:
            if self._calls._thread is None:
                self._calls._start_thread()

    def _join(self, *, cancel: bool) -> None:
        manager = self._pool._executor_manager_thread
        if manager is not None and manager.ident is None:  # it could not be started
            self._pool._executor_manager_thread = manager = None
        self._pool.shutdown(wait=False, cancel_futures=cancel)
        _leave_alone(manager)
        if manager is not None:
            manager.join(_JOIN_SECONDS)
        self._calls.close()

    def _settle(self) -> None:
        """Decide what the pool left undecided."""
        for future in list(self._given):
            with contextlib.suppress(InvalidStateError):
                future.set_exception(BrokenProcessPool("its worker was ended"))

    def _description(self, processes: list[Any], *, wanted: bool) -> End:
        if wanted:
            return End("the end of another run", frozenset(), wanted=True)
        if self._unstarted:
            return End(self._unstarted, frozenset(), stillborn=True)
        size = os.fstat(self._log.fileno()).st_size
        log = os.pread(self._log.fileno(), _LOG_BYTES, 0)
        if size > len(log):
            log += os.pread(self._log.fileno(), _LOG_BYTES, max(_LOG_BYTES, size - _LOG_BYTES))
        return describe(processes, log.decode(errors="replace"))


def _pool_of(workers: int, server: Server, log: str) -> ProcessPoolExecutor:
    for _ in range(_TRIES):
        # The resource tracker, which has to know of semaphores, may be killed at any time.
        with contextlib.suppress(ConnectionError), launching():
            return ProcessPoolExecutor(
                workers, server.context, initializer=prepare_worker, initargs=(log,)
            )
    raise WorkerError("the resource tracker of multiprocessing is killed again and again")


def _leave_alone(manager: threading.Thread | None) -> None:
    """Have Python not wake `manager` at its end: it was told to end, and may be closing its pipe.

    Python waits for it all the same.
    """
    if manager is not None:
        with contextlib.suppress(AttributeError):  # it is no public name
            pools._threads_wakeups.pop(manager, None)


def _lost(reason: str) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(BrokenProcessPool(reason))
    return future


def _end_the_late(processes: list[Any]) -> None:
    """End workers that do not end by themselves: a function of the user's left a thread in them."""
    late = {process.sentinel: process for process in processes}
    until = time.monotonic() + _JOIN_SECONDS
    while late and (left := until - time.monotonic()) > 0:
        for sentinel in connection.wait(list(late), left):
            del late[sentinel]
    for process in late.values():
        with contextlib.suppress(OSError, ValueError, AttributeError):
            process.kill()
