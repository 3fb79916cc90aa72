"""Worker: a process, the pool of one that feeds it, and its end.

A `ProcessPoolExecutor` of one process is broken by the end of that process, and of no other. So a
death names the tasks that it may have come from, and other workers go on.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, InvalidStateError, ProcessPoolExecutor
from concurrent.futures import process as pools
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.synchronize import SemLock
from typing import Any, TypeVar

from imgpipe.errors import WorkerError
from imgpipe.executors.base import End
from imgpipe.executors.processes.ends import describe
from imgpipe.executors.processes.server import Server, launching, revive_the_tracker
from imgpipe.executors.processes.startup import prepare_worker
from imgpipe.machine import memory_kills
from imgpipe.refusals import refusal

__all__ = ["JOIN_SECONDS", "OPEN_FILES", "Worker"]

T = TypeVar("T")

OPEN_FILES = 12
"""How many files this process holds open for a worker, and some to spare."""

JOIN_SECONDS = 5.0
"""How long a process may take to end."""

_LOOK_SECONDS = 1.0
_TRIES = 5
_LOG_BYTES = 1 << 16

# What Python raises where the resource tracker was killed just now. It warns of that, and warnings
# may be errors.
_TRACKER_KILLED = ConnectionError, UserWarning


class Worker:
    """A worker process, which starts with its first task.

    Parameters
    ----------
    label : str
        Its name, for people.
    server : Server
        Starts it.
    """

    def __init__(self, label: str, server: Server) -> None:
        self.label = label
        self._log = tempfile.TemporaryFile(prefix="imgpipe-worker-")  # noqa: SIM115 - see `end`
        log = f"/proc/{os.getpid()}/fd/{self._log.fileno()}"
        self._given: set[Future[Any]] = set()
        self._ended: End | None = None
        self._unstarted = ""
        self._late = False
        self._kills_before = memory_kills()
        # The pool has no public names for what is in it; without that it cannot be supervised.
        self._pool: Any
        try:
            self._pool = _pool_of_one(server, log)
        except BaseException:
            self._log.close()
            raise
        self._started: dict[int, Any] = self._pool._processes
        self._results, self._calls = self._pool._result_queue, self._pool._call_queue
        self._manager: threading.Thread | None = None

    @property
    def unfinished(self) -> int:
        """How many tasks it has."""
        return len(self._given)

    @property
    def process(self) -> Any | None:
        """The process; None if there is none yet, or no more."""
        return next(iter(self._started.copy().values()), None)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand over a task; the future tells if the process has ended, or cannot be started."""
        if self._unstarted:
            return _lost(self._unstarted)
        future: Future[T]
        try:
            with contextlib.nullcontext() if self._started else launching():
                self._start_feeding()
                future = self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool as error:
            return _lost(str(error))
        except (EOFError, OSError, *_TRACKER_KILLED) as error:
            self._unstarted = f"no worker could be started ({type(error).__name__}: {error})"
            if refusal(error):
                raise
            return _lost(self._unstarted)
        self._given.add(future)
        future.add_done_callback(self._given.discard)
        return future

    @property
    def is_living(self) -> bool:
        """Whether it has started, and can still do tasks as far as is known."""
        process = self.process
        if process is None or self._pool._broken or not self._manager_is_alive:
            return False
        return process.exitcode is None and not (hasattr(process, "gone") and process.gone(0))

    def forget(self) -> None:
        """Close, in a fork of this process, what this process holds open for the worker.

        Nothing is told to it, and no thread is joined: the fork has none.
        """
        manager = self._pool._executor_manager_thread or self._manager
        _leave_alone(manager)
        wakeup = self._pool._executor_manager_thread_wakeup
        for end in (self._calls, self._results, wakeup):
            for connection_ in (end and end._reader, end and end._writer):
                with contextlib.suppress(OSError, AttributeError):
                    connection_.close()
        process = self.process
        if process is not None and hasattr(process, "forget"):
            process.forget()
        self._log.close()

    def strike(self) -> None:
        """Kill the process, and leave it to `end` to wait for that."""
        process = self.process
        if process is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                process.kill()

    def end(self, *, wanted: bool = False) -> End:
        """End the process at once, unless that is done; leave nothing undecided that it had."""
        if self._ended is None:
            with contextlib.suppress(OSError):
                revive_the_tracker()  # semaphores will be given back to it
            process = self.process
            ended = process is not None and process.exitcode is not None
            self.strike()
            with contextlib.suppress(OSError):
                self._results._writer.close()  # or half a result would be waited for
            self._join()
            if process is not None:
                with contextlib.suppress(ValueError, AssertionError):
                    process.join(JOIN_SECONDS)
                if hasattr(process, "gone"):
                    process.gone(JOIN_SECONDS)
            self._settle()
            self._ended = self._description(process, ended, wanted=wanted)
            self._log.close()
        return self._ended

    def finish(self, *, cancel: bool) -> None:
        """Let the process end once it has done what it was given; cancel what it has not begun."""
        self._manager = self._pool._executor_manager_thread
        self._pool.shutdown(wait=False, cancel_futures=cancel)

    def drain(self) -> None:
        """Wait until it has done all that it was given, after `finish`."""
        _leave_alone(self._manager)
        while futures.wait(list(self._given), _LOOK_SECONDS).not_done:
            self.look_after()

    def wait(self, until: float) -> None:
        """Wait for its end, after `drain`; from the time `until` on, end it.

        A function of the user's may have left a thread in it.
        """
        process = self.process
        if process is not None:
            left = max(0.0, until - time.monotonic())
            if not connection.wait([process.sentinel], left):
                self.strike()
        if self._manager is not None:
            self._manager.join(JOIN_SECONDS)
        self._calls.close()
        self._log.close()

    @property
    def _manager_is_alive(self) -> bool:
        manager = self._pool._executor_manager_thread
        return manager is not None and manager.is_alive()

    def look_after(self) -> None:
        """End it if the process is gone and nobody seems to notice.

        That is so where it was killed while it sent a result: the pool waits for the rest.
        """
        manager = self._pool._executor_manager_thread or self._manager
        unattended = manager is not None and manager.ident and not manager.is_alive()
        process = self.process
        gone = process is not None and hasattr(process, "gone") and process.gone(0)
        if not unattended and not gone:
            self._late = False
        elif self._late:
            self.end()
        else:
            self._late = True

    def _start_feeding(self) -> None:
        """Start the thread that feeds the process, here, where somebody is told if it fails."""
        with self._calls._notempty:
            if self._calls._thread is None:
                self._calls._start_thread()

    def _join(self) -> None:
        manager = self._pool._executor_manager_thread or self._manager
        if manager is not None and manager.ident is None:  # it could not be started
            self._pool._executor_manager_thread = manager = None
        self._pool.shutdown(wait=False, cancel_futures=True)
        _leave_alone(manager)
        if manager is not None:
            manager.join(JOIN_SECONDS)
        self._calls.close()

    def _settle(self) -> None:
        """Decide what the pool left undecided."""
        for future in list(self._given):
            with contextlib.suppress(InvalidStateError):
                future.set_exception(BrokenProcessPool("its worker was ended"))

    def _description(self, process: Any | None, ended: bool, *, wanted: bool) -> End:  # noqa: FBT001
        if wanted:
            return End("the end of another run", wanted=True)
        if process is None:
            return End(self._unstarted or "an end before it was started", stillborn=True)
        by_itself = getattr(process, "ended_by_itself", ended)
        return describe(
            process, self._written(), by_itself=by_itself, kills_before=self._kills_before
        )

    def _written(self) -> str:
        """Return what the process wrote into its log."""
        size = os.fstat(self._log.fileno()).st_size
        log = os.pread(self._log.fileno(), _LOG_BYTES, 0)
        if size > len(log):
            log += os.pread(self._log.fileno(), _LOG_BYTES, max(_LOG_BYTES, size - _LOG_BYTES))
        return log.decode(errors="replace")


def _pool_of_one(server: Server, log: str) -> ProcessPoolExecutor:
    for _ in range(_TRIES):
        # The resource tracker, which has to know of semaphores, may be killed at any time.
        try:
            with launching():
                return ProcessPoolExecutor(
                    1, server.context, initializer=prepare_worker, initargs=(log,)
                )
        except _TRACKER_KILLED as error:
            _unlink_semaphore(error)
    raise WorkerError("the resource tracker of multiprocessing is killed again and again")


def _unlink_semaphore(error: BaseException) -> None:
    """Unlink the semaphore that `error` kept from being registered, as nobody else does."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        made = frame.f_locals.get("self")
        if isinstance(made, SemLock):
            with contextlib.suppress(OSError, UserWarning):
                SemLock._cleanup(made._semlock.name)  # type: ignore[attr-defined]


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
