"""Processes: a `ProcessPoolExecutor` whose workers are watched and can be replaced.

On Linux workers are forked from a fork server that is ours alone: it has imported what they need
before the first of them starts, it ends with the pool, and neither it nor they ever run the
caller's main module again, so a script without a main guard works. Elsewhere workers are spawned.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import itertools
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import connection, resource_tracker
from multiprocessing.context import BaseContext
from typing import Any, ParamSpec, TypeVar

from imgpipe.cleanup import uninterrupted

__all__ = ["ProcessExecutor", "fork_now"]

P = ParamSpec("P")
T = TypeVar("T")

_PRELOAD = ["imgpipe.executors.preload"]
_JOIN_SECONDS = 5.0
_SAFE_PATH = "PYTHONSAFEPATH"
_main_swap = threading.RLock()


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
        self._workers = workers
        self._log = tempfile.TemporaryFile(prefix="imgpipe-workers-")  # noqa: SIM115 - see shutdown
        self._log_read = 0
        self._server = _Server.acquire()
        self._pool = self._new_pool()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a task to the next free worker."""
        with uninterrupted(), _without_main():  # submitting may start a worker
            return self._pool.submit(fn, *args, **kwargs)

    @property
    def pids(self) -> set[int]:
        """Process ids of the workers and of their fork server."""
        return {process.pid for process in self._processes() if process.pid} | self._server.pids

    def rebuild(self) -> str:
        """Replace all workers; return what is known of how the old ones ended."""
        processes = self._processes()
        self._end(processes)
        reason = _describe(processes, self._log_tail())
        self._pool = self._new_pool()
        return reason

    def kill(self) -> None:
        """End all workers at once."""
        self._end(self._processes())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """End the pool, and the fork server when no other pool needs it."""
        processes = self._processes() if wait else []
        self._pool.shutdown(wait=False, cancel_futures=cancel_futures)
        _end_the_late(processes)
        self._pool.shutdown(wait=wait)
        self._server.release()
        self._log.close()

    def _new_pool(self) -> ProcessPoolExecutor:
        log = f"/proc/{os.getpid()}/fd/{self._log.fileno()}"
        return ProcessPoolExecutor(
            self._workers, self._server.context, initializer=_prepare_worker, initargs=(log,)
        )

    def _processes(self) -> list[Any]:
        # The pool has no public name for its processes; without them it cannot be supervised.
        return list((self._pool._processes or {}).values())

    def _end(self, processes: list[Any]) -> None:
        for process in processes:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for process in processes:
            with contextlib.suppress(ValueError, AssertionError):
                process.join(_JOIN_SECONDS)

    def _log_tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        start = max(self._log_read, size - 8192)
        self._log_read = size
        return os.pread(self._log.fileno(), size - start, start).decode(errors="replace")


def fork_now() -> None:
    """Fork the fork server from this process, which has only just begun, for pools to come.

    It must have opened nothing yet that the workers should not have. Where it has more threads
    than this one, the server becomes a new interpreter instead.
    """
    _Server.acquire(users=0, by_fork=True)


class _Server:
    """Where worker processes come from, shared by all pools of this process."""

    _current: _Server | None = None
    _lock = threading.Lock()

    def __init__(self, *, by_fork: bool) -> None:
        self._users = 0
        with _signals_held_back(), _apart_from_the_folder():
            resource_tracker.ensure_running()  # before any worker, or each would start its own
        self.context, self._forkserver = _context(by_fork=by_fork)

    @classmethod
    def acquire(cls, users: int = 1, *, by_fork: bool = False) -> _Server:
        with cls._lock:
            if cls._current is None:
                cls._current = _Server(by_fork=by_fork)
            cls._current._users += users
            return cls._current

    def release(self) -> None:
        """Stop the server unless other pools use it."""
        with self._lock:
            self._users -= 1
            if self._users <= 0:
                self._stop()

    @classmethod
    def stop_unused(cls) -> None:
        """Stop a server that was started and never needed."""
        with cls._lock:
            if cls._current is not None and cls._current._users == 0:
                cls._current._stop()

    def _stop(self) -> None:
        _Server._current = None
        if self._forkserver is not None:
            from imgpipe.executors.forkserver import stop  # noqa: PLC0415 - POSIX only

            stop(self._forkserver)

    @property
    def pids(self) -> set[int]:
        pid = getattr(self._forkserver, "_forkserver_pid", None)
        return {pid} if pid else set()


atexit.register(_Server.stop_unused)


def _context(*, by_fork: bool) -> tuple[BaseContext, Any]:
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn"), None
    from imgpipe.executors.forkserver import own_fork_server  # noqa: PLC0415 - POSIX only

    with _without_main(), _signals_held_back(), _apart_from_the_folder():
        return own_fork_server(_PRELOAD, by_fork=by_fork)


@contextlib.contextmanager
def _apart_from_the_folder() -> Iterator[None]:
    """Let new interpreters not look for modules in the current folder, as they do by default.

    A file called ``random.py`` there would be run by them, in place of the standard library's.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let the child inherit a mask without SIGINT: it ignores Ctrl-C only once it is set up."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module, which a new process would otherwise import and so run again."""
    with _main_swap:
        main = sys.modules.get("__main__")
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            if main is not None:
                sys.modules["__main__"] = main


def _prepare_worker(log: str) -> None:
    """Set up a worker. Nothing here may fail: a pool swallows what its initializer raises."""
    with contextlib.suppress(Exception):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
        _end_with_parent()
        _divert_stderr(log)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="imgpipe-orphan-watch", daemon=True).start()


def _divert_stderr(log: str) -> None:
    """Send what C code prints to `log`; what Python code prints still reaches the terminal."""
    terminal = os.dup(2)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding="utf-8", errors="replace")
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, 2)
    os.close(fd)
    faulthandler.enable(file=2, all_threads=False)


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


def _describe(processes: list[Any], log: str) -> str:
    """Return how workers ended: ``timeout``, a signal or an exit code; then what they were at."""
    where = _place_in(log)
    limit = re.findall(r"Timeout \(([0-9:.]+)\)", log)
    if limit:
        return f"timeout ({limit[-1]}){where}"
    codes = [code for one in processes if (code := getattr(one, "exitcode", None)) is not None]
    signals = [-code for code in codes if code < 0 and code != -signal.SIGKILL]
    if signals:
        return f"signal {signal.Signals(signals[0]).name}{where}"
    ended = [code for code in codes if code >= 0]
    return f"exit code {max(ended)}" if ended else "signal SIGKILL"


def _place_in(log: str) -> str:
    """Return the lines of the user's function in what `faulthandler` wrote, if there are any."""
    package = os.path.dirname(os.path.dirname(__file__))
    for thread in reversed(log.split("(most recent call first):\n")[1:]):
        frames = itertools.takewhile(lambda line: line.startswith("  File "), thread.splitlines())
        theirs, ours = [], False
        for frame in frames:
            ours = frame.startswith(f'  File "{package}{os.sep}')
            if ours:
                break
            theirs.append(frame)
        if ours and theirs:
            return "\n".join(("\nIt was at (most recent call first):", *theirs))
    return ""
